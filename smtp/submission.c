/* May this login write as this author? Runs in submit. The question is auth's to answer; here it is
   only put, once for the envelope (mail.c) and once for each author of the header. */
#include "lib/addr.h"
#include "smtp/receive.h"

enum { WRITERS_MAX = 20 }; /* addresses in From and Sender */

static enum step next_author(struct session *s);

/* Collect whom a From or Sender field names. */
static int add_authors(struct intake *in, struct str value, size_t at_most)
{
	struct addr *list;
	size_t n, found = 0;
	bool clear;
	int rc = addr_parse_wary(value, &in->arena, &list, &n, &clear);
	if (!clear) { return ERR_SYNTAX; } /* a reader might show another author */
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (list[i].kind != ADDR_MAILBOX) { continue; }
		if (list[i].domain.n == 0 || ++found > at_most || in->authors_n == WRITERS_MAX) {
			return ERR_LIMIT;
		}
		in->authors[in->authors_n++] = list[i];
	}
	return rc < 0 ? rc : found ? 0 : ERR_SYNTAX;
}

static enum step author_checked(struct task *t)
{
	struct session *s = session_of(t);
	const struct auth_may_send_reply *reply = s->call.reply;
	const struct addr *author = &s->intake->authors[s->intake->author_at - 1];
	t->step = s->intake->resume;
	if (s->call.rc < 0) {
		bool closed = s->call.rc == ERR_DENIED;
		intake_fail(s, closed ? REPLY_SENDER_CLOSED : REPLY_AUTHOR_LATER, STR(""));
		return STEP_MORE;
	}
	if (!reply->allowed) {
		struct str text = arena_fmt(&s->intake->arena, "%.*s@%.*s", STR_ARG(author->local),
			STR_ARG(author->domain));
		intake_fail(s, REPLY_FROM_NOT_YOURS, text);
		return STEP_MORE;
	}
	return next_author(s);
}

static enum step next_author(struct session *s)
{
	struct intake *in = s->intake;
	while (in->author_at < in->authors_n) {
		const struct addr *author = &in->authors[in->author_at++];
		struct str text = arena_fmt(
			&in->arena, "%.*s@%.*s", STR_ARG(author->local), STR_ARG(author->domain));
		/* known to be theirs: the login itself, and what MAIL was asked about */
		if (str_ieq(text, s->login) || str_eq(text, s->env->mail.from.text)) { continue; }
		if (text.n > ADDRESS_MAX) { break; }
		struct auth_may_send ask = {.aid = s->aid, .address = text};
		return session_call(s, ROLE_AUTH, &AUTH_MAY_SEND, &ask, author_checked);
	}
	return receive_open(s);
}

enum step submission_authors(struct session *s)
{
	struct intake *in = s->intake;
	const struct header_facts *f = &in->facts;
	s->task.step = in->resume;
	in->authors = arena_array(&in->arena, WRITERS_MAX, sizeof *in->authors);
	if (f->from != 1 || add_authors(in, f->from_value, WRITERS_MAX) < 0 ||
		(f->sender && add_authors(in, f->sender_value, 1) < 0)) {
		intake_fail(s, REPLY_FROM_NOT_ONE, STR(""));
		return STEP_MORE;
	}
	return next_author(s);
}
