/* Starting a role's resolver. Runs in the process of a role that asks the DNS, before its sandbox
   is closed. libunbound forks by itself: what its child must lose, it loses in a handler of the
   fork. */
#include "cmd/resolver.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "cmd/sandbox.h"
#include "lib/log.h"

enum { DESCRIPTORS_MAX = 1024 };

/* What the child is to lose; a fork has no arguments. */
static struct {
	struct role *role; /* NULL: a fork of somebody else */
	bool open[DESCRIPTORS_MAX];
} parent;

static void close_inherited(void)
{
	for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS_MAX; fd++) {
		if (parent.open[fd]) { close(fd); }
	}
}

static void wipe_secrets(const struct role *r)
{
	for (size_t i = 0; i < r->secrets_n; i++) {
		wipe((void *)(uintptr_t)r->secrets[i].value.p, r->secrets[i].value.n);
	}
}

static void in_child(void)
{
	struct err e = {{0}};
	if (!parent.role) { return; }
	close_inherited();
	wipe_secrets(parent.role);
	if (sandbox_close(SANDBOX_RESOLVER, &e) == 0) { return; }
	log_event(LOG_ERROR, &(struct log_ctx){.role = "dns"}, "resolver not started",
		"reason=\"%s\"", e.text);
	_exit(1);
}

int resolver_start(struct role *r, struct err *e)
{
	if (pthread_atfork(NULL, NULL, in_child) != 0) { abort(); }
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) { parent.open[fd] = fcntl(fd, F_GETFD) >= 0; }
	parent.role = r;
	int rc = role_dns(r, e);
	parent.role = NULL;
	return rc;
}
