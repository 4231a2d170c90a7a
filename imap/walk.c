/* Walks over messages of the view. The imap role. Holds a cursor only within a step. */
#include "imap/walk.h"

enum { WALK_GAP = 64 }; /* UIDs over which stepping a cursor is cheaper than finding a place */

void walk_init(struct walk *w, const struct view *view, const struct uid_range *ranges, size_t n)
{
	*w = (struct walk){.view = view, .ranges = ranges, .n = n};
	w->next = n ? ranges[0].lo : 0;
}

void walk_begin(struct walk *w, struct snap *sn)
{
	w->snap = sn;
	w->open = w->has_ahead = w->ended = false;
}

void walk_end(struct walk *w)
{
	if (w->open) { msg_cursor_close(&w->cursor); }
	w->open = false;
	w->snap = NULL;
}

static int reopen(struct walk *w, uint32_t uid)
{
	if (w->open) { msg_cursor_close(&w->cursor); }
	w->has_ahead = w->ended = false;
	int rc = msg_cursor_open(w->snap, w->view->mid, uid, &w->cursor);
	w->open = rc == 0;
	w->last_uid = uid;
	return rc;
}

/* 1 the message, 0 it is gone. */
static int seek(struct walk *w, uint32_t uid, struct msg *out)
{
	int rc = 0;
	if (!w->open || (!w->ended && uid > w->last_uid && uid - w->last_uid > WALK_GAP)) {
		rc = reopen(w, uid);
	}
	while (rc == 0 && !w->ended && (!w->has_ahead || w->ahead.uid < uid)) {
		int got = msg_cursor_next(&w->cursor, &w->ahead);
		rc = MIN(got, 0);
		w->ended = got == 0;
		w->has_ahead = got == 1;
		w->last_uid = got == 1 ? w->ahead.uid : w->last_uid;
	}
	if (rc < 0) { return rc; }
	if (!w->has_ahead || w->ahead.uid != uid) { return 0; }
	*out = w->ahead;
	return 1;
}

int walk_next(struct walk *w, struct msg *out)
{
	while (w->range < w->n) {
		if (w->next > w->ranges[w->range].hi || w->next >= w->view->n) {
			if (++w->range < w->n) { w->next = w->ranges[w->range].lo; }
			continue;
		}
		w->index = w->next;
		int rc = seek(w, w->view->uids[w->index], out);
		if (rc < 0) { return rc; }
		w->next++;
		if (rc == 1) { return 1; }
		w->missed = true;
	}
	return 0;
}
