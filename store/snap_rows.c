/* Reading what is not mail itself: accounts, addresses, domains, the queue, audit records. */
#include "store/record.h"

/* The first row with a key > `after` (NULL: the very first); its key and value, in the map. */
static int row_after(
	struct snap *sn, enum table tb, const struct key *after, struct str *key_out, MDB_val *v)
{
	MDB_cursor *c;
	MDB_val key;
	int rc = mdb_cursor_open(sn->txn, sn->store->dbi[tb], &c);
	if (rc != 0) { return env_rc(rc); }
	if (!after || after->n == 0) {
		rc = mdb_cursor_get(c, &key, v, MDB_FIRST);
	} else {
		key = key_val(after);
		rc = mdb_cursor_get(c, &key, v, MDB_SET_RANGE);
		if (rc == 0 && str_eq(val_str(key), str_make(after->p, after->n))) {
			rc = mdb_cursor_get(c, &key, v, MDB_NEXT);
		}
	}
	mdb_cursor_close(c);
	if (rc != 0) { return env_rc(rc); }
	*key_out = val_str(key);
	return 0;
}

/* The last row with a key < `before`. */
static int row_before(
	struct snap *sn, enum table tb, const struct key *before, struct str *key_out, MDB_val *v)
{
	MDB_cursor *c;
	MDB_val key = key_val(before);
	int rc = mdb_cursor_open(sn->txn, sn->store->dbi[tb], &c);
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, v, MDB_SET_RANGE);
	rc = mdb_cursor_get(c, &key, v, rc == 0 ? MDB_PREV : MDB_LAST);
	mdb_cursor_close(c);
	if (rc != 0) { return env_rc(rc); }
	*key_out = val_str(key);
	return 0;
}

/* --- accounts, addresses --- */

int snap_acct(struct snap *sn, uint32_t aid, struct acct *out)
{
	struct key k = key1(aid);
	return rec_get(sn->store, sn->txn, TB_ACCT, &k, NULL, out);
}

int snap_acct_next(struct snap *sn, uint32_t after, struct acct *out)
{
	struct key k = key1(after);
	struct str key;
	MDB_val v;
	int rc = row_after(sn, TB_ACCT, &k, &key, &v);
	return rc < 0 ? rc : rec_unpack(TB_ACCT, key, v, NULL, out);
}

int snap_creds(struct snap *sn, uint32_t aid, struct arena *a, struct cred **out, size_t *n_out)
{
	struct cred *v = arena_array(a, CREDS_MAX, sizeof *v);
	struct key k = key1(aid);
	struct str key;
	size_t n = 0;
	MDB_val val;
	struct rec_cred r;
	/* The main password has the account id alone as its key. */
	int rc = rec_get(sn->store, sn->txn, TB_CRED, &k, NULL, &r);
	if (rc == 0) {
		v[n++] = (struct cred){arena_dup(a, r.scheme), arena_dup(a, r.value), STR("")};
	} else if (rc != ERR_GONE) {
		return rc;
	}
	while (n < CREDS_MAX && row_after(sn, TB_CRED, &k, &key, &val) == 0 && key.n > 4 &&
		get_be32(key.p) == aid) {
		rc = rec_unpack(TB_CRED, key, val, NULL, &r);
		if (rc < 0) { return rc; }
		struct str label = arena_dup(a, str_skip(key, 4));
		v[n++] = (struct cred){arena_dup(a, r.scheme), arena_dup(a, r.value), label};
		k = key_named(aid, label);
	}
	*out = v;
	*n_out = n;
	return 0;
}

static int addr_fill(MDB_val v, struct str address, struct arena *a, struct addr_row *out)
{
	struct rec_addr r;
	int rc = rec_unpack(TB_ADDR, address, v, a, &r);
	if (rc < 0) { return rc; }
	*out = (struct addr_row){.address = arena_dup(a, address),
		.kind = r.kind,
		.aid = r.aid,
		.targets_n = r.targets_n,
		.targets = arena_array(a, r.targets_n, sizeof *out->targets)};
	for (uint32_t i = 0; i < r.targets_n; i++) { out->targets[i] = r.targets[i].s; }
	return 0;
}

int snap_addr(struct snap *sn, struct str address, struct arena *a, struct addr_row *out)
{
	struct key k = key_none();
	if (address.n == 0 || !key_str(&k, address)) { return ERR_GONE; }
	MDB_val key = key_val(&k), v;
	int rc = mdb_get(sn->txn, sn->store->dbi[TB_ADDR], &key, &v);
	return rc == 0 ? addr_fill(v, address, a, out) : env_rc(rc);
}

int snap_addr_next(struct snap *sn, struct str after, struct arena *a, struct addr_row *out)
{
	struct key k = key_none();
	struct str key;
	MDB_val v;
	if (!key_str(&k, after)) { return ERR_GONE; }
	int rc = row_after(sn, TB_ADDR, &k, &key, &v);
	return rc < 0 ? rc : addr_fill(v, key, a, out);
}

int snap_domain(struct snap *sn, struct str name, struct domain *out)
{
	struct key k = key_none();
	if (!key_str(&k, name)) { return ERR_GONE; }
	return rec_get(sn->store, sn->txn, TB_DOMAIN, &k, NULL, out);
}

int snap_domain_next(struct snap *sn, struct str after, struct domain *out)
{
	struct key k = key_none();
	struct str key;
	MDB_val v;
	if (!key_str(&k, after)) { return ERR_GONE; }
	int rc = row_after(sn, TB_DOMAIN, &k, &key, &v);
	return rc < 0 ? rc : rec_unpack(TB_DOMAIN, key, v, NULL, out);
}

/* --- queue --- */

int snap_queue_item(struct snap *sn, uint64_t qid, struct arena *a, struct queue_item *out)
{
	struct key k = key_id(qid);
	return rec_get(sn->store, sn->txn, TB_Q, &k, a, out);
}

int snap_queue_item_next(
	struct snap *sn, uint64_t after_qid, struct arena *a, struct queue_item *out)
{
	struct key k = key_id(after_qid);
	struct str key;
	MDB_val v;
	int rc = row_after(sn, TB_Q, &k, &key, &v);
	return rc < 0 ? rc : rec_unpack(TB_Q, key, v, a, out);
}

int snap_queue_rcpt(
	struct snap *sn, uint64_t qid, uint32_t n, struct arena *a, struct queue_rcpt *out)
{
	struct key k = key_id_n(qid, n);
	return rec_get(sn->store, sn->txn, TB_QR, &k, a, out);
}

int snap_queue_rcpt_next(
	struct snap *sn, uint64_t qid, int64_t after_n, struct arena *a, struct queue_rcpt *out)
{
	struct key k = after_n < 0 ? key_id(qid) : key_id_n(qid, (uint32_t)after_n);
	struct str key;
	MDB_val v;
	int rc = row_after(sn, TB_QR, &k, &key, &v);
	if (rc < 0) { return rc; }
	if (key.n != 12 || get_be64(key.p) != qid) { return ERR_GONE; }
	return rec_unpack(TB_QR, key, v, a, out);
}

static uint64_t entries(struct snap *sn, enum table tb)
{
	MDB_stat st;
	return mdb_stat(sn->txn, sn->store->dbi[tb], &st) == 0 ? st.ms_entries : 0;
}

uint64_t snap_queue_count(struct snap *sn)
{
	return entries(sn, TB_QR);
}

int snap_queue_due_next(struct snap *sn, const struct queue_due *after, struct queue_due *out)
{
	struct key k = key_ids((uint64_t)after->next_us, after->qid);
	key_u32(&k, after->n);
	bool first = after->next_us == 0 && after->qid == 0 && after->n == 0;
	struct str key;
	MDB_val v;
	int rc = row_after(sn, TB_QDUE, first ? NULL : &k, &key, &v);
	if (rc < 0) { return rc; }
	if (key.n != 20) { return ERR_DAMAGED; }
	*out = (struct queue_due){
		(int64_t)get_be64(key.p), get_be64(key.p + 8), get_be32(key.p + 16)};
	return 0;
}

/* --- audit --- */

int snap_audit(struct snap *sn, uint64_t id, int64_t after_us, struct arena *a, struct audit *out)
{
	struct key after = key_id(id);
	struct str key;
	MDB_val v;
	if (after_us >= 0) { key_u64(&after, (uint64_t)after_us); }
	int rc = row_after(sn, TB_AUDITID, &after, &key, &v);
	if (rc < 0) { return rc; }
	if (key.n != 16 || get_be64(key.p) != id) { return ERR_GONE; }
	struct key k = key_ids(get_be64(key.p + 8), id);
	return rec_get(sn->store, sn->txn, TB_AUDIT, &k, a, out);
}

int snap_audit_prev(
	struct snap *sn, int64_t time_us, uint64_t id, struct arena *a, struct audit *out)
{
	struct key k = key_ids((uint64_t)time_us, id);
	struct str key;
	MDB_val v;
	int rc = row_before(sn, TB_AUDIT, &k, &key, &v);
	return rc < 0 ? rc : rec_unpack(TB_AUDIT, key, v, a, out);
}

/* --- the whole --- */

int store_stat(struct store *s, struct store_stat *out)
{
	struct snap sn;
	MDB_envinfo info;
	MDB_stat st;
	int rc = snap_begin(s, &sn);
	if (rc < 0) { return rc; }
	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &st);
	*out = (struct store_stat){.map_size = info.me_mapsize,
		.used_bytes = (uint64_t)(info.me_last_pgno + 1) * st.ms_psize,
		.free_disk_bytes = env_disk_free(s),
		.accounts = entries(&sn, TB_ACCT),
		.mailboxes = entries(&sn, TB_MBOX),
		.messages = entries(&sn, TB_MSG),
		.objects = entries(&sn, TB_OBJ),
		.queued = entries(&sn, TB_Q),
		.gc_pending = entries(&sn, TB_GC)};
	snap_end(&sn);
	return 0;
}
