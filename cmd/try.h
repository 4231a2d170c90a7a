/* What the commands that try a check share (spf, dkim, dmarc): options, a loop and a resolver of
   their own, no server. */
#pragma once

#include "cmd/options.h"
#include "lib/dns.h"

struct try_options {
	const char *dns, *dns_zone;
	bool json;
};
/* For a struct whose member `try` is a struct try_options. */
#define TRY_OPTIONS(type) \
	{"dns", OPTION_STR, offsetof(struct type, try.dns), "HOST:PORT", \
		"the only resolver; default: those of /etc/resolv.conf"}, \
		{"dns-zone", OPTION_STR, offsetof(struct type, try.dns_zone), "FILE", \
			"master file that answers every question"}, \
	{ \
		"json", OPTION_FLAG, offsetof(struct type, try.json), NULL, "the result as JSON" \
	}

struct
try {
	struct loop *loop;
	struct dns *dns;
	struct dns_budget budget; /* that of one message */
	struct arena arena;
	struct task task; /* what the check waits with */
	/* private */
	enum step (*step)(struct try * t);
};

/* Make loop and resolver. Tells the user and answers an exit code, 0 = go on; in any case close
   with try_close. */
int try_open(struct try *t, const struct command *c, const struct try_options *o);
/* Call `step` until it answers STEP_DONE; after STEP_WAIT again when t->task was woken. */
void try_run(struct try *t, enum step (*step)(struct try *t));
void try_close(struct try *t);
