/* The table of commands and what EHLO says of them. Runs in mx and submit. A handler never checks
   again what its row says. */
#include "smtp/verb.h"

#include <stdio.h>

#include "smtp/audit.h"

struct verb {
	struct str name;
	uint8_t at;
	uint8_t needs;
	enum step (*run)(struct session *s, struct str args);
};

struct str u64_text(uint64_t v, char out[24])
{
	int n = snprintf(out, 24, "%llu", (unsigned long long)v);
	return str_make(out, (size_t)n);
}

/* --- what EHLO offers --- */

static bool tls_possible(const struct session *s)
{
	return s->server->role->tls && !conn_is_tls(s->task.conn) && !s->aid;
}

static bool auth_possible(const struct session *s)
{
	return session_may_auth(s) && !s->aid;
}

static void add_size(const struct session *s, struct buf *out)
{
	buf_u64(out, s->server->conf->message_max);
}

static void add_auth(const struct session *s, struct buf *out)
{
	(void)s; /* the same for all */
	buf_str(out, str_of(auth_mechanisms));
}

/* RFC 9422 3 */
static void add_limits(const struct session *s, struct buf *out)
{
	buf_str(out, STR("MAILMAX="));
	buf_u64(out, s->server->conf->messages_max);
	buf_str(out, STR(" RCPTMAX="));
	buf_u64(out, mail_rcpts_max(s));
}

static void add_xclient(const struct session *s, struct buf *out)
{
	(void)s; /* the same for all */
	buf_str(out, str_of(xclient_attributes));
}

static const struct keyword {
	const char *name;
	uint8_t at;
	bool (*when)(const struct session *s); /* NULL: always */
	void (*add_args)(const struct session *s, struct buf *out);
} keywords[] = {
	{"PIPELINING", AT_ALL, NULL, NULL},           /* RFC 2920 */
	{"SIZE", AT_ALL, NULL, add_size},             /* RFC 1870 */
	{"8BITMIME", AT_ALL, NULL, NULL},             /* RFC 6152 */
	{"SMTPUTF8", AT_ALL, NULL, NULL},             /* RFC 6531 */
	{"ENHANCEDSTATUSCODES", AT_ALL, NULL, NULL},  /* RFC 2034 */
	{"STARTTLS", AT_ALL, tls_possible, NULL},     /* RFC 3207 */
	{"AUTH", AT_SUBMIT, auth_possible, add_auth}, /* RFC 4954 */
	{"CHUNKING", AT_ALL, NULL, NULL},             /* RFC 3030 */
	{"BINARYMIME", AT_ALL, NULL, NULL},           /* RFC 3030 */
	{"DSN", AT_ALL, NULL, NULL},                  /* RFC 3461 */
	{"LIMITS", AT_ALL, NULL, add_limits},         /* RFC 9422 */
	{"XCLIENT", AT_ALL, xclient_allowed, add_xclient},
	{"HELP", AT_ALL, NULL, NULL},
};

static void list_keywords(struct session *s)
{
	struct str host = role_hostname(s->server->role);
	const struct keyword *offered[COUNT(keywords)];
	size_t n = 0;
	for (size_t i = 0; i < COUNT(keywords); i++) {
		const struct keyword *k = &keywords[i];
		if (session_at(s, k->at) && (!k->when || k->when(s))) { offered[n++] = k; }
	}
	buf_fmt(&s->out, "250-%.*s\r\n", STR_ARG(host));
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&s->out, "250%c%s", i + 1 < n ? '-' : ' ', offered[i]->name);
		if (offered[i]->add_args) {
			buf_chr(&s->out, ' ');
			offered[i]->add_args(s, &s->out);
		}
		buf_str(&s->out, STR("\r\n"));
	}
}

static enum step helo_judged(struct task *t)
{
	struct session *s = session_of(t);
	if (!policy_step(s)) { return STEP_WAIT; }
	if (s->run.action >= POLICY_DEFER) {
		audit_turned_away(s, s->run.reply, s->run.say);
		session_set(&s->helo, STR(""));
		session_reply_with(s, s->run.reply, s->run.say);
		return session_next(s);
	}
	if (s->esmtp) {
		list_keywords(s);
	} else {
		buf_fmt(&s->out, "250 %.*s\r\n", STR_ARG(role_hostname(s->server->role)));
	}
	return session_next(s);
}

static enum step hello(struct session *s, struct str args, bool extended)
{
	if (!helo_valid(args)) { return session_answer(s, REPLY_ARGS); }
	session_reset(s);
	session_set(&s->helo, args);
	s->esmtp = extended;
	policy_start(s, STAGE_HELO);
	s->task.step = helo_judged;
	return helo_judged(&s->task);
}

static enum step run_ehlo(struct session *s, struct str args)
{
	return hello(s, args, true);
}

static enum step run_helo(struct session *s, struct str args)
{
	return hello(s, args, false);
}

/* --- small commands --- */

static enum step run_rset(struct session *s, struct str args)
{
	(void)args; /* none, says the table */
	session_reset(s);
	return session_answer(s, REPLY_FLUSHED);
}

static enum step run_noop(struct session *s, struct str args)
{
	(void)args; /* a string without meaning (RFC 5321 4.1.1.9) */
	return session_answer(s, REPLY_OK);
}

static enum step run_help(struct session *s, struct str args)
{
	(void)args; /* one answer for all topics */
	return session_answer(s, REPLY_HELP);
}

static enum step run_vrfy(struct session *s, struct str args)
{
	return session_answer(s, args.n ? REPLY_VRFY : REPLY_ARGS);
}

static enum step run_not_here(struct session *s, struct str args)
{
	(void)args; /* whatever it is */
	return session_answer(s, REPLY_NOT_HERE);
}

static enum step run_quit(struct session *s, struct str args)
{
	(void)args; /* none, says the table */
	return session_close(s, REPLY_QUIT);
}

/* A browser or a worm that was sent here to have its words taken for mail. */
static enum step run_drop(struct session *s, struct str args)
{
	(void)args; /* not looked at */
	return session_close(s, REPLY_NOT_SMTP);
}

/* --- STARTTLS (RFC 3207) --- */

static enum step tls_done(struct task *t)
{
	struct session *s = session_of(t);
	if (t->rc < 0) {
		log_event(LOG_INFO, &s->log, "tls failed", "reason=%s", err_name(t->rc));
		return STEP_DONE;
	}
	session_forget(s); /* 4.2: all that was learned in clear is void */
	return session_next(s);
}

/* The 220 is on its way: now the handshake, unless more came in clear behind the command. */
static enum step tls_begin(struct task *t)
{
	struct session *s = session_of(t);
	t->step = tls_done;
	if (conn_start_tls(t->conn, t, s->server->role->tls, STR("")) < 0) {
		log_event(LOG_WARN, &s->log, "dropped", "reason=text behind STARTTLS");
		return STEP_DONE;
	}
	return STEP_WAIT;
}

static enum step run_starttls(struct session *s, struct str args)
{
	(void)args; /* none, says the table */
	if (conn_is_tls(s->task.conn)) { return session_answer(s, REPLY_TLS_TWICE); }
	if (s->aid) { return session_answer(s, REPLY_TLS_LATE); }
	if (!s->server->role->tls) { return session_answer(s, REPLY_TLS_AWAY); }
	if (conn_in(s->task.conn).n) {
		log_event(LOG_WARN, &s->log, "dropped", "reason=text behind STARTTLS");
		return STEP_DONE;
	}
	session_reply(s, REPLY_START_TLS);
	session_flush(s);
	s->task.step = tls_begin;
	return STEP_MORE;
}

/* --- the table --- */

static const struct verb verbs[] = {
	{{"AUTH", 4}, AT_SUBMIT, NEEDS_HELO | NEEDS_NO_MAIL, auth_begin}, /* RFC 4954 4 */
	{{"BDAT", 4}, AT_ALL, 0, bdat_begin}, /* RFC 3030 2; reads its chunk in any case */
	{{"DATA", 4}, AT_ALL, NEEDS_NO_ARGS | NEEDS_HELO | NEEDS_LOGIN | NEEDS_MAIL | NEEDS_RCPT,
		data_begin},                    /* RFC 5321 4.1.1.4 */
	{{"EHLO", 4}, AT_SMTP, IDLE, run_ehlo}, /* 4.1.1.1 */
	{{"HELO", 4}, AT_SMTP, IDLE, run_helo}, /* 4.1.1.1 */
	{{"LHLO", 4}, AT_LMTP, IDLE, run_ehlo}, /* RFC 2033 4.1 */
	{{"MAIL", 4}, AT_ALL, NEEDS_HELO | NEEDS_LOGIN | NEEDS_NO_MAIL, mail_begin}, /* 4.1.1.2 */
	{{"NOOP", 4}, AT_ALL, IDLE, run_noop},                                       /* 4.1.1.9 */
	{{"QUIT", 4}, AT_ALL, NEEDS_NO_ARGS, run_quit},                              /* 4.1.1.10 */
	{{"RCPT", 4}, AT_ALL, NEEDS_HELO | NEEDS_LOGIN | NEEDS_MAIL, rcpt_begin},    /* 4.1.1.3 */
	{{"RSET", 4}, AT_ALL, NEEDS_NO_ARGS | IDLE, run_rset},                       /* 4.1.1.5 */
	{{"STARTTLS", 8}, AT_ALL, NEEDS_NO_ARGS | NEEDS_HELO | NEEDS_NO_MAIL,
		run_starttls},                     /* RFC 3207 4 */
	{{"VRFY", 4}, AT_ALL, IDLE, run_vrfy},     /* 4.1.1.6, 7.3 */
	{{"EXPN", 4}, AT_ALL, IDLE, run_not_here}, /* 4.1.1.7 */
	{{"HELP", 4}, AT_ALL, IDLE, run_help},     /* 4.1.1.8 */
	{{"XCLIENT", 7}, AT_ALL, NEEDS_NO_MAIL, xclient_begin},
	{{"GET", 3}, AT_ALL, 0, run_drop},
	{{"POST", 4}, AT_ALL, 0, run_drop},
	{{"PUT", 3}, AT_ALL, 0, run_drop},
	{{"HEAD", 4}, AT_ALL, 0, run_drop},
	{{"OPTIONS", 7}, AT_ALL, 0, run_drop},
	{{"CONNECT", 7}, AT_ALL, 0, run_drop},
};

bool verb_may(const struct session *s, unsigned needs, enum reply_id *missing_out)
{
	bool submit = session_at(s, AT_SUBMIT) && (needs & NEEDS_LOGIN);
	const struct {
		bool missing;
		enum reply_id reply;
	} rules[] = {
		{(needs & NEEDS_HELO) && s->helo.n == 0, REPLY_NEEDS_HELO},
		{submit && !session_may_auth(s), REPLY_NEEDS_TLS},
		{submit && !s->aid, REPLY_NEEDS_AUTH},
		{(needs & NEEDS_NO_MAIL) && s->env, REPLY_NESTED_MAIL},
		{(needs & NEEDS_MAIL) && !s->env, REPLY_NEEDS_MAIL},
		{(needs & NEEDS_RCPT) && !(s->env && s->env->accepted_n), REPLY_NEEDS_RCPT},
	};
	for (size_t i = 0; i < COUNT(rules); i++) {
		if (rules[i].missing) {
			*missing_out = rules[i].reply;
			return false;
		}
	}
	return true;
}

static const struct verb *find_verb(const struct session *s, struct str name)
{
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (session_at(s, verbs[i].at) && str_ieq(verbs[i].name, name)) {
			return &verbs[i];
		}
	}
	return NULL;
}

enum step verb_line(struct session *s, struct str line)
{
	struct str name, args;
	enum reply_id missing;
	if (command_cut(line, &name, &args) < 0) {
		return s->greeted ? session_answer(s, REPLY_UNKNOWN)
				  : session_close(s, REPLY_NOT_SMTP);
	}
	const struct verb *v = find_verb(s, name);
	if (!v) { return session_answer(s, REPLY_UNKNOWN); }
	s->greeted = true;
	if ((v->needs & IDLE) && ++s->idle_commands > s->server->conf->idle_commands_max) {
		return session_close(s, REPLY_TOO_MANY_IDLE);
	}
	if ((v->needs & NEEDS_NO_ARGS) && args.n) { return session_answer(s, REPLY_ARGS); }
	if (!verb_may(s, v->needs, &missing)) { return session_answer(s, missing); }
	return v->run(s, args);
}
