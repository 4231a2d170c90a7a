/* What `serve` and `dev` share: a house, its signals, the control socket, readiness. */
#pragma once

#include "cmd/options.h"
#include "cmd/plan.h"

struct serving {
	const struct command *command;
	const char *pid_file;   /* NULL = none */
	const char *ready_file; /* NULL = none */
	const char *ca_file;    /* path told in the ready line, NULL = none */
	bool ready_line;        /* on stdout */
	const char *writes;     /* one more directory that will be written to, or NULL */
	/* SIGHUP: read configuration and files again into the plan; as it was on failure. */
	int (*reload)(struct serving *s, struct plan *p, struct err *e);
	void *ctx; /* of reload */
};

/* Run until a signal ends it; the exit code. Takes the plan's sockets. */
int serving_run(struct serving *s, struct plan *p);
