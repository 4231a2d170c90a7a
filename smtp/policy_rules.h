/* What the lists of the policy section say: exceptions and DNS lists, read once when the
   configuration is loaded. */
#pragma once

#include "lib/addr.h"
#include "lib/conf.h"
#include "smtp/dnsl.h"
#include "smtp/policy.h"

enum { EXCEPTS_MAX = 1000, EXCEPT_TEXT_MAX = 400 };

/* Whom an exception is for. What a message says of itself can be forged; a network cannot. */
enum except_kind {
	EXCEPT_NETWORK, /* of the client: 192.0.2.0/24, 2001:db8::1 */
	EXCEPT_ADDRESS, /* the sender, or the author of the message: ann@example.org */
	EXCEPT_DOMAIN,  /* the domain of one of them: example.org */
	EXCEPT_BELOW,   /* that domain and all below it: .example.org */
	EXCEPT_LIST     /* the List-Id (RFC 2919): <news.example.org> */
};

struct policy_except {
	struct str text; /* as written: "check=whom" */
	bool all;        /* "*=whom": every check */
	enum policy_id id;
	enum except_kind kind;
	struct str local, domain; /* of an address; a domain has no local part */
	struct str list_id;
	struct net_cidr net;
};

/* One row. `out` borrows from `text`. The sentence in `e` says what is wrong: no such check, a
   check that runs before anything but the network is known, ... */
int policy_except_parse(struct str text, struct policy_except *out, struct err *e);

/* Counted: a check that waits for the DNS keeps the rules it began with over a reload. */
struct policy_rules {
	unsigned refs;
	struct arena arena;
	struct policy_except *excepts;
	size_t excepts_n;
	struct dnsl *black, *white;
	size_t black_n, white_n;
};
/* NULL with a sentence when a row is malformed. */
struct policy_rules *policy_rules_new(const struct policy_conf *c, struct err *e);
struct policy_rules *policy_rules_get(struct policy_rules *r);
void policy_rules_put(struct policy_rules *r); /* NULL is fine */

/* What an exception is compared with. Empty: not known, or the message has none. */
struct policy_who {
	const struct net_addr *client;
	struct str local, domain;   /* of MAIL; empty for <> */
	const struct addr *authors; /* the mailboxes of From */
	size_t authors_n;
	struct str list_id;
};
/* The first exception to `id` that is for them; NULL = none. */
const struct policy_except *policy_except_find(
	const struct policy_rules *r, enum policy_id id, const struct policy_who *who);
