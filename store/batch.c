/* One transaction for everything that waits. The store role, or a command while no server runs. */
#include <time.h>

#include "store/apply.h"

struct op_row {
	const struct msg_type *type;
	apply_fn *apply;
	bool grows; /* refused when the disk is low */
};

static const struct op_row rows[] = {
	{&OP_DELIVER, apply_deliver, true},
	{&OP_UPLOAD, apply_upload, true},
	{&OP_DROP_UPLOAD, apply_drop_upload, false},
	{&OP_APPEND, apply_append, true},
	{&OP_FLAGS, apply_flags, false},
	{&OP_COPY, apply_copy, false},
	{&OP_EXPUNGE, apply_expunge, false},
	{&OP_MBOX_CREATE, apply_mbox_create, true},
	{&OP_MBOX_DELETE, apply_mbox_delete, false},
	{&OP_MBOX_RENAME, apply_mbox_rename, false},
	{&OP_MBOX_SUBSCRIBE, apply_mbox_subscribe, false},
	{&OP_QUEUE_RESULT, apply_queue_result, false},
	{&OP_QUEUE_EDIT, apply_queue_edit, false},
	{&OP_AUDIT, apply_audit, true},
	{&OP_ACCT_ADD, apply_acct_add, true},
	{&OP_ACCT_SET, apply_acct_set, false},
	{&OP_ACCT_DEL, apply_acct_del, false},
	{&OP_ADDR_SET, apply_addr_set, false},
	{&OP_ADDR_DEL, apply_addr_del, false},
	{&OP_DOMAIN_SET, apply_domain_set, false},
	{&OP_DOMAIN_DEL, apply_domain_del, false},
};

static const struct op_row *find_row(const struct msg_type *type)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].type == type) { return &rows[i]; }
	}
	return NULL;
}

/* Apply one; its rc. */
static int apply_one(struct apply *ap, struct batch_op *op)
{
	const struct op_row *row = find_row(op->type);
	if (!row) { return ERR_DENIED; }
	if (row->grows && env_disk_low(ap->s)) { return ERR_FULL; }
	ap->a = op->a;
	ap->wrote = false;
	ap->bounce = NULL;
	arena_reset(&ap->tmp);
	memset(op->reply, 0, op->type->reply->size);
	int rc = row->apply(ap, op->request, op->reply);
	op->bounce = ap->bounce;
	return rc;
}

/* Apply `n` ops in one transaction. Below 0 when nothing of it stands: the caller tries them one by
   one, or gives up on a single one. */
static int try_batch(struct apply *ap, struct batch_op *ops, size_t n)
{
	struct store *s = ap->s;
	struct ids before = s->ids;
	int rc = env_begin(s, &ap->txn);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		ops[i].rc = apply_one(ap, &ops[i]);
		if (ops[i].rc < 0 && ap->wrote) { rc = ops[i].rc; }
	}
	if (rc == 0 && memcmp(&before, &s->ids, sizeof before) != 0) { rc = ids_write(s, ap->txn); }
	if (rc == 0) {
		rc = env_commit(s, ap->txn);
	} else if (ap->txn) {
		mdb_txn_abort(ap->txn);
	}
	ap->txn = NULL;
	if (rc < 0) { s->ids = before; }
	return rc;
}

void store_batch(struct store *s, struct batch_op *ops, size_t n, int64_t now_us, struct news *news)
{
	struct apply ap = {.s = s, .now_us = now_us, .news = news};
	int rc = try_batch(&ap, ops, n);
	if (rc < 0) {
		news_reset(news);
		for (size_t i = 0; i < n; i++) {
			if (n > 1) { rc = try_batch(&ap, &ops[i], 1); }
			if (rc < 0) { ops[i].rc = rc; }
		}
	}
	arena_fini(&ap.tmp);
}

int store_apply(struct store *s, const struct msg_type *type, const void *request, struct arena *a,
	void *reply)
{
	struct timespec ts;
	struct news news = {0};
	struct arena *own = a ? NULL : xnew(struct arena);
	struct batch_op op = {.type = type,
		.request = request,
		.a = a ? a : own,
		.reply = reply ? reply : arena_alloc(a ? a : own, type->reply->size)};
	clock_gettime(CLOCK_REALTIME, &ts);
	store_batch(s, &op, 1, ts.tv_sec * SECOND_US + ts.tv_nsec / 1000, &news);
	news_fini(&news);
	if (own) {
		arena_fini(own);
		free(own);
	}
	return op.rc;
}

/* --- news --- */

void news_reset(struct news *n)
{
	n->mboxes_n = 0;
	n->accounts = n->closed = n->queue = false;
}

void news_fini(struct news *n)
{
	free(n->mboxes);
	*n = (struct news){0};
}

void news_mbox_changed(struct news *n, const struct mbox *mb)
{
	for (size_t i = n->mboxes_n; i-- > 0 && n->mboxes_n - i <= 16;) {
		if (n->mboxes[i].mid == mb->mid) {
			n->mboxes[i].modseq = mb->highestmodseq;
			return;
		}
	}
	if (n->mboxes_n == n->cap) {
		n->cap = n->cap ? 2 * n->cap : 64;
		n->mboxes = realloc(n->mboxes, n->cap * sizeof *n->mboxes);
		if (!n->mboxes) { abort(); }
	}
	n->mboxes[n->mboxes_n++] = (struct news_mbox_item){mb->aid, mb->mid, mb->highestmodseq};
}

/* --- rows --- */

int ap_get(struct apply *ap, enum table tb, const struct key *k, void *out)
{
	return rec_get(ap->s, ap->txn, tb, k, &ap->tmp, out);
}

int ap_put(struct apply *ap, enum table tb, const struct key *k, const void *rec, unsigned flags)
{
	int rc = rec_put(ap->s, ap->txn, tb, k, rec, flags);
	ap->wrote |= rc != ERR_EXISTS;
	return rc;
}

int ap_del(struct apply *ap, enum table tb, const struct key *k)
{
	int rc = rec_del(ap->s, ap->txn, tb, k);
	ap->wrote |= rc != ERR_GONE;
	return rc;
}

int ap_key_put(struct apply *ap, enum table tb, const struct key *k)
{
	ap->wrote = true;
	return key_put(ap->s, ap->txn, tb, k, 0);
}

bool ap_has(struct apply *ap, enum table tb, const struct key *k)
{
	MDB_val key = key_val(k), v;
	return k->n > 0 && mdb_get(ap->txn, ap->s->dbi[tb], &key, &v) == 0;
}

int ap_next_key(
	struct apply *ap, enum table tb, const struct key *from, size_t fixed, struct key *out)
{
	MDB_cursor *c;
	MDB_val key = key_val(from), v;
	int rc = mdb_cursor_open(ap->txn, ap->s->dbi[tb], &c);
	if (rc != 0) { return env_rc(rc); }
	rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
	mdb_cursor_close(c);
	if (rc != 0) { return env_rc(rc); }
	if (key.mv_size < fixed || key.mv_size > KEY_MAX ||
		memcmp(key.mv_data, from->p, fixed) != 0) {
		return ERR_GONE;
	}
	struct key found = key_none();
	key_str(&found, val_str(key));
	*out = found;
	return 0;
}

int ap_del_prefix(struct apply *ap, enum table tb, const struct key *prefix)
{
	struct key k;
	int rc;
	while ((rc = ap_next_key(ap, tb, prefix, prefix->n, &k)) == 0) {
		rc = ap_del(ap, tb, &k);
		if (rc < 0) { return rc; }
	}
	return rc == ERR_GONE ? 0 : rc;
}
