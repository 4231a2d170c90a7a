/* The SMTP server as a role: mx and submit are the same object with different listeners. Owns the
   sessions. */
#pragma once

#include "lib/dns.h"
#include "lib/log.h"
#include "smtp/greylist.h"
#include "smtp/peers.h"
#include "smtp/policy.h"
#include "smtp/role.h"
#include "smtp/smtp_conf.h"

/* Where a command is offered, and what a session is. */
enum { AT_MX = 1, AT_LMTP = 2, AT_SUBMIT = 4, AT_ALL = 7, AT_SMTP = AT_MX | AT_SUBMIT };

/* What a listener serves: a table of rights. */
struct service {
	const char *name;
	enum listen_kind kind;
	uint8_t at;     /* AT_MX, AT_LMTP or AT_SUBMIT */
	bool tls_first; /* 465: TLS from the first octet */
	uint8_t audit;  /* enum audit_kind of what it accepts */
};

/* NULL for a kind that is not served here. */
const struct service *service_find(enum listen_kind kind);

struct nets {
	struct net_cidr *v;
	size_t n;
};
bool nets_has(const struct nets *nets, const struct net_addr *a);

struct server {
	struct role *role;
	const struct smtp_conf *conf;
	struct policy policy;
	struct greylist greylist;
	struct dns *dns; /* of mx; submit looks nothing up and has none */
	struct nets proxy_from, xclient_from, lmtp_from;
	struct list listeners, sessions;
	size_t sessions_n;
	uint32_t next_session;
	struct peers peers;
	struct audit_box *audits; /* records on their way, see audit.c */
};

/* The operations of both role_ops. */
int server_start(struct role *r, struct err *e);
void server_listen(struct role *r, enum listen_kind kind, int fd);
void server_handle(struct role *r, struct link_msg *m);
void server_reload(struct role *r);
void server_stop(struct role *r);
void server_fini(struct role *r);
/* All places are taken: send away who has been idle for longest. False when nobody is. */
bool server_make_room(struct server *sv);
/* session.c: one has ended. */
void server_session_ended(struct server *sv);
/* Something that a stop waits for has ended. */
void server_settle(struct server *sv);
