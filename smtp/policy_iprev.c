/* The check iprev: does a name of the client's address lead back to it? Runs in mx. What it finds
   stays in the session, for Authentication-Results. */
#include "auth/iprev.h"

#include "smtp/policy_look.h"

struct work {
	struct iprev iprev; /* first: as this the session keeps it */
	struct dns_budget budget;
};

static void release(void *p)
{
	iprev_fini(p);
}

void policy_iprev_free(struct session *s)
{
	if (s->iprev) { iprev_fini(s->iprev); }
	free(s->iprev);
	s->iprev = NULL;
}

static void start(struct session *s, struct arena *a)
{
	struct work *w = xnew(struct work);
	dns_budget_start(&w->budget, s->task.loop, DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
	iprev_start(&w->iprev, s->server->dns, &w->budget, &s->task, a, &s->peer);
	s->iprev = &w->iprev;
	s->run.work = s->iprev;
	s->run.drop = release;
}

static enum look conclude(const struct iprev *i, struct looked *l)
{
	l->result = str_of(iprev_result_name(i->result));
	switch (i->result) {
	case IPREV_PASS: l->detail = i->name; return LOOK_PASS;
	case IPREV_FAIL:
		l->detail = arena_fmt(l->arena, "%.*s does not lead back", STR_ARG(i->name));
		return LOOK_HIT;
	case IPREV_PERMERROR: l->detail = STR("the address has no name"); return LOOK_HIT;
	case IPREV_TEMPERROR: break;
	}
	l->detail = STR("a name server did not answer");
	return LOOK_UNSURE;
}

enum look look_iprev(struct session *s, struct looked *l)
{
	if (!s->run.work) {
		if (!policy_may_ask(s) || s->peer.sa.sa_family == AF_UNSPEC) { return LOOK_SKIP; }
		start(s, l->arena);
	}
	return iprev_step(s->iprev) ? conclude(s->iprev, l) : LOOK_WAIT;
}
