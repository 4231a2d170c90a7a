/* Snapshots: reading mailboxes, accounts, addresses and objects. Any role. Never writes, and never
   keeps a transaction beyond the step that began it. */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fault.h"
#include "store/blob.h"

int snap_begin(struct store *s, struct snap *out)
{
	MDB_txn *txn = s->spare;
	int rc;
	*out = (struct snap){.store = s};
	if (FAULT("store.snap")) { return ERR_FULL; }
	if (txn) {
		s->spare = NULL;
		rc = mdb_txn_renew(txn);
		if (rc != 0) { mdb_txn_abort(txn); }
	} else {
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	}
	if (rc != 0) { return env_rc(rc); }
	out->txn = txn;
	return 0;
}

void snap_end(struct snap *sn)
{
	if (!sn->txn) { return; }
	if (sn->store->spare) {
		mdb_txn_abort(sn->txn);
	} else {
		mdb_txn_reset(sn->txn);
		sn->store->spare = sn->txn;
	}
	sn->txn = NULL;
}

/* --- mailboxes --- */

int snap_mbox(struct snap *sn, uint32_t mid, struct mbox *out)
{
	struct key k = key1(mid);
	return rec_get(sn->store, sn->txn, TB_MBOX, &k, NULL, out);
}

int snap_mbox_by_name(
	struct snap *sn, uint32_t aid, struct str name, struct mname *name_out, struct mbox *out)
{
	struct key k = key_named(aid, name);
	struct rec_mname r;
	int rc = rec_get(sn->store, sn->txn, TB_MNAME, &k, NULL, &r);
	if (rc < 0) { return rc; }
	if (r.mid == 0) { return ERR_GONE; }
	if (name_out) { *name_out = (struct mname){name, r.mid, r.subscribed, r.special_use}; }
	return out ? snap_mbox(sn, r.mid, out) : 0;
}

/* Walk the names of an account; `fn` answers false to stop. */
static int each_mname(struct snap *sn, uint32_t aid,
	bool (*fn)(void *ctx, struct str name, const struct rec_mname *r), void *ctx)
{
	MDB_cursor *c;
	struct key first = key1(aid);
	MDB_val key = key_val(&first), v;
	int rc = mdb_cursor_open(sn->txn, sn->store->dbi[TB_MNAME], &c), bad = 0;
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size >= 4 && get_be32(key.mv_data) == aid) {
		struct rec_mname r;
		bad = rec_unpack(TB_MNAME, val_str(key), v, NULL, &r);
		if (bad < 0 || !fn(ctx, str_skip(val_str(key), 4), &r)) { break; }
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return bad < 0 ? bad : rc == MDB_NOTFOUND ? 0 : env_rc(rc);
}

struct by_use {
	uint32_t use;
	struct mname *out;
	bool found;
};

static bool match_use(void *ctx, struct str name, const struct rec_mname *r)
{
	struct by_use *b = ctx;
	if (!r->mid || !(r->special_use & b->use)) { return true; }
	*b->out = (struct mname){name, r->mid, r->subscribed, r->special_use};
	b->found = true;
	return false;
}

int snap_mbox_by_use(struct snap *sn, uint32_t aid, uint32_t use, struct mname *out)
{
	struct by_use b = {use, out, false};
	int rc = each_mname(sn, aid, match_use, &b);
	return rc < 0 ? rc : b.found ? 0 : ERR_GONE;
}

struct all_names {
	struct arena *a;
	struct mname *v;
	size_t n, cap;
};

static bool collect(void *ctx, struct str name, const struct rec_mname *r)
{
	struct all_names *all = ctx;
	if (all->n == MAILBOXES_MAX) { return false; }
	if (all->n == all->cap) {
		all->cap = MAX(64, 2 * all->cap);
		struct mname *more = arena_array(all->a, all->cap, sizeof *more);
		if (all->n) { memcpy(more, all->v, all->n * sizeof *more); }
		all->v = more;
	}
	all->v[all->n++] =
		(struct mname){arena_dup(all->a, name), r->mid, r->subscribed, r->special_use};
	return true;
}

int snap_mnames(struct snap *sn, uint32_t aid, struct arena *a, struct mname **out, size_t *n_out)
{
	struct all_names all = {.a = a};
	int rc = each_mname(sn, aid, collect, &all);
	*out = all.v;
	*n_out = all.n;
	return rc;
}

int snap_keywords(struct snap *sn, uint32_t mid, struct str names_out[KEYWORDS_MAX])
{
	MDB_cursor *c;
	struct key first = key1(mid);
	MDB_val key = key_val(&first), v;
	for (int i = 0; i < KEYWORDS_MAX; i++) { names_out[i] = STR(""); }
	int rc = mdb_cursor_open(sn->txn, sn->store->dbi[TB_KW], &c), bad = 0;
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size == 5 && get_be32(key.mv_data) == mid) {
		struct rec_kw r;
		unsigned bit = ((unsigned char *)key.mv_data)[4];
		bad = rec_unpack(TB_KW, val_str(key), v, NULL, &r);
		if (bad < 0) { break; }
		if (bit < KEYWORDS_MAX) { names_out[bit] = r.name; }
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return bad < 0 ? bad : rc == MDB_NOTFOUND ? 0 : env_rc(rc);
}

/* --- messages --- */

int snap_msg(struct snap *sn, uint32_t mid, uint32_t uid, struct msg *out)
{
	struct key k = key2(mid, uid);
	return rec_get(sn->store, sn->txn, TB_MSG, &k, NULL, out);
}

/* A cursor standing before the first row with a key >= `k`. */
static int open_at(struct snap *sn, enum table tb, const struct key *k, void **cursor, bool *primed)
{
	MDB_cursor *c;
	MDB_val key = key_val(k), v;
	int rc = mdb_cursor_open(sn->txn, sn->store->dbi[tb], &c);
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
	if (rc != 0) {
		mdb_cursor_close(c);
		*cursor = NULL;
		return rc == MDB_NOTFOUND ? 0 : env_rc(rc);
	}
	*cursor = c;
	*primed = true;
	return 0;
}

/* The row the cursor stands on (first time) or the next one. 1, 0 at the end, ERR_*. */
static int next_row(void *cursor, bool *primed, uint32_t mid, MDB_val *key, MDB_val *v)
{
	if (!cursor) { return 0; }
	int rc = mdb_cursor_get(cursor, key, v, *primed ? MDB_GET_CURRENT : MDB_NEXT);
	*primed = false;
	if (rc == MDB_NOTFOUND) { return 0; }
	if (rc != 0) { return env_rc(rc); }
	return key->mv_size >= 4 && get_be32(key->mv_data) == mid;
}

int msg_cursor_open(struct snap *sn, uint32_t mid, uint32_t first_uid, struct msg_cursor *out)
{
	struct key k = key2(mid, first_uid);
	*out = (struct msg_cursor){.mid = mid};
	return open_at(sn, TB_MSG, &k, &out->cursor, &out->primed);
}

int msg_cursor_next(struct msg_cursor *c, struct msg *out)
{
	MDB_val key, v;
	int rc = next_row(c->cursor, &c->primed, c->mid, &key, &v);
	if (rc != 1) { return rc; }
	rc = rec_unpack(TB_MSG, val_str(key), v, NULL, out);
	return rc < 0 ? rc : 1;
}

void msg_cursor_close(struct msg_cursor *c)
{
	if (c->cursor) { mdb_cursor_close(c->cursor); }
	c->cursor = NULL;
}

int change_cursor_open(
	struct snap *sn, uint32_t mid, uint64_t after_modseq, struct change_cursor *out)
{
	struct key k = key1(mid);
	key_u64(&k, after_modseq + 1);
	*out = (struct change_cursor){.mid = mid};
	return open_at(sn, TB_CHG, &k, &out->cursor, &out->primed);
}

int change_cursor_next(struct change_cursor *c, struct change *out)
{
	MDB_val key, v;
	int rc = next_row(c->cursor, &c->primed, c->mid, &key, &v);
	if (rc != 1) { return rc; }
	if (key.mv_size != 16) { return ERR_DAMAGED; }
	const char *p = key.mv_data;
	*out = (struct change){
		.modseq = get_be64(p + 4), .uid = get_be32(p + 12), .expunged = v.mv_size > 0};
	return 1;
}

void change_cursor_close(struct change_cursor *c)
{
	if (c->cursor) { mdb_cursor_close(c->cursor); }
	c->cursor = NULL;
}

int snap_obj(struct snap *sn, uint64_t oid, struct obj *out)
{
	struct key k = key_id(oid);
	int rc = rec_get(sn->store, sn->txn, TB_OBJ, &k, NULL, out);
	out->oid = oid;
	return rc;
}

int snap_parse(struct snap *sn, uint64_t oid, struct str *out)
{
	struct key k = key_id(oid);
	MDB_val key = key_val(&k), v;
	int rc = mdb_get(sn->txn, sn->store->dbi[TB_PARSE], &key, &v);
	if (rc != 0) { return env_rc(rc); }
	if (v.mv_size < 4) { return ERR_DAMAGED; }
	*out = str_make(v.mv_data, v.mv_size - 4);
	return rec_sum(*out) == get_be32(out->p + out->n) ? 0 : ERR_DAMAGED;
}

/* The chunk in which the octet at `off` stands, and the octet's place in it; unread. */
static int find_bytes(
	struct snap *sn, uint64_t oid, uint64_t off, uint32_t *n, struct str *chunk, size_t *at)
{
	int rc = chunk_find(sn->store, sn->txn, oid, 0, chunk);
	if (rc < 0) { return rc; }
	*n = chunk_of(off, chunk->n, at);
	return *n ? chunk_find(sn->store, sn->txn, oid, *n, chunk) : 0;
}

int snap_bytes(struct snap *sn, uint64_t oid, uint64_t off, struct str *out)
{
	struct str chunk;
	size_t at;
	uint32_t n;
	int rc = find_bytes(sn, oid, off, &n, &chunk, &at);
	if (rc == ERR_GONE) { /* just behind the last chunk, or no object at all? */
		struct obj o;
		rc = snap_obj(sn, oid, &o);
		*out = STR("");
		return rc < 0 ? rc : off >= o.size ? 0 : ERR_DAMAGED;
	}
	if (rc < 0) { return rc; }
	if (sn->sound.oid != oid || sn->sound.chunk != n) {
		if (!chunk_sound(chunk)) { return ERR_DAMAGED; }
		sn->sound = (struct chunk_id){oid, n};
	}
	*out = str_skip(chunk, at);
	return 0;
}

int snap_msg_bytes(struct snap *sn, const struct msg *m, uint64_t off, struct str *out)
{
	if (off < m->prefix.n) {
		*out = str_skip(m->prefix, off);
		return 0;
	}
	return snap_bytes(sn, m->oid, off - m->prefix.n, out);
}

void snap_will_need(struct snap *sn, uint64_t oid, uint64_t off)
{
	static size_t page;
	struct str chunk;
	size_t at;
	uint32_t n;
	if (!page) { page = (size_t)sysconf(_SC_PAGESIZE); }
	if (find_bytes(sn, oid, off, &n, &chunk, &at) < 0 || chunk.n < page) { return; }
	uintptr_t from = (uintptr_t)chunk.p & ~(page - 1);
	madvise((void *)from, (uintptr_t)chunk.p + chunk.n - from, MADV_WILLNEED);
}
