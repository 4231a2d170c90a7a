/* The sections of the configuration that the supervisor itself uses: where to listen, which
   certificate to show. */
#pragma once

#include "lib/role.h"

struct listen_conf {
	struct conf_list on[LISTEN_N]; /* addresses as net_addr_parse takes them */
};
struct tls_conf {
	struct str certificate, key; /* PEM files */
};
struct run_conf {
	struct str user, net_user; /* accounts of the system to run as when started by root */
};
extern const struct conf_section listen_conf_section, tls_conf_section, run_conf_section;

/* "smtp", "submission", ... */
extern const char *const listen_names[LISTEN_N];
extern const uint16_t listen_ports[LISTEN_N]; /* the well-known port; lmtp: 24 */
/* The role that serves a kind. */
enum role_id listen_role(enum listen_kind kind);
