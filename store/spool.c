/* Bodies on their way into the store. mx, submit, imap, relay. Keeps at most the octets that are
   not yet uploaded: one chunk, plus what the caller added after being told that the spool is full.
 */
#include "store/spool.h"

#include <openssl/evp.h>

#include "lib/mimerec.h"

struct spool {
	struct link *const *store;
	struct task *task;
	uint64_t max, size; /* without the top */
	struct mime *mime;
	EVP_MD_CTX *hash;
	struct buf top;
	struct buf held; /* octets not yet sent; at the end of what goes inline, all of it */
	uint64_t oid;    /* of the upload, once the store has begun it */
	uint32_t chunk;  /* the next one to send */
	struct call calls[SPOOL_WINDOW];
	bool out[SPOOL_WINDOW]; /* the call was made and not looked at since */
	int rc;
	bool over, ended, taken, never_inline, late_top;
	unsigned char sha256[32];
	struct buf parse;
	struct wire_u64_item refs[OP_REFS_MAX];
	uint32_t refs_n;
	uint32_t header_len;
};

struct spool *spool_new(struct link *const *store, struct task *task, uint64_t max)
{
	struct spool *sp = xnew(struct spool);
	*sp = (struct spool){.store = store, .task = task, .max = max, .mime = mime_new()};
	sp->hash = EVP_MD_CTX_new();
	if (!sp->hash || EVP_DigestInit_ex(sp->hash, EVP_sha256(), NULL) != 1) { abort(); }
	return sp;
}

void spool_never_inline(struct spool *sp)
{
	sp->never_inline = true;
}

/* Chunk 0 is then left free for them. */
void spool_late_top(struct spool *sp)
{
	assert(!sp->never_inline); /* a body of many is never on its own */
	sp->late_top = true;
	sp->chunk = 1;
}

uint64_t spool_size(const struct spool *sp)
{
	return sp->size + sp->top.n;
}

static bool is_inline(const struct spool *sp)
{
	return spool_size(sp) <= CHUNK_DATA && !(sp->never_inline && sp->size);
}

/* Look at the calls that were answered. How many are still out. */
static unsigned settle(struct spool *sp)
{
	unsigned out = 0;
	for (int i = 0; i < SPOOL_WINDOW; i++) {
		struct call *c = &sp->calls[i];
		if (!sp->out[i]) { continue; }
		if (c->link) {
			out++;
			continue;
		}
		if (c->rc < 0) {
			sp->rc = c->rc;
		} else {
			sp->oid = ((struct op_upload_reply *)c->reply)->oid;
		}
		sp->out[i] = false;
		call_fini(c);
	}
	return out;
}

/* Send one chunk of `n` octets when a place in the window is free. The first one goes alone: its
   reply brings the object's id. */
static bool send_chunk(struct spool *sp, size_t n)
{
	unsigned out = settle(sp);
	bool first = sp->chunk == sp->late_top;
	if (sp->rc < 0 || (!first && sp->oid == 0)) { return false; }
	if (out == SPOOL_WINDOW || (*sp->store && link_full(*sp->store))) { return false; }
	for (int i = 0; i < SPOOL_WINDOW; i++) {
		if (sp->out[i]) { continue; }
		struct op_upload op = {
			.oid = sp->oid, .chunk = sp->chunk++, .data = str_make(sp->held.p, n)};
		sp->out[i] = true;
		if (!sp->ended) { EVP_DigestUpdate(sp->hash, sp->held.p, n); }
		link_call(*sp->store, &sp->calls[i], sp->task, &OP_UPLOAD, &op, 0);
		buf_drop(&sp->held, n);
		return true;
	}
	return false;
}

/* A full chunk stays while nothing follows it: a body of one chunk travels inline. */
static void send_full_chunks(struct spool *sp)
{
	while (sp->held.n > CHUNK_DATA && send_chunk(sp, CHUNK_DATA)) {}
}

int spool_add(struct spool *sp, struct str s)
{
	sp->size += s.n;
	if (sp->size > sp->max) {
		sp->over = true;
		buf_fini(&sp->held);
	}
	if (sp->over || sp->rc < 0) { return sp->over ? ERR_LIMIT : sp->rc; }
	mime_add(sp->mime, s);
	buf_str(&sp->held, s);
	send_full_chunks(sp);
	return sp->rc;
}

bool spool_full(const struct spool *sp)
{
	struct spool *mutable = (struct spool *)(uintptr_t)sp;
	if (sp->over || sp->rc < 0) { return false; }
	send_full_chunks(mutable); /* the caller was woken: there may be room now */
	return sp->rc == 0 && sp->held.n > CHUNK_DATA;
}

void spool_top(struct spool *sp, struct str top)
{
	assert(sp->late_top && !sp->ended && top.n && top.n <= OP_TOP_MAX);
	buf_str(&sp->top, top);
}

/* A body that goes inline is one piece from the top on. */
static void put_top(struct spool *sp)
{
	buf_str(&sp->top, buf_view(&sp->held));
	buf_fini(&sp->held);
	sp->held = sp->top;
	sp->size = sp->held.n;
	sp->top = (struct buf){0};
}

/* What the operation carries besides the octets. */
static void describe(struct spool *sp)
{
	uint64_t hashes[OP_REFS_MAX];
	mime_end(sp->mime);
	if (sp->top.n) { mime_top(sp->mime, buf_view(&sp->top)); }
	if (sp->top.n && is_inline(sp)) { put_top(sp); }
	EVP_DigestUpdate(sp->hash, sp->held.p, sp->held.n);
	EVP_DigestUpdate(sp->hash, sp->top.p, sp->top.n);
	EVP_DigestFinal_ex(sp->hash, sp->sha256, NULL);
	mimerec_build(sp->mime, &sp->parse);
	sp->header_len = mime_parts(sp->mime) ? mime_part(sp->mime, 0)->header_len : 0;
	sp->refs_n = (uint32_t)mimerec_refs(sp->mime, hashes, OP_REFS_MAX);
	for (uint32_t i = 0; i < sp->refs_n; i++) { sp->refs[i].v = hashes[i]; }
}

int spool_finish(struct spool *sp)
{
	if (sp->over) { return ERR_LIMIT; }
	if (!sp->ended) {
		sp->ended = true;
		assert(sp->top.n || !sp->late_top);
		describe(sp);
		if (sp->parse.n > OP_PARSE_MAX) { sp->rc = ERR_LIMIT; }
	}
	if (!is_inline(sp)) {
		while (sp->held.n && send_chunk(sp, MIN(sp->held.n, CHUNK_DATA))) {}
	}
	unsigned out = settle(sp);
	if (sp->rc < 0) { return sp->rc; }
	return out == 0 && (is_inline(sp) || sp->held.n == 0);
}

void spool_body(struct spool *sp, struct op_body *out)
{
	*out = (struct op_body){.oid = is_inline(sp) ? 0 : sp->oid,
		.data = is_inline(sp) ? buf_view(&sp->held) : STR(""),
		.size = spool_size(sp),
		.sha256 = str_make(sp->sha256, sizeof sp->sha256),
		.parse = buf_view(&sp->parse),
		.header_len = sp->header_len,
		.refs = sp->refs,
		.refs_n = sp->refs_n,
		.top = buf_view(&sp->top)};
}

void spool_taken(struct spool *sp)
{
	sp->taken = true;
}

void spool_free(struct spool *sp)
{
	if (!sp) { return; }
	settle(sp);
	for (int i = 0; i < SPOOL_WINDOW; i++) { call_fini(&sp->calls[i]); }
	if (sp->oid && !sp->taken) {
		struct op_drop_upload op = {sp->oid};
		link_send(*sp->store, &OP_DROP_UPLOAD, &op, NULL, 0);
	}
	mime_free(sp->mime);
	EVP_MD_CTX_free(sp->hash);
	buf_fini(&sp->top);
	buf_fini(&sp->held);
	buf_fini(&sp->parse);
	free(sp);
}
