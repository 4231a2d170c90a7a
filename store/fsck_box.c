/* Checks of mailboxes: names, messages, the change log, counters, and what an account uses. */
#include <stdio.h>

#include "store/fsck.h"

/* The mailbox's true numbers. */
struct tally {
	uint32_t total, unseen, deleted, max_uid, vanished;
	uint64_t bytes, max_modseq, flags;
};

static struct key change_key(uint32_t mid, uint64_t modseq, uint32_t uid)
{
	struct key k = key1(mid);
	key_u64(&k, modseq);
	key_u32(&k, uid);
	return k;
}

/* As changed, that is, not as expunged. */
static bool in_log(struct fsck *f, const struct key *k)
{
	MDB_val key = key_val(k), v;
	return mdb_get(f->ap.txn, f->ap.s->dbi[TB_CHG], &key, &v) == 0 && v.mv_size == 0;
}

static void check_message(struct fsck *f, uint32_t mid, struct msg *m, struct tally *t)
{
	struct key k = key2(mid, m->uid), ok = key_id(m->oid),
		   ck = change_key(mid, m->modseq, m->uid);
	struct obj o;
	if (ap_get(&f->ap, TB_OBJ, &ok, &o) < 0 && !fsck_lost_object(f, m->oid, &o)) {
		if (fsck_found(f, "mailbox %u: message %u has lost its octets", mid, m->uid)) {
			fsck_do(f, ap_del(&f->ap, TB_MSG, &k));
		}
		return;
	}
	fsck_id(&f->refs, m->oid);
	if (m->size != o.size + m->prefix.n &&
		fsck_found(f, "mailbox %u: message %u has the wrong size", mid, m->uid)) {
		m->size = o.size + m->prefix.n;
		fsck_do(f, ap_put(&f->ap, TB_MSG, &k, m, 0));
	}
	if (!in_log(f, &ck) &&
		fsck_found(f, "mailbox %u: message %u is not in the change log", mid, m->uid)) {
		fsck_do(f, ap_key_put(&f->ap, TB_CHG, &ck));
	}
	t->flags |= m->flags;
	t->total++;
	t->unseen += !(m->flags & FLAG_SEEN);
	t->deleted += (m->flags & FLAG_DELETED) != 0;
	t->bytes += m->size;
	t->max_uid = MAX(t->max_uid, m->uid);
	t->max_modseq = MAX(t->max_modseq, m->modseq);
}

static void check_messages(struct fsck *f, uint32_t mid, struct tally *t)
{
	struct key at = key1(mid);
	MDB_val v;
	while (fsck_next(f, TB_MSG, &at, 4, &v)) {
		struct msg m;
		if (fsck_unpack(f, TB_MSG, &at, v, &m) == 0) { check_message(f, mid, &m, t); }
		key_step(&at);
	}
}

/* A row that says "changed" must be its message's newest; one that says "expunged" must not have
   a message any more. */
static void check_changes(struct fsck *f, uint32_t mid, struct tally *t)
{
	struct key at = key1(mid);
	MDB_val v;
	while (fsck_next(f, TB_CHG, &at, 4, &v)) {
		uint64_t modseq = get_be64(at.p + 4);
		uint32_t uid = get_be32(at.p + 12);
		bool expunged = v.mv_size > 0;
		struct key mk = key2(mid, uid);
		struct msg m;
		bool there = ap_get(&f->ap, TB_MSG, &mk, &m) == 0;
		bool wrong = expunged ? there : !there || m.modseq != modseq;
		if (wrong) {
			if (fsck_found(f, "mailbox %u: the change log is wrong about message %u",
				    mid, uid)) {
				fsck_do(f, ap_del(&f->ap, TB_CHG, &at));
			}
		} else {
			t->vanished += expunged;
			t->max_uid = MAX(t->max_uid, uid);
			t->max_modseq = MAX(t->max_modseq, modseq);
		}
		key_step(&at);
	}
}

/* Every keyword that a message carries has a name. */
static void check_keywords(struct fsck *f, uint32_t mid, uint64_t flags)
{
	for (unsigned bit = 0; bit < KEYWORDS_MAX; bit++) {
		struct key k = key1(mid);
		char name[32];
		k.p[k.n++] = (unsigned char)bit;
		if (!(flags & FLAG_KEYWORD(bit)) || ap_has(&f->ap, TB_KW, &k)) { continue; }
		struct rec_kw r = {
			str_make(name, (size_t)snprintf(name, sizeof name, "Lost-%u", bit))};
		if (fsck_found(f, "mailbox %u: keyword %u has lost its name", mid, bit)) {
			fsck_do(f, ap_put(&f->ap, TB_KW, &k, &r, 0));
		}
	}
}

static void check_counters(struct fsck *f, struct mbox *mb, const struct tally *t)
{
	struct mbox right = *mb;
	right.total = t->total;
	right.unseen = t->unseen;
	right.deleted = t->deleted;
	right.bytes = t->bytes;
	right.vanished = t->vanished;
	right.uidnext = MAX(mb->uidnext, t->max_uid + 1);
	right.highestmodseq = MAX(mb->highestmodseq, t->max_modseq);
	bool same = right.total == mb->total && right.unseen == mb->unseen &&
		    right.deleted == mb->deleted && right.bytes == mb->bytes &&
		    right.vanished == mb->vanished && right.uidnext == mb->uidnext &&
		    right.highestmodseq == mb->highestmodseq;
	*mb = right;
	if (same) { return; }
	if (fsck_found(f, "mailbox %u: its counters are wrong", mb->mid)) {
		fsck_do(f, box_put(&f->ap, mb));
	}
}

/* --- names --- */

/* The first of the account's names that leads to the mailbox, if not all of them are damaged. */
static bool first_name(struct fsck *f, uint32_t aid, uint32_t mid, struct key *at)
{
	MDB_val v;
	*at = key1(aid);
	while (fsck_next(f, TB_MNAME, at, 4, &v)) {
		struct rec_mname r;
		if (fsck_unpack(f, TB_MNAME, at, v, &r) == 0 && r.mid == mid) { return true; }
		key_step(at);
	}
	return false;
}

/* Its messages are no orphans, though nothing is mended yet. */
static void hold_messages(struct fsck *f, uint32_t mid)
{
	struct key at = key1(mid);
	MDB_val v;
	struct msg m;
	for (; fsck_next(f, TB_MSG, &at, 4, &v); key_step(&at)) {
		if (fsck_unpack(f, TB_MSG, &at, v, &m) == 0) { fsck_id(&f->refs, m.oid); }
	}
}

/* A mailbox's record is made again from its messages, with a new UIDVALIDITY. */
static void lost_mailbox(struct fsck *f, uint32_t aid, uint32_t mid)
{
	struct ids *ids = &f->ap.s->ids;
	if (!fsck_found(f, "mailbox %u: its record is gone", mid)) {
		hold_messages(f, mid);
		return;
	}
	struct mbox mb = {.mid = mid,
		.aid = aid,
		.uidvalidity = ++ids->uidvalidity,
		.uidnext = 1,
		.highestmodseq = 1,
		.mailboxid = ids->mailboxid++};
	fsck_do(f, box_put(&f->ap, &mb));
}

/* Every name leads to a mailbox of its account that has no other name. */
static void check_name(struct fsck *f, const struct key *at, uint32_t mid)
{
	struct mbox mb;
	uint32_t aid = get_be32(at->p);
	struct key mk = key1(mid), first;
	bool there = ap_get(&f->ap, TB_MBOX, &mk, &mb) == 0;
	if (!there) { lost_mailbox(f, aid, mid); }
	if ((there && mb.aid != aid) ||
		(first_name(f, aid, mid, &first) &&
			(first.n != at->n || memcmp(first.p, at->p, at->n) != 0))) {
		if (fsck_found(f, "mailbox %u: it has a second name", mid)) {
			fsck_do(f, ap_del(&f->ap, TB_MNAME, at));
		}
	}
}

static void check_names(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	while (fsck_next(f, TB_MNAME, &at, 0, &v)) {
		struct rec_mname r;
		if (fsck_unpack(f, TB_MNAME, &at, v, &r) == 0 && r.mid) {
			check_name(f, &at, r.mid);
		}
		key_step(&at);
	}
}

static void check_inboxes(struct fsck *f)
{
	struct key at = key_none();
	while (fsck_next(f, TB_ACCT, &at, 0, NULL)) {
		uint32_t aid = get_be32(at.p);
		struct key inbox = key_named(aid, STR("INBOX"));
		struct rec_mname name;
		struct mbox mb;
		if ((ap_get(&f->ap, TB_MNAME, &inbox, &name) < 0 || !name.mid) &&
			fsck_found(f, "account %u: has no INBOX", aid)) {
			fsck_do(f, box_create(&f->ap, aid, STR("INBOX"), 0, &mb));
		}
		key_step(&at);
	}
}

static void check_named(struct fsck *f, const struct mbox *mb)
{
	char name[64];
	struct rec_mname r = {.mid = mb->mid, .subscribed = true};
	struct key k;
	if (first_name(f, mb->aid, mb->mid, &k)) { return; }
	int n = snprintf(name, sizeof name, "Recovered-%u", mb->mid);
	k = key_named(mb->aid, str_make(name, (size_t)n));
	for (unsigned i = 2; ap_has(&f->ap, TB_MNAME, &k); i++) {
		n = snprintf(name, sizeof name, "Recovered-%u-%u", mb->mid, i);
		k = key_named(mb->aid, str_make(name, (size_t)n));
	}
	if (fsck_found(f, "mailbox %u: has no name", mb->mid)) {
		fsck_do(f, ap_put(&f->ap, TB_MNAME, &k, &r, 0));
	}
}

/* --- what each account uses --- */

struct use {
	uint32_t aid;
	uint64_t bytes, msgs;
};

static void check_use(struct fsck *f, const struct use *v, size_t n)
{
	struct key at = key_none();
	MDB_val val;
	while (fsck_next(f, TB_ACCT, &at, 0, &val)) {
		struct acct ac;
		uint64_t bytes = 0, msgs = 0;
		if (fsck_unpack(f, TB_ACCT, &at, val, &ac) < 0) {
			key_step(&at);
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			if (v[i].aid == ac.aid) {
				bytes += v[i].bytes;
				msgs += v[i].msgs;
			}
		}
		if ((bytes != ac.used_bytes || msgs != ac.used_msgs) &&
			fsck_found(f, "account %.*s: what it uses is counted wrong",
				STR_ARG(ac.login))) {
			ac.used_bytes = bytes;
			ac.used_msgs = msgs;
			fsck_do(f, ap_put(&f->ap, TB_ACCT, &at, &ac, 0));
		}
		key_step(&at);
	}
}

/* Messages and changes of a mailbox that does not exist. */
static void check_orphans(struct fsck *f, enum table tb)
{
	struct key at = key_none();
	while (fsck_next(f, tb, &at, 0, NULL)) {
		struct key mk = key1(get_be32(at.p));
		if (!ap_has(&f->ap, TB_MBOX, &mk) &&
			fsck_found(f, "%s: rows of mailbox %u, which is not there", table_names[tb],
				get_be32(at.p))) {
			fsck_do(f, ap_del_prefix(&f->ap, tb, &mk));
		} else { /* all of this mailbox are alike: go to the next one */
			uint32_t mid = get_be32(at.p);
			if (mid == UINT32_MAX) { return; }
			at = key1(mid + 1);
		}
	}
}

/* Messages of a mailbox that has neither a record nor a name: nothing tells whose they are. */
static void check_boxless(struct fsck *f)
{
	struct key at = key_none();
	while (fsck_next(f, TB_MSG, &at, 0, NULL)) {
		uint32_t mid = get_be32(at.p);
		struct key mk = key1(mid);
		if (!ap_has(&f->ap, TB_MBOX, &mk)) { lost_mailbox(f, fsck_keeper(f), mid); }
		at = key1(mid + 1); /* an id is not the highest number */
	}
}

void fsck_mailboxes(struct fsck *f)
{
	struct key at = key_none();
	struct use *uses = NULL;
	size_t n = 0, cap = 0;
	MDB_val v;
	check_names(f);
	check_boxless(f);
	check_inboxes(f);
	while (fsck_next(f, TB_MBOX, &at, 0, &v)) {
		struct mbox mb;
		struct tally t = {0};
		struct key next = at;
		if (fsck_unpack(f, TB_MBOX, &at, v, &mb) == 0) {
			check_messages(f, mb.mid, &t);
			check_changes(f, mb.mid, &t);
			check_keywords(f, mb.mid, t.flags);
			check_counters(f, &mb, &t);
			check_named(f, &mb);
			if (n == cap) {
				cap = cap ? 2 * cap : 256;
				uses = realloc(uses, cap * sizeof *uses);
				if (!uses) { abort(); }
			}
			uses[n++] = (struct use){mb.aid, t.bytes, t.total};
		}
		at = next;
		key_step(&at);
	}
	check_use(f, uses, n);
	free(uses);
	check_orphans(f, TB_MSG);
	check_orphans(f, TB_CHG);
	check_orphans(f, TB_KW);
}
