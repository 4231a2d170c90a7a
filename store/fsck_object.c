/* Checks of stored objects: references, chunks and their checksums, SHA-256, parse records, and
   octets that belong to nothing. */
#include <openssl/evp.h>

#include "lib/mimerec.h"
#include "store/fsck.h"

enum { CHUNKS_MOST = 1 << 20 }; /* 64 GiB: no message has so many */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

void fsck_sort(struct fsck_ids *ids)
{
	if (ids->n) { qsort(ids->v, ids->n, sizeof *ids->v, by_value); }
}

uint32_t fsck_count(const struct fsck_ids *ids, uint64_t oid)
{
	size_t lo = 0, hi = ids->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (ids->v[mid] < oid) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	uint32_t n = 0;
	while (lo < ids->n && ids->v[lo] == oid) {
		lo++;
		n++;
	}
	return n;
}

/* The octets of an object as they are run over. A first chunk that came last was hashed last. */
struct reader {
	EVP_MD_CTX *md;
	struct mime *mime; /* NULL: only hashed */
	struct str top;
	uint64_t size;
	uint32_t chunks;
	unsigned char sha256[EVP_MAX_MD_SIZE];
};

static void reader_start(struct reader *r, struct mime *mime)
{
	*r = (struct reader){.md = EVP_MD_CTX_new(), .mime = mime};
	if (!r->md || EVP_DigestInit_ex(r->md, EVP_sha256(), NULL) != 1) { abort(); }
}

static int reader_chunk(struct reader *r, struct fsck *f, uint64_t oid, bool top)
{
	struct str data;
	int rc = chunk_get(f->ap.s, f->ap.txn, oid, r->chunks, &data);
	if (rc < 0) { return rc; }
	if (top) {
		r->top = data;
	} else {
		EVP_DigestUpdate(r->md, data.p, data.n);
	}
	if (r->mime) { mime_add(r->mime, data); }
	r->size += data.n;
	r->chunks++;
	return 0;
}

static void reader_end(struct reader *r)
{
	if (r->top.n) { EVP_DigestUpdate(r->md, r->top.p, r->top.n); }
	EVP_DigestFinal_ex(r->md, r->sha256, NULL);
	EVP_MD_CTX_free(r->md);
}

/* A chunk that is there and damaged counts: without it the message would look whole and be short.
 */
static bool skip_damaged(struct reader *r, struct fsck *f, uint64_t oid)
{
	int64_t len = chunk_len(f->ap.s, f->ap.txn, oid, r->chunks);
	if (len < 0) { return false; }
	r->size += (uint64_t)len;
	r->chunks++;
	return true;
}

/* What stands behind a hole counts as well: with it missing the message is not whole. */
static bool skip_hole(struct reader *r, struct fsck *f, uint64_t oid)
{
	struct key next = key_id_n(oid, r->chunks), found;
	if (ap_next_key(&f->ap, TB_BLOB, &next, 8, &found) != 0) { return false; }
	uint32_t chunk = get_be32(found.p + 8);
	if (chunk >= CHUNKS_MOST) { return false; } /* a key that went wrong */
	/* one that is there all the same is too short to be read */
	r->chunks = chunk == r->chunks ? chunk + 1 : chunk;
	return true;
}

bool fsck_lost_object(struct fsck *f, uint64_t oid, struct obj *out)
{
	struct reader r;
	struct mime *mime = mime_new();
	struct key k = key_id(oid);
	int64_t first = chunk_len(f->ap.s, f->ap.txn, oid, 0);
	bool top = first < CHUNK_DATA && chunk_len(f->ap.s, f->ap.txn, oid, 1) > 0;
	reader_start(&r, mime);
	bool damaged = false, more = true;
	while (more) {
		more = reader_chunk(&r, f, oid, top && r.chunks == 0) == 0;
		if (!more && (skip_damaged(&r, f, oid) || skip_hole(&r, f, oid))) {
			damaged = more = true;
		}
	}
	reader_end(&r);
	if (damaged) { memset(r.sha256, 0, sizeof r.sha256); } /* which no octets have */
	mime_end(mime);
	*out = (struct obj){.oid = oid,
		.refcount = 1, /* whoever asked for it; counted later */
		.size = r.size,
		.chunks = r.chunks,
		.header_len = mime_part(mime, 0)->header_len,
		.received_us = f->ap.now_us,
		.top_len = (uint32_t)r.top.n};
	memcpy(out->sha256, r.sha256, sizeof out->sha256);
	mime_free(mime);
	if (out->chunks == 0) { return false; }
	if (fsck_found(f, "object %llu: its record is gone", (unsigned long long)oid)) {
		fsck_do(f, ap_put(&f->ap, TB_OBJ, &k, out, 0));
	}
	return true;
}

int fsck_read(struct fsck *f, const struct obj *o, struct mime *mime)
{
	struct reader r;
	int rc = 0;
	reader_start(&r, mime);
	while (rc == 0 && r.chunks < o->chunks) {
		rc = reader_chunk(&r, f, o->oid, o->top_len && r.chunks == 0);
	}
	reader_end(&r);
	bool right = r.size == o->size && r.top.n == o->top_len &&
		     memcmp(r.sha256, o->sha256, sizeof o->sha256) == 0;
	return rc < 0 ? rc : right ? 0 : ERR_DAMAGED;
}

static bool parse_right(struct fsck *f, uint64_t oid)
{
	struct key k = key_id(oid);
	MDB_val key = key_val(&k), v;
	struct mimerec rec;
	if (mdb_get(f->ap.txn, f->ap.s->dbi[TB_PARSE], &key, &v) != 0 || v.mv_size < 4) {
		return false;
	}
	struct str body = str_make(v.mv_data, v.mv_size - 4);
	return rec_sum(body) == get_be32(body.p + body.n) &&
	       mimerec_read(body, &f->ap.tmp, &rec) == 0;
}

static void mend_parse(struct fsck *f, const struct obj *o)
{
	struct mime *mime = mime_new();
	struct buf b = {0};
	char sum[4];
	struct key k = key_id(o->oid);
	if (fsck_read(f, o, mime) == 0) {
		mime_end(mime);
		mimerec_build(mime, &b);
		put_be32(sum, rec_sum(buf_view(&b)));
		buf_add(&b, sum, sizeof sum);
		MDB_val key = key_val(&k), v = {b.n, b.p};
		fsck_do(f, env_rc(mdb_put(f->ap.txn, f->ap.s->dbi[TB_PARSE], &key, &v, 0)));
	}
	buf_fini(&b);
	mime_free(mime);
}

static void check_octets(struct fsck *f, const struct obj *o)
{
	int rc = fsck_read(f, o, NULL);
	if (rc < 0) {
		/* Nothing brings octets back: the messages stay, so that people see what is lost.
		 */
		fsck_found(f, "object %llu: its octets are %s", (unsigned long long)o->oid,
			rc == ERR_GONE ? "missing" : "damaged");
	} else if (!parse_right(f, o->oid) &&
		   fsck_found(f, "object %llu: its parse record is wrong",
			   (unsigned long long)o->oid)) {
		mend_parse(f, o);
	}
	struct key end = key_id_n(o->oid, o->chunks), more;
	while (ap_next_key(&f->ap, TB_BLOB, &end, 8, &more) == 0 &&
		fsck_found(f, "object %llu: octets behind its end", (unsigned long long)o->oid)) {
		fsck_do(f, ap_del(&f->ap, TB_BLOB, &more));
	}
}

static void check_object(struct fsck *f, struct obj *o)
{
	struct key k = key_id(o->oid);
	uint32_t refs = fsck_count(&f->refs, o->oid);
	bool dying = fsck_count(&f->dying, o->oid) > 0;
	/* gc takes several steps for the octets of a large one */
	if (refs > 0 || !dying) { check_octets(f, o); }
	if (refs != o->refcount && fsck_found(f, "object %llu: %u references counted as %u",
					   (unsigned long long)o->oid, refs, o->refcount)) {
		o->refcount = refs;
		fsck_do(f, ap_put(&f->ap, TB_OBJ, &k, o, 0));
	}
	if (refs == 0 && !dying &&
		fsck_found(f, "object %llu: nobody references it", (unsigned long long)o->oid)) {
		fsck_do(f, gc_add(f->ap.s, f->ap.txn, o->oid, f->ap.now_us));
	}
}

/* What is in use must not wait for its deletion. */
static void check_gc(struct fsck *f)
{
	struct key at = key_none();
	while (fsck_next(f, TB_GC, &at, 0, NULL)) {
		uint64_t oid = get_be64(at.p + 8);
		if (fsck_count(&f->refs, oid) > 0 &&
			fsck_found(f, "object %llu: it is in use and to be deleted",
				(unsigned long long)oid)) {
			fsck_do(f, ap_del(&f->ap, TB_GC, &at));
		}
		key_step(&at);
	}
}

/* An operation that takes an upload over ends it. */
static void check_uploads(struct fsck *f)
{
	struct key at = key_none();
	while (fsck_next(f, TB_UPLOAD, &at, 0, NULL)) {
		if (ap_has(&f->ap, TB_OBJ, &at) &&
			fsck_found(f, "object %llu: it is no upload any more",
				(unsigned long long)get_be64(at.p))) {
			fsck_do(f, ap_del(&f->ap, TB_UPLOAD, &at));
		}
		key_step(&at);
	}
}

/* Chunks and parse records of no object. */
static void check_strays(struct fsck *f, enum table tb)
{
	struct key at = key_none();
	while (fsck_next(f, tb, &at, 0, NULL)) {
		uint64_t oid = get_be64(at.p);
		struct key k = key_id(oid);
		if (!ap_has(&f->ap, TB_OBJ, &k) && !ap_has(&f->ap, TB_UPLOAD, &k) &&
			!fsck_count(&f->dying, oid) &&
			fsck_found(f, "%s: octets of object %llu, which is not there",
				table_names[tb], (unsigned long long)oid)) {
			fsck_do(f, ap_del_prefix(&f->ap, tb, &k));
		}
		if (oid == UINT64_MAX) { return; }
		at = key_id(oid + 1);
	}
}

void fsck_objects(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	while (fsck_next(f, TB_OBJ, &at, 0, &v)) {
		struct obj o;
		struct key next = at;
		if (fsck_unpack(f, TB_OBJ, &at, v, &o) == 0) {
			o.oid = get_be64(at.p);
			check_object(f, &o);
		}
		at = next;
		key_step(&at);
	}
	check_gc(f);
	check_uploads(f);
	check_strays(f, TB_BLOB);
	check_strays(f, TB_PARSE);
}
