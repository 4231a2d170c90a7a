/* What IMAP does to messages that are there: flags, copies, moves, expunges. */
#include "store/apply.h"

/* Ranges of UIDs built up one by one. */
struct uid_list {
	struct uid_range *v;
	uint32_t n, cap;
	struct arena *a;
};

/* False when there are too many ranges for a reply. */
static bool uid_list_add(struct uid_list *l, uint32_t uid)
{
	if (l->n && l->v[l->n - 1].hi + 1 == uid) {
		l->v[l->n - 1].hi = uid;
		return true;
	}
	if (l->n == OP_RANGES_MAX) { return false; }
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 16;
		struct uid_range *v = arena_array(l->a, cap, sizeof *v);
		if (l->n) { memcpy(v, l->v, l->n * sizeof *v); }
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = (struct uid_range){uid, uid};
	return true;
}

/* Walking the messages that a set of ascending ranges names. */
struct walk {
	const struct uid_range *ranges;
	uint32_t n, at;
	uint64_t next; /* the smallest UID not yet looked at */
};

/* 1 and the next message (in ap->tmp), 0 at the end, ERR_*. */
static int walk_next(struct apply *ap, uint32_t mid, struct walk *w, struct msg *out)
{
	arena_reset(&ap->tmp);
	while (w->at < w->n) {
		const struct uid_range *r = &w->ranges[w->at];
		uint64_t from = MAX(w->next, r->lo);
		if (from > r->hi) {
			w->at++;
			continue;
		}
		int rc = msg_from(ap, mid, (uint32_t)from, out);
		if (rc == ERR_GONE) { return 0; }
		if (rc < 0) { return rc; }
		w->next = (uint64_t)out->uid + (out->uid <= r->hi);
		if (out->uid <= r->hi) { return 1; }
		w->at++; /* it lies behind this range: look again from there */
	}
	return 0;
}

/* --- flags --- */

static uint64_t new_flags(const struct op_flags *op, uint64_t old, uint64_t flags)
{
	switch (op->how) {
	case FLAGS_ADD: return old | flags;
	case FLAGS_REMOVE: return old & ~flags;
	default: return flags;
	}
}

int apply_flags(struct apply *ap, const void *request, void *reply)
{
	const struct op_flags *op = request;
	struct op_flags_reply *answer = reply;
	struct uid_list modified = {.a = ap->a};
	struct walk w = {op->uids, op->uids_n, 0, 0};
	struct mbox mb;
	struct msg m;
	uint64_t keywords;
	int rc = box_get(ap, op->aid, op->mid, &mb);
	if (rc < 0) { return rc; }
	rc = box_keywords(ap, op->mid, op->keywords, op->keywords_n, op->how != FLAGS_REMOVE,
		&keywords, &answer->keywords_full);
	if (rc < 0) { return rc; }
	uint64_t flags = (op->flags & FLAG_SYSTEM) | keywords, modseq = mb.highestmodseq + 1;
	while ((rc = walk_next(ap, op->mid, &w, &m)) == 1) {
		if (op->conditional && m.modseq > op->unchanged_since) {
			if (!uid_list_add(&modified, m.uid)) { return ERR_LIMIT; }
			continue;
		}
		uint64_t now = new_flags(op, m.flags, flags);
		if (now == m.flags) { continue; }
		rc = msg_flag(ap, &mb, &m, now, modseq);
		if (rc < 0) { return rc; }
		answer->changed++;
	}
	if (rc < 0) { return rc; }
	answer->modified = modified.v;
	answer->modified_n = modified.n;
	if (!answer->changed) { return 0; }
	answer->modseq = modseq;
	return box_put(ap, &mb);
}

/* --- copies and moves --- */

/* The bits that a mailbox's keywords have in another one. */
struct keyword_map {
	uint64_t to[KEYWORDS_MAX]; /* 0: not asked yet */
};

static int map_flags(struct apply *ap, const struct op_copy *op, struct keyword_map *map,
	uint64_t flags, uint64_t *out)
{
	*out = flags & FLAG_SYSTEM;
	for (unsigned bit = 0; bit < KEYWORDS_MAX; bit++) {
		if (!(flags & FLAG_KEYWORD(bit))) { continue; }
		if (!map->to[bit]) {
			struct key k = key1(op->mid);
			struct rec_kw r;
			k.p[k.n++] = (unsigned char)bit;
			int rc = ap_get(ap, TB_KW, &k, &r);
			if (rc < 0) { return rc == ERR_GONE ? ERR_DAMAGED : rc; }
			int there = box_keyword(ap, op->to_mid, r.name, true);
			if (there == ERR_LIMIT) { continue; }
			if (there < 0) { return there; }
			map->to[bit] = FLAG_KEYWORD(there);
		}
		*out |= map->to[bit];
	}
	return 0;
}

static int copy_one(struct apply *ap, const struct op_copy *op, struct keyword_map *map,
	struct mbox *from, struct mbox *to, const struct msg *m, uint64_t modseq,
	uint64_t to_modseq)
{
	struct msg copy = *m;
	int rc = map_flags(ap, op, map, m->flags, &copy.flags);
	if (rc == 0) { rc = msg_add(ap, to, &copy, to_modseq); }
	if (rc == 0 && op->move) { rc = msg_remove(ap, from, m, modseq); }
	if (rc == 0 && !op->move) { rc = object_ref(ap, m->oid, 1); }
	return rc;
}

int apply_copy(struct apply *ap, const void *request, void *reply)
{
	const struct op_copy *op = request;
	struct op_copy_reply *answer = reply;
	struct uid_list source = {.a = ap->a};
	struct keyword_map map = {0};
	struct walk w = {op->uids, op->uids_n, 0, 0};
	struct mbox from, to;
	struct msg m;
	int64_t bytes = 0;
	int rc = box_get(ap, op->aid, op->mid, &from);
	if (rc == 0) { rc = box_get(ap, op->aid, op->to_mid, &to); }
	if (rc < 0) { return rc; }
	if (op->move && op->mid == op->to_mid) { return ERR_SYNTAX; }
	*answer = (struct op_copy_reply){.uidvalidity = to.uidvalidity, .first_uid = to.uidnext};
	uint64_t modseq = from.highestmodseq + 1, to_modseq = to.highestmodseq + 1;
	uint32_t last = from.uidnext; /* copies into the same mailbox are not copied again */
	while ((rc = walk_next(ap, op->mid, &w, &m)) == 1 && m.uid < last) {
		if (!uid_list_add(&source, m.uid)) { return ERR_LIMIT; }
		bool same = op->mid == op->to_mid;
		rc = copy_one(ap, op, &map, &from, same ? &from : &to, &m, modseq, to_modseq);
		if (rc < 0) { return rc; }
		bytes += (int64_t)m.size;
		answer->count++;
	}
	if (rc < 0) { return rc; }
	answer->source = source.v;
	answer->source_n = source.n;
	if (answer->count == 0) { return 0; }
	if (!op->move) { rc = acct_use(ap, op->aid, bytes, answer->count); }
	if (rc >= 0 && op->mid != op->to_mid) { rc = box_put(ap, &to); }
	if (rc >= 0 && op->move) {
		answer->modseq = modseq;
		rc = box_trim(ap, &from);
	}
	return rc < 0 || (!op->move && op->mid != op->to_mid) ? MIN(rc, 0) : box_put(ap, &from);
}

/* --- expunge --- */

int apply_expunge(struct apply *ap, const void *request, void *reply)
{
	const struct op_expunge *op = request;
	struct op_expunge_reply *answer = reply;
	static const struct uid_range everything = {1, UINT32_MAX};
	struct uid_list gone = {.a = ap->a};
	struct walk w = {op->all ? &everything : op->uids, op->all ? 1 : op->uids_n, 0, 0};
	struct mbox mb;
	struct msg m;
	int64_t bytes = 0, msgs = 0;
	int rc = box_get(ap, op->aid, op->mid, &mb);
	if (rc < 0 || mb.deleted == 0) { return rc; }
	uint64_t modseq = mb.highestmodseq + 1;
	while ((rc = walk_next(ap, op->mid, &w, &m)) == 1) {
		if (!(m.flags & FLAG_DELETED)) { continue; }
		if (!uid_list_add(&gone, m.uid)) { break; } /* the rest with the next EXPUNGE */
		rc = msg_remove(ap, &mb, &m, modseq);
		if (rc == 0) { rc = object_ref(ap, m.oid, -1); }
		if (rc < 0) { return rc; }
		bytes += (int64_t)m.size;
		msgs++;
	}
	if (rc < 0) { return rc; }
	answer->expunged = gone.v;
	answer->expunged_n = gone.n;
	if (msgs == 0) { return 0; }
	answer->modseq = modseq;
	rc = acct_use(ap, op->aid, -bytes, -msgs);
	if (rc == 0) { rc = box_trim(ap, &mb); }
	return rc < 0 ? rc : box_put(ap, &mb);
}
