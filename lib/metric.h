/* Counters and gauges of a role. Registered by static rows at its start, read by `posthouse
 * status`.
 */
#pragma once

#include "lib/lib.h"

struct metric {
	const char *name; /* "smtp_accepted_total"; a counter's ends in _total */
	const char *help;
	bool gauge;
	_Atomic uint64_t value;
	struct metric *next; /* registry */
	bool registered;
};

/* A counter, or with `.gauge = true` behind the text a gauge, whose variable has its name. */
#define METRIC(symbol, text, ...) \
	struct metric symbol = {.name = #symbol, .help = text, __VA_ARGS__}

static inline void metric_add(struct metric *m, uint64_t n)
{
	m->value += n;
}
static inline void metric_sub(struct metric *m, uint64_t n)
{
	m->value -= n;
}
static inline void metric_set(struct metric *gauge, uint64_t value)
{
	gauge->value = value;
}
void metric_register(struct metric *m);
void metrics_register(struct metric *const *list, size_t n);
/* Walk: start with NULL. */
struct metric *metric_next(struct metric *m);
