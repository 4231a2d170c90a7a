/* The roles, running: each in its own process under the supervisor, or all on one loop. */
#pragma once

#include "cmd/plan.h"

struct house;

struct house_ops {
	/* Every role serves. */
	void (*ready)(void *ctx);
	/* All have ended; `status` 0 after house_stop, else an exit code (a role could not start).
	 */
	void (*ended)(void *ctx, int status);
};

/* Start everything. The plan must outlive the house; its sockets are taken over. Failures that show
   later come through `ended`. */
int house_start(struct loop *l, struct plan *plan, const struct house_ops *ops, void *ctx,
	struct house **out, struct err *e);
/* Finish what has been promised, then end. A second call ends at once. */
void house_stop(struct house *h);
/* The plan's configuration and files have changed. */
void house_reload(struct house *h);
/* A command of the administrator on a connected socket: it speaks to the store role. */
void house_control(struct house *h, int fd);
/* Somebody wants to know how it goes: tell him (status_msg.h) and close the connection. */
void house_status(struct house *h, int fd);
void house_free(struct house *h);

/* The two kinds. */
struct house_kind {
	int (*start)(struct house *h, struct err *e);
	void (*stop)(struct house *h, bool now);
	void (*reload)(struct house *h);
	void (*control)(struct house *h, int fd);
	void (*status)(struct house *h, int fd);
	void (*free)(struct house *h);
};
extern const struct house_kind house_of_one, house_of_many;

struct house {
	const struct house_kind *kind;
	struct loop *loop;
	struct plan *plan;
	const struct house_ops *ops;
	void *ctx;
	void *state; /* of the kind */
	bool stopping;
};
