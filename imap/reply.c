/* Replies that end commands (RFC 9051 7.1). The imap role. */
#include <stdarg.h>
#include <stdio.h>

#include "imap/server.h"

/* What the store's codes become (RFC 5530). */
static const struct {
	int rc;
	const char *code, *text;
} causes[] = {
	{ERR_AGAIN, "UNAVAILABLE", "Not possible now, try again later"},
	{ERR_IO, "SERVERBUG", "The server failed"},
	{ERR_GONE, "NONEXISTENT", "It does not exist"},
	{ERR_EXISTS, "ALREADYEXISTS", "It exists already"},
	{ERR_QUOTA, "OVERQUOTA", "Over quota"},
	{ERR_FULL, "UNAVAILABLE", "The server has no room left"},
	{ERR_SYNTAX, "CANNOT", "This cannot be stored"},
	{ERR_LIMIT, "LIMIT", "Too much at once"},
	{ERR_DENIED, "NOPERM", "Not allowed"},
	{ERR_TIMEOUT, "UNAVAILABLE", "Took too long, try again later"},
	{ERR_DAMAGED, "SERVERBUG", "Stored data is damaged"},
	{ERR_INUSE, "INUSE", "It is in use"},
};

void session_put(struct session *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(session_out(s), fmt, ap);
	va_end(ap);
}

struct buf *session_out(struct session *s)
{
	return conn_out(s->task.conn);
}

void imap_reply(struct session *s, const char *word, const char *code, const char *text)
{
	struct buf *out = session_out(s);
	buf_str(out, s->tag.n ? s->tag : STR("*"));
	buf_chr(out, ' ');
	buf_str(out, str_of(word));
	if (code) {
		buf_str(out, STR(" ["));
		buf_str(out, str_of(code));
		buf_chr(out, ']');
	}
	buf_chr(out, ' ');
	buf_str(out, str_of(text));
	buf_str(out, STR("\r\n"));
}

static enum step end(struct session *s, const char *word, const char *code, const char *text)
{
	if (s->state == IMAP_SELECTED && s->row) { session_sync(s, s->row->may_expunge || s->uid); }
	imap_reply(s, word, code, text);
	imap_session_end_command(s);
	return STEP_MORE;
}

enum step session_ok(struct session *s, const char *code, const char *text)
{
	if (s->state & IMAP_IN) { s->errors = 0; }
	return end(s, "OK", code, text);
}

enum step session_no(struct session *s, const char *code, const char *text)
{
	return end(s, "NO", code, text);
}

enum step imap_bad(struct session *s, const char *code, const char *text)
{
	s->errors++;
	return end(s, "BAD", code, text);
}

enum step session_bad(struct session *s, const char *text)
{
	return imap_bad(s, NULL, text);
}

enum step session_bad_lex(struct session *s)
{
	if (!s->lex.error) { return session_bad(s, "Bad arguments"); }
	struct str text = arena_fmt(&s->arena, "Bad arguments: %s", s->lex.error);
	return session_bad(s, arena_cstr(&s->arena, text));
}

enum step session_no_rc(struct session *s, int rc)
{
	for (size_t i = 0; i < COUNT(causes); i++) {
		if (causes[i].rc == rc) { return session_no(s, causes[i].code, causes[i].text); }
	}
	log_event(LOG_ERROR, &s->log, "failed", "command=%s code=%d", s->row ? s->row->name : "-",
		rc);
	return session_no(s, "SERVERBUG", "The server failed");
}

enum step session_ok_fmt(struct session *s, const char *text, const char *code_fmt, ...)
{
	struct buf code = {0};
	va_list ap;
	va_start(ap, code_fmt);
	buf_vfmt(&code, code_fmt, ap);
	va_end(ap);
	enum step want = session_ok(s, buf_cstr(&code), text);
	buf_fini(&code);
	return want;
}
