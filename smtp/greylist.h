/* Greylisting: who sends for the first time is asked to come back, as servers do and most spamware
   does not (RFC 6647). A bounded table in the memory of one role process: after a restart, and when
   it is full, senders are new again, which costs them a delay and nothing else. */
#pragma once

#include "lib/map.h"

enum {
	GREYLIST_MAX = 65536,        /* entries */
	GREYLIST_RETRY_S = 24 * 3600 /* who comes back later than this is new again */
};

struct greylist {
	struct map entries;
	struct list waiting, known; /* each with the longest unseen first */
	bool ready;                 /* the lists have been initialised */
};

struct greylist_times {
	int64_t now_us; /* monotonic */
	int64_t delay_us, keep_us;
};

void greylist_fini(struct greylist *g);
/* Has `key` waited long enough? Microseconds that are left, 0 = yes. Called once per message: each
   call is remembered as an attempt. */
int64_t greylist_try(struct greylist *g, struct str key, const struct greylist_times *t);
