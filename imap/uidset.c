/* Sets of numbers as merged ranges. Pure functions, the imap role. */
#include "imap/uidset.h"

void uidset_add_range(struct uidset *set, uint32_t lo, uint32_t hi)
{
	struct uid_range *last = set->n ? &set->ranges[set->n - 1] : NULL;
	if (last && (lo <= last->hi || lo - last->hi == 1)) {
		last->hi = MAX(last->hi, hi);
		return;
	}
	if (set->n == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 16;
		set->ranges = reallocarray(set->ranges, set->cap, sizeof *set->ranges);
		if (!set->ranges) { abort(); }
	}
	set->ranges[set->n++] = (struct uid_range){lo, hi};
}

void uidset_fini(struct uidset *set)
{
	free(set->ranges);
	*set = (struct uidset){0};
}

bool uidset_has(const struct uid_range *ranges, size_t n, uint32_t number)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ranges[mid].hi < number) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	return lo < n && ranges[lo].lo <= number;
}

uint64_t uidset_count(const struct uid_range *ranges, size_t n)
{
	uint64_t count = 0;
	for (size_t i = 0; i < n; i++) { count += (uint64_t)ranges[i].hi - ranges[i].lo + 1; }
	return count;
}

void uidset_put(const struct uid_range *ranges, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i) { buf_chr(out, ','); }
		buf_u64(out, ranges[i].lo);
		if (ranges[i].hi == ranges[i].lo) { continue; }
		buf_chr(out, ':');
		buf_u64(out, ranges[i].hi);
	}
}
