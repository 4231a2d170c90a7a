/* Counters and gauges of a role. Registered by static rows, read by `posthouse check` and metrics
 * pages. */
#pragma once

#include "lib/lib.h"

struct metric {
	const char *name; /* "smtp_accepted_total" */
	const char *help;
	bool gauge;
	_Atomic uint64_t value;
	struct metric *next; /* registry */
	bool registered;
};

static inline void metric_add(struct metric *m, uint64_t n)
{
	m->value += n;
}
static inline void metric_sub(struct metric *m, uint64_t n)
{
	m->value -= n;
}
void metric_register(struct metric *m);
/* Walk: start with NULL. */
struct metric *metric_next(struct metric *m);
