/* The records' field tables, and reading and writing them. */
#include "store/record.h"

#include <xxhash.h>

#include "lib/fault.h"

WIRE_TABLE(rec_schema, wire_schema, WIRE_U32(struct rec_schema, version));
WIRE_TABLE(ids, wire_ids, WIRE_U64(struct ids, oid), WIRE_U64(struct ids, mailboxid),
	WIRE_U64(struct ids, qid), WIRE_U32(struct ids, aid), WIRE_U32(struct ids, mid),
	WIRE_U32(struct ids, uidvalidity), WIRE_U32(struct ids, schema));
WIRE_TABLE(acct, wire_acct, WIRE_U32(struct acct, aid), WIRE_STR(struct acct, login, ADDRESS_MAX),
	WIRE_U64(struct acct, quota_bytes), WIRE_U64(struct acct, used_bytes),
	WIRE_U64(struct acct, used_msgs), WIRE_BOOL(struct acct, disabled),
	WIRE_U64(struct acct, created_us));
WIRE_TABLE(rec_addr, wire_addr, WIRE_U8(struct rec_addr, kind), WIRE_U32(struct rec_addr, aid),
	WIRE_LIST(struct rec_addr, targets, targets_n, wire_str_item, TARGETS_MAX));
WIRE_TABLE(rec_cred, wire_cred, WIRE_STR(struct rec_cred, scheme, 64),
	WIRE_STR(struct rec_cred, value, 1024));
WIRE_TABLE(domain, wire_domain, WIRE_STR(struct domain, name, 255),
	WIRE_STR(struct domain, dkim_selectors, 1024), WIRE_U64(struct domain, created_us));
WIRE_TABLE(mbox, wire_mbox, WIRE_U32(struct mbox, mid), WIRE_U32(struct mbox, aid),
	WIRE_U32(struct mbox, uidvalidity), WIRE_U32(struct mbox, uidnext),
	WIRE_U64(struct mbox, highestmodseq), WIRE_U64(struct mbox, vanished_floor),
	WIRE_U32(struct mbox, total), WIRE_U32(struct mbox, unseen), WIRE_U32(struct mbox, deleted),
	WIRE_U64(struct mbox, bytes), WIRE_U64(struct mbox, mailboxid),
	WIRE_U32(struct mbox, vanished));
WIRE_TABLE(rec_mname, wire_mname, WIRE_U32(struct rec_mname, mid),
	WIRE_BOOL(struct rec_mname, subscribed), WIRE_U32(struct rec_mname, special_use));
WIRE_TABLE(msg, wire_msg, WIRE_U32(struct msg, uid), WIRE_U64(struct msg, oid),
	WIRE_U64(struct msg, modseq), WIRE_U64(struct msg, internaldate_us),
	WIRE_U64(struct msg, savedate_us), WIRE_U64(struct msg, size), WIRE_U64(struct msg, flags),
	WIRE_U64(struct msg, thread), WIRE_STR(struct msg, prefix, PREFIX_MAX));
WIRE_TABLE(rec_kw, wire_kw, WIRE_STR(struct rec_kw, name, KEYWORD_LEN_MAX));

/* obj holds its SHA-256 as an array; on disk it is a string. */
struct rec_obj {
	uint32_t refcount;
	uint64_t size;
	uint32_t chunks, header_len;
	int64_t received_us;
	struct str sha256;
	uint32_t top_len;
};
WIRE_TABLE(rec_obj, wire_obj, WIRE_U32(struct rec_obj, refcount), WIRE_U64(struct rec_obj, size),
	WIRE_U32(struct rec_obj, chunks), WIRE_U32(struct rec_obj, header_len),
	WIRE_U64(struct rec_obj, received_us), WIRE_STR(struct rec_obj, sha256, 32),
	WIRE_U32(struct rec_obj, top_len));

WIRE_TABLE(rec_time, wire_time, WIRE_U64(struct rec_time, us));
WIRE_TABLE(rec_thread, wire_thread, WIRE_U64(struct rec_thread, thread));
WIRE_TABLE(queue_item, wire_q, WIRE_U64(struct queue_item, qid), WIRE_U64(struct queue_item, oid),
	WIRE_U64(struct queue_item, size), WIRE_STR(struct queue_item, from, ADDRESS_MAX),
	WIRE_STR(struct queue_item, envid, OP_TEXT_MAX), WIRE_U8(struct queue_item, ret),
	WIRE_U8(struct queue_item, body), WIRE_U32(struct queue_item, aid),
	WIRE_U64(struct queue_item, created_us), WIRE_U64(struct queue_item, audit_id),
	WIRE_U32(struct queue_item, rcpts));
WIRE_TABLE(queue_rcpt, wire_qr, WIRE_U32(struct queue_rcpt, n),
	WIRE_STR(struct queue_rcpt, rcpt, ADDRESS_MAX),
	WIRE_STR(struct queue_rcpt, orcpt, OP_TEXT_MAX), WIRE_U8(struct queue_rcpt, notify),
	WIRE_BOOL(struct queue_rcpt, held), WIRE_BOOL(struct queue_rcpt, delay_told),
	WIRE_U32(struct queue_rcpt, tries), WIRE_U64(struct queue_rcpt, next_us),
	WIRE_U64(struct queue_rcpt, expires_us),
	WIRE_STR(struct queue_rcpt, last_reply, OP_TEXT_MAX),
	WIRE_STR(struct queue_rcpt, last_host, 512));

const struct wire *const table_wire[TB_N] = {
	[TB_META] = &wire_schema,
	[TB_ACCT] = &wire_acct,
	[TB_ADDR] = &wire_addr,
	[TB_CRED] = &wire_cred,
	[TB_DOMAIN] = &wire_domain,
	[TB_MBOX] = &wire_mbox,
	[TB_MNAME] = &wire_mname,
	[TB_MSG] = &wire_msg,
	[TB_KW] = &wire_kw,
	[TB_OBJ] = &wire_obj,
	[TB_UPLOAD] = &wire_time,
	[TB_THREAD] = &wire_thread,
	[TB_Q] = &wire_q,
	[TB_QR] = &wire_qr,
	[TB_AUDIT] = &wire_audit,
};

uint32_t rec_sum(struct str s)
{
	return (uint32_t)XXH3_64bits(s.p, s.n);
}

/* The value without its checksum. */
static int verify(MDB_val v, struct str *out)
{
	if (v.mv_size < 4) { return ERR_DAMAGED; }
	*out = str_make(v.mv_data, v.mv_size - 4);
	return rec_sum(*out) == get_be32(out->p + out->n) ? 0 : ERR_DAMAGED;
}

static int unpack(const struct wire *w, MDB_val v, struct arena *copy, void *out)
{
	struct str body;
	int rc = verify(v, &body);
	if (rc < 0) { return rc; }
	if (copy) { body = arena_dup(copy, body); }
	return wire_unpack(w, body, copy, out) < 0 ? ERR_DAMAGED : 0;
}

/* --- what fits --- */

/* The parts of each table's keys: i an id of 4 octets, I one of 8, M a modseq, n any 4 octets, N
   any 8, b one octet, s at least one octet to the end, * what else there is. */
static const char *const key_shape[TB_N] = {
	[TB_META] = "s",
	[TB_ACCT] = "i",
	[TB_ADDR] = "s",
	[TB_CRED] = "i*",
	[TB_DOMAIN] = "s",
	[TB_MBOX] = "i",
	[TB_MNAME] = "is",
	[TB_MSG] = "ii",
	[TB_KW] = "ib",
	[TB_CHG] = "iMi",
	[TB_OBJ] = "I",
	[TB_PARSE] = "I",
	[TB_BLOB] = "In",
	[TB_UPLOAD] = "I",
	[TB_GC] = "NI",
	[TB_THREAD] = "iN",
	[TB_Q] = "I",
	[TB_QR] = "In",
	[TB_QDUE] = "NIn",
	[TB_AUDIT] = "NN",
	[TB_AUDITID] = "NN",
};

/* Ids begin with 1, and the next one must be a number, too. Those of 64 bits are not used up. */
static const uint64_t id64_max = UINT64_C(1) << 63;

static bool is_id(uint64_t id, uint64_t max)
{
	return id > 0 && id < max;
}

static bool is_modseq(uint64_t modseq)
{
	return modseq > 0 && modseq < MODSEQ_MAX;
}

bool key_fits(enum table tb, struct str key)
{
	for (const char *part = key_shape[tb]; *part; part++) {
		if (*part == 's' || *part == '*') {
			return key.n <= KEY_MAX && (key.n > 0 || *part == '*');
		}
		size_t n = *part == 'b' ? 1 : *part == 'i' || *part == 'n' ? 4 : 8;
		if (key.n < n) { return false; }
		if (*part == 'i' && !is_id(get_be32(key.p), UINT32_MAX)) { return false; }
		if (*part == 'I' && !is_id(get_be64(key.p), id64_max)) { return false; }
		if (*part == 'M' && !is_modseq(get_be64(key.p))) { return false; }
		key = str_skip(key, n);
	}
	return key.n == 0;
}

/* Where a record says again what stands in its key. */
struct again {
	size_t at, octets, offset;
};
static const struct again agains[TB_N][2] = {
	[TB_ACCT] = {{0, 4, offsetof(struct acct, aid)}},
	[TB_MBOX] = {{0, 4, offsetof(struct mbox, mid)}},
	[TB_MSG] = {{4, 4, offsetof(struct msg, uid)}},
	[TB_Q] = {{0, 8, offsetof(struct queue_item, qid)}},
	[TB_QR] = {{8, 4, offsetof(struct queue_rcpt, n)}},
	[TB_AUDIT] = {{0, 8, offsetof(struct audit, time_us)}, {8, 8, offsetof(struct audit, id)}},
};

static bool says_again(enum table tb, struct str key, const char *rec)
{
	if (tb == TB_DOMAIN) {
		return str_eq(((const struct domain *)(const void *)rec)->name, key);
	}
	for (size_t i = 0; i < 2; i++) {
		const struct again *a = &agains[tb][i];
		uint32_t v32;
		uint64_t v64;
		if (a->octets == 4) {
			memcpy(&v32, rec + a->offset, sizeof v32);
			if (v32 != get_be32(key.p + a->at)) { return false; }
		} else if (a->octets == 8) {
			memcpy(&v64, rec + a->offset, sizeof v64);
			if (v64 != get_be64(key.p + a->at)) { return false; }
		}
	}
	return true;
}

/* What no operation writes. */
static bool value_fits(enum table tb, const void *rec)
{
	const struct rec_addr *ad = rec;
	const struct mbox *mb = rec;
	const struct msg *m = rec;
	switch (tb) {
	case TB_ACCT: return ((const struct acct *)rec)->login.n > 0;
	case TB_ADDR:
		return ad->kind == ADDR_ALIAS ||
		       (ad->kind == ADDR_ACCOUNT && is_id(ad->aid, UINT32_MAX));
	case TB_MBOX:
		return is_id(mb->aid, UINT32_MAX) && mb->uidnext > 0 &&
		       is_modseq(mb->highestmodseq);
	case TB_MNAME: return ((const struct rec_mname *)rec)->mid < UINT32_MAX;
	case TB_MSG: return is_id(m->oid, id64_max) && is_modseq(m->modseq);
	case TB_OBJ:
		return ((const struct rec_obj *)rec)->sha256.n == sizeof((struct obj *)0)->sha256;
	case TB_Q: return is_id(((const struct queue_item *)rec)->oid, id64_max);
	default: return true;
	}
}

static int unpack_fitting(enum table tb, struct str key, MDB_val v, struct arena *copy, void *out)
{
	int rc = unpack(table_wire[tb], v, copy, out);
	if (rc < 0) { return rc; }
	bool fits = key_fits(tb, key) && says_again(tb, key, out) && value_fits(tb, out);
	return fits ? 0 : ERR_DAMAGED;
}

int rec_unpack(enum table tb, struct str key, MDB_val v, struct arena *copy, void *out)
{
	if (tb != TB_OBJ) { return unpack_fitting(tb, key, v, copy, out); }
	struct rec_obj r;
	int rc = unpack_fitting(tb, key, v, NULL, &r);
	if (rc < 0) { return rc; }
	struct obj *o = out;
	*o = (struct obj){.refcount = r.refcount,
		.size = r.size,
		.chunks = r.chunks,
		.header_len = r.header_len,
		.received_us = r.received_us,
		.top_len = r.top_len};
	memcpy(o->sha256, r.sha256.p, sizeof o->sha256);
	return 0;
}

int rec_get(struct store *s, MDB_txn *txn, enum table tb, const struct key *k, struct arena *copy,
	void *out)
{
	MDB_val key = key_val(k), v;
	if (k->n == 0) { return ERR_GONE; }
	int rc = mdb_get(txn, s->dbi[tb], &key, &v);
	if (rc == 0 && FAULT("store.read")) { return ERR_DAMAGED; }
	return rc == 0 ? rec_unpack(tb, val_str(key), v, copy, out) : env_rc(rc);
}

static int put(struct store *s, MDB_txn *txn, enum table tb, const struct key *k,
	const struct wire *w, const void *rec, unsigned flags)
{
	static _Thread_local struct buf b;
	char sum[4];
	if (k->n == 0) { return ERR_LIMIT; }
	if (FAULT("store.put")) { return ERR_IO; }
	buf_reset(&b);
	wire_pack(w, rec, &b);
	put_be32(sum, rec_sum(buf_view(&b)));
	buf_add(&b, sum, sizeof sum);
	MDB_val key = key_val(k), v = {b.n, b.p};
	return env_rc(mdb_put(txn, s->dbi[tb], &key, &v, flags));
}

int rec_put(struct store *s, MDB_txn *txn, enum table tb, const struct key *k, const void *rec,
	unsigned flags)
{
	if (tb != TB_OBJ) { return put(s, txn, tb, k, table_wire[tb], rec, flags); }
	const struct obj *o = rec;
	struct rec_obj r = {.refcount = o->refcount,
		.size = o->size,
		.chunks = o->chunks,
		.header_len = o->header_len,
		.received_us = o->received_us,
		.sha256 = str_make(o->sha256, sizeof o->sha256),
		.top_len = o->top_len};
	return put(s, txn, tb, k, &wire_obj, &r, flags);
}

int rec_first(struct store *s, MDB_txn *txn, enum table tb, struct key *k_out, MDB_val *v)
{
	MDB_cursor *c;
	MDB_val key;
	int rc = mdb_cursor_open(txn, s->dbi[tb], &c);
	if (rc != 0) { return env_rc(rc); }
	do {
		rc = mdb_cursor_get(c, &key, v, MDB_NEXT);
	} while (rc == 0 && !key_fits(tb, val_str(key)));
	mdb_cursor_close(c);
	if (rc != 0) { return env_rc(rc); }
	*k_out = key_none();
	key_str(k_out, val_str(key));
	return 0;
}

int rec_del(struct store *s, MDB_txn *txn, enum table tb, const struct key *k)
{
	MDB_val key = key_val(k);
	if (FAULT("store.del")) { return ERR_IO; }
	return env_rc(mdb_del(txn, s->dbi[tb], &key, NULL));
}

int key_put(struct store *s, MDB_txn *txn, enum table tb, const struct key *k, unsigned flags)
{
	MDB_val key = key_val(k), v = {0, NULL};
	if (FAULT("store.put")) { return ERR_IO; }
	return env_rc(mdb_put(txn, s->dbi[tb], &key, &v, flags));
}

static struct key ids_key(void)
{
	struct key k = key_none();
	key_str(&k, STR("ids"));
	return k;
}

int ids_read(struct store *s, MDB_txn *txn)
{
	struct key k = ids_key();
	MDB_val key = key_val(&k), v;
	struct ids ids = {0};
	int rc = env_rc(mdb_get(txn, s->dbi[TB_META], &key, &v));
	if (rc == 0) { rc = unpack(&wire_ids, v, NULL, &ids); }
	bool fit = is_id(ids.oid, ID64_MOST) && is_id(ids.mailboxid, ID64_MOST) &&
		   is_id(ids.qid, ID64_MOST) && ids.aid && ids.mid &&
		   is_id(ids.uidvalidity, UINT32_MAX);
	if (rc == 0 && !fit) { rc = ERR_DAMAGED; }
	s->ids = rc == 0 ? ids : (struct ids){0};
	return rc;
}

int ids_write(struct store *s, MDB_txn *txn)
{
	struct key k = ids_key();
	s->ids.schema = SCHEMA_VERSION;
	return put(s, txn, TB_META, &k, &wire_ids, &s->ids, 0);
}
