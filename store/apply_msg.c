/* Messages in mailboxes: the rows msg and chg, the mailbox's counters, the account's use, threads.
   What every operation on messages is made of. */
#include "store/apply.h"

enum {
	VANISHED_MAX = 20000, /* expunges remembered per mailbox before the oldest go */
	VANISHED_KEEP = 10000
};

static struct key change_key(uint32_t mid, uint64_t modseq, uint32_t uid)
{
	struct key k = key1(mid);
	key_u64(&k, modseq);
	key_u32(&k, uid);
	return k;
}

/* The change row of (modseq, uid); an expunge carries one octet. */
static int change_put(struct apply *ap, uint32_t mid, uint64_t modseq, uint32_t uid, bool expunged)
{
	struct key k = change_key(mid, modseq, uid);
	MDB_val key = key_val(&k), v = {expunged ? 1 : 0, "x"};
	ap->wrote = true;
	return env_rc(mdb_put(ap->txn, ap->s->dbi[TB_CHG], &key, &v, 0));
}

static void count(struct mbox *mb, const struct msg *m, int sign)
{
	mb->total += (uint32_t)sign;
	mb->bytes += (uint64_t)((int64_t)m->size * sign);
	if (!(m->flags & FLAG_SEEN)) { mb->unseen += (uint32_t)sign; }
	if (m->flags & FLAG_DELETED) { mb->deleted += (uint32_t)sign; }
}

static int put_msg(struct apply *ap, struct mbox *mb, struct msg *m, uint64_t modseq)
{
	struct key k = key2(mb->mid, m->uid);
	m->modseq = modseq;
	mb->highestmodseq = modseq;
	int rc = ap_put(ap, TB_MSG, &k, m, 0);
	return rc < 0 ? rc : change_put(ap, mb->mid, modseq, m->uid, false);
}

int msg_add(struct apply *ap, struct mbox *mb, struct msg *m, uint64_t modseq)
{
	if (mb->uidnext == UINT32_MAX) { return ERR_LIMIT; }
	m->uid = mb->uidnext++;
	m->savedate_us = ap->now_us;
	count(mb, m, 1);
	return put_msg(ap, mb, m, modseq);
}

int msg_remove(struct apply *ap, struct mbox *mb, const struct msg *m, uint64_t modseq)
{
	struct key k = key2(mb->mid, m->uid), old = change_key(mb->mid, m->modseq, m->uid);
	int rc = ap_del(ap, TB_MSG, &k);
	if (rc == 0) { rc = ap_del(ap, TB_CHG, &old); }
	if (rc == 0) { rc = change_put(ap, mb->mid, modseq, m->uid, true); }
	count(mb, m, -1);
	mb->highestmodseq = modseq;
	mb->vanished++;
	return rc;
}

int msg_flag(struct apply *ap, struct mbox *mb, struct msg *m, uint64_t flags, uint64_t modseq)
{
	struct key old = change_key(mb->mid, m->modseq, m->uid);
	int rc = ap_del(ap, TB_CHG, &old);
	if (rc < 0) { return rc; }
	count(mb, m, -1);
	m->flags = flags;
	count(mb, m, 1);
	return put_msg(ap, mb, m, modseq);
}

int msg_from(struct apply *ap, uint32_t mid, uint32_t uid, struct msg *out)
{
	struct key from = key2(mid, uid), k;
	int rc = ap_next_key(ap, TB_MSG, &from, 4, &k);
	return rc < 0 ? rc : ap_get(ap, TB_MSG, &k, out);
}

int acct_use(struct apply *ap, uint32_t aid, int64_t bytes, int64_t msgs)
{
	struct key k = key1(aid);
	struct acct ac;
	int rc = ap_get(ap, TB_ACCT, &k, &ac);
	if (rc < 0) { return rc; }
	if (bytes > 0 && ac.quota_bytes && ac.used_bytes + (uint64_t)bytes > ac.quota_bytes) {
		return ERR_QUOTA;
	}
	ac.used_bytes += (uint64_t)bytes;
	ac.used_msgs += (uint64_t)msgs;
	return ap_put(ap, TB_ACCT, &k, &ac, 0);
}

static struct key thread_key(uint32_t aid, uint64_t hash)
{
	struct key k = key1(aid);
	key_u64(&k, hash);
	return k;
}

/* The thread of the first id that has one, else a new one; ids without one join it. */
uint64_t thread_of(
	struct apply *ap, uint32_t aid, const struct wire_u64_item *refs, uint32_t n, int *rc)
{
	struct rec_thread r = {0};
	bool known[OP_REFS_MAX] = {false};
	*rc = 0;
	for (uint32_t i = n; i-- > 0;) { /* the last reference is the nearest ancestor */
		struct key k = thread_key(aid, refs[i].v);
		struct rec_thread one;
		if (refs[i].v == 0) {
			known[i] = true;
		} else if (ap_get(ap, TB_THREAD, &k, &one) == 0) {
			known[i] = true;
			if (r.thread == 0) { r = one; }
		}
	}
	if (r.thread == 0) { r.thread = ap->s->ids.mailboxid++; }
	for (uint32_t i = 0; i < n && *rc == 0; i++) {
		struct key k = thread_key(aid, refs[i].v);
		if (!known[i]) { *rc = ap_put(ap, TB_THREAD, &k, &r, 0); }
	}
	return r.thread;
}

int box_trim(struct apply *ap, struct mbox *mb)
{
	if (mb->vanished <= VANISHED_MAX) { return 0; }
	struct key at = key1(mb->mid);
	while (mb->vanished > VANISHED_KEEP) {
		struct key k;
		int rc = ap_next_key(ap, TB_CHG, &at, 4, &k);
		if (rc < 0) { return rc == ERR_GONE ? ERR_DAMAGED : rc; }
		MDB_val key = key_val(&k), v;
		rc = env_rc(mdb_get(ap->txn, ap->s->dbi[TB_CHG], &key, &v));
		if (rc < 0) { return rc; }
		if (v.mv_size > 0) {
			mb->vanished_floor = get_be64(k.p + 4);
			mb->vanished--;
			rc = ap_del(ap, TB_CHG, &k);
			if (rc < 0) { return rc; }
		}
		at = k;
		at.p[at.n++] = 0; /* behind this one */
	}
	return 0;
}
