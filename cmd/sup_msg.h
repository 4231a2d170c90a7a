/* Messages between the supervisor and a role's process. */
#pragma once

#include "lib/role.h"

enum { SUP_CONF_MAX = 512 * 1024, SUP_SECRETS_MAX = 256, SUP_SECRET_MAX = 256 * 1024 };

/* First, and again at a reload: configuration and key material. */
struct sup_setup {
	struct str conf; /* conf_pack */
	struct role_secret *secrets;
	uint32_t secrets_n;
	struct str data;   /* directory of the store */
	uint32_t uid, gid; /* to become; 0 = stay */
	bool reload;
};
struct sup_peer { /* SUP_PEER: with one descriptor */
	uint32_t role;
};
struct sup_listen { /* with one descriptor */
	uint32_t kind;
};
struct sup_nothing {
	uint8_t unused;
};
struct sup_ready { /* from the role, after start and sandbox, or why not */
	bool ok;
	struct str error;
};

/* A counter or gauge of a role (lib/metric.h). */
struct sup_metric {
	struct str name, help;
	bool gauge;
	uint64_t value;
};
enum { SUP_METRICS_MAX = 200 };
struct sup_metrics { /* reply to SUP_METRICS */
	struct sup_metric *metrics;
	uint32_t metrics_n;
};
extern const struct wire wire_sup_metric;
/* Those of this process, as of now; the list in `a`. */
void sup_metrics_now(struct arena *a, struct sup_metrics *out);

extern const struct msg_type SUP_SETUP, SUP_PEER, SUP_LISTEN, SUP_START, SUP_STOP, SUP_READY,
	SUP_STOPPED, SUP_METRICS, SUP_LOST;
void sup_register(void);
