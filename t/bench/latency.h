/* Samples of how long something took, in microseconds, and their percentiles. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct latency {
	int64_t *us;
	size_t n, cap;
};

void latency_fini(struct latency *l);
void latency_add(struct latency *l, int64_t us);
/* The sample that `percent` of all do not exceed (nearest rank; 100 is the maximum), 0 when there
   is none. Sorts the samples. */
int64_t latency_percentile(struct latency *l, unsigned percent);
