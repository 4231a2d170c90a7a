/* Checks of rows that are not mail: checksums, queue, audit. */
#include <stdio.h>

#include "store/fsck.h"

/* --- every record --- */

static void key_hex(const struct key *k, char out[64])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = MIN(k->n, (size_t)31);
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[k->p[i] >> 4];
		out[2 * i + 1] = digits[k->p[i] & 15];
	}
	out[2 * n] = 0;
}

/* A record that does not match its checksum or its key tells nothing: it goes, and the passes
   behind this one mend what depended on it. */
static void check_table(struct fsck *f, enum table tb)
{
	_Alignas(16) char room[RECORD_ROOM];
	struct key at = key_none();
	MDB_val v;
	while (fsck_any(f, tb, &at, 0, &v)) {
		char hex[64];
		struct str k = str_make(at.p, at.n);
		bool right =
			table_wire[tb] ? fsck_unpack(f, tb, &at, v, room) == 0 : key_fits(tb, k);
		if (!right || !fsck_ids_take(f, tb, k, room)) {
			fsck_damaged(f, tb, &at, v);
			key_hex(&at, hex);
			if (fsck_found(f, "%s %s: the record is damaged", table_names[tb], hex)) {
				int rc = rec_del(f->ap.s, f->ap.txn, tb, &at);
				/* a key out of order is met by a walk and found by nobody */
				fsck_do(f, rc == ERR_GONE ? 0 : rc);
			}
		}
		key_step(&at);
	}
}

/* The ids come later, when all others have been seen. */
static void check_meta(struct fsck *f)
{
	struct key at = key_none();
	for (; fsck_any(f, TB_META, &at, 0, NULL); key_step(&at)) {
		struct str name = str_make(at.p, at.n);
		if (!str_eq(name, STR("schema")) && !str_eq(name, STR("ids")) &&
			fsck_found(f, "meta: a record without a meaning")) {
			fsck_do(f, rec_del(f->ap.s, f->ap.txn, TB_META, &at));
		}
	}
	if ((f->ap.s->meta_lost & META_SCHEMA) &&
		fsck_found(f, "meta: the schema version is lost, %d is put down", SCHEMA_VERSION)) {
		fsck_do(f, schema_write(f->ap.s, f->ap.txn));
	}
}

void fsck_records(struct fsck *f)
{
	check_meta(f);
	fsck_ids_start(f);
	for (enum table tb = TB_META + 1; tb < TB_N; tb++) { check_table(f, tb); }
}

/* --- the queue --- */

static struct key due_of(uint64_t qid, const struct queue_rcpt *r)
{
	struct key k = key_ids((uint64_t)r->next_us, qid);
	key_u32(&k, r->n);
	return k;
}

/* Recipients: each belongs to an item and, unless held, stands in the due index. */
static void check_recipients(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	while (fsck_next(f, TB_QR, &at, 0, &v)) {
		struct queue_rcpt r;
		uint64_t qid = get_be64(at.p);
		struct key item = key_id(qid), due;
		if (fsck_unpack(f, TB_QR, &at, v, &r) == 0) {
			due = due_of(qid, &r);
			if (!ap_has(&f->ap, TB_Q, &item)) {
				if (fsck_found(f, "queue: %.*s: a recipient of no message",
					    STR_ARG(r.rcpt))) {
					fsck_do(f, ap_del(&f->ap, TB_QR, &at));
				}
			} else if (!r.held && !ap_has(&f->ap, TB_QDUE, &due)) {
				if (fsck_found(f, "queue: a recipient that never becomes due")) {
					fsck_do(f, ap_key_put(&f->ap, TB_QDUE, &due));
				}
			}
		}
		key_step(&at);
	}
}

static void check_due(struct fsck *f)
{
	struct key at = key_none();
	while (fsck_next(f, TB_QDUE, &at, 0, NULL)) {
		uint64_t qid = get_be64(at.p + 8);
		struct key rk = key_id_n(qid, get_be32(at.p + 16));
		struct queue_rcpt r;
		bool right = ap_get(&f->ap, TB_QR, &rk, &r) == 0 && !r.held &&
			     (uint64_t)r.next_us == get_be64(at.p);
		if (!right && fsck_found(f, "queue: a due entry without its recipient")) {
			fsck_do(f, ap_del(&f->ap, TB_QDUE, &at));
		}
		key_step(&at);
	}
}

static void check_items(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	while (fsck_next(f, TB_Q, &at, 0, &v)) {
		struct queue_item it;
		struct obj o;
		struct key first = at, r, ok;
		uint32_t n = 0;
		if (fsck_unpack(f, TB_Q, &at, v, &it) < 0) {
			key_step(&at);
			continue;
		}
		while (ap_next_key(&f->ap, TB_QR, &first, 8, &r) == 0) {
			n++;
			first = r;
			key_step(&first);
		}
		ok = key_id(it.oid);
		bool body = ap_has(&f->ap, TB_OBJ, &ok) || fsck_lost_object(f, it.oid, &o);
		if (n < it.rcpts && body) {
			fsck_hint(f, &(struct fsck_hint){.oid = it.oid,
					     .size = it.size,
					     .queued = true,
					     .aid = it.aid,
					     .sound = true,
					     .extra = n > 0});
		}
		if (n == 0 || !body) {
			if (fsck_found(f, "queue: a message without %s",
				    n ? "its octets" : "recipients")) {
				fsck_do(f, ap_del_prefix(&f->ap, TB_QR, &at));
				fsck_do(f, ap_del(&f->ap, TB_Q, &at));
			}
		} else {
			fsck_id(&f->refs, it.oid);
			if (n != it.rcpts &&
				fsck_found(f, "queue: %u recipients counted as %u", n, it.rcpts)) {
				it.rcpts = n;
				fsck_do(f, ap_put(&f->ap, TB_Q, &at, &it, 0));
			}
		}
		key_step(&at);
	}
}

void fsck_queue(struct fsck *f)
{
	check_items(f);
	check_recipients(f);
	check_due(f);
}

/* --- audit --- */

void fsck_audit(struct fsck *f)
{
	struct key at = key_none();
	while (fsck_next(f, TB_AUDIT, &at, 0, NULL)) {
		struct key id = key_ids(get_be64(at.p + 8), get_be64(at.p));
		if (!ap_has(&f->ap, TB_AUDITID, &id) &&
			fsck_found(f, "audit: a record that its id does not lead to")) {
			fsck_do(f, ap_key_put(&f->ap, TB_AUDITID, &id));
		}
		key_step(&at);
	}
	at = key_none();
	while (fsck_next(f, TB_AUDITID, &at, 0, NULL)) {
		struct key row = key_ids(get_be64(at.p + 8), get_be64(at.p));
		if (!ap_has(&f->ap, TB_AUDIT, &row) &&
			fsck_found(f, "audit: an id without its record")) {
			fsck_do(f, ap_del(&f->ap, TB_AUDITID, &at));
		}
		key_step(&at);
	}
}
