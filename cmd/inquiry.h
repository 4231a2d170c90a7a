/* Asks the roles' processes for their counters, for `posthouse status`. */
#pragma once

#include "cmd/status_msg.h"
#include "lib/role.h"

struct inquiry_role {
	const char *name;
	struct link *link; /* NULL: it is away */
	uint32_t pid;
	uint64_t deaths, up_s;
};
/* Ask all at once and send what they answer within two seconds to `fd`, which is closed. Goes on by
   itself. At most STATUS_ROLES_MAX. */
void inquiry_start(struct loop *l, const struct inquiry_role *roles, size_t n, int fd);
