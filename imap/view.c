/* The list of UIDs behind a selected mailbox. The imap role. Reads snapshots, never keeps one. */
#include "imap/view.h"

/* --- the list --- */

static void add_uid(struct view *v, uint32_t uid)
{
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap * 2 : 16;
		v->uids = reallocarray(v->uids, v->cap, sizeof *v->uids);
		if (!v->uids) { abort(); }
	}
	v->uids[v->n++] = uid;
}

/* Add the UIDs of the store from `first` on. */
static int add_from(struct view *v, struct snap *sn, uint32_t first)
{
	struct msg_cursor cursor;
	struct msg m;
	int got, rc = msg_cursor_open(sn, v->mid, first, &cursor);
	if (rc < 0) { return rc; }
	while ((got = msg_cursor_next(&cursor, &m)) == 1) { add_uid(v, m.uid); }
	msg_cursor_close(&cursor);
	return got;
}

static void stand_at(struct view *v, const struct mbox *mb, bool expunges)
{
	v->modseq = mb->highestmodseq;
	v->uidnext = mb->uidnext;
	if (expunges) { v->expunged_modseq = mb->highestmodseq; }
}

int view_load(struct view *v, struct snap *sn, const struct mbox *mb)
{
	view_fini(v);
	v->mid = mb->mid;
	v->uidvalidity = mb->uidvalidity;
	v->cap = mb->total;
	v->uids = xcalloc(mb->total, sizeof *v->uids);
	stand_at(v, mb, true);
	return add_from(v, sn, 1);
}

void view_fini(struct view *v)
{
	free(v->uids);
	free(v->saved);
	*v = (struct view){0};
}

size_t view_lower(const struct view *v, uint32_t uid)
{
	size_t lo = 0, hi = v->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (v->uids[mid] < uid) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	return lo;
}

ptrdiff_t view_find(const struct view *v, uint32_t uid)
{
	size_t at = view_lower(v, uid);
	return at < v->n && v->uids[at] == uid ? (ptrdiff_t)at : -1;
}

/* --- sets --- */

/* UIDs lo..hi as indexes; false when there are none. */
static bool indexes_of_uids(const struct view *v, uint32_t lo, uint32_t hi, struct uid_range *out)
{
	size_t from = view_lower(v, lo), to = view_lower(v, hi);
	if (to < v->n && v->uids[to] == hi) { to++; }
	if (from >= to) { return false; }
	*out = (struct uid_range){(uint32_t)from, (uint32_t)to - 1};
	return true;
}

/* `*` in its place. A range up to `*` holds the last message even when it begins behind it. */
static struct uid_range bounded(struct uid_range r, uint32_t last)
{
	return r.hi == UINT32_MAX ? (struct uid_range){MIN(r.lo, last), last} : r;
}

/* 1 with *out, 0 nothing there, < 0 no such sequence number. */
static int resolve_one(const struct view *v, struct uid_range r, bool uid, struct uid_range *out)
{
	if (v->n == 0) { return uid || r.hi == UINT32_MAX ? 0 : -1; }
	if (uid) {
		r = bounded(r, v->uids[v->n - 1]);
		return indexes_of_uids(v, r.lo, r.hi, out);
	}
	r = bounded(r, (uint32_t)v->n);
	if (r.hi > v->n) { return -1; }
	*out = (struct uid_range){r.lo - 1, r.hi - 1};
	return 1;
}

static int by_start(const void *a, const void *b)
{
	const struct uid_range *x = a, *y = b;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* In order, each index once. */
static size_t merge(struct uid_range *r, size_t n)
{
	size_t kept = 0;
	if (n) { qsort(r, n, sizeof *r, by_start); }
	for (size_t i = 0; i < n; i++) {
		struct uid_range *last = kept ? &r[kept - 1] : NULL;
		if (last && r[i].lo <= (uint64_t)last->hi + 1) {
			last->hi = MAX(last->hi, r[i].hi);
		} else {
			r[kept++] = r[i];
		}
	}
	return kept;
}

bool view_resolve(const struct view *v, const struct seqset *set, bool uid, struct arena *a,
	struct uid_range **out, size_t *n_out)
{
	const struct uid_range *from = set->saved ? v->saved : set->ranges;
	size_t from_n = set->saved ? v->saved_n : set->n, n = 0;
	struct uid_range *r = arena_array(a, MAX(from_n, 1), sizeof *r);
	for (size_t i = 0; i < from_n; i++) {
		int got = resolve_one(v, from[i], uid || set->saved, &r[n]);
		if (got < 0) { return false; }
		n += (size_t)got;
	}
	*out = r;
	*n_out = merge(r, n);
	return true;
}

/* All messages between two of the view that the view does not have are gone for good, so ranges of
   indexes are ranges of UIDs. */
bool view_resolve_uids(const struct view *v, const struct seqset *set, bool uid, struct arena *a,
	struct uid_range **out, size_t *n_out)
{
	if (!view_resolve(v, set, uid, a, out, n_out)) { return false; }
	for (size_t i = 0; i < *n_out; i++) {
		struct uid_range *r = &(*out)[i];
		*r = (struct uid_range){v->uids[r->lo], v->uids[r->hi]};
	}
	return true;
}

/* --- news --- */

struct uids {
	uint32_t *p;
	size_t n, cap;
};

static void uids_add(struct uids *u, uint32_t uid)
{
	if (u->n == u->cap) {
		u->cap = u->cap ? u->cap * 2 : 16;
		u->p = reallocarray(u->p, u->cap, sizeof *u->p);
		if (!u->p) { abort(); }
	}
	u->p[u->n++] = uid;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The history: flags since `modseq`, expunges since `expunged_modseq`. */
static int read_changes(const struct view *v, struct snap *sn, bool expunges, struct uids *gone,
	struct uids *changed)
{
	struct change_cursor cursor;
	struct change ch;
	uint64_t since = expunges ? MIN(v->modseq, v->expunged_modseq) : v->modseq;
	int got, rc = change_cursor_open(sn, v->mid, since, &cursor);
	if (rc < 0) { return rc; }
	while ((got = change_cursor_next(&cursor, &ch)) == 1) {
		if (ch.uid >= v->uidnext || view_find(v, ch.uid) < 0) { continue; }
		if (ch.expunged && expunges) { uids_add(gone, ch.uid); }
		if (!ch.expunged && ch.modseq > v->modseq) { uids_add(changed, ch.uid); }
	}
	change_cursor_close(&cursor);
	return got;
}

/* The history has been cut: what of the view is not in the store. */
static int compare(const struct view *v, struct snap *sn, struct uids *gone)
{
	struct msg_cursor cursor;
	struct msg m = {0};
	size_t at = 0;
	int got, rc = msg_cursor_open(sn, v->mid, 1, &cursor);
	if (rc < 0) { return rc; }
	while ((got = msg_cursor_next(&cursor, &m)) == 1) {
		for (; at < v->n && v->uids[at] < m.uid; at++) { uids_add(gone, v->uids[at]); }
		if (at < v->n && v->uids[at] == m.uid) { at++; }
	}
	msg_cursor_close(&cursor);
	for (; got == 0 && at < v->n; at++) { uids_add(gone, v->uids[at]); }
	return got;
}

int view_news_find(const struct view *v, struct snap *sn, const struct mbox *mb, bool expunges,
	struct view_news *out)
{
	struct uids gone = {0}, changed = {0};
	bool cut = expunges && v->expunged_modseq < mb->vanished_floor;
	int rc = read_changes(v, sn, expunges && !cut, &gone, &changed);
	if (rc == 0 && cut) { rc = compare(v, sn, &gone); }
	if (gone.n) { qsort(gone.p, gone.n, sizeof *gone.p, by_number); }
	if (changed.n) { qsort(changed.p, changed.n, sizeof *changed.p, by_number); }
	*out = (struct view_news){gone.p, gone.n, changed.p, changed.n};
	return rc;
}

void view_news_fini(struct view_news *news)
{
	free(news->gone);
	free(news->changed);
	*news = (struct view_news){0};
}

void view_remove(struct view *v, const struct view_news *news)
{
	size_t kept = 0, next = 0;
	for (size_t i = 0; i < v->n; i++) {
		if (next < news->gone_n && news->gone[next] == v->uids[i]) {
			next++;
		} else {
			v->uids[kept++] = v->uids[i];
		}
	}
	v->n = kept;
}

int view_advance(struct view *v, struct snap *sn, const struct mbox *mb, bool expunges)
{
	int rc = mb->uidnext > v->uidnext ? add_from(v, sn, v->uidnext) : 0;
	if (rc == 0) { stand_at(v, mb, expunges); }
	return rc;
}
