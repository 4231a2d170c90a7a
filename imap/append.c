/* APPEND (RFC 9051 6.3.12; MULTIAPPEND RFC 3502, BINARY RFC 3516 4.4, APPENDLIMIT RFC 7889). The
   imap role. Messages stream from the connection into the store as they arrive; all of a command
   are then made visible by one operation, or none. */
#include "imap/commands.h"
#include "imap/flags.h"
#include "imap/input.h"
#include "imap/server.h"
#include "lib/date.h"
#include "store/spool.h"

enum { REQUEST_MAX = LINK_MSG_MAX / 2 /* octets of the operation's large parts */ };

struct append {
	struct str mailbox;
	uint32_t mid;
	struct op_append_one messages[OP_APPENDS_MAX];
	struct spool *spools[OP_APPENDS_MAX];
	uint32_t n; /* the last one is arriving */
	size_t request;
	bool binary;
};

static void append_free(struct session *s)
{
	struct append *ap = s->work;
	for (uint32_t i = 0; i < ap->n; i++) { spool_free(ap->spools[i]); }
}

/* --- the commit --- */

static enum step append_answered(struct session *s)
{
	struct append *ap = s->work;
	const struct op_append_reply *reply = s->call.reply;
	uint32_t last;
	if (s->call.rc == ERR_GONE) { return session_no(s, "TRYCREATE", "No such mailbox"); }
	if (s->call.rc < 0) { return session_no_rc(s, s->call.rc); }
	for (uint32_t i = 0; i < ap->n; i++) { spool_taken(ap->spools[i]); }
	metric_add(&imap_appended_total, ap->n);
	session_put_normalized(s, STR(""));
	if (s->state == IMAP_SELECTED && s->view.mid == ap->mid) { s->news = true; }
	last = reply->first_uid + reply->count - 1;
	if (reply->count == 1) {
		return session_ok_fmt(s, "APPEND completed", "APPENDUID %u %u", reply->uidvalidity,
			reply->first_uid);
	}
	return session_ok_fmt(s, "APPEND completed", "APPENDUID %u %u:%u", reply->uidvalidity,
		reply->first_uid, last);
}

static enum step append_commit(struct session *s)
{
	struct append *ap = s->work;
	struct op_append op = {
		.aid = s->aid, .mid = ap->mid, .messages = ap->messages, .messages_n = ap->n};
	return session_op(s, &OP_APPEND, &op, append_answered);
}

/* --- one message --- */

static enum step append_more(struct session *s);

static enum step message_done(struct session *s)
{
	struct append *ap = s->work;
	struct op_append_one *one = &ap->messages[ap->n - 1];
	spool_body(ap->spools[ap->n - 1], &one->body);
	ap->request += one->body.data.n + one->body.parse.n;
	if (ap->request > REQUEST_MAX) { return session_no(s, "LIMIT", "Too much at once"); }
	imap_input_message_end(s);
	conn_ack_now(s->task.conn); /* imaplib and others write the end of the line by itself */
	s->resume = append_more;
	return STEP_MORE;
}

static enum step message_finish(struct session *s)
{
	struct append *ap = s->work;
	int rc = spool_finish(ap->spools[ap->n - 1]);
	if (rc == 0) { return STEP_WAIT; }
	return rc < 0 ? session_no_rc(s, rc) : message_done(s);
}

static enum step message_read(struct session *s)
{
	struct append *ap = s->work;
	struct spool *sp = ap->spools[ap->n - 1];
	while (s->input->left) {
		if (spool_full(sp)) { return STEP_WAIT; }
		struct str piece = imap_input_message(s);
		if (!piece.n) { return imap_session_await(s); }
		imap_session_spoken(s);
		if (!ap->binary && str_chr(piece, '\0') >= 0) {
			return session_bad(s, "NUL in a literal");
		}
		int rc = spool_add(sp, piece);
		if (rc < 0) { return session_no_rc(s, rc); }
	}
	s->resume = message_finish;
	return STEP_MORE;
}

/* Whether the account has room, before the octets come; the store decides when they have. */
static bool over_quota(struct session *s, uint64_t size)
{
	struct snap sn;
	struct acct acct;
	if (snap_begin(session_store(s), &sn) < 0) { return false; }
	bool over = snap_acct(&sn, s->aid, &acct) == 0 && acct.quota_bytes &&
		    acct.used_bytes + size > acct.quota_bytes;
	snap_end(&sn);
	return over;
}

static enum step message_begin(struct session *s)
{
	struct append *ap = s->work;
	uint64_t size = s->input->message.size, max = s->server->conf->append_max;
	if (!size) { return session_no(s, NULL, "Empty message, nothing was stored"); }
	if (size > max) { return session_no(s, "TOOBIG", "Message is too big"); }
	if (over_quota(s, size)) { return session_no(s, "OVERQUOTA", "Over quota"); }
	ap->spools[ap->n] = spool_new(&s->server->role->peer[ROLE_STORE], &s->task, max);
	/* the operation has to fit into one frame of the link */
	if (ap->n > 0) { spool_never_inline(ap->spools[ap->n]); }
	ap->n++;
	ap->binary = s->input->message.binary;
	imap_input_accept(s);
	s->resume = message_read;
	return STEP_MORE;
}

/* --- arguments --- */

/* What is kept while the input's text goes away. */
static void keep_flags(struct session *s, const struct flag_list *list, struct op_append_one *one)
{
	one->flags = list->flags;
	one->keywords = list->keywords;
	one->keywords_n = list->keywords_n;
	for (uint32_t i = 0; i < list->keywords_n; i++) {
		one->keywords[i].s = arena_dup(&s->arena, list->keywords[i].s);
	}
}

static bool parse_date(struct lex *l, struct op_append_one *one)
{
	struct str text;
	if (lex_peek(l) != '"') { return true; }
	if (!lex_string(l, &text) || !lex_space(l)) { return false; }
	if (date_internal_parse(text, &one->internaldate_us) < 0) {
		l->error = "expected a date such as \"17-Jul-2026 02:44:25 -0700\"";
		return false;
	}
	if (one->internaldate_us == 0) { one->internaldate_us = 1; } /* 0 would be now */
	return true;
}

/* "[(flags) ]["date" ]" and the end: the literal stood there. */
static enum step message_arguments(struct session *s)
{
	struct append *ap = s->work;
	struct lex *l = &s->lex;
	struct flag_list flags = {0};
	if (ap->n == OP_APPENDS_MAX) { return session_no(s, "LIMIT", "Too many messages"); }
	struct op_append_one *one = &ap->messages[ap->n];
	if (lex_peek(l) == '(' && (!flag_list_parse(l, false, &flags) || !lex_space(l))) {
		return session_bad_lex(s);
	}
	if (flags.too_many) { return session_no(s, "LIMIT", "Too many or too long keywords"); }
	if (!parse_date(l, one) || !lex_end(l)) { return session_bad_lex(s); }
	keep_flags(s, &flags, one);
	return message_begin(s);
}

/* Behind a message: the end of the command or another one. */
static enum step append_more(struct session *s)
{
	switch (imap_input_read(s)) {
	case INPUT_WAIT: return imap_session_await(s);
	case INPUT_BAD: return imap_bad(s, s->input->code, s->input->why);
	case INPUT_COMMAND:
		return s->input->text.n ? session_bad(s, "Expected the end of the command")
					: append_commit(s);
	case INPUT_MESSAGE: break;
	case INPUT_SKIPPED:
	case INPUT_HOPELESS: s->bye = "Too much to skip"; return session_bad(s, s->bye);
	}
	s->lex.in = buf_view(&s->input->text);
	s->lex.at = 0;
	s->lex.error = NULL;
	return lex_space(&s->lex) ? message_arguments(s) : session_bad_lex(s);
}

static int find_mailbox(struct session *s, struct append *ap)
{
	struct snap sn;
	struct mname name;
	struct mbox mb = {0};
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return rc; }
	rc = snap_mbox_by_name(&sn, s->aid, ap->mailbox, &name, &mb);
	snap_end(&sn);
	ap->mid = mb.mid;
	return rc;
}

enum step cmd_append(struct session *s)
{
	struct append *ap = arena_new(&s->arena, struct append);
	s->work = ap;
	s->work_free = append_free;
	s->tag = arena_dup(&s->arena, s->tag);
	if (!lex_mailbox(&s->lex, &ap->mailbox) || !lex_space(&s->lex)) {
		return session_bad_lex(s);
	}
	if (!s->input->append) { return session_bad(s, "Expected a message as a literal"); }
	int rc = find_mailbox(s, ap);
	if (rc == ERR_GONE) { return session_no(s, "TRYCREATE", "No such mailbox"); }
	return rc < 0 ? session_no_rc(s, rc) : message_arguments(s);
}
