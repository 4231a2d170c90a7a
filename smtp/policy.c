/* The table of checks and what follows from what they find. Runs in mx and submit. Never looks
   itself: see policy_client.c, policy_envelope.c, policy_message.c. */
#include "smtp/policy_look.h"

#include "smtp/policy_rules.h"
#include "smtp/receive.h"

struct check {
	const char *name;
	enum policy_stage stage;
	uint8_t at;
	look_fn *look;
	enum reply_id defer, refuse;
};

#define CHECK_OF(id, name, stage, at, words, standard, look, defer, refuse, help) \
	[POLICY_##id] = {name, stage, at, look, defer, refuse},
static const struct check checks[POLICY_N] = {POLICY_TABLE(CHECK_OF)};

/* --- names --- */

struct str policy_name(enum policy_id id)
{
	return str_of(checks[id].name);
}

enum policy_stage policy_stage_of(enum policy_id id)
{
	return checks[id].stage;
}

unsigned policy_at(enum policy_id id)
{
	return checks[id].at;
}

struct str policy_action_name(enum policy_action a)
{
	static const char *const names[POLICY_ACTIONS] = {
		"off", "note", "junk", "defer", "refuse", "policy"};
	return str_of(names[a]);
}

struct str policy_stage_name(enum policy_stage stage)
{
	static const char *const names[] = {
		"connect", "HELO", "MAIL", "RCPT", "header", "end of data"};
	return str_of(names[stage]);
}

/* --- findings --- */

static struct policy_finding *place_of(struct session *s, enum policy_id id)
{
	return id < POLICY_OF_SESSION ? &s->found[id] : &s->env->found[id - POLICY_OF_SESSION];
}

const struct policy_finding *policy_found(const struct session *s, enum policy_id id)
{
	static const struct policy_finding nothing;
	if (id < POLICY_OF_SESSION) { return &s->found[id]; }
	return s->env ? &s->env->found[id - POLICY_OF_SESSION] : &nothing;
}

bool policy_junks(const struct session *s)
{
	for (enum policy_id i = 0; i < POLICY_N; i++) {
		if (policy_found(s, i)->action == POLICY_JUNK) { return true; }
	}
	return false;
}

/* What of CONNECT and HELO lasts longer than a message. */
static struct arena *arena_of(struct session *s, enum policy_stage stage)
{
	return stage == STAGE_CONNECT ? &s->found_at_connect
	       : stage == STAGE_HELO  ? &s->found_at_helo
				      : &s->env->arena;
}

/* --- deciding --- */

static enum policy_action action_for(
	const struct session *s, enum policy_id id, enum look how, const struct looked *l)
{
	enum policy_action a = s->server->policy.action[id];
	if (how == LOOK_PASS) { return POLICY_OFF; }
	if (a == POLICY_FOLLOW) { a = l->wish; } /* unsure: the hardest that may be wished */
	if (how == LOOK_HIT || (a == POLICY_JUNK && l->doubted)) { return a; }
	return a == POLICY_DEFER || a == POLICY_REFUSE ? POLICY_DEFER : POLICY_NOTE;
}

/* The exception by which nothing follows, or empty; a copy that outlives a reload. */
static struct str except_for(const struct session *s, enum policy_id id, struct arena *a)
{
	struct policy_who who = {.client = &s->peer};
	if (s->env) {
		who.local = s->env->mail.from.local;
		who.domain = s->env->mail.from.domain;
	}
	if (s->intake) {
		who.authors = s->intake->authors;
		who.authors_n = s->intake->authors_n;
		who.list_id = s->intake->list_id;
	}
	const struct policy_except *x = policy_except_find(s->server->policy.rules, id, &who);
	return x ? arena_dup(a, x->text) : STR("");
}

static enum reply_id reply_for(
	const struct check *c, enum policy_action a, enum look how, const struct looked *l)
{
	if (how == LOOK_UNSURE) {
		return c->stage == STAGE_CONNECT ? REPLY_UNSURE_AT_CONNECT : REPLY_UNSURE;
	}
	return a == POLICY_DEFER ? c->defer : l->no != REPLY_N ? l->no : c->refuse;
}

static void decide(struct session *s, enum policy_id id, enum look how, const struct looked *l)
{
	static const struct str words[] = {[LOOK_PASS] = {"pass", 4},
		[LOOK_HIT] = {"hit", 3},
		[LOOK_UNSURE] = {"temperror", 9}};
	const struct check *c = &checks[id];
	struct policy_run *run = &s->run;
	struct policy_finding *f = place_of(s, id);
	enum policy_action a = action_for(s, id, how, l);
	struct str except = a ? except_for(s, id, l->arena) : STR("");
	if (except.n) { a = POLICY_OFF; }
	struct policy_finding now = {.action = a,
		.result = l->result.n ? l->result : words[how],
		.detail = str_sub(l->detail, 0, POLICY_DETAIL_MAX),
		.except = except};
	if (f->result.n == 0 || a > f->action) { *f = now; }
	if (a > run->action) {
		run->action = a;
		run->reply = reply_for(c, a, how, l);
		run->say = l->say.n ? l->say : now.detail;
		run->reason = policy_name(id);
	}
	if (a == POLICY_OFF) { return; }
	log_event(LOG_DEBUG, &s->log, "policy", "check=%s result=%.*s action=%.*s", c->name,
		STR_ARG(now.result), STR_ARG(policy_action_name(a)));
}

void policy_start(struct session *s, enum policy_stage stage)
{
	policy_cancel(s);
	s->run = (struct policy_run){.stage = stage, .reply = REPLY_N};
	if (stage > STAGE_HELO) { return; }
	for (enum policy_id i = 0; i < POLICY_OF_SESSION; i++) { /* CONNECT ends what HELO found */
		if (checks[i].stage >= stage) { s->found[i] = (struct policy_finding){0}; }
	}
	arena_fini(&s->found_at_helo);
	if (stage == STAGE_HELO) { return; }
	policy_iprev_free(s);
	arena_fini(&s->found_at_connect);
}

void policy_cancel(struct session *s)
{
	if (s->run.drop) { s->run.drop(s->run.work); }
	s->run.work = NULL;
	s->run.drop = NULL;
}

int policy_step(struct session *s)
{
	struct policy_run *run = &s->run;
	for (; run->at < POLICY_N && run->action < POLICY_REFUSE; run->at++) {
		enum policy_id id = run->at;
		const struct check *c = &checks[id];
		if (c->stage != run->stage || !session_at(s, c->at)) { continue; }
		if (s->server->policy.action[id] == POLICY_OFF) {
			policy_cancel(s); /* a reload may have turned it off while it waited */
			continue;
		}
		struct looked l = {.arena = arena_of(s, run->stage), .no = REPLY_N};
		enum look how = c->look(s, &l);
		if (how == LOOK_WAIT) { return 0; }
		policy_cancel(s);
		if (how != LOOK_SKIP) { decide(s, id, how, &l); }
	}
	return 1;
}

void policy_now(struct session *s, enum policy_stage stage)
{
	policy_start(s, stage);
	int done = policy_step(s);
	assert(done);
	(void)done; /* without assert */
}
