/* Housekeeping in small transactions. The store role only. */
#include "store/maintain.h"

#include "store/blob.h"

enum { STEP_ROWS = 256 };

/* The first row of a table; its key's octets are copied. */
static int first_row(struct store *s, MDB_txn *txn, enum table tb, struct key *k_out, MDB_val *v)
{
	MDB_cursor *c;
	MDB_val key;
	int rc = mdb_cursor_open(txn, s->dbi[tb], &c);
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, v, MDB_FIRST);
	mdb_cursor_close(c);
	if (rc != 0) { return env_rc(rc); }
	*k_out = key_none();
	return key_str(k_out, val_str(key)) ? 0 : ERR_DAMAGED;
}

/* What a table takes in the file. */
static uint64_t octets_of(struct store *s, MDB_txn *txn, enum table tb)
{
	MDB_stat st = {0};
	mdb_stat(txn, s->dbi[tb], &st);
	return (uint64_t)(st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
	       st.ms_psize;
}

/* Uploads have ascending ids, so the first is the oldest. */
static int drop_uploads(struct store *s, MDB_txn *txn, int64_t now_us)
{
	for (int i = 0; i < STEP_ROWS; i++) {
		struct key k;
		MDB_val v;
		struct rec_time begun;
		int rc = first_row(s, txn, TB_UPLOAD, &k, &v);
		if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
		rc = rec_unpack(TB_UPLOAD, v, NULL, &begun);
		if (rc < 0) { return rc; }
		if (begun.us + UPLOAD_WAIT_S * SECOND_US > now_us) { return 0; }
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
		int rc = first_row(s, txn, TB_AUDIT, &k, &v);
		if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
		bool old = (int64_t)get_be64(k.p) + limits->audit_keep_us < now_us;
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
	struct rec_time begun;
	bool due = false;
	if (snap_begin(s, &sn) < 0) { return false; }
	if (first_row(s, sn.txn, TB_GC, &k, &v) == 0) { due |= (int64_t)get_be64(k.p) <= now_us; }
	if (first_row(s, sn.txn, TB_UPLOAD, &k, &v) == 0 &&
		rec_unpack(TB_UPLOAD, v, NULL, &begun) == 0) {
		due |= begun.us + UPLOAD_WAIT_S * SECOND_US <= now_us;
	}
	if (first_row(s, sn.txn, TB_AUDIT, &k, &v) == 0) {
		due |= (int64_t)get_be64(k.p) + limits->audit_keep_us < now_us;
		due |= octets_of(s, sn.txn, TB_AUDIT) > limits->audit_max;
	}
	snap_end(&sn);
	return due;
}

int store_maintain(struct store *s, const struct maintain_limits *limits, int64_t now_us)
{
	MDB_txn *txn;
	int dead;
	mdb_reader_check(s->env, &dead);
	if (!anything_due(s, limits, now_us)) { return 0; }
	int rc = env_begin(s, &txn);
	if (rc < 0) { return rc; }
	int more = drop_uploads(s, txn, now_us);
	int audits = more < 0 ? more : drop_audits(s, txn, limits, now_us);
	int objects = audits < 0 ? audits : gc_step(s, txn, now_us, NULL);
	if (objects < 0) {
		mdb_txn_abort(txn);
		return objects;
	}
	rc = env_commit(s, txn);
	return rc < 0 ? rc : more || audits || objects;
}
