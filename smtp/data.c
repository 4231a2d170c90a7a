/* DATA and BDAT: octets of a message from the connection into its intake, at the pace the store
   takes them. Runs in mx and submit. Whatever is wrong, the octets of a message are read as such to
   their end and never looked at as commands. */
#include "smtp/receive.h"

#include "smtp/verb.h"

enum { OVER_FACTOR = 2 }; /* of message_max is read of a message that is refused, then we hang up */
static const int64_t RATE_AFTER_US = 60 * SECOND_US;

static bool too_slow(const struct session *s)
{
	uint64_t min = s->server->conf->data_rate_min;
	int64_t us = loop_mono_us(s->task.loop) - s->intake->started_us;
	return us > RATE_AFTER_US && s->intake->size < min * (uint64_t)(us / SECOND_US);
}

/* No octet is there: wait for more, but not for ever. */
static enum step await_data(struct session *s)
{
	enum step next;
	if (session_lost(s, &next)) { return next; }
	if (too_slow(s)) { return session_close(s, REPLY_TOO_SLOW); }
	return session_await(s, s->server->conf->data_timeout_us, true);
}

/* Is there something to be done before the next octet? */
static bool must_pause(struct session *s, enum step *next_out)
{
	struct intake *in = s->intake;
	if (in->header_due) {
		in->resume = s->task.step;
		s->task.step = receive_header;
		*next_out = STEP_MORE;
		return true;
	}
	if (in->size > OVER_FACTOR * s->server->conf->message_max) {
		s->env->refusal = STR("552 5.3.4 Message too big");
		*next_out = session_close(s, REPLY_TOO_BIG);
		return true;
	}
	if (in->spool && spool_full(in->spool)) {
		session_calm(s);
		*next_out = STEP_WAIT;
		return true;
	}
	return false;
}

/* --- DATA (RFC 5321 4.1.1.4) --- */

static enum step data_read(struct task *t)
{
	struct session *s = session_of(t);
	enum step next;
	int ended = 0;
	while (!ended) {
		if (must_pause(s, &next)) { return next; }
		struct str in = conn_in(t->conn), run;
		size_t had = in.n;
		if (had == 0) { return await_data(s); }
		ended = dot_next(&s->intake->dot, &in, &run);
		intake_add(s, run);
		conn_eat(t->conn, had - in.n);
	}
	session_calm(s);
	t->step = receive_end;
	return STEP_MORE;
}

enum step data_begin(struct session *s, struct str args)
{
	(void)args; /* the table has none for DATA */
	if (s->intake) {
		return session_answer(
			s, s->intake->fault == REPLY_N ? REPLY_MIXED_DATA : REPLY_FAILED_BDAT);
	}
	if (s->env->mail.body & BODY_BINARY) { return session_answer(s, REPLY_NEEDS_BDAT); }
	intake_start(s, false);
	session_reply(s, REPLY_START_DATA);
	s->task.step = data_read;
	return STEP_MORE;
}

/* --- BDAT (RFC 3030 2) --- */

static enum step bdat_done(struct session *s)
{
	struct intake *in = s->intake;
	session_calm(s);
	if (in->last) {
		s->task.step = receive_end;
		return STEP_MORE;
	}
	if (in->fault != REPLY_N) {
		session_reply_with(s, in->fault, in->fault_detail);
		return session_next(s);
	}
	char text[24];
	session_reply_with(s, REPLY_CHUNK, u64_text(in->size, text));
	return session_next(s);
}

static enum step bdat_read(struct task *t)
{
	struct session *s = session_of(t);
	enum step next;
	while (s->intake->chunk_left) {
		if (must_pause(s, &next)) { return next; }
		struct str in = str_sub(conn_in(t->conn), 0, s->intake->chunk_left), run;
		if (in.n == 0) { return await_data(s); }
		size_t had = in.n;
		dot_next(&s->intake->dot, &in, &run); /* of a chunk it takes all */
		intake_add(s, run);
		conn_eat(t->conn, had);
		s->intake->chunk_left -= had;
	}
	if (must_pause(s, &next)) { return next; }
	return bdat_done(s);
}

/* A chunk that has no message to belong to: its octets are still no commands. */
static enum step bdat_drain(struct task *t)
{
	struct session *s = session_of(t);
	struct str in = str_sub(conn_in(t->conn), 0, s->drain_left);
	enum step next;
	conn_eat(t->conn, in.n);
	s->drain_left -= in.n;
	if (s->drain_left == 0) {
		session_calm(s);
		return session_next(s);
	}
	if (in.n == 0 && session_lost(s, &next)) { return next; }
	return session_await(s, s->server->conf->data_timeout_us, true);
}

static enum step bdat_refuse(struct session *s, enum reply_id id, uint64_t size)
{
	if (size > OVER_FACTOR * s->server->conf->message_max) { return session_close(s, id); }
	session_reply(s, id);
	s->drain_left = size;
	s->task.step = bdat_drain;
	return STEP_MORE;
}

enum step bdat_begin(struct session *s, struct str args)
{
	uint64_t size;
	bool last;
	enum reply_id missing;
	/* without its size nobody knows where the chunk ends */
	if (bdat_args_parse(args, &size, &last) < 0) { return session_close(s, REPLY_ARGS); }
	if (!verb_may(s, NEEDS_HELO | NEEDS_LOGIN | NEEDS_MAIL | NEEDS_RCPT, &missing)) {
		return bdat_refuse(s, missing, size);
	}
	if (!s->intake) { intake_start(s, true); }
	struct intake *in = s->intake;
	if (size > OVER_FACTOR * s->server->conf->message_max) {
		return session_close(s, REPLY_TOO_BIG);
	}
	in->chunk_left = size;
	in->last = last;
	s->task.step = bdat_read;
	return STEP_MORE;
}
