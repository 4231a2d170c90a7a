/* A growing set of numbers (UIDs, sequence numbers), kept as merged ranges. All zeros = empty. */
#pragma once

#include "lib/lib.h"
#include "store/op.h"

struct uidset {
	struct uid_range *ranges; /* ascending, apart from each other; on the heap */
	size_t n, cap;
};

/* `lo` is above all that were added, or (overlapping ranges) not below the last one's beginning. */
void uidset_add_range(struct uidset *set, uint32_t lo, uint32_t hi);
static inline void uidset_add(struct uidset *set, uint32_t number)
{
	uidset_add_range(set, number, number);
}
void uidset_fini(struct uidset *set);
/* Whether the number stands in ascending, disjoint ranges. */
bool uidset_has(const struct uid_range *ranges, size_t n, uint32_t number);
uint64_t uidset_count(const struct uid_range *ranges, size_t n);
/* "1:3,7" (RFC 9051 9, sequence-set). */
void uidset_put(const struct uid_range *ranges, size_t n, struct buf *out);
