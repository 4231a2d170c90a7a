/* The parse record of the message at hand, read when it is first asked for. All zeros = none. */
#pragma once

#include "lib/mimerec.h"
#include "store/store.h"

struct record {
	struct mimerec rec;
	struct arena arena;
	struct buf rebuilt;
	enum { RECORD_UNREAD, RECORD_THERE, RECORD_NONE } state;
};

/* Records are droppable: one that is not there is made from the octets. NULL when the message
   cannot be read. Valid until record_forget or snap_end. */
const struct mimerec *record_get(struct record *r, struct snap *sn, uint64_t oid);
/* The next record_get is about another message or snapshot. */
void record_forget(struct record *r);
void record_fini(struct record *r);
