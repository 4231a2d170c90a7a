/* The checks dnswl and dnsbl: is the client on a DNS list (RFC 5782)? Runs in mx. All lists of a
   kind are asked at once. One that answers nonsense, or has the test entry that no list may have,
   is left out of account: a list that broke must not stop all mail. */
#include "smtp/policy_look.h"

#include "smtp/policy_rules.h"

struct ask {
	struct dns_query query;
	enum dnsl_says says;
	uint8_t code[4];
	bool tested; /* the query is for the test entry */
};

struct work {
	struct policy_rules *rules;
	struct dns_budget budget;
	const struct dnsl *lists;
	size_t n;
	struct ask asks[DNSL_LISTS_MAX];
};

static void work_drop(void *p)
{
	struct work *w = p;
	for (size_t i = 0; i < w->n; i++) { dns_query_fini(&w->asks[i].query); }
	policy_rules_put(w->rules);
	free(w);
}

static void ask(struct session *s, struct work *w, size_t i, struct str name)
{
	dns_query_fini(&w->asks[i].query);
	dns_ask_within(s->server->dns, &w->asks[i].query, &s->task, &w->budget, name, DNS_A);
}

static void work_start(struct session *s, const struct dnsl *lists, size_t n, struct arena *a)
{
	struct work *w = xnew(struct work);
	w->rules = policy_rules_get(s->server->policy.rules);
	w->lists = lists;
	w->n = n;
	dns_budget_start(&w->budget, s->task.loop, DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
	for (size_t i = 0; i < n; i++) { ask(s, w, i, dnsl_name(&s->peer, lists[i].zone, a)); }
	s->run.work = w;
	s->run.drop = work_drop;
}

/* A list that has the client is asked for its test entry before it is believed. False: it waits. */
static bool list_done(struct session *s, struct work *w, size_t i, struct arena *a)
{
	struct ask *k = &w->asks[i];
	uint8_t code[4];
	if (!k->query.answer) { return false; }
	enum dnsl_says says = dnsl_read(&w->lists[i], k->query.answer, code);
	if (k->tested) {
		bool listed = k->query.answer->status == DNS_OK;
		k->says = listed ? DNSL_BROKEN : DNSL_YES;
		return true;
	}
	k->says = says;
	memcpy(k->code, code, sizeof code);
	if (says != DNSL_YES) { return true; }
	k->tested = true;
	ask(s, w, i, dnsl_test_name(&s->peer, w->lists[i].zone, a));
	return false;
}

/* "bl.example.org has 192.0.2.1 (127.0.0.2); dead.example.org does not answer" */
static struct str describe(const struct work *w, const char *ip, struct arena *a)
{
	struct buf out = {0};
	for (size_t i = 0; i < w->n; i++) {
		const struct ask *k = &w->asks[i];
		struct str zone = w->lists[i].zone;
		if (k->says == DNSL_NO) { continue; }
		buf_str(&out, out.n ? STR("; ") : STR(""));
		if (k->says == DNSL_SILENT) {
			buf_fmt(&out, "%.*s does not answer", STR_ARG(zone));
		} else if (k->tested && k->says == DNSL_BROKEN) {
			buf_fmt(&out, "%.*s is left out, it lists everybody", STR_ARG(zone));
		} else {
			buf_fmt(&out, "%.*s %s %s (%u.%u.%u.%u)", STR_ARG(zone),
				k->says == DNSL_YES ? "has" : "is left out, it does not serve us:",
				ip, k->code[0], k->code[1], k->code[2], k->code[3]);
		}
	}
	struct str text = arena_dup(a, buf_view(&out));
	buf_fini(&out);
	return text;
}

static enum look conclude(struct session *s, const struct work *w, struct looked *l)
{
	char ip[NET_ADDR_TEXT];
	net_addr_ip(&s->peer, ip);
	l->detail = describe(w, ip, l->arena);
	for (size_t i = 0; i < w->n; i++) {
		if (w->asks[i].says != DNSL_YES) { continue; }
		l->result = STR("listed");
		l->say = arena_fmt(l->arena, "%s at %.*s", ip, STR_ARG(w->lists[i].zone));
		return LOOK_HIT;
	}
	return LOOK_PASS;
}

static enum look look(struct session *s, struct looked *l, const struct dnsl *lists, size_t n)
{
	struct work *w = s->run.work;
	if (!w && (n == 0 || !policy_may_ask(s) || s->peer.sa.sa_family == AF_UNSPEC)) {
		return LOOK_SKIP;
	}
	if (!w) {
		work_start(s, lists, n, l->arena);
		return LOOK_WAIT;
	}
	bool done = true;
	for (size_t i = 0; i < w->n; i++) { done &= list_done(s, w, i, l->arena); }
	return done ? conclude(s, w, l) : LOOK_WAIT;
}

enum look look_dnswl(struct session *s, struct looked *l)
{
	const struct policy_rules *r = s->server->policy.rules;
	return look(s, l, r->white, r->white_n);
}

enum look look_dnsbl(struct session *s, struct looked *l)
{
	const struct policy_rules *r = s->server->policy.rules;
	if (policy_found(s, POLICY_DNSWL)->action) {
		l->result = STR("skipped");
		l->detail = STR("the client is on a list of welcome ones");
		return LOOK_PASS;
	}
	return look(s, l, r->black, r->black_n);
}
