/* COPY and MOVE (RFC 9051 6.4.7, 6.4.8; COPYUID RFC 4315 3). The imap role. Each is one operation:
   it happens whole or not at all. */
#include "imap/session.h"
#include "imap/uidset.h"

struct copy_work {
	struct seqset set;
	struct str to;
	bool move;
};

static bool copy_parse(struct lex *l, struct copy_work *w)
{
	if (!lex_seqset(l, &w->set) || !lex_space(l) || !lex_mailbox(l, &w->to)) { return false; }
	if (lex_end(l)) { return true; }
	l->error = "expected the end of the command";
	return false;
}

static const char *copyuid(struct session *s, const struct op_copy_reply *reply)
{
	struct uid_range to = {reply->first_uid, reply->first_uid + reply->count - 1};
	struct buf b = {0};
	buf_fmt(&b, "COPYUID %u ", reply->uidvalidity);
	uidset_put(reply->source, reply->source_n, &b);
	buf_chr(&b, ' ');
	uidset_put(&to, 1, &b);
	const char *code = arena_cstr(&s->arena, buf_view(&b));
	buf_fini(&b);
	return code;
}

/* RFC 6851 4.3: COPYUID goes before the EXPUNGEs, which session_sync sends with the tagged reply.
 */
static enum step moved(struct session *s, const struct op_copy_reply *reply)
{
	struct buf *out = session_out(s);
	buf_str(out, STR("* OK ["));
	buf_str(out, str_of(copyuid(s, reply)));
	buf_str(out, STR("] Moved\r\n"));
	if (s->condstore) {
		return session_ok_fmt(s, "MOVE completed", "HIGHESTMODSEQ %llu",
			(unsigned long long)reply->modseq);
	}
	return session_ok(s, NULL, "MOVE completed");
}

static enum step copy_answered(struct session *s)
{
	const struct copy_work *w = s->work;
	const struct op_copy_reply *reply = s->call.reply;
	if (s->call.rc == ERR_GONE) { return session_no(s, "TRYCREATE", "No such mailbox"); }
	if (s->call.rc < 0) { return session_no_rc(s, s->call.rc); }
	s->news = true;
	if (!reply->count && !s->uid) {
		return session_no(s, "EXPUNGEISSUED", "The messages are gone");
	}
	if (!reply->count) { return session_ok(s, NULL, "No such messages, nothing done"); }
	return w->move ? moved(s, reply) : session_ok(s, copyuid(s, reply), "COPY completed");
}

static int find_target(struct session *s, const struct copy_work *w, uint32_t *mid_out)
{
	struct snap sn;
	struct mname name;
	struct mbox mb = {0};
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return rc; }
	rc = snap_mbox_by_name(&sn, s->aid, w->to, &name, &mb);
	snap_end(&sn);
	*mid_out = mb.mid;
	return rc;
}

static enum step copy_send(struct session *s, struct copy_work *w)
{
	struct uid_range *uids;
	size_t n;
	uint32_t to;
	if (!view_resolve_uids(&s->view, &w->set, s->uid, &s->arena, &uids, &n)) {
		return session_bad(s, "No such message");
	}
	if (w->move && s->view.read_only) {
		return session_no(s, "READ-ONLY", "Mailbox is read-only");
	}
	if (n > OP_RANGES_MAX) { return session_no(s, "LIMIT", "Too many ranges at once"); }
	int rc = find_target(s, w, &to);
	if (rc == ERR_GONE) { return session_no(s, "TRYCREATE", "No such mailbox"); }
	if (rc < 0) { return session_no_rc(s, rc); }
	if (w->move && to == s->view.mid) {
		return session_no(s, "CANNOT", "They are in this mailbox already");
	}
	if (!n) { return session_ok(s, NULL, "No such messages, nothing done"); }
	struct op_copy op = {.aid = s->view.aid,
		.mid = s->view.mid,
		.to_mid = to,
		.uids = uids,
		.uids_n = (uint32_t)n,
		.move = w->move};
	s->work = w;
	return session_op(s, &OP_COPY, &op, copy_answered);
}

enum step cmd_copy(struct session *s)
{
	struct copy_work *w = arena_new(&s->arena, struct copy_work);
	w->move = str_eq(str_of(s->row->name), STR("MOVE"));
	return copy_parse(&s->lex, w) ? copy_send(s, w) : session_bad_lex(s);
}
