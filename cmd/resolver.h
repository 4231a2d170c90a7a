/* The resolver of a role, in a process of its own that parses what strangers send and can do
   nothing but talk to name servers. */
#pragma once

#include "lib/role.h"

/* Make r->dns. Before the role opens its store and makes its TLS context: of what its process holds
   by then, secrets are wiped and descriptors closed on the resolver's side. */
int resolver_start(struct role *r, struct err *e);
