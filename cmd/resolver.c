/* Starting a role's resolver. Runs in the process of a role that asks the DNS, before its sandbox
   is closed. libunbound forks by itself: what its child must lose, it loses in a handler of the
   fork; open descriptors in that of lib/dns_unbound.c. */
#include "cmd/resolver.h"

#include <pthread.h>
#include <unistd.h>

#include "cmd/sandbox.h"
#include "lib/log.h"

/* A fork has no arguments. NULL: a fork of somebody else. */
static struct role *parent;

static void wipe_secrets(const struct role *r)
{
	for (size_t i = 0; i < r->secrets_n; i++) {
		wipe((void *)(uintptr_t)r->secrets[i].value.p, r->secrets[i].value.n);
	}
}

static void in_child(void)
{
	struct err e = {{0}};
	if (!parent) { return; }
	wipe_secrets(parent);
	if (sandbox_close(SANDBOX_RESOLVER, &e) == 0) { return; }
	log_event(LOG_ERROR, &(struct log_ctx){.role = "dns"}, "resolver not started",
		"reason=\"%s\"", e.text);
	_exit(1);
}

int resolver_start(struct role *r, struct err *e)
{
	if (pthread_atfork(NULL, NULL, in_child) != 0) { abort(); }
	parent = r;
	int rc = role_dns(r, e);
	parent = NULL;
	return rc;
}
