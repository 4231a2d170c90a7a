/* A message converted for a host that takes less: whatever comes in, what goes out is fit for it,
   does not depend on the pieces, and has the same parts, which say the same. */
#include "lib/mime.h"
#include "smtp/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct convert_needs look(struct convert *c, struct str s, size_t piece)
{
	struct convert_needs needs;
	for (size_t at = 0; at < s.n; at += piece) { convert_look(c, str_sub(s, at, piece)); }
	convert_looked(c, &needs);
	return needs;
}

static bool write(struct convert *c, struct str s, size_t piece, bool seven, struct buf *out)
{
	if (convert_begin(c, seven)) { return false; }
	for (size_t at = 0; at < s.n; at += piece) { convert_add(c, str_sub(s, at, piece), out); }
	convert_end(c, out);
	return true;
}

static void check_fit(struct str s, bool seven)
{
	struct convert *c = convert_new();
	struct convert_needs needs = look(c, s, s.n + 1);
	assert(!needs.raw && !needs.line_long && !(seven && needs.eight));
	convert_free(c);
}

static void decode(const struct mime_part *p, struct str s, struct buf *out)
{
	struct transfer_decoder d = {.kind = p->transfer};
	transfer_decode(&d, str_sub(s, p->header_off + p->header_len, p->body_len), out);
	transfer_end(&d, out);
}

static bool is_leaf(const struct mime_part *p)
{
	return p->kind != MIME_MULTIPART && p->kind != MIME_MESSAGE;
}

/* Limits may cut the structure at other places; else each part is still there. */
static void check_parts(struct str in, struct str out)
{
	struct mime *a = mime_new(), *b = mime_new();
	mime_add(a, in);
	mime_end(a);
	mime_add(b, out);
	mime_end(b);
	bool cut = mime_truncated(a) || mime_truncated(b);
	assert(cut || mime_parts(a) == mime_parts(b));
	for (size_t i = 0; !cut && i < mime_parts(a); i++) {
		const struct mime_part *p = mime_part(a, i), *q = mime_part(b, i);
		struct buf x = {0}, y = {0};
		assert(p->kind == q->kind && str_eq(p->type.subtype, q->type.subtype));
		decode(p, in, &x);
		decode(q, out, &y);
		assert(!is_leaf(p) || str_eq(buf_view(&x), buf_view(&y)));
		buf_fini(&x);
		buf_fini(&y);
	}
	mime_free(a);
	mime_free(b);
}

static void check(struct str s, bool seven)
{
	struct convert *whole = convert_new(), *octets = convert_new();
	struct buf a = {0}, b = {0};
	struct convert_needs x = look(whole, s, s.n + 1), y = look(octets, s, 1);
	assert(memcmp(&x, &y, sizeof x) == 0);
	bool done = write(whole, s, s.n + 1, seven, &a);
	assert(write(octets, s, 1, seven, &b) == done);
	assert(str_eq(buf_view(&a), buf_view(&b)));
	if (done) {
		check_fit(buf_view(&a), seven);
		check_parts(s, buf_view(&a));
	}
	convert_free(whole);
	convert_free(octets);
	buf_fini(&a);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_make(size ? (const char *)data : "", size);
	check(s, false);
	check(s, true);
	return 0;
}
