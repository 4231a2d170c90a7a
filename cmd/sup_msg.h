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
struct sup_peer { /* with one descriptor */
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

extern const struct msg_type SUP_SETUP, SUP_PEER, SUP_LISTEN, SUP_START, SUP_STOP, SUP_READY,
	SUP_STOPPED;
void sup_register(void);
