/* Latency samples. */
#include "t/bench/latency.h"

#include "lib/lib.h"

void latency_fini(struct latency *l)
{
	free(l->us);
	*l = (struct latency){0};
}

void latency_add(struct latency *l, int64_t us)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 1024;
		int64_t *more = realloc(l->us, l->cap * sizeof *more);
		if (!more) { abort(); }
		l->us = more;
	}
	l->us[l->n++] = us;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int64_t latency_percentile(struct latency *l, unsigned percent)
{
	if (l->n == 0) { return 0; }
	qsort(l->us, l->n, sizeof *l->us, by_time);
	size_t rank = (l->n * percent + 99) / 100;
	return l->us[rank ? rank - 1 : 0];
}
