/* lib: structs as bytes and as JSON. */
#include "t/tap.h"

#include "lib/wire.h"

struct leaf {
	struct str name;
	uint32_t n;
};
WIRE_TABLE(leaf, leaf_wire, WIRE_STR(struct leaf, name, 8), WIRE_U32(struct leaf, n));

struct tree {
	unsigned char kind;
	bool flag;
	uint32_t small;
	int64_t when;
	struct str text;
	struct leaf one;
	struct leaf *leaves;
	uint32_t leaves_n;
};
WIRE_TABLE(tree, tree_wire, WIRE_U8(struct tree, kind), WIRE_BOOL(struct tree, flag),
	WIRE_U32(struct tree, small), WIRE_U64(struct tree, when), WIRE_STR(struct tree, text, 20),
	WIRE_SUB(struct tree, one, leaf_wire),
	WIRE_LIST(struct tree, leaves, leaves_n, leaf_wire, 4));

/* An older writer of the same record. */
WIRE_TABLE(tree, old_wire, WIRE_U8(struct tree, kind), WIRE_BOOL(struct tree, flag));

/* A table that contains itself must not recurse for ever. */
struct nest {
	struct nest *in;
	uint32_t n;
};
extern const struct wire nest_wire;
WIRE_TABLE(nest, nest_wire, WIRE_LIST(struct nest, in, n, nest_wire, 100));

static struct leaf leaves[] = {{STR("l0"), 1}, {STR(""), 0}, {STR("12345678"), UINT32_MAX}};

static struct tree sample(void)
{
	return (struct tree){.kind = 200,
		.flag = true,
		.small = 7,
		.when = INT64_MIN + 5,
		.text = STR("a\0b"),
		.one = {STR("one"), 11},
		.leaves = leaves,
		.leaves_n = COUNT(leaves)};
}

static void test_roundtrip(void)
{
	struct tree in = sample(), out;
	struct buf b = {0};
	struct arena a;
	arena_init(&a, 100000);
	wire_pack(&tree_wire, &in, &b);
	CHECK_INT(wire_unpack(&tree_wire, buf_view(&b), &a, &out), 0);
	CHECK_INT(out.kind, 200);
	CHECK(out.flag);
	CHECK_INT(out.small, 7);
	CHECK_INT(out.when, INT64_MIN + 5);
	CHECK_STR(out.text, STR("a\0b"));
	CHECK_STR(out.one.name, STR("one"));
	CHECK_INT(out.one.n, 11);
	CHECK_INT(out.leaves_n, 3);
	CHECK_STR(out.leaves[2].name, STR("12345678"));
	CHECK_INT(out.leaves[2].n, UINT32_MAX);
	struct buf again = {0};
	wire_pack(&tree_wire, &out, &again);
	CHECK_STR(buf_view(&again), buf_view(&b));
	buf_fini(&again);
	buf_fini(&b);
	arena_fini(&a);
}

/* Cut between fields it is an older record, cut within one it is damaged; one octet more is too
   much. */
static void test_truncated(void)
{
	struct tree in = sample(), out;
	struct buf b = {0};
	struct arena a;
	int good = 0;
	arena_init(&a, 100000);
	wire_pack(&tree_wire, &in, &b);
	for (size_t n = 0; n < b.n; n++) {
		char *exact = malloc(n + !n); /* so that reading past the end is noticed */
		memcpy(exact, b.p, n);
		good += wire_unpack(&tree_wire, str_make(exact, n), &a, &out) == 0;
		free(exact);
	}
	CHECK_INT(good, 7);
	buf_chr(&b, 0);
	CHECK_INT(wire_unpack(&tree_wire, buf_view(&b), &a, &out), ERR_SYNTAX);
	b.n = 2;
	CHECK_INT(wire_unpack(&tree_wire, buf_view(&b), &a, &out), 0);
	CHECK_INT(out.leaves_n, 0);
	CHECK_INT(out.text.n, 0);
	CHECK_INT(wire_unpack(&old_wire, buf_view(&b), &a, &out), 0);
	buf_chr(&b, 0);
	CHECK_INT(wire_unpack(&old_wire, buf_view(&b), &a, &out), ERR_SYNTAX);
	buf_fini(&b);
	arena_fini(&a);
}

static int unpack(struct str in, struct arena *a)
{
	struct tree out;
	return wire_unpack(&tree_wire, in, a, &out);
}

static void test_bounds(void)
{
	struct arena a;
	arena_init(&a, 100000);
	/* kind, flag, small, when, then text */
	CHECK_INT(unpack(STR("\1\2"), &a), ERR_SYNTAX); /* no such bool */
	CHECK_INT(unpack(STR("\1\1\0\0\0\7"
			     "\0\0\0\0\0\0\0\0"
			     "\0\0\0\24"
			     "12345678901234567890"),
			  &a),
		0);
	CHECK_INT(unpack(STR("\1\1\0\0\0\7"
			     "\0\0\0\0\0\0\0\0"
			     "\0\0\0\25"
			     "123456789012345678901"),
			  &a),
		ERR_SYNTAX); /* over max */
	CHECK_INT(unpack(STR("\1\1\0\0\0\7"
			     "\0\0\0\0\0\0\0\0"
			     "\377\377\377\377"
			     "1"),
			  &a),
		ERR_SYNTAX);
	static const char head[] = "\1\1\0\0\0\7"
				   "\0\0\0\0\0\0\0\0"
				   "\0\0\0\0"
				   "\0\0\0\0";
	struct buf b = {0};
	for (uint32_t n = 0; n < 7; n++) { /* at most 4 elements */
		buf_reset(&b);
		buf_add(&b, head, sizeof head - 1);
		put_be32(buf_reserve(&b, 4), n);
		buf_grow(&b, 4);
		for (uint32_t i = 0; i < n; i++) { buf_add(&b, "\0\0\0\0", 4); }
		CHECK_INT(unpack(buf_view(&b), &a), n <= 4 ? 0 : ERR_SYNTAX);
	}
	buf_reset(&b); /* more elements claimed than octets are left */
	buf_add(&b, head, sizeof head - 1);
	buf_add(&b, "\0\0\0\4\0\0\0\0\0\0\0\0", 12);
	CHECK_INT(unpack(buf_view(&b), &a), ERR_SYNTAX);
	buf_reset(&b); /* an element longer than its list */
	buf_add(&b, head, sizeof head - 1);
	buf_add(&b, "\0\0\0\1\0\0\0\11\0\0\0\0", 12);
	CHECK_INT(unpack(buf_view(&b), &a), ERR_SYNTAX);
	arena_fini(&a);
	struct arena tiny = {.max = 32}; /* the arena's cap is a limit, not a crash */
	buf_reset(&b);
	struct tree in = sample();
	wire_pack(&tree_wire, &in, &b);
	CHECK_INT(unpack(buf_view(&b), &tiny), ERR_SYNTAX);
	arena_fini(&tiny);
	buf_fini(&b);
}

static void test_depth(void)
{
	struct buf b = {0};
	struct arena a;
	struct nest out;
	arena_init(&a, 100000);
	for (int depth = 1; depth < 20; depth++) {
		buf_reset(&b);
		for (int i = 0; i < depth; i++) {
			size_t inner = (size_t)(depth - i - 1) * 8;
			put_be32(buf_reserve(&b, 8), 1);
			put_be32(b.p + b.n + 4, (uint32_t)inner);
			buf_grow(&b, 8);
		}
		CHECK_INT(wire_unpack(&nest_wire, buf_view(&b), &a, &out),
			depth <= 6 ? 0 : ERR_SYNTAX);
	}
	buf_fini(&b);
	arena_fini(&a);
}

static void test_json(void)
{
	struct tree in = sample();
	struct buf b = {0};
	in.text = STR("\"\\\n\x7f\xc3\xa4\xff\xed\xa0\x80");
	in.when = 5;
	in.leaves_n = 2;
	wire_json(&tree_wire, &in, &b);
	CHECK_STR(buf_view(&b),
		STR("{\"kind\":200,\"flag\":true,\"small\":7,\"when\":5,"
		    "\"text\":\"\\\"\\\\\\u000a\\u007f\xc3\xa4\xef\xbf\xbd"
		    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
		    "\"one\":{\"name\":\"one\",\"n\":11},"
		    "\"leaves\":[{\"name\":\"l0\",\"n\":1},{\"name\":\"\",\"n\":0}]}"));
	buf_fini(&b);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"a struct comes back as it went", test_roundtrip},
		{"cut off, grown, too long", test_truncated},
		{"bounds of strings and lists", test_bounds},
		{"depth", test_depth},
		{"JSON", test_json},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
