/* MAIL and RCPT. Runs in mx and submit. Whether an address exists, and to whom it belongs, is
   auth's to say. */
#include "smtp/verb.h"
#include "smtp/verdict.h"

enum {
	TRIES_MAX = 2 * OP_RCPTS_MAX, /* of RCPT in a transaction: each takes memory */
	TRACE_ROOM = 1024             /* octets, for what we write on top of a message */
};

static const enum reply_id mail_errors[] = {
	[COMMAND_SYNTAX] = REPLY_SYNTAX,
	[COMMAND_BAD_PATH] = REPLY_BAD_SENDER,
	[COMMAND_PARAM_UNKNOWN] = REPLY_PARAM_UNKNOWN,
	[COMMAND_PARAM_BAD] = REPLY_PARAM_BAD,
	[COMMAND_NEEDS_UTF8] = REPLY_NEEDS_UTF8,
};
static const enum reply_id rcpt_errors[] = {
	[COMMAND_SYNTAX] = REPLY_SYNTAX,
	[COMMAND_BAD_PATH] = REPLY_BAD_RCPT,
	[COMMAND_PARAM_UNKNOWN] = REPLY_PARAM_UNKNOWN,
	[COMMAND_PARAM_BAD] = REPLY_PARAM_BAD,
	[COMMAND_NEEDS_UTF8] = REPLY_NEEDS_UTF8,
};

/* --- MAIL --- */

static enum step refuse_mail(struct session *s, enum reply_id id, struct str detail)
{
	envelope_refused(s->env, id, detail);
	session_reply_with(s, id, detail);
	session_reset(s);
	return session_next(s);
}

static enum step sender_checked(struct task *t)
{
	struct session *s = session_of(t);
	const struct auth_may_send_reply *reply = s->call.reply;
	if (s->call.rc == ERR_DENIED) { return refuse_mail(s, REPLY_SENDER_CLOSED, STR("")); }
	if (s->call.rc < 0) { return refuse_mail(s, REPLY_SENDER_LATER, STR("")); }
	if (!reply->allowed) {
		return refuse_mail(s, REPLY_SENDER_NOT_YOURS, s->env->mail.from.text);
	}
	call_fini(&s->call);
	return session_answer(s, REPLY_SENDER_OK);
}

/* The sender of a submitted message is one of the login's addresses, or none, as of read receipts
   (RFC 8098 3) and answers of programs (RFC 3834 3.3): nobody gets a report of these.
   Asked each time, for the account may have been disabled since it logged in. */
static enum step check_sender(struct session *s)
{
	struct auth_may_send ask = {.aid = s->aid, .address = s->env->mail.from.text};
	return session_call(s, ROLE_AUTH, &AUTH_MAY_SEND, &ask, sender_checked);
}

static enum step mail_judged(struct task *t)
{
	struct session *s = session_of(t);
	if (!policy_step(s)) { return STEP_WAIT; }
	if (s->run.action >= POLICY_DEFER) { return refuse_mail(s, s->run.reply, s->run.say); }
	if (session_at(s, AT_MX)) { s->env->verdict = verdict_new(s); }
	return session_at(s, AT_SUBMIT) ? check_sender(s) : session_answer(s, REPLY_SENDER_OK);
}

enum step mail_begin(struct session *s, struct str args)
{
	bool submit = session_at(s, AT_SUBMIT);
	if (s->messages >= s->server->conf->messages_max) {
		return session_close(s, REPLY_TOO_MANY_MESSAGES);
	}
	s->env = envelope_new(loop_now_us(s->task.loop));
	enum command_error error = mail_args_parse(args, submit, &s->env->arena, &s->env->mail);
	if (error) {
		session_reset(s); /* nothing was asked for that could be explained */
		return session_answer(s, mail_errors[error]);
	}
	dns_budget_start(
		&s->env->budget, s->task.loop, DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
	policy_start(s, STAGE_MAIL);
	s->task.step = mail_judged;
	return mail_judged(&s->task);
}

/* --- RCPT --- */

/* By LMTP a list may name many who are gone: its peers are listed, and do not guess. */
static enum step say_no(struct session *s, enum reply_id id, struct str detail)
{
	uint32_t errors = s->errors;
	session_reply_with(s, id, detail);
	if (session_at(s, AT_LMTP)) { s->errors = errors; }
	return session_next(s);
}

static enum step refuse_rcpt(struct session *s, enum reply_id id, struct str detail)
{
	struct buf text = {0};
	reply_text(id, detail, &text);
	envelope_refuse(s->env, s->rcpt.to.text, buf_view(&text));
	buf_fini(&text);
	return say_no(s, id, detail);
}

/* Of the place that has the least. */
static uint8_t room_of(const struct auth_resolve_reply *r)
{
	uint8_t least = ROOM_ENOUGH;
	for (uint32_t i = 0; i < r->targets_n; i++) { least = MAX(least, r->targets[i].room); }
	return least;
}

static enum step rcpt_resolved(struct task *t)
{
	struct session *s = session_of(t);
	const struct auth_resolve_reply *r = s->call.reply;
	struct str rcpt = s->rcpt.to.text;
	if (s->call.rc < 0) { return refuse_rcpt(s, REPLY_RCPT_LATER, rcpt); }
	if (r->targets_n == 0 && r->fault == RESOLVE_LATER) {
		return refuse_rcpt(s, REPLY_RCPT_LATER, rcpt);
	}
	/* the right to relay comes from a login alone; an alias of ours may lead elsewhere */
	if (!r->local_domain && !s->aid) { return refuse_rcpt(s, REPLY_NO_RELAY, rcpt); }
	if (r->targets_n == 0) {
		return refuse_rcpt(
			s, r->fault == RESOLVE_LOOP ? REPLY_ALIAS_LOOP : REPLY_NO_USER, rcpt);
	}
	uint8_t room = room_of(r);
	if (room == ROOM_NEVER) { return refuse_rcpt(s, REPLY_OVER_QUOTA, rcpt); }
	if (room == ROOM_FULL) { return refuse_rcpt(s, REPLY_MAILBOX_FULL, rcpt); }
	if (envelope_accept(s->env, &s->rcpt, r->targets, r->targets_n) < 0) {
		return refuse_rcpt(s, REPLY_TOO_MANY_RCPTS, STR(""));
	}
	call_fini(&s->call);
	return session_answer(s, REPLY_RCPT_OK);
}

uint64_t mail_rcpts_max(const struct session *s)
{
	const struct smtp_conf *c = s->server->conf;
	return session_at(s, AT_MX)       ? c->recipients_max
	       : session_at(s, AT_SUBMIT) ? c->submission_recipients_max
					  : c->lmtp_recipients_max;
}

static enum step rcpt_judged(struct task *t)
{
	struct session *s = session_of(t);
	if (!policy_step(s)) { return STEP_WAIT; }
	if (s->run.action >= POLICY_DEFER) { return refuse_rcpt(s, s->run.reply, s->run.say); }
	uint64_t size = s->env->mail.size; /* as declared (RFC 1870 6.1), 0 = it was not */
	struct auth_resolve ask = {
		.address = s->rcpt.to.text, .size = size ? size + TRACE_ROOM : 0};
	return session_call(s, ROLE_AUTH, &AUTH_RESOLVE, &ask, rcpt_resolved);
}

enum step rcpt_begin(struct session *s, struct str args)
{
	struct envelope *e = s->env;
	if (s->intake) { return session_answer(s, REPLY_RCPT_IN_DATA); }
	if (e->accepted_n >= mail_rcpts_max(s)) { return session_answer(s, REPLY_TOO_MANY_RCPTS); }
	if (++e->tried_n > TRIES_MAX) { return session_close(s, REPLY_TOO_MANY_ERRORS); }
	bool utf8 = (e->mail.body & BODY_SMTPUTF8) != 0;
	enum command_error error = rcpt_args_parse(args, utf8, &e->arena, &s->rcpt);
	if (error) { return say_no(s, rcpt_errors[error], STR("")); }
	policy_start(s, STAGE_RCPT);
	s->task.step = rcpt_judged;
	return rcpt_judged(&s->task);
}
