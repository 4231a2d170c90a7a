/* What `posthouse status` shows. The running server writes it as one packed struct to whoever
   connects to the socket "status" in the data directory, and hangs up; it reads nothing. */
#pragma once

#include "cmd/sup_msg.h"

enum { STATUS_ROLES_MAX = 16, STATUS_OCTETS_MAX = 1024 * 1024 };

struct status_role {
	struct str name;
	uint32_t pid; /* 0: it is away */
	struct sup_metric *metrics;
	uint32_t metrics_n;
};
struct status {
	struct status_role *roles;
	uint32_t roles_n;
};
extern const struct wire wire_status;

/* Pack and write all of it, then close `fd`. */
void status_send(const struct status *st, int fd);
