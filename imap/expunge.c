/* EXPUNGE and UID EXPUNGE (RFC 9051 6.4.3, 6.4.9). The imap role. What went is told by session_sync
   with the tagged reply. */
#include "imap/session.h"

static enum step expunge_answered(struct session *s)
{
	const struct op_expunge_reply *reply = s->call.reply;
	if (s->call.rc < 0) { return session_no_rc(s, s->call.rc); }
	s->news = true;
	if (s->condstore && reply->expunged_n) { /* RFC 7162 3.2.9 */
		return session_ok_fmt(s, "EXPUNGE completed", "HIGHESTMODSEQ %llu",
			(unsigned long long)reply->modseq);
	}
	return session_ok(s, NULL, "EXPUNGE completed");
}

static bool expunge_parse(struct session *s, struct seqset *set)
{
	if (s->uid && !lex_seqset(&s->lex, set)) { return false; }
	if (lex_end(&s->lex)) { return true; }
	s->lex.error = "expected the end of the command";
	return false;
}

enum step cmd_expunge(struct session *s)
{
	struct seqset set = {0};
	struct uid_range *uids = NULL;
	size_t n = 0;
	if (!expunge_parse(s, &set)) { return session_bad_lex(s); }
	if (s->view.read_only) { return session_no(s, "READ-ONLY", "Mailbox is read-only"); }
	if (s->uid && !view_resolve_uids(&s->view, &set, true, &s->arena, &uids, &n)) {
		return session_bad(s, "No such message");
	}
	if (n > OP_RANGES_MAX) { return session_no(s, "LIMIT", "Too many ranges at once"); }
	if (s->uid && !n) { return session_ok(s, NULL, "EXPUNGE completed, no messages"); }
	struct op_expunge op = {.aid = s->view.aid,
		.mid = s->view.mid,
		.all = !s->uid,
		.uids = uids,
		.uids_n = (uint32_t)n};
	return session_op(s, &OP_EXPUNGE, &op, expunge_answered);
}
