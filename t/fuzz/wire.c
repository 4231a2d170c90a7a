/* Every message between roles and every record of the store, as hostile octets. The first octet
   chooses the table, the second whether the rest is taken as it is or drives a well-formed struct,
   which the last octets then spoil. What a table accepts packs again to the same octets. */
#include "auth/auth.h"
#include "cmd/sup_msg.h"
#include "lib/mimerec.h"
#include "store/record.h"
#include "t/fuzz/draw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TABLES_MAX = 256, NUMBERS = 1000, SPOIL = 6 };

static const struct wire *tables[TABLES_MAX];
static size_t tables_n;

static void add_table(const struct wire *w)
{
	if (!w) { return; }
	assert(tables_n < TABLES_MAX);
	tables[tables_n++] = w;
}

static void prepare(void)
{
	op_register();
	auth_register();
	sup_register();
	for (unsigned i = 0; i < NUMBERS; i++) {
		const struct msg_type *type = link_type(i);
		add_table(type ? type->request : NULL);
		add_table(type ? type->reply : NULL);
	}
	for (int i = 0; i < TB_N; i++) { add_table(table_wire[i]); }
	add_table(&wire_ids);
	add_table(&wire_mimerec);
}

/* --- a struct that the octets choose --- */

static void put32(struct buf *out, size_t v)
{
	put_be32(buf_reserve(out, 4), (uint32_t)v);
	buf_grow(out, 4);
}

static void compose(const struct wire *w, struct str *in, struct buf *out);

static void compose_sub(const struct wire *w, struct str *in, struct buf *out)
{
	size_t at = out->n;
	put32(out, 0);
	compose(w, in, out);
	put_be32(out->p + at, (uint32_t)(out->n - at - 4));
}

/* Numbers are small, or the largest there are. When the octets run out, it ends early. */
static void compose_field(const struct wire_field *f, struct str *in, struct buf *out)
{
	unsigned n = draw(in);
	struct str s;
	switch (f->kind) {
	case WIRE_K_U8: buf_chr(out, (char)n); break;
	case WIRE_K_BOOL: buf_chr(out, n & 1); break;
	case WIRE_K_U32: put32(out, n < 224 ? n : UINT32_MAX - (n & 1)); break;
	case WIRE_K_U64:
		put32(out, n < 224 ? 0 : UINT32_MAX);
		put32(out, n < 224 ? n : UINT32_MAX - (n & 1));
		break;
	case WIRE_K_STR:
		s = take(in, MIN(n, f->max));
		put32(out, s.n);
		buf_str(out, s);
		break;
	case WIRE_K_LIST:
		n = MIN(n % 4, f->max);
		put32(out, n);
		while (n--) { compose_sub(f->sub, in, out); }
		break;
	case WIRE_K_SUB: compose_sub(f->sub, in, out); break;
	}
}

static void compose(const struct wire *w, struct str *in, struct buf *out)
{
	for (size_t i = 0; i < w->n && in->n; i++) { compose_field(&w->fields[i], in, out); }
}

static void spoil(struct buf *b, struct str how)
{
	while (how.n >= 3 && b->n) {
		b->p[(256u * (unsigned char)how.p[0] + (unsigned char)how.p[1]) % b->n] ^= how.p[2];
		how = str_skip(how, 3);
	}
}

/* --- what must hold --- */

/* The largest struct of any list below. */
static size_t largest(const struct wire *w)
{
	size_t most = 0;
	for (size_t i = 0; i < w->n; i++) {
		const struct wire *sub = w->fields[i].sub;
		if (!sub) { continue; }
		if (w->fields[i].kind == WIRE_K_LIST) { most = MAX(most, sub->size + 16); }
		most = MAX(most, largest(sub));
	}
	return most;
}

static void check(const struct wire *w, struct str in)
{
	struct arena a = {0};
	struct buf once = {0}, twice = {0}, json = {0};
	void *v = arena_alloc(&a, w->size);
	size_t before = a.used;
	bool fine = wire_unpack(w, in, &a, v) == 0;
	assert(a.used - before <= in.n / 4 * largest(w));
	if (fine) {
		wire_pack(w, v, &once);
		assert(once.n >= in.n); /* what ended early is written out */
		assert(once.n > in.n || str_eq(buf_view(&once), in));
		wire_json(w, v, &json);
		int rc = wire_unpack(w, buf_view(&once), &a, v);
		assert(rc == 0);
		wire_pack(w, v, &twice);
		assert(str_eq(buf_view(&once), buf_view(&twice)));
	}
	buf_fini(&once);
	buf_fini(&twice);
	buf_fini(&json);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = {0};
	if (!tables_n) { prepare(); }
	if (size < 2 || size > 65536) { return 0; }
	const struct wire *w = tables[data[0] % tables_n];
	struct str in = str_make(data + 2, size - 2);
	if (data[1] & 1) {
		size_t tail = (data[1] & 2) ? MIN(in.n, (size_t)SPOIL) : 0;
		struct str how = str_skip(in, in.n - tail);
		in = str_sub(in, 0, in.n - tail);
		compose(w, &in, &b);
		spoil(&b, how);
	} else {
		buf_str(&b, in);
	}
	/* exactly as long as it is, so that reading beyond is seen */
	char *exact = malloc(MAX(b.n, (size_t)1));
	if (!exact) { abort(); }
	if (b.n) { memcpy(exact, b.p, b.n); }
	check(w, str_make(exact, b.n));
	free(exact);
	buf_fini(&b);
	return 0;
}
