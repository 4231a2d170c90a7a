/* SEARCH: walks the mailbox and asks each message, in steps of bounded work, then answers with
   SEARCH or ESEARCH and keeps "$" (RFC 9051 6.4.4). The imap role. */
#include "imap/search.h"

#include "imap/condstore.h"
#include "imap/record.h"
#include "imap/uidset.h"
#include "imap/walk.h"

enum { TURN_COST = 1024 * 1024 }; /* octets read, then others have their turn */

struct search {
	struct session *s;
	struct search_request req;
	struct walk walk;
	struct uid_range everything;
	struct matcher matcher;

	/* The message being matched. */
	bool open;
	struct msg msg;
	char prefix[PREFIX_MAX]; /* where msg.prefix lives between steps */

	/* What was found. */
	struct uidset found; /* indexes */
	uint64_t modseq, first_modseq, last_modseq;

	/* Of one step. */
	struct snap *snap;
	struct record record;
	bool damaged; /* told in the log */
};

static void search_free(struct session *s)
{
	struct search *se = s->work;
	uidset_fini(&se->found);
	matcher_fini(&se->matcher);
	record_fini(&se->record);
}

/* --- the answer --- */

static uint32_t number(const struct search *se, uint32_t index)
{
	return se->s->uid ? se->s->view.uids[index] : index + 1;
}

static void put_plain(const struct search *se, struct buf *out)
{
	buf_str(out, STR("* SEARCH"));
	for (size_t i = 0; i < se->found.n; i++) {
		for (uint32_t at = se->found.ranges[i].lo; at <= se->found.ranges[i].hi; at++) {
			buf_chr(out, ' ');
			buf_u64(out, number(se, at));
		}
	}
	if (se->req.modseq && se->found.n) {
		buf_fmt(out, " (MODSEQ %llu)", (unsigned long long)se->modseq);
	}
	buf_str(out, STR("\r\n"));
}

/* The same messages by number or, for "$", by UID. */
static void numbers(const struct search *se, const struct uid_range *ranges, size_t n, bool uid,
	struct uidset *out)
{
	for (size_t i = 0; i < n; i++) {
		for (uint32_t at = ranges[i].lo; at <= ranges[i].hi; at++) {
			uidset_add(out, uid ? se->s->view.uids[at] : at + 1);
		}
	}
}

static uint32_t first(const struct search *se)
{
	return se->found.ranges[0].lo;
}

static uint32_t last(const struct search *se)
{
	return se->found.ranges[se->found.n - 1].hi;
}

/* RFC 4731 3.2: of the messages that the answer is about. */
static uint64_t answer_modseq(const struct search *se)
{
	unsigned r = se->req.returns;
	if (r & (RETURN_ALL | RETURN_COUNT)) { return se->modseq; }
	return MAX(r & RETURN_MIN ? se->first_modseq : 0, r & RETURN_MAX ? se->last_modseq : 0);
}

static void put_found(const struct search *se, struct buf *out)
{
	unsigned r = se->req.returns;
	struct uidset all = {0};
	if (r & RETURN_MIN) { buf_fmt(out, " MIN %u", number(se, first(se))); }
	if (r & RETURN_MAX) { buf_fmt(out, " MAX %u", number(se, last(se))); }
	if (r & RETURN_ALL) {
		numbers(se, se->found.ranges, se->found.n, se->s->uid, &all);
		buf_str(out, STR(" ALL "));
		uidset_put(all.ranges, all.n, out);
		uidset_fini(&all);
	}
}

static void put_extended(const struct search *se, struct buf *out)
{
	unsigned r = se->req.returns;
	if (r == RETURN_SAVE) { return; } /* RFC 5182 2.1: nothing to tell */
	buf_str(out, STR("* ESEARCH (TAG \""));
	buf_str(out, se->s->tag);
	buf_str(out, STR("\")"));
	if (se->s->uid) { buf_str(out, STR(" UID")); }
	if (se->found.n) { put_found(se, out); }
	if (r & RETURN_COUNT) {
		buf_str(out, STR(" COUNT "));
		buf_u64(out, uidset_count(se->found.ranges, se->found.n));
	}
	if (se->req.modseq && se->found.n) {
		buf_str(out, STR(" MODSEQ "));
		buf_u64(out, answer_modseq(se));
	}
	buf_str(out, STR("\r\n"));
}

/* --- "$" --- */

static void replace_saved(struct session *s, struct uidset *set)
{
	free(s->view.saved);
	s->view.saved = set->ranges;
	s->view.saved_n = set->n;
	*set = (struct uidset){0};
}

/* RFC 5182 2.1, table 1: with MIN and MAX alone only those are kept. */
static void save(struct search *se)
{
	struct uidset set = {0};
	unsigned r = se->req.returns;
	if (r & (RETURN_ALL | RETURN_COUNT) || !(r & (RETURN_MIN | RETURN_MAX))) {
		numbers(se, se->found.ranges, se->found.n, true, &set);
	} else if (se->found.n) {
		const uint32_t *uids = se->s->view.uids;
		if (r & RETURN_MIN) { uidset_add(&set, uids[first(se)]); }
		if (r & RETURN_MAX) { uidset_add_range(&set, uids[last(se)], uids[last(se)]); }
	}
	replace_saved(se->s, &set);
}

/* RFC 5182 2.1: a search that fails leaves nothing. */
static void forget_saved(struct session *s, const struct search_request *req)
{
	struct uidset none = {0};
	if (req->returns & RETURN_SAVE) { replace_saved(s, &none); }
}

static enum step search_end(struct session *s)
{
	struct search *se = s->work;
	if (se->req.returns & RETURN_SAVE) { save(se); }
	if (se->req.extended || s->rev2) {
		put_extended(se, session_out(s));
	} else {
		put_plain(se, session_out(s));
	}
	return session_ok(s, NULL, "SEARCH completed");
}

/* --- the walk --- */

/* What cannot be read is not found; the others are. */
static void tell_damage(struct search *se, int rc)
{
	if (se->damaged) { return; }
	se->damaged = true;
	log_event(LOG_ERROR, &se->s->log, "search-damaged", "uid=%u oid=%llu reason=%s",
		se->msg.uid, (unsigned long long)se->msg.oid, err_name(rc));
}

static const struct mimerec *get_record(void *ctx)
{
	struct search *se = ctx;
	const struct mimerec *rec = record_get(&se->record, se->snap, se->msg.oid);
	if (!rec) { tell_damage(se, ERR_DAMAGED); }
	return rec;
}

static int get_bytes(void *ctx, uint64_t off, struct str *out)
{
	struct search *se = ctx;
	int rc = snap_msg_bytes(se->snap, &se->msg, off, out);
	if (rc < 0) { tell_damage(se, rc); }
	return rc;
}

static void found(struct search *se)
{
	se->last_modseq = se->msg.modseq;
	if (!se->found.n) { se->first_modseq = se->msg.modseq; }
	se->modseq = MAX(se->modseq, se->msg.modseq);
	uidset_add(&se->found, se->walk.index);
}

/* The first hit says it all. */
static bool enough(const struct search *se)
{
	return se->req.extended && !(se->req.returns & ~(unsigned)(RETURN_MIN | RETURN_SAVE)) &&
	       se->req.returns & RETURN_MIN && se->found.n;
}

/* 1 more messages are left, 0 the end, < 0 ERR_*. */
static int match_messages(struct search *se)
{
	struct search_message sm = {.msg = &se->msg,
		.now_us = loop_now_us(se->s->task.loop),
		.record = get_record,
		.bytes = get_bytes,
		.ctx = se};
	se->matcher.cost = 0;
	while (!enough(se)) {
		if (!se->open) {
			if (se->matcher.cost >= TURN_COST) { return 1; }
			int rc = walk_next(&se->walk, &se->msg);
			if (rc <= 0) { return rc; }
			se->open = true;
			record_forget(&se->record);
			matcher_reset(&se->matcher);
		}
		sm.index = se->walk.index;
		enum match got = matcher_run(&se->matcher, &sm, TURN_COST);
		if (got == MATCH_UNKNOWN) { return 1; }
		if (got == MATCH_YES) { found(se); }
		se->open = false;
	}
	return 0;
}

/* The bits of keywords, as they are in this snapshot. */
static void resolve_keywords(struct search *se)
{
	struct str names[KEYWORDS_MAX] = {0};
	if (snap_keywords(se->snap, se->s->view.mid, names) < 0) { return; }
	for (struct search_key *k = se->req.all; k; k = k->more) {
		if (k->kind != SEARCH_KEYWORD) { continue; }
		k->mask = 0;
		for (unsigned i = 0; i < KEYWORDS_MAX; i++) {
			if (names[i].n && str_ieq(names[i], k->name)) { k->mask = FLAG_KEYWORD(i); }
		}
	}
}

/* The map is not ours between steps. */
static void leave_step(struct search *se)
{
	walk_end(&se->walk);
	record_forget(&se->record);
	if (se->open && se->msg.prefix.p != se->prefix) {
		size_t n = MIN(se->msg.prefix.n, sizeof se->prefix);
		if (n) { memcpy(se->prefix, se->msg.prefix.p, n); }
		se->msg.prefix = str_make(se->prefix, n);
	}
	snap_end(se->snap);
	se->snap = NULL;
}

static enum step search_messages(struct session *s)
{
	struct search *se = s->work;
	struct snap sn;
	int rc = snap_begin(session_store(s), &sn);
	if (rc == 0) {
		se->snap = &sn;
		walk_begin(&se->walk, &sn);
		resolve_keywords(se);
		rc = match_messages(se);
		leave_step(se);
	}
	if (rc < 0) {
		forget_saved(s, &se->req);
		return session_no_rc(s, rc);
	}
	if (rc == 0) { return search_end(s); }
	s->resume = search_messages;
	task_sleep(&s->task, 0);
	return STEP_WAIT;
}

/* --- the command --- */

/* Numbers that there are not match nothing: to SEARCH they are a condition like any other. */
static void clip(struct seqset *set, size_t messages)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < set->n; i++) {
		struct uid_range r = set->ranges[i];
		bool star = r.hi == UINT32_MAX;
		if (!star && r.lo > messages) { continue; }
		if (!star && r.hi > messages) { r.hi = (uint32_t)messages; }
		set->ranges[kept++] = r;
	}
	set->n = kept;
}

static void resolve_sets(struct search *se)
{
	struct session *s = se->s;
	for (struct search_key *k = se->req.all; k; k = k->more) {
		if (k->kind != SEARCH_SET) { continue; }
		if (!k->uid) { clip(&k->set, s->view.n); }
		bool all = view_resolve(
			&s->view, &k->set, k->uid, &s->arena, &k->ranges, &k->ranges_n);
		assert(all && "no number is above the last");
	}
}

/* A set that every hit must be in saves looking at the others. */
static void start_walk(struct search *se)
{
	const struct view *v = &se->s->view;
	se->everything = (struct uid_range){0, v->n ? (uint32_t)v->n - 1 : 0};
	walk_init(&se->walk, v, &se->everything, v->n ? 1 : 0);
	for (const struct search_key *k = se->req.root->child; k; k = k->next) {
		if (k->kind == SEARCH_SET) {
			walk_init(&se->walk, v, k->ranges, k->ranges_n);
			return;
		}
	}
}

enum step cmd_search(struct session *s)
{
	struct search *se = arena_new(&s->arena, struct search);
	se->s = s;
	se->matcher.req = &se->req;
	if (!search_parse(&s->lex, &se->req)) { return session_bad_lex(s); }
	if (se->req.bad_charset) {
		forget_saved(s, &se->req);
		return session_no(s, "BADCHARSET (US-ASCII UTF-8)", "Charset not known");
	}
	resolve_sets(se);
	if (se->req.modseq) { condstore_enable(s); }
	start_walk(se);
	s->work = se;
	s->work_free = search_free;
	return search_messages(s);
}
