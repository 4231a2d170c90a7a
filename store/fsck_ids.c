/* Ids: what the rows have taken, and the next ones to give, which must be behind all of them. */
#include "store/fsck.h"

/* Of an id that no operation can have given, nobody could go on counting. */
enum { ID32_MOST = INT32_MAX, UIDVALIDITY_AHEAD = 1 << 28 };
static const uint32_t uidvalidity_most = UINT32_MAX - UIDVALIDITY_AHEAD; /* the year 2097 */
/* Where the counters are lost: ids of what is gone are not to be given again, and nothing tells
 * them. */
enum { ID_GAP = 1 << 16 };

/* The ids that a row has taken, 0 for all others. */
static struct ids ids_of(enum table tb, struct str key, const void *rec)
{
	const struct rec_addr *ad = rec;
	const struct mbox *mb = rec;
	const struct msg *m = rec;
	switch (tb) {
	case TB_ACCT:
	case TB_CRED: return (struct ids){.aid = get_be32(key.p)};
	case TB_THREAD:
		return (struct ids){.aid = get_be32(key.p),
			.mailboxid = ((const struct rec_thread *)rec)->thread};
	case TB_ADDR: return (struct ids){.aid = ad->kind == ADDR_ACCOUNT ? ad->aid : 0};
	case TB_MBOX:
		return (struct ids){.aid = mb->aid,
			.mid = mb->mid,
			.mailboxid = mb->mailboxid,
			.uidvalidity = mb->uidvalidity};
	case TB_MNAME:
		return (struct ids){
			.aid = get_be32(key.p), .mid = ((const struct rec_mname *)rec)->mid};
	case TB_MSG:
		return (struct ids){.mid = get_be32(key.p), .oid = m->oid, .mailboxid = m->thread};
	case TB_KW:
	case TB_CHG: return (struct ids){.mid = get_be32(key.p)};
	case TB_OBJ:
	case TB_PARSE:
	case TB_BLOB:
	case TB_UPLOAD: return (struct ids){.oid = get_be64(key.p)};
	case TB_GC: return (struct ids){.oid = get_be64(key.p + 8)};
	case TB_Q:
		return (struct ids){
			.qid = get_be64(key.p), .oid = ((const struct queue_item *)rec)->oid};
	case TB_QR: return (struct ids){.qid = get_be64(key.p)};
	case TB_QDUE: return (struct ids){.qid = get_be64(key.p + 8)};
	default: return (struct ids){0};
	}
}

void fsck_ids_start(struct fsck *f)
{
	const struct ids *next = &f->ap.s->ids;
	uint32_t now = (uint32_t)(f->ap.now_us / SECOND_US);
	f->most = (struct ids){
		.oid = MAX(next->oid, ID64_MOST),
		.mailboxid = MAX(next->mailboxid, ID64_MOST),
		.qid = MAX(next->qid, ID64_MOST),
		.aid = MAX(next->aid, (uint32_t)ID32_MOST),
		.mid = MAX(next->mid, (uint32_t)ID32_MOST),
		/* the counter, because the clock may be wrong */
		.uidvalidity =
			MAX(MIN(next->uidvalidity, uidvalidity_most), now + UIDVALIDITY_AHEAD),
	};
}

/* UIDs and modseqs that a mailbox could not go on from; of many UIDs its record must know. */
static bool counts_on(struct fsck *f, enum table tb, struct str key, const void *rec)
{
	const struct msg *m = rec;
	uint64_t modseq = tb == TB_MBOX  ? ((const struct mbox *)rec)->highestmodseq
			  : tb == TB_MSG ? m->modseq
			  : tb == TB_CHG ? get_be64(key.p + 4)
					 : 0;
	uint32_t uid = tb == TB_MSG ? m->uid : tb == TB_CHG ? get_be32(key.p + 12) : 0;
	struct key mk;
	struct mbox mb;
	if (modseq >= MODSEQ_MAX / 2) { return false; }
	if (uid < ID32_MOST) { return true; }
	mk = key1(get_be32(key.p));
	return ap_get(&f->ap, TB_MBOX, &mk, &mb) == 0 && uid < mb.uidnext;
}

bool fsck_ids_take(struct fsck *f, enum table tb, struct str key, const void *rec)
{
	struct ids row = ids_of(tb, key, rec), *last = &f->last;
	const struct ids *most = &f->most;
	if (row.oid >= most->oid || row.mailboxid >= most->mailboxid || row.qid >= most->qid ||
		row.aid >= most->aid || row.mid >= most->mid ||
		row.uidvalidity > most->uidvalidity || !counts_on(f, tb, key, rec)) {
		return false;
	}
	*last = (struct ids){.oid = MAX(last->oid, row.oid),
		.mailboxid = MAX(last->mailboxid, row.mailboxid),
		.qid = MAX(last->qid, row.qid),
		.aid = MAX(last->aid, row.aid),
		.mid = MAX(last->mid, row.mid),
		.uidvalidity = MAX(last->uidvalidity, row.uidvalidity)};
	return true;
}

static void lost_ids(struct fsck *f, struct ids *next, const struct ids *last)
{
	uint32_t now = (uint32_t)(f->ap.now_us / SECOND_US);
	if (!fsck_found(f, "meta: the next ids are lost")) { return; }
	*next = (struct ids){.oid = last->oid + ID_GAP,
		.mailboxid = last->mailboxid + ID_GAP,
		.qid = last->qid + ID_GAP,
		.aid = last->aid + ID_GAP,
		.mid = last->mid + ID_GAP,
		.uidvalidity = MAX(last->uidvalidity, now) + ID_GAP};
}

/* Where ids are near their end and no row is, there is room again behind the rows. */
static void early_end(struct fsck *f, struct ids *next, const struct ids *last)
{
	uint32_t now = (uint32_t)(f->ap.now_us / SECOND_US),
		 validity = MAX(last->uidvalidity, now) + ID_GAP;
	struct ids back = *next;
	if (next->aid >= ID32_MOST) { back.aid = MIN(back.aid, last->aid + ID_GAP); }
	if (next->mid >= ID32_MOST) { back.mid = MIN(back.mid, last->mid + ID_GAP); }
	if (next->uidvalidity > uidvalidity_most) {
		back.uidvalidity = MIN(back.uidvalidity, validity);
	}
	bool same = back.aid == next->aid && back.mid == next->mid &&
		    back.uidvalidity == next->uidvalidity;
	if (!same && fsck_found(f, "meta: the next ids are far ahead of the ones in use")) {
		*next = back;
	}
}

static void behind(struct fsck *f, struct ids *next, const struct ids *last)
{
	if (next->oid > last->oid && next->qid > last->qid && next->aid > last->aid &&
		next->mid > last->mid && next->mailboxid > last->mailboxid &&
		next->uidvalidity >= last->uidvalidity) {
		return;
	}
	if (fsck_found(f, "the next ids are behind the ones in use")) {
		next->oid = MAX(next->oid, last->oid + 1);
		next->qid = MAX(next->qid, last->qid + 1);
		next->aid = MAX(next->aid, last->aid + 1);
		next->mid = MAX(next->mid, last->mid + 1);
		next->mailboxid = MAX(next->mailboxid, last->mailboxid + 1);
		next->uidvalidity = MAX(next->uidvalidity, last->uidvalidity);
	}
}

void fsck_ids(struct fsck *f)
{
	struct ids *next = &f->ap.s->ids;
	if (f->ap.s->meta_lost & META_IDS) {
		lost_ids(f, next, &f->last);
	} else {
		behind(f, next, &f->last);
		early_end(f, next, &f->last);
	}
}

static void take_all(struct fsck *f, enum table tb)
{
	_Alignas(16) char room[RECORD_ROOM];
	struct key at = key_none();
	MDB_val v;
	for (; fsck_any(f, tb, &at, 0, &v); key_step(&at)) {
		struct str k = str_make(at.p, at.n);
		bool right =
			table_wire[tb] ? fsck_unpack(f, tb, &at, v, room) == 0 : key_fits(tb, k);
		if (right) { (void)fsck_ids_take(f, tb, k, room); }
	}
}

/* The rows that kept the ids near their end may have been mended away. */
void fsck_ids_end(struct fsck *f)
{
	struct ids *next = &f->ap.s->ids;
	bool near = next->aid >= ID32_MOST || next->mid >= ID32_MOST ||
		    next->uidvalidity > uidvalidity_most;
	if (!f->repair || !near) { return; }
	f->last = (struct ids){0};
	for (enum table tb = TB_META + 1; tb < TB_N; tb++) { take_all(f, tb); }
	early_end(f, next, &f->last);
}
