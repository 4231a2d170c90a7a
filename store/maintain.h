/* What the store does when nobody asks: deleting what is no longer referenced, uploads nobody came
   back for, old audit records, reader slots of dead processes. Private to store/. */
#pragma once

#include "store/env.h"

struct maintain_limits {
	int64_t audit_keep_us;
	uint64_t audit_max; /* octets of the table */
};

/* One bounded transaction of work. 1 when there is more to do at once, 0, ERR_*. `deleted` (may be
   NULL) counts the objects that are gone. */
int store_maintain(
	struct store *s, const struct maintain_limits *limits, int64_t now_us, uint64_t *deleted);
