/* The table of checks and what follows from what they find. Runs in mx and submit. Never looks
   itself: see policy_client.c, policy_envelope.c, policy_message.c. */
#include "smtp/policy_look.h"

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
	if (how == LOOK_HIT) { return a == POLICY_FOLLOW ? l->wish : a; }
	return a == POLICY_DEFER || a == POLICY_REFUSE ? POLICY_DEFER : POLICY_NOTE;
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
	struct policy_finding now = {.action = a,
		.result = l->result.n ? l->result : words[how],
		.detail = str_sub(l->detail, 0, POLICY_DETAIL_MAX)};
	if (f->result.n == 0 || a > f->action) { *f = now; }
	if (a > run->action) {
		run->action = a;
		run->reply = how == LOOK_UNSURE  ? REPLY_UNSURE
			     : a == POLICY_DEFER ? c->defer
			     : l->no != REPLY_N  ? l->no
						 : c->refuse;
		run->say = l->say.n ? l->say : now.detail;
		run->reason = policy_name(id);
	}
	if (a == POLICY_OFF) { return; }
	log_event(LOG_DEBUG, &s->log, "policy", "check=%s result=%.*s action=%.*s", c->name,
		STR_ARG(now.result), STR_ARG(policy_action_name(a)));
}

void policy_start(struct session *s, enum policy_stage stage)
{
	s->run = (struct policy_run){.stage = stage, .reply = REPLY_N};
	if (stage > STAGE_HELO) { return; }
	for (enum policy_id i = 0; i < POLICY_OF_SESSION; i++) { /* CONNECT ends what HELO found */
		if (checks[i].stage >= stage) { s->found[i] = (struct policy_finding){0}; }
	}
	arena_fini(&s->found_at_helo);
	if (stage == STAGE_CONNECT) { arena_fini(&s->found_at_connect); }
}

int policy_step(struct session *s)
{
	struct policy_run *run = &s->run;
	for (; run->at < POLICY_N && run->action < POLICY_REFUSE; run->at++) {
		enum policy_id id = run->at;
		const struct check *c = &checks[id];
		if (c->stage != run->stage || !session_at(s, c->at) ||
			s->server->policy.action[id] == POLICY_OFF) {
			continue;
		}
		struct looked l = {.arena = arena_of(s, run->stage), .no = REPLY_N};
		enum look how = c->look(s, &l);
		if (how == LOOK_WAIT) { return 0; }
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
