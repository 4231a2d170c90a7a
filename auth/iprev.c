/* The client's address, its names, and back (RFC 8601 2.7.3, RFC 1912 2.1). Runs in mx. */
#include "auth/iprev.h"

#include "lib/idn.h"

const char *iprev_result_name(enum iprev_result r)
{
	static const char *const names[] = {"pass", "fail", "temperror", "permerror"};
	return names[r];
}

void iprev_start(struct iprev *i, struct dns *dns, struct dns_budget *budget, struct task *t,
	struct arena *a, const struct net_addr *addr)
{
	*i = (struct iprev){.result = IPREV_TEMPERROR, /* as long as nobody knows better */
		.name = STR(""),
		.dns = dns,
		.budget = budget,
		.task = t,
		.arena = a,
		.addr = *addr};
}

/* 1 answered (the caller releases it), 0 wait: also for an answer that is there at once, whose wake
   would end another wait of the task. */
static int ask(struct iprev *i, struct str name, enum dns_type type)
{
	if (i->query.dns) { return i->query.answer != NULL; }
	dns_ask_within(i->dns, &i->query, i->task, i->budget, name, type);
	return 0;
}

/* Names that cannot be a host's are no names (they come from whoever owns the address). */
static void take_names(struct iprev *i, const struct dns_answer *answer)
{
	for (size_t k = 0; k < answer->n && i->names_n < IPREV_NAMES_MAX; k++) {
		struct str raw, name;
		if (dns_rdata_name(answer->rr[k].data, 0, i->arena, &raw) == 0 &&
			idn_domain(raw, i->arena, &name) == 0) {
			i->names[i->names_n++] = name;
		}
	}
	if (i->names_n) { i->name = i->names[0]; }
}

static int reverse(struct iprev *i)
{
	struct str name = dns_reverse_name(&i->addr.sa, i->arena);
	if (name.n && ask(i, name, DNS_PTR) == 0) { return 0; }
	i->reversed = true;
	if (name.n) {
		i->failed = i->query.answer->status == DNS_SERVFAIL;
		take_names(i, i->query.answer);
		dns_query_fini(&i->query);
	}
	return 1;
}

static bool leads_back(const struct iprev *i, const struct dns_answer *answer)
{
	bool v4 = i->addr.sa.sa_family == AF_INET;
	const void *octets =
		v4 ? (const void *)&i->addr.in.sin_addr : (const void *)&i->addr.in6.sin6_addr;
	struct str want = str_make(octets, v4 ? 4 : 16);
	for (size_t k = 0; k < answer->n; k++) {
		if (str_eq(answer->rr[k].data, want)) { return true; }
	}
	return false;
}

int iprev_step(struct iprev *i)
{
	enum dns_type type = i->addr.sa.sa_family == AF_INET ? DNS_A : DNS_AAAA;
	if (!i->reversed && reverse(i) == 0) { return 0; }
	for (; i->at < i->names_n; i->at++) {
		if (ask(i, i->names[i->at], type) == 0) { return 0; }
		bool back = leads_back(i, i->query.answer);
		i->failed |= i->query.answer->status == DNS_SERVFAIL;
		dns_query_fini(&i->query);
		if (back) {
			i->name = i->names[i->at];
			i->result = IPREV_PASS;
			return 1;
		}
	}
	i->result = i->failed ? IPREV_TEMPERROR : i->names_n ? IPREV_FAIL : IPREV_PERMERROR;
	return 1;
}

void iprev_fini(struct iprev *i)
{
	dns_query_fini(&i->query);
}

static struct str reason(const struct iprev *i, struct arena *a)
{
	switch (i->result) {
	case IPREV_PASS: return i->name;
	case IPREV_FAIL: return arena_fmt(a, "%.*s does not lead back", STR_ARG(i->name));
	case IPREV_TEMPERROR: return STR("a name server did not answer");
	default: return STR("the address has no name");
	}
}

void iprev_results(const struct iprev *i, struct arena *a, struct results_method *out)
{
	char text[NET_ADDR_TEXT];
	struct results_prop *prop = arena_new(a, struct results_prop);
	bool none = i->addr.sa.sa_family != AF_INET && i->addr.sa.sa_family != AF_INET6;
	*prop = (struct results_prop){.type = "policy",
		.name = "iprev",
		.value = none ? STR("") : arena_dup(a, str_of(net_addr_ip(&i->addr, text)))};
	*out = (struct results_method){.name = "iprev",
		.result = iprev_result_name(i->result),
		.reason = reason(i, a),
		.props = prop,
		.props_n = 1};
}
