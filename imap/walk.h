/* A walk over messages of the view in several steps: it remembers where it stands by index, and
   reads the store through a snapshot of each step. */
#pragma once

#include "imap/view.h"

struct walk {
	const struct view *view;
	const struct uid_range *ranges; /* of indexes into the view, ascending */
	size_t n;
	size_t range;
	uint32_t next;  /* index to look at next, within `range` */
	uint32_t index; /* of the message answered last: its sequence number less one */
	bool missed;    /* messages were not there any more */

	/* Of one step. */
	struct snap *snap;
	struct msg_cursor cursor;
	struct msg ahead;
	uint32_t last_uid;
	bool open, has_ahead, ended;
};

/* Borrows `ranges`. */
void walk_init(
	struct walk *w, const struct view *view, const struct uid_range *ranges, size_t ranges_n);
void walk_begin(struct walk *w, struct snap *sn);
/* Before snap_end. */
void walk_end(struct walk *w);
/* The next message that is still there. 1 with *out (valid until snap_end), 0 at the end, < 0
   ERR_*. */
int walk_next(struct walk *w, struct msg *out);
