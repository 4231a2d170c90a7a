/* IDLE (RFC 9051 6.3.13, RFC 2177): news of the selected mailbox is told at once. The imap role. An
   idling session waits for its client and for news, and holds no buffers meanwhile. */
#include "imap/commands.h"
#include "imap/input.h"
#include "imap/server.h"

enum { DONE_LINE_MAX = 64 };

static enum step idle_over(struct session *s, const char *bad)
{
	s->idling = false;
	return bad ? session_bad(s, bad) : session_ok(s, NULL, "IDLE completed");
}

static enum step idling(struct session *s)
{
	struct str line;
	int rc = conn_line(s->task.conn, DONE_LINE_MAX, &line);
	if (rc < 0) {
		s->bye = "Expected DONE";
		return idle_over(s, "Expected DONE");
	}
	if (rc == 1) { return idle_over(s, str_ieq(line, STR("DONE")) ? NULL : "Expected DONE"); }
	if (s->state == IMAP_SELECTED && s->news) { session_sync(s, true); }
	if (conn_out_full(s->task.conn)) { return STEP_OUT; }
	return imap_session_await(s);
}

static void free_tag(struct session *s)
{
	free(s->work);
}

/* The tag is all that is needed of the command. */
static void hold_tag(struct session *s)
{
	s->work = xstrdup(s->tag);
	s->work_free = free_tag;
	s->tag.p = s->work;
	imap_input_free(s);
}

enum step cmd_idle(struct session *s)
{
	if (!lex_end(&s->lex)) { return session_bad(s, "IDLE has no arguments"); }
	session_put(s, "+ idling\r\n");
	hold_tag(s);
	s->idling = true;
	s->resume = idling;
	return STEP_MORE;
}
