/* Runs one role: its links, its state, its end. The same for a role in a process of its own and for
   all of them on one loop. */
#pragma once

#include "cmd/roles.h"

enum { RUNNER_MEND_MS = 100 };

struct runner {
	struct role role;
	struct list links; /* of struct runner_link; a peer may have several for a moment */
	bool started, stopped;
	void (*ended)(struct runner *r); /* after stop; may be called from within runner_stop */
	/* There is no link with a peer any more. Told RUNNER_MEND_MS after it went down and again
	   until there is one: mostly the peer has died and will come back with a new one. */
	void (*lost)(struct runner *r, enum role_id peer);
	struct timer mend;
	uint32_t missing; /* mask of peers */
	void *ctx;
};

void runner_init(
	struct runner *r, const struct role_ops *ops, struct loop *l, const struct conf *conf);
/* role_ops.start. Set role.store, role.tls, role.secrets before. */
int runner_start(struct runner *r, struct err *e);
/* A new link to a peer; takes over `fd`. The one before is forgotten when it goes down. Before
   runner_start nothing is read from it. */
void runner_peer(struct runner *r, enum role_id peer, int fd);
void runner_listen(struct runner *r, enum listen_kind kind, int fd);
void runner_reload(struct runner *r);
void runner_stop(struct runner *r);
/* Frees the role's state and its links. */
void runner_fini(struct runner *r);
