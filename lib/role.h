/* What a role is: an object on an event loop with links to its peers. The supervisor runs each in
   its own sandboxed process (`serve`, `dev --processes`) or all on one loop (`dev`, tests); the
   role cannot tell which. */
#pragma once

#include "lib/conf.h"
#include "lib/conn.h"
#include "lib/dns.h"
#include "lib/link.h"
#include "lib/metric.h"

enum listen_kind {
	LISTEN_SMTP,
	LISTEN_SUBMISSION,
	LISTEN_SUBMISSIONS,
	LISTEN_LMTP,
	LISTEN_IMAP,
	LISTEN_IMAPS,
	LISTEN_N
};

/* The top level of the configuration. Whoever runs roles fills an empty hostname with the system's
   name (conf_set) before it hands the configuration out: roles cannot ask for it. */
struct top_conf {
	struct str hostname;
	struct str data;
	int log_level; /* enum log_level */
};
extern const struct conf_section top_conf_section;

struct role_secret {     /* PEM and other key material handed over by the supervisor, by name */
	struct str name; /* "tls.cert", "tls.key", "dkim/DOMAIN/SELECTOR", ... */
	struct str value;
};

struct role {
	const struct role_ops *ops;
	enum role_id id;
	struct loop *loop;
	const struct conf *conf;   /* replaced before `reload` is called */
	void *state;               /* the role's own object */
	struct link *peer[ROLE_N]; /* NULL while that role is away; sending to it gives ERR_AGAIN */
	struct tls_ctx *tls;       /* server context; roles that listen with TLS */
	struct dns *dns;           /* roles with want_dns */
	struct role_secret *secrets;
	size_t secrets_n;
	void *store; /* struct store * opened for this role (read-only but for ROLE_STORE), or NULL
		      */
	void *one_process; /* non-NULL when all roles share this process: the shared context of cmd
			    */
	bool stopping;
	/* Set by whoever runs the role: it has finished after `stop`. May be called from within
	 * `stop`. */
	void (*stopped)(struct role *r);
};

struct role_ops {
	enum role_id id;
	const char *name;
	uint32_t peers;  /* mask of roles it has links with */
	bool want_store; /* opens the store (read-only but for ROLE_STORE) before the sandbox closes
			  */
	bool want_tls;
	bool want_dns;
	/* Create role->state. Everything that needs the file system (gconv, NSS, resolver files)
	 * happens here. */
	int (*start)(struct role *r, struct err *e);
	/* A listening socket to serve (takes over fd). */
	void (*listen)(struct role *r, enum listen_kind kind, int fd);
	/* A message from a peer. */
	void (*handle)(struct role *r, struct link_msg *m);
	/* A peer came or went: role->peer[id] is already set to the new link or NULL. */
	void (*peer_changed)(struct role *r, enum role_id id);
	/* Config, secrets or TLS context changed. */
	void (*reload)(struct role *r);
	/* Stop accepting, finish what was promised, then call role_stopped (at once if idle). */
	void (*stop)(struct role *r);
	/* Free everything. */
	void (*fini)(struct role *r);
};

/* The role has finished after `stop`. */
void role_stopped(struct role *r);
/* The host name from the top section of the configuration; "localhost" when it has none. */
struct str role_hostname(const struct role *r);
/* Make r->dns by the configuration's dns section, prepared for the sandbox. For whoever runs roles;
 * dns_free is theirs, too. */
int role_dns(struct role *r, struct err *e);
/* A secret by name; empty when absent. */
struct str role_secret(const struct role *r, struct str name);
