/* STORE: changes flags (RFC 9051 6.4.6, UNCHANGEDSINCE RFC 7162 3.1.3). The imap role. The change
   is one operation; the answers are FETCH responses of what is then in the store. */
#include "imap/condstore.h"
#include "imap/fetch.h"
#include "imap/flags.h"
#include "imap/sync.h"
#include "imap/uidset.h"

static const struct {
	const char *name;
	uint8_t how;
	bool silent;
} actions[] = {
	{"FLAGS", FLAGS_SET},
	{"FLAGS.SILENT", FLAGS_SET, true},
	{"+FLAGS", FLAGS_ADD},
	{"+FLAGS.SILENT", FLAGS_ADD, true},
	{"-FLAGS", FLAGS_REMOVE},
	{"-FLAGS.SILENT", FLAGS_REMOVE, true},
};

struct store_work {
	struct seqset set;
	bool silent;
	bool conditional;
	uint64_t unchanged_since;
	uint8_t how;
	struct flag_list flags;
	struct uid_range *ranges; /* of indexes */
	size_t ranges_n;
	struct fetch_request answer;
};

static bool parse_modifier(struct lex *l, struct store_work *w)
{
	if (!lex_chr(l, '(')) { return true; }
	w->conditional = true;
	return lex_word(l, "UNCHANGEDSINCE") && lex_space(l) &&
	       lex_number64(l, &w->unchanged_since) && lex_chr(l, ')') && lex_space(l);
}

static bool parse_action(struct lex *l, struct store_work *w)
{
	struct str name;
	if (!lex_atom(l, &name)) { return false; }
	for (size_t i = 0; i < COUNT(actions); i++) {
		if (str_ieq(name, str_of(actions[i].name))) {
			w->how = actions[i].how;
			w->silent = actions[i].silent;
			return true;
		}
	}
	l->error = "expected FLAGS, +FLAGS or -FLAGS";
	return false;
}

static bool store_parse(struct lex *l, struct store_work *w)
{
	if (!lex_seqset(l, &w->set) || !lex_space(l) || !parse_modifier(l, w) ||
		!parse_action(l, w) || !lex_space(l) || !flag_list_parse(l, true, &w->flags)) {
		return false;
	}
	if (lex_end(l)) { return true; }
	l->error = "expected the end of the command";
	return false;
}

/* --- the answer --- */

/* "MODIFIED 7,9": those that failed the condition, in the command's own numbers. */
static const char *modified_code(struct session *s, const struct op_flags_reply *reply)
{
	struct uidset set = {0};
	struct buf code = {0};
	for (uint32_t i = 0; i < reply->modified_n; i++) {
		size_t at = view_lower(&s->view, reply->modified[i].lo);
		for (; at < s->view.n && s->view.uids[at] <= reply->modified[i].hi; at++) {
			uidset_add(&set, s->uid ? s->view.uids[at] : (uint32_t)at + 1);
		}
	}
	buf_str(&code, STR("MODIFIED "));
	uidset_put(set.ranges, set.n, &code);
	const char *text = arena_cstr(&s->arena, buf_view(&code));
	uidset_fini(&set);
	buf_fini(&code);
	return text;
}

static enum step store_end(struct session *s)
{
	const struct op_flags_reply *reply = s->call.reply;
	condstore_told(s, reply->modseq);
	if (reply->keywords_full) { return session_no(s, "LIMIT", "Too many keywords"); }
	if (reply->modified_n) {
		return session_ok(s, modified_code(s, reply), "Some were changed meanwhile");
	}
	if (fetch_missed(s) && !s->uid) {
		return session_no(s, "EXPUNGEISSUED", "Some of the messages are gone");
	}
	return session_ok(s, NULL, "STORE completed");
}

/* Without those that failed the condition: their change comes with the next sync. */
static void leave_out_modified(
	struct session *s, struct store_work *w, const struct op_flags_reply *reply)
{
	struct uidset left = {0};
	for (size_t i = 0; i < w->ranges_n; i++) {
		for (uint32_t at = w->ranges[i].lo; at <= w->ranges[i].hi; at++) {
			if (!uidset_has(reply->modified, reply->modified_n, s->view.uids[at])) {
				uidset_add(&left, at);
			}
		}
	}
	w->ranges = arena_array(&s->arena, left.n + 1, sizeof *w->ranges);
	w->ranges_n = left.n;
	if (left.n) { memcpy(w->ranges, left.ranges, left.n * sizeof *w->ranges); }
	uidset_fini(&left);
}

/* A keyword that is new in the mailbox comes before the messages that have it. */
static void tell_keywords(struct session *s)
{
	struct snap sn;
	struct str names[KEYWORDS_MAX];
	if (snap_begin(session_store(s), &sn) < 0) { return; }
	if (snap_keywords(&sn, s->view.mid, names) == 0) { sync_keywords(s, names); }
	snap_end(&sn);
}

static enum step store_answered(struct session *s)
{
	struct store_work *w = s->work;
	const struct op_flags_reply *reply = s->call.reply;
	if (s->call.rc < 0) { return session_no_rc(s, s->call.rc); }
	if (reply->modseq) { s->news = true; }
	if (reply->modseq && w->flags.keywords_n) { tell_keywords(s); }
	if (reply->modified_n) { leave_out_modified(s, w, reply); }
	/* RFC 7162 3.2.4 */
	if (s->uid || s->condstore) { fetch_add(&s->arena, &w->answer, FETCH_UID); }
	if (!w->silent) { fetch_add(&s->arena, &w->answer, FETCH_FLAGS); }
	if (s->condstore) { fetch_add(&s->arena, &w->answer, FETCH_MODSEQ); }
	/* RFC 7162 3.1.3: a condition brings MODSEQ even when the flags are not told */
	bool told = !w->silent || w->conditional;
	return fetch_start(s, &w->answer, w->ranges, told ? w->ranges_n : 0, store_end);
}

/* --- the command --- */

static enum step store_send(struct session *s, struct store_work *w)
{
	struct uid_range *uids;
	size_t n;
	if (!view_resolve(&s->view, &w->set, s->uid, &s->arena, &w->ranges, &w->ranges_n) ||
		!view_resolve_uids(&s->view, &w->set, s->uid, &s->arena, &uids, &n)) {
		return session_bad(s, "No such message");
	}
	if (s->view.read_only) { return session_no(s, "READ-ONLY", "Mailbox is read-only"); }
	if (w->flags.too_many) { return session_no(s, "LIMIT", "Too many or too long keywords"); }
	if (n > OP_RANGES_MAX) { return session_no(s, "LIMIT", "Too many ranges at once"); }
	if (!n) { return session_ok(s, NULL, "STORE completed, no messages"); }
	struct op_flags op = {.aid = s->view.aid,
		.mid = s->view.mid,
		.uids = uids,
		.uids_n = (uint32_t)n,
		.how = w->how,
		.flags = w->flags.flags,
		.keywords = w->flags.keywords,
		.keywords_n = w->flags.keywords_n,
		.conditional = w->conditional,
		.unchanged_since = w->unchanged_since};
	s->work = w;
	return session_op(s, &OP_FLAGS, &op, store_answered);
}

enum step cmd_store(struct session *s)
{
	struct store_work *w = arena_new(&s->arena, struct store_work);
	if (!store_parse(&s->lex, w)) { return session_bad_lex(s); }
	if (w->conditional) { condstore_enable(s); }
	return store_send(s, w);
}
