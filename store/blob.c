/* Chunks, and the deletion of objects nobody references. */
#include "store/blob.h"

#include <xxhash.h>
#if defined(__x86_64__)
#	include <xxh_x86dispatch.h> /* the same sums, by the widest vectors this processor has */
#endif

#include "lib/fault.h"

int chunk_put(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk, struct str data)
{
	struct key k = key_id_n(oid, chunk);
	MDB_val key = key_val(&k), v = {data.n + CHUNK_SUM, NULL};
	if (FAULT("store.chunk")) { return ERR_FULL; }
	int rc = mdb_put(txn, s->dbi[TB_BLOB], &key, &v, MDB_RESERVE);
	if (rc != 0) { return env_rc(rc); }
	memcpy(v.mv_data, data.p, data.n);
	put_be64((char *)v.mv_data + data.n, XXH3_64bits(data.p, data.n));
	return 0;
}

int chunk_find(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk, struct str *out)
{
	struct key k = key_id_n(oid, chunk);
	MDB_val key = key_val(&k), v;
	int rc = mdb_get(txn, s->dbi[TB_BLOB], &key, &v);
	if (rc != 0) { return env_rc(rc); }
	if (v.mv_size < CHUNK_SUM) { return ERR_DAMAGED; }
	*out = str_make(v.mv_data, v.mv_size - CHUNK_SUM);
	return 0;
}

int64_t chunk_len(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk)
{
	struct str found;
	int rc = chunk_find(s, txn, oid, chunk, &found);
	return rc < 0 ? rc : (int64_t)found.n;
}

bool chunk_sound(struct str chunk)
{
	return !FAULT("store.bytes") &&
	       XXH3_64bits(chunk.p, chunk.n) == get_be64(chunk.p + chunk.n);
}

int chunk_get(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk, struct str *out)
{
	int rc = chunk_find(s, txn, oid, chunk, out);
	return rc < 0 || chunk_sound(*out) ? rc : ERR_DAMAGED;
}

int gc_add(struct store *s, MDB_txn *txn, uint64_t oid, int64_t due_us)
{
	struct key k = key_ids((uint64_t)due_us, oid);
	return key_put(s, txn, TB_GC, &k, 0);
}

/* The row that names an object for deletion may be damaged itself. */
static bool in_use(struct store *s, MDB_txn *txn, uint64_t oid)
{
	struct key k = key_id(oid);
	struct obj o;
	return rec_get(s, txn, TB_OBJ, &k, NULL, &o) == 0 && o.refcount > 0;
}

/* Delete up to *left chunks of an object, then its records. 1 when chunks remain. */
static int gc_object(struct store *s, MDB_txn *txn, uint64_t oid, int *left)
{
	MDB_cursor *c;
	struct key first = key_id_n(oid, 0), whole = key_id(oid);
	MDB_val key = key_val(&first), v;
	if (in_use(s, txn, oid)) { return 0; }
	int rc = mdb_cursor_open(txn, s->dbi[TB_BLOB], &c);
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
	while (rc == 0 && *left > 0 && key.mv_size == 12 && get_be64(key.mv_data) == oid) {
		rc = mdb_cursor_del(c, 0);
		(*left)--;
		if (rc == 0) {
			key = key_val(&first);
			rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
		}
	}
	bool more = rc == 0 && key.mv_size == 12 && get_be64(key.mv_data) == oid;
	mdb_cursor_close(c);
	if (rc != 0 && rc != MDB_NOTFOUND) { return env_rc(rc); }
	if (more) { return 1; }
	rc = rec_del(s, txn, TB_OBJ, &whole);
	if (rc == 0 || rc == ERR_GONE) { rc = rec_del(s, txn, TB_PARSE, &whole); }
	return rc == ERR_GONE ? 0 : rc;
}

int gc_step(struct store *s, MDB_txn *txn, int64_t now_us, uint64_t *gone)
{
	int left = GC_STEP;
	while (left > 0) {
		struct key k;
		MDB_val v;
		int rc = rec_first(s, txn, TB_GC, &k, &v);
		if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
		if ((int64_t)get_be64(k.p) > now_us) { return 0; }
		rc = gc_object(s, txn, get_be64(k.p + 8), &left);
		if (rc != 0) { return rc; }
		rc = rec_del(s, txn, TB_GC, &k);
		if (rc < 0) { return rc; }
		left--;
		if (gone) { (*gone)++; }
	}
	return 1;
}
