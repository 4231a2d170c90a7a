/* What would become of a message: the mx role itself hears it out, against the accounts of a store
   that is only read, and is stopped where it would have it delivered. */
#pragma once

#include "cmd/admin.h"

struct what_if {
	const char *ip, *helo, *from, *to;
	const char *file; /* NULL: a message that says no more than who wrote it; "-": stdin */
	const char *dns, *dns_zone;
	struct option_list set;
	bool json;
};
#define WHAT_IF_OPTIONS(type) \
	{"what-if", OPTION_FLAG, offsetof(struct type, try), NULL, \
		"try a message instead: nothing is delivered or written down"}, \
		{"ip", OPTION_STR, offsetof(struct type, what_if.ip), "ADDRESS", \
			"what-if: the client"}, \
		{"helo", OPTION_STR, offsetof(struct type, what_if.helo), "NAME", \
			"what-if: what it says in EHLO; default: its address"}, \
		{"from", OPTION_STR, offsetof(struct type, what_if.from), "ADDRESS", \
			"what-if: the sender in MAIL; default: the null sender"}, \
		{"to", OPTION_STR, offsetof(struct type, what_if.to), "ADDRESS", \
			"what-if: the recipient"}, \
		{"dns", OPTION_STR, offsetof(struct type, what_if.dns), "HOST:PORT", \
			"what-if: the only resolver; default: as configured"}, \
		{"dns-zone", OPTION_STR, offsetof(struct type, what_if.dns_zone), "FILE", \
			"what-if: master file that answers every question"}, \
	{ \
		"set", OPTION_LIST, offsetof(struct type, what_if.set), "SECTION.KEY=VALUE", \
			"what-if: any row of posthouse.conf(5) (repeatable)" \
	}

/* Run it and print what came of it. Answers an exit code. */
int what_if_run(struct admin *a, const struct what_if *w);
