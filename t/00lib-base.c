/* lib: str, buf, arena, map, list. */
#include "t/tap.h"

#include "lib/map.h"

static void test_str(void)
{
	struct str s = STR("key=value=x"), head;
	uint64_t v;
	CHECK(str_cut(&s, '=', &head));
	CHECK_STR(head, STR("key"));
	CHECK_STR(s, STR("value=x"));
	CHECK(str_ieq(STR("InBox"), STR("INBOX")));
	CHECK(!str_ieq(STR("InBo"), STR("INBOX")));
	CHECK_INT(str_find(STR("abcabd"), STR("abd")), 3);
	CHECK_INT(str_ifind(STR("abcaBd"), STR("AbD")), 3);
	CHECK_STR(str_trim(STR(" \t a b\t")), STR("a b"));
	CHECK(str_u64(STR("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
	CHECK(!str_u64(STR("18446744073709551616"), UINT64_MAX, &v));
	CHECK(!str_u64(STR("11"), 10, &v));
	CHECK(!str_u64(STR(""), 10, &v));
	CHECK(!str_u64(STR("1x"), 10, &v));
	CHECK_STR(str_sub(STR("abc"), 2, 9), STR("c"));
	CHECK_STR(str_skip(STR("abc"), 9), STR(""));
}

/* A terminal acts on CSI, as one octet and as U+009B, as much as on ESC [. */
static void test_plain(void)
{
	struct buf b = {0};
	buf_plain(&b, STR("a\x1b[2J \xc2\x9b"
			  "2J \x9b"
			  "2J \x7f\0\r\n\t \xc3\xbc \xc2\xa0\xe2\x82\xac"));
	CHECK_STR(buf_view(&b), STR("a?[2J ?2J ?2J ????? \xc3\xbc \xc2\xa0\xe2\x82\xac"));
	buf_fini(&b);
}

static void test_buf(void)
{
	struct buf b = {0};
	buf_fmt(&b, "%s-%d", "a", 7);
	buf_chr(&b, '!');
	buf_u64(&b, UINT64_MAX);
	CHECK_STR(buf_view(&b), STR("a-7!18446744073709551615"));
	buf_drop(&b, 4);
	CHECK_STR(buf_view(&b), STR("18446744073709551615"));
	buf_drop(&b, 99);
	CHECK_INT(b.n, 0);
	buf_fini(&b);
}

static void test_arena(void)
{
	struct arena a;
	arena_init(&a, 10000);
	char *p = arena_try(&a, 6000);
	CHECK(p && p[5999] == 0);
	CHECK(!arena_try(&a, 6000));
	CHECK(!arena_try(&a, SIZE_MAX - 3));
	arena_reset(&a);
	CHECK(arena_try(&a, 6000) != NULL);
	CHECK_STR(arena_fmt(&a, "%03d", 7), STR("007"));
	arena_fini(&a);
}

static void test_map(void)
{
	static char keys[5000][8];
	struct map m = {0};
	for (int i = 0; i < 5000; i++) {
		snprintf(keys[i], sizeof keys[i], "k%d", i);
		CHECK(!map_put(&m, str_of(keys[i]), keys[i]));
	}
	for (int i = 0; i < 5000; i += 2) { CHECK(map_del(&m, str_of(keys[i])) == keys[i]); }
	for (int i = 0; i < 5000; i++) {
		CHECK(map_get(&m, str_of(keys[i])) == (i % 2 ? keys[i] : NULL));
	}
	size_t at = 0, seen = 0;
	while (map_next(&m, &at, NULL)) { seen++; }
	CHECK_INT(seen, 2500);
	for (int i = 0; i < 5000; i++) { map_put(&m, str_of(keys[i]), keys[i]); }
	CHECK_INT(m.n, 5000);
	map_fini(&m);
}

static void test_list(void)
{
	struct list head, a, b;
	list_init(&head);
	list_init(&a);
	list_init(&b);
	list_add(&head, &a);
	list_add(&head, &b);
	list_del(&a);
	list_del(&a);
	CHECK(list_pop(&head) == &b);
	CHECK(list_empty(&head) && !list_pop(&head));
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"str", test_str},
		{"buf", test_buf},
		{"plain text", test_plain},
		{"arena", test_arena},
		{"map", test_map},
		{"list", test_list},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
