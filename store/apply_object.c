/* Uploads, and objects coming and going. */
#include "store/apply.h"

/* Length of a chunk, or ERR_GONE. */
static int64_t len_of(struct apply *ap, uint64_t oid, uint32_t chunk)
{
	return chunk_len(ap->s, ap->txn, oid, chunk);
}

int apply_upload(struct apply *ap, const void *request, void *reply)
{
	const struct op_upload *op = request;
	struct op_upload_reply *answer = reply;
	uint64_t oid = op->oid;
	if (op->data.n == 0) { return ERR_SYNTAX; }
	if (oid == 0) {
		if (op->chunk > 1) { return ERR_SYNTAX; }
		oid = ap->s->ids.oid++;
		struct key k = key_id(oid);
		struct rec_time begun = {ap->now_us};
		int rc = ap_put(ap, TB_UPLOAD, &k, &begun, 0);
		if (rc < 0) { return rc; }
	} else {
		struct key k = key_id(oid);
		if (!ap_has(ap, TB_UPLOAD, &k)) { return ERR_GONE; }
		/* Chunks come in order and only the last may be short. */
		if (op->chunk == 0 || len_of(ap, oid, op->chunk - 1) != CHUNK_DATA ||
			len_of(ap, oid, op->chunk) != ERR_GONE) {
			return ERR_SYNTAX;
		}
	}
	answer->oid = oid;
	ap->wrote = true;
	return chunk_put(ap->s, ap->txn, oid, op->chunk, op->data);
}

int apply_drop_upload(struct apply *ap, const void *request, void *reply)
{
	const struct op_drop_upload *op = request;
	(void)reply;
	struct key k = key_id(op->oid);
	int rc = ap_del(ap, TB_UPLOAD, &k);
	if (rc < 0) { return rc; }
	ap->wrote = true;
	return gc_add(ap->s, ap->txn, op->oid, ap->now_us);
}

/* The upload is whole: as long as the body says, and nothing behind it. Its first chunk is the
   body's top when it has one. */
static int take_upload(struct apply *ap, const struct op_body *b, uint32_t chunks)
{
	struct key k = key_id(b->oid);
	uint64_t first = b->top.n ? b->top.n : MIN(b->size, CHUNK_DATA);
	if (chunks <= (b->top.n > 0) || !ap_has(ap, TB_UPLOAD, &k)) { return ERR_GONE; }
	if (b->top.n && len_of(ap, b->oid, 0) == ERR_GONE) {
		int rc = chunk_put(ap->s, ap->txn, b->oid, 0, b->top);
		ap->wrote = true;
		if (rc < 0) { return rc; }
	}
	uint64_t last = chunks == 1 ? first : b->size - first - (uint64_t)(chunks - 2) * CHUNK_DATA;
	if (len_of(ap, b->oid, 0) != (int64_t)first ||
		len_of(ap, b->oid, chunks - 1) != (int64_t)last ||
		len_of(ap, b->oid, chunks) != ERR_GONE) {
		return ERR_SYNTAX;
	}
	return ap_del(ap, TB_UPLOAD, &k);
}

int object_make(
	struct apply *ap, const struct op_body *b, uint32_t refs, int64_t now_us, uint64_t *oid_out)
{
	if (b->sha256.n != 32 || b->header_len > b->size || b->top.n > b->size) {
		return ERR_SYNTAX;
	}
	uint64_t full = b->size - b->top.n;
	uint32_t chunks = (b->top.n > 0) + (uint32_t)((full + CHUNK_DATA - 1) / CHUNK_DATA);
	uint64_t oid = b->oid;
	int rc = 0;
	if (oid == 0) {
		if (b->data.n != b->size || b->top.n) { return ERR_SYNTAX; }
		oid = ap->s->ids.oid++;
		ap->wrote = true;
		if (b->size) { rc = chunk_put(ap->s, ap->txn, oid, 0, b->data); }
	} else {
		rc = take_upload(ap, b, chunks);
	}
	if (rc < 0) { return rc; }
	struct key k = key_id(oid);
	struct obj o = {.oid = oid,
		.refcount = refs,
		.size = b->size,
		.chunks = chunks,
		.header_len = b->header_len,
		.received_us = now_us,
		.top_len = (uint32_t)b->top.n};
	memcpy(o.sha256, b->sha256.p, sizeof o.sha256);
	rc = ap_put(ap, TB_OBJ, &k, &o, 0);
	if (rc < 0) { return rc; }
	/* The parse record: its octets and their checksum, put without another copy. */
	MDB_val key = key_val(&k), v = {b->parse.n + 4, NULL};
	rc = env_rc(mdb_put(ap->txn, ap->s->dbi[TB_PARSE], &key, &v, MDB_RESERVE));
	if (rc < 0) { return rc; }
	memcpy(v.mv_data, b->parse.p, b->parse.n);
	put_be32((char *)v.mv_data + b->parse.n, rec_sum(b->parse));
	*oid_out = oid;
	return 0;
}

int object_ref(struct apply *ap, uint64_t oid, int delta)
{
	struct key k = key_id(oid);
	struct obj o;
	int rc = ap_get(ap, TB_OBJ, &k, &o);
	if (rc < 0) { return rc == ERR_GONE ? ERR_DAMAGED : rc; }
	if (delta < 0 && o.refcount < (uint32_t)-delta) { return ERR_DAMAGED; }
	o.refcount += (uint32_t)delta;
	rc = ap_put(ap, TB_OBJ, &k, &o, 0);
	if (rc == 0 && o.refcount == 0) {
		rc = gc_add(ap->s, ap->txn, oid, ap->now_us + ap->s->gc_wait_us);
	}
	return rc;
}
