/* Structs as bytes. Every role. The one place where octets from another process become a struct:
 * everything is checked here. */
#include "lib/wire.h"

enum { DEPTH_MAX = 6 };

WIRE_TABLE(wire_str_item, wire_str_item, WIRE_STR(struct wire_str_item, s, 4096));
WIRE_TABLE(wire_u64_item, wire_u64_item, WIRE_U64(struct wire_u64_item, v));

/* --- packing --- */

static void put32(struct buf *out, uint32_t v)
{
	put_be32(buf_reserve(out, 4), v);
	buf_grow(out, 4);
}

static void put64(struct buf *out, uint64_t v)
{
	put_be64(buf_reserve(out, 8), v);
	buf_grow(out, 8);
}

static void pack_list(const struct wire_field *f, const char *base, struct buf *out)
{
	const char *items;
	uint32_t n;
	memcpy(&items, base + f->offset, sizeof items);
	memcpy(&n, base + f->offset2, sizeof n);
	assert(n <= f->max);
	put32(out, n);
	for (uint32_t i = 0; i < n; i++) {
		size_t length_at = out->n;
		put32(out, 0); /* each element carries its length, so that its table may grow */
		wire_pack(f->sub, items + i * f->sub->size, out);
		put_be32(out->p + length_at, (uint32_t)(out->n - length_at - 4));
	}
}

static void pack_field(const struct wire_field *f, const char *base, struct buf *out)
{
	const char *at = base + f->offset;
	struct str s;
	uint32_t v32;
	uint64_t v64;
	switch (f->kind) {
	case WIRE_K_U8: buf_chr(out, *at); break;
	case WIRE_K_BOOL: buf_chr(out, *(const bool *)at); break;
	case WIRE_K_U32:
		memcpy(&v32, at, sizeof v32);
		put32(out, v32);
		break;
	case WIRE_K_U64:
		memcpy(&v64, at, sizeof v64);
		put64(out, v64);
		break;
	case WIRE_K_STR:
		memcpy(&s, at, sizeof s);
		assert(s.n <= f->max);
		put32(out, (uint32_t)s.n);
		buf_str(out, s);
		break;
	case WIRE_K_LIST: pack_list(f, base, out); break;
	case WIRE_K_SUB: {
		size_t length_at = out->n;
		put32(out, 0);
		wire_pack(f->sub, at, out);
		put_be32(out->p + length_at, (uint32_t)(out->n - length_at - 4));
		break;
	}
	}
}

void wire_pack(const struct wire *w, const void *v, struct buf *out)
{
	for (size_t i = 0; i < w->n; i++) { pack_field(&w->fields[i], v, out); }
}

/* --- unpacking --- */

struct reader {
	struct str in;
	bool bad;
};

static struct str take(struct reader *r, size_t n)
{
	if (r->in.n < n) {
		r->bad = true;
		n = r->in.n;
	}
	struct str s = str_sub(r->in, 0, n);
	r->in = str_skip(r->in, n);
	return s;
}

static uint32_t take32(struct reader *r)
{
	struct str s = take(r, 4);
	return r->bad ? 0 : get_be32(s.p);
}

static bool unpack(const struct wire *w, struct str in, struct arena *a, void *v, unsigned depth);

static void unpack_list(
	struct reader *r, const struct wire_field *f, struct arena *a, char *base, unsigned depth)
{
	uint32_t n = take32(r);
	if (n > f->max || n > r->in.n / 4) { /* every element has at least its length */
		r->bad = true;
		return;
	}
	char *items = n ? arena_try(a, n * f->sub->size) : NULL;
	r->bad |= n && !items;
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		struct str one = take(r, take32(r));
		r->bad |= !unpack(f->sub, one, a, items + i * f->sub->size, depth + 1);
	}
	if (r->bad) { return; }
	memcpy(base + f->offset, &items, sizeof items);
	memcpy(base + f->offset2, &n, sizeof n);
}

static void unpack_field(
	struct reader *r, const struct wire_field *f, struct arena *a, char *base, unsigned depth)
{
	char *at = base + f->offset;
	struct str s;
	uint32_t v32;
	uint64_t v64;
	switch (f->kind) {
	case WIRE_K_U8:
		s = take(r, 1);
		if (!r->bad) { *at = s.p[0]; }
		break;
	case WIRE_K_BOOL:
		s = take(r, 1);
		r->bad |= s.n && (unsigned char)s.p[0] > 1;
		if (!r->bad) { *(bool *)at = s.p[0] != 0; }
		break;
	case WIRE_K_U32:
		v32 = take32(r);
		memcpy(at, &v32, sizeof v32);
		break;
	case WIRE_K_U64:
		s = take(r, 8);
		v64 = r->bad ? 0 : get_be64(s.p);
		memcpy(at, &v64, sizeof v64);
		break;
	case WIRE_K_STR:
		v32 = take32(r);
		r->bad |= v32 > f->max;
		s = r->bad ? STR("") : take(r, v32);
		memcpy(at, &s, sizeof s);
		break;
	case WIRE_K_LIST: unpack_list(r, f, a, base, depth); break;
	case WIRE_K_SUB: r->bad |= !unpack(f->sub, take(r, take32(r)), a, at, depth + 1); break;
	}
}

static bool unpack(const struct wire *w, struct str in, struct arena *a, void *v, unsigned depth)
{
	struct reader r = {.in = in};
	if (depth > DEPTH_MAX) { return false; }
	memset(v, 0, w->size);
	for (size_t i = 0; i < w->n && r.in.n && !r.bad; i++) {
		unpack_field(&r, &w->fields[i], a, v, depth);
	}
	return !r.bad && r.in.n == 0;
}

int wire_unpack(const struct wire *w, struct str in, struct arena *a, void *v)
{
	return unpack(w, in, a, v, 0) ? 0 : ERR_SYNTAX;
}

/* --- JSON --- */

void json_str(struct str s, struct buf *out)
{
	buf_chr(out, '"');
	while (s.n) {
		unsigned char c = (unsigned char)s.p[0];
		size_t n = utf8_len(s);
		if (n == 0) {
			buf_str(out, STR("\xef\xbf\xbd"));
			n = 1;
		} else if (plain_len(s) == 0) { /* of two octets they are the last one's number */
			buf_fmt(out, "\\u%04x", (unsigned char)s.p[n - 1]);
		} else {
			if (c == '"' || c == '\\') { buf_chr(out, '\\'); }
			buf_add(out, s.p, n);
		}
		s = str_skip(s, n);
	}
	buf_chr(out, '"');
}

void json_name(const char *name, struct buf *out)
{
	assert(out->n);
	buf_fmt(out, "%s\"%s\":", out->p[out->n - 1] == '{' ? "" : ",", name);
}

void json_member(const char *name, struct str value, struct buf *out)
{
	json_name(name, out);
	json_str(value, out);
}

static void json_field(const struct wire_field *f, const char *base, struct buf *out)
{
	const char *at = base + f->offset, *items;
	struct str s;
	uint32_t n;
	uint64_t v64;
	switch (f->kind) {
	case WIRE_K_U8: buf_u64(out, (unsigned char)*at); break;
	case WIRE_K_BOOL: buf_str(out, *(const bool *)at ? STR("true") : STR("false")); break;
	case WIRE_K_U32:
		memcpy(&n, at, sizeof n);
		buf_u64(out, n);
		break;
	case WIRE_K_U64:
		memcpy(&v64, at, sizeof v64);
		buf_u64(out, v64);
		break;
	case WIRE_K_STR:
		memcpy(&s, at, sizeof s);
		json_str(s, out);
		break;
	case WIRE_K_SUB: wire_json(f->sub, at, out); break;
	case WIRE_K_LIST:
		memcpy(&items, at, sizeof items);
		memcpy(&n, base + f->offset2, sizeof n);
		buf_chr(out, '[');
		for (uint32_t i = 0; i < n; i++) {
			if (i) { buf_chr(out, ','); }
			wire_json(f->sub, items + i * f->sub->size, out);
		}
		buf_chr(out, ']');
	}
}

void wire_json(const struct wire *w, const void *v, struct buf *out)
{
	buf_chr(out, '{');
	for (size_t i = 0; i < w->n; i++) {
		buf_fmt(out, "%s\"%s\":", i ? "," : "", w->fields[i].name);
		json_field(&w->fields[i], v, out);
	}
	buf_chr(out, '}');
}
