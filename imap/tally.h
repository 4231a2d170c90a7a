/* How many there are of each: sessions by address, sessions by user. */
#pragma once

#include "lib/map.h"

enum { TALLY_KEY_MAX = 16 };

struct tally_row;

struct tally {
	struct map rows; /* all zeros = empty */
};

/* One more of `key`, unless there are `max` already: then NULL. A key is at most TALLY_KEY_MAX
   octets. */
struct tally_row *tally_enter(struct tally *t, struct str key, uint64_t max);
/* One less. NULL is fine. */
void tally_leave(struct tally *t, struct tally_row *row);
void tally_fini(struct tally *t);
