/* The registry of counters. Every role has its own. */
#include "lib/metric.h"

static struct metric *first;

void metric_register(struct metric *m)
{
	if (m->registered) { return; }
	m->registered = true;
	m->next = first;
	first = m;
}

void metrics_register(struct metric *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) { metric_register(list[i]); }
}

struct metric *metric_next(struct metric *m)
{
	return m ? m->next : first;
}
