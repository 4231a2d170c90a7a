/* VANISHED (EARLIER) of UID FETCH (RFC 7162 3.2.6). The imap role; reads one snapshot. */
#include "imap/fetch.h"
#include "imap/uidset.h"

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static int by_start(const void *a, const void *b)
{
	return by_number(&((const struct uid_range *)a)->lo, &((const struct uid_range *)b)->lo);
}

/* The numbers of the set, `*` in its place, nothing above the last UID there ever was. */
static void asked(const struct session *s, const struct fetch_request *req, struct uidset *out)
{
	const struct seqset *set = &req->set;
	uint32_t last = s->view.uidnext - 1, above = req->vanished_above;
	size_t n = set->saved ? s->view.saved_n : set->n;
	const struct uid_range *from = set->saved ? s->view.saved : set->ranges;
	if (!n) { return; }
	struct uid_range *r = xcalloc(n, sizeof *r);
	for (size_t i = 0; i < n; i++) {
		uint32_t a = MIN(from[i].lo, last), b = MIN(from[i].hi, last);
		r[i] = (struct uid_range){MIN(a, b), MAX(a, b)};
	}
	qsort(r, n, sizeof *r, by_start);
	for (size_t i = 0; i < n; i++) {
		if (r[i].hi > above) { uidset_add_range(out, MAX(r[i].lo, above + 1), r[i].hi); }
	}
	free(r);
}

/* Those the history still knows. */
static void from_history(struct snap *sn, const struct view *v, uint64_t since,
	const struct uidset *want, struct uidset *out)
{
	struct change_cursor cc;
	struct change ch;
	struct buf uids = {0};
	if (change_cursor_open(sn, v->mid, since, &cc) < 0) { return; }
	while (change_cursor_next(&cc, &ch) == 1) {
		if (ch.expunged && uidset_has(want->ranges, want->n, ch.uid) &&
			view_find(v, ch.uid) < 0) {
			buf_add(&uids, &ch.uid, sizeof ch.uid);
		}
	}
	change_cursor_close(&cc);
	size_t count = uids.n / sizeof(uint32_t);
	if (count) { qsort(uids.p, count, sizeof(uint32_t), by_number); }
	for (size_t i = 0; i < count; i++) {
		uint32_t uid;
		memcpy(&uid, uids.p + i * sizeof uid, sizeof uid);
		uidset_add(out, uid);
	}
	buf_fini(&uids);
}

/* The history has been cut: whatever is not there (RFC 7162 3.2.6 allows more than asked). */
static void not_there(const struct view *v, const struct uidset *want, struct uidset *out)
{
	for (size_t i = 0; i < want->n; i++) {
		uint32_t from = want->ranges[i].lo, hi = want->ranges[i].hi;
		size_t at = view_lower(v, from);
		for (; at < v->n && v->uids[at] <= hi; at++) {
			if (v->uids[at] > from) { uidset_add_range(out, from, v->uids[at] - 1); }
			from = v->uids[at] + 1;
		}
		if (from <= hi) { uidset_add_range(out, from, hi); }
	}
}

static void find_gone(struct session *s, struct snap *sn, uint64_t since, const struct uidset *want,
	struct uidset *out)
{
	struct mbox mb;
	if (snap_mbox(sn, s->view.mid, &mb) == 0 && since >= mb.vanished_floor) {
		from_history(sn, &s->view, since, want, out);
	} else {
		not_there(&s->view, want, out);
	}
}

void fetch_vanished(struct session *s, const struct fetch_request *req)
{
	struct uidset want = {0}, gone = {0};
	struct snap sn;
	if (s->view.uidnext <= 1 || snap_begin(session_store(s), &sn) < 0) { return; }
	asked(s, req, &want);
	find_gone(s, &sn, req->changed_since, &want, &gone);
	snap_end(&sn);
	if (gone.n) {
		struct buf *out = session_out(s);
		buf_str(out, STR("* VANISHED (EARLIER) "));
		uidset_put(gone.ranges, gone.n, out);
		buf_str(out, STR("\r\n"));
	}
	uidset_fini(&want);
	uidset_fini(&gone);
}
