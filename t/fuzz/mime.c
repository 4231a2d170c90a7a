/* A message: parsed whole and in pieces, its parts within each other, its record built and read. */
#include "lib/mimerec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mime *parse(struct str s, size_t piece)
{
	struct mime *m = mime_new();
	for (size_t at = 0; at < s.n; at += piece) { mime_add(m, str_sub(s, at, piece)); }
	mime_end(m);
	return m;
}

static uint64_t part_end(const struct mime_part *p)
{
	return p->header_off + p->header_len + p->body_len;
}

static void check_part(const struct mime *m, size_t i)
{
	const struct mime_part *p = mime_part(m, i), *parent = mime_part(m, p->parent);
	assert(part_end(p) <= mime_size(m));
	assert(p->header.n == p->header_len);
	assert(p->depth < MIME_DEPTH_MAX);
	assert(p->type.type.n && p->type.subtype.n && p->encoding.n);
	assert(p->lines <= p->body_len);
	if (i == 0) { return; }
	assert(p->parent < i && p->depth == parent->depth + 1);
	assert(p->number >= 1 && p->number <= parent->children);
	assert(parent->kind == MIME_MULTIPART || parent->kind == MIME_MESSAGE);
	assert(p->header_off >= parent->header_off + parent->header_len);
	/* an empty part may begin in the line end that its delimiter owns */
	assert(part_end(p) <= part_end(parent) || p->body_len == 0);
}

static void check_same(const struct mime *a, const struct mime *b)
{
	struct buf x = {0}, y = {0};
	mimerec_build(a, &x);
	mimerec_build(b, &y);
	assert(str_eq(buf_view(&x), buf_view(&y)));
	assert(mime_truncated(a) == mime_truncated(b));
	buf_fini(&x);
	buf_fini(&y);
}

/* Damaged anywhere, a record must be read without harm. */
static void check_record(const struct mime *m, struct str damage)
{
	struct buf packed = {0};
	struct arena a = {0};
	struct mimerec r;
	uint64_t refs[8];
	mimerec_build(m, &packed);
	int rc = mimerec_read(buf_view(&packed), &a, &r);
	assert(rc == 0 && r.parts_n == mime_parts(m));
	assert(mimerec_refs(m, refs, COUNT(refs)) >= 1);
	for (size_t i = 0; i + 1 < damage.n && i < 16; i += 2) {
		size_t at = (unsigned char)damage.p[i] * 31u % packed.n;
		packed.p[at] = damage.p[i + 1];
	}
	(void)mimerec_read(buf_view(&packed), &a, &r); /* either answer is fine */
	(void)mimerec_read(damage, &a, &r);            /* either answer is fine */
	arena_fini(&a);
	buf_fini(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_make(data, size);
	struct mime *whole = parse(s, size + 1), *octets = parse(s, 1), *some = parse(s, 7);
	for (size_t i = 0; i < mime_parts(whole); i++) { check_part(whole, i); }
	check_same(whole, octets);
	check_same(whole, some);
	check_record(whole, s);
	mime_free(whole);
	mime_free(octets);
	mime_free(some);
	return 0;
}
