/* "iprev" (RFC 8601 2.7.3): does a name of the client's address lead back to that address? */
#pragma once

#include "auth/results.h"
#include "lib/dns.h"
#include "lib/net.h"

enum { IPREV_NAMES_MAX = 10 }; /* of an address that are looked at */

enum iprev_result {
	IPREV_PASS,
	IPREV_FAIL,      /* it has names, and none leads back */
	IPREV_TEMPERROR, /* a name server failed: another time there may be a result */
	IPREV_PERMERROR  /* the address has no name */
};
const char *iprev_result_name(enum iprev_result r);

struct iprev {
	/* out */
	enum iprev_result result;
	struct str name; /* pass: the one that leads back; else the first that was told, or "" */
	/* private */
	struct dns *dns;
	struct dns_budget *budget;
	struct task *task;
	struct arena *arena;
	struct net_addr addr;
	struct str names[IPREV_NAMES_MAX];
	size_t names_n, at;
	bool reversed, failed;
	struct dns_query query;
};

/* `budget` may be NULL; it, `t` and `a` outlive the check. An address that is none (a socket pair)
   has no name. */
void iprev_start(struct iprev *i, struct dns *dns, struct dns_budget *budget, struct task *t,
	struct arena *a, const struct net_addr *addr);
/* 1 finished, 0 return STEP_WAIT and call again when woken. */
int iprev_step(struct iprev *i);
/* Release questions; the outcome stays as long as the arena. */
void iprev_fini(struct iprev *i);
/* "iprev=pass (mail.example.com) policy.iprev=192.0.2.1" */
void iprev_results(const struct iprev *i, struct arena *a, struct results_method *out);
