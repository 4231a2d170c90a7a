/* Where an address leads: accounts, aliases, catch-alls, subaddresses. Pure reading over one
 * snapshot. */
#pragma once

#include "auth/auth.h"

enum { DIRECTORY_DEPTH_MAX = 10 };

struct directory_conf {
	bool all_domains;          /* dev: every domain is ours */
	struct str default_domain; /* of names without @ */
	char separator;            /* between local part and detail, 0 = none */
};

/* Lower-case, the default domain added to a bare name; "" when it cannot be an address. Memory from
 * `a`. */
struct str directory_normalise(const struct directory_conf *c, struct str address, struct arena *a);
/* Fill `out` as AUTH_RESOLVE answers for a message of `size` octets; lists in `a`. Subaddressing
   after RFC 5233: the detail names a mailbox of the account when there is one. An unknown
   postmaster@ of a local domain (RFC 5321 4.5.1) leads to the first account. 0, ERR_LIMIT (more
   than TARGETS_MAX), or what the store says. */
int directory_resolve(struct snap *sn, const struct directory_conf *c, struct str address,
	uint64_t size, struct arena *a, struct auth_resolve_reply *out);
/* The account whose own address `user` is. ERR_GONE when there is none. */
int directory_account(struct snap *sn, const struct directory_conf *c, struct str user,
	struct arena *a, struct acct *out);
/* Does mail to `address` reach the account? Then it may also write as it: 1, 0, ERR_*. */
int directory_may_send(struct snap *sn, const struct directory_conf *c, uint32_t aid,
	struct str address, struct arena *a);
