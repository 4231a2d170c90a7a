/* Housekeeping in small transactions. The store role only. */
#include "store/maintain.h"

#include "store/blob.h"

enum { STEP_ROWS = 256 };

/* What a table takes in the file. */
static uint64_t octets_of(struct store *s, MDB_txn *txn, enum table tb)
{
	MDB_stat st = {0};
	mdb_stat(txn, s->dbi[tb], &st);
	return (uint64_t)(st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
	       st.ms_psize;
}

/* One whose record is damaged tells no time: it is old. */
static bool upload_old(const struct key *k, MDB_val v, int64_t now_us)
{
	struct rec_time begun;
	return rec_unpack(TB_UPLOAD, str_make(k->p, k->n), v, NULL, &begun) < 0 ||
	       begun.us <= now_us - UPLOAD_WAIT_S * SECOND_US;
}

/* Uploads have ascending ids, so the first is the oldest. */
static int drop_uploads(struct store *s, MDB_txn *txn, int64_t now_us)
{
	for (int i = 0; i < STEP_ROWS; i++) {
		struct key k;
		MDB_val v;
		int rc = rec_first(s, txn, TB_UPLOAD, &k, &v);
		if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
		if (!upload_old(&k, v, now_us)) { return 0; }
		rc = gc_add(s, txn, get_be64(k.p), now_us);
		if (rc == 0) { rc = rec_del(s, txn, TB_UPLOAD, &k); }
		if (rc < 0) { return rc; }
	}
	return 1;
}

static int drop_audits(
	struct store *s, MDB_txn *txn, const struct maintain_limits *limits, int64_t now_us)
{
	for (int i = 0; i < STEP_ROWS; i++) {
		struct key k;
		MDB_val v;
		int rc = rec_first(s, txn, TB_AUDIT, &k, &v);
		if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
		bool old = (int64_t)get_be64(k.p) < now_us - limits->audit_keep_us;
		if (!old && octets_of(s, txn, TB_AUDIT) <= limits->audit_max) { return 0; }
		struct key id = key_ids(get_be64(k.p + 8), get_be64(k.p));
		rc = rec_del(s, txn, TB_AUDITID, &id);
		if (rc == 0 || rc == ERR_GONE) { rc = rec_del(s, txn, TB_AUDIT, &k); }
		if (rc < 0) { return rc; }
	}
	return 1;
}

/* Is any of it due? Looked at in a read transaction, so that an idle store writes nothing. */
static bool anything_due(struct store *s, const struct maintain_limits *limits, int64_t now_us)
{
	struct snap sn;
	struct key k;
	MDB_val v;
	bool due = false;
	if (snap_begin(s, &sn) < 0) { return false; }
	if (rec_first(s, sn.txn, TB_GC, &k, &v) == 0) { due |= (int64_t)get_be64(k.p) <= now_us; }
	if (rec_first(s, sn.txn, TB_UPLOAD, &k, &v) == 0) { due |= upload_old(&k, v, now_us); }
	if (rec_first(s, sn.txn, TB_AUDIT, &k, &v) == 0) {
		due |= (int64_t)get_be64(k.p) < now_us - limits->audit_keep_us;
		due |= octets_of(s, sn.txn, TB_AUDIT) > limits->audit_max;
	}
	snap_end(&sn);
	return due;
}

int store_maintain(
	struct store *s, const struct maintain_limits *limits, int64_t now_us, uint64_t *deleted)
{
	uint64_t gone = 0;
	MDB_txn *txn;
	int dead;
	mdb_reader_check(s->env, &dead);
	if (!anything_due(s, limits, now_us)) { return 0; }
	int rc = env_begin(s, &txn);
	if (rc < 0) { return rc; }
	int more = drop_uploads(s, txn, now_us);
	int audits = more < 0 ? more : drop_audits(s, txn, limits, now_us);
	int objects = audits < 0 ? audits : gc_step(s, txn, now_us, &gone);
	if (objects < 0) {
		mdb_txn_abort(txn);
		return objects;
	}
	rc = env_commit(s, txn);
	if (rc == 0 && deleted) { *deleted += gone; }
	return rc < 0 ? rc : more || audits || objects;
}
