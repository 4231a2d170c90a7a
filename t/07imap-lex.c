/* imap: the grammar's pieces, and what a set of messages means to a view. */
#include "t/tap.h"

#include "imap/view.h"

/* One reader over the whole of `in`: what it read, and how much of it. */
struct lex_case {
	const char *in;
	const char *want; /* NULL = refused */
	size_t left;      /* octets that stay */
};

typedef bool (*reader)(struct lex *l, struct str *out);

static void run_cases(reader read, const struct lex_case *cases, size_t n, bool utf8)
{
	for (size_t i = 0; i < n; i++) {
		struct arena a = {0};
		struct lex l = {.in = str_of(cases[i].in), .arena = &a, .utf8 = utf8};
		struct str got = STR("refused");
		bool ok = read(&l, &got);
		const char *want = cases[i].want ? cases[i].want : "refused";
		tap_check_str(
			__FILE__, __LINE__, cases[i].in, ok ? got : STR("refused"), str_of(want));
		size_t left = ok ? cases[i].left : l.in.n;
		tap_check_int(__FILE__, __LINE__, cases[i].in, (long long)(l.in.n - l.at),
			(long long)left);
		CHECK(ok || l.error);
		arena_fini(&a);
	}
}

static void test_atoms(void)
{
	static const struct lex_case cases[] = {
		{"FETCH", "FETCH"},
		{"a.b-c[1 x", "a.b-c[1", 2},
		{"a)", "a", 1},
		{"a]b", "a", 2},
		{"", NULL},
		{" a", NULL},
		{"\"a\"", NULL},
		{"(", NULL},
		{"\x80", NULL},
	};
	run_cases(lex_atom, cases, COUNT(cases), false);
}

static void test_astrings(void)
{
	static const struct lex_case cases[] = {
		{"a]b c", "a]b", 2},
		{"\"\"", ""},
		{"\"a b\" c", "a b", 2},
		{"\"a\\\"b\\\\\"", "a\"b\\"},
		{"\"a\\b\"", NULL},
		{"\"a", NULL},
		{"\"a\\", NULL},
		{"\"a\\\"", NULL},
		{"\"a\r\nb\"", NULL},
		{"\"\xc3\xa9\"", "\xc3\xa9"},
		{"{3}\r\nabcd", "abc", 1},
		{"{3+}\r\nabc", "abc"},
		{"{0}\r\n", ""},
		{"{3}\r\nab", NULL},
		{"{3}\nabc", NULL},
		{"{}\r\n", NULL},
		{"{-1}\r\nabc", NULL},
		{"{99999999999999999999}\r\n", NULL},
		{"~{2}\r\nab", "ab"},
		{"~a", "~a"},
		{"%", NULL},
		{"NIL", "NIL"},
	};
	run_cases(lex_astring, cases, COUNT(cases), false);
}

static void test_nstring(void)
{
	struct arena a = {0};
	struct lex l = {.in = STR("nil \"NIL\" x"), .arena = &a};
	struct str s;
	CHECK(lex_nstring(&l, &s) && s.p == NULL);
	CHECK(lex_space(&l) && lex_nstring(&l, &s));
	CHECK_STR(s, STR("NIL"));
	CHECK(lex_space(&l) && !lex_nstring(&l, &s));
	CHECK_INT(lex_peek(&l), 'x');
	arena_fini(&a);
}

static void test_numbers(void)
{
	struct lex l = {.in = STR("4294967295 4294967296 0 9223372036854775807 x")};
	uint32_t n;
	uint64_t n64;
	CHECK(lex_number(&l, &n) && n == UINT32_MAX && lex_space(&l));
	CHECK(!lex_number(&l, &n));
	CHECK(lex_number64(&l, &n64) && n64 == UINT64_C(4294967296) && lex_space(&l));
	CHECK(!lex_nz_number(&l, &n) && lex_number(&l, &n) && n == 0 && lex_space(&l));
	CHECK(lex_number64(&l, &n64) && n64 == INT64_MAX && lex_space(&l));
	CHECK(!lex_number64(&l, &n64));
	l = (struct lex){.in = STR("9223372036854775808")};
	CHECK(!lex_number64(&l, &n64));
}

static void test_words(void)
{
	struct lex l = {.in = STR("ReTurn(")};
	CHECK(!lex_word(&l, "RET"));
	CHECK_INT(l.at, 0);
	CHECK(lex_word(&l, "RETURN"));
	CHECK(lex_chr(&l, '(') && lex_end(&l) && !lex_chr(&l, '('));
}

static void test_mailbox(void)
{
	static const struct lex_case utf7[] = {
		{"inBox", "INBOX"},
		{"inbox/a", "INBOX/a"},
		{"inboxa", "inboxa"},
		{"a/inbox", "a/inbox"},
		{"\"Entw&APw-rfe\"", "Entw\xc3\xbcrfe"},
		{"a&-b", "a&b"},
		{"a&b", NULL},
		{"\"\xc3\xbc\"", NULL},
		{"a*", "a", 1},
		{"&AOQ-/a&Awg-", "\xc3\xa4/\xc3\xa4"},
	};
	static const struct lex_case utf8[] = {
		{"\"a\xcc\x88\"", "\xc3\xa4"},
		{"a&b", "a&b"},
		{"\"\xc3\xbc\"", "\xc3\xbc"},
		{"\"\xc3\"", NULL},
		{"{5}\r\nINbox", "INBOX"},
	};
	static const struct lex_case patterns[] = {
		{"*", "*"},
		{"a/%]* x", "a/%]*", 2},
		{"\"\"", ""},
		{"", NULL},
	};
	run_cases(lex_mailbox, utf7, COUNT(utf7), false);
	run_cases(lex_mailbox, utf8, COUNT(utf8), true);
	run_cases(lex_list_mailbox, patterns, COUNT(patterns), false);
}

static void test_flags(void)
{
	static const struct lex_case cases[] = {
		{"\\Seen)", "\\Seen", 1},
		{"$Junk", "$Junk"},
		{"\\", NULL},
		{"\\*", NULL},
		{"\\\\a", NULL},
	};
	run_cases(lex_flag, cases, COUNT(cases), false);
}

/* --- sets --- */

struct set_case {
	const char *set;
	const char *seq, *uid; /* indexes, as "0-2,4-4"; NULL = refused by the view */
};

static const uint32_t five[] = {10, 20, 21, 30, 40};

static const struct set_case sets[] = {
	{"1", "0-0", ""},
	{"1:3,2:4", "0-3", ""},
	{"5,1", "0-0,4-4", ""},
	{"3:1", "0-2", ""},
	{"*", "4-4", "4-4"},
	{"4:*", "3-4", "0-4"},
	{"*:4", "3-4", "0-4"},
	{"9:*", "4-4", "0-4"},
	{"50:*", "4-4", "4-4"},
	{"4294967295", NULL, ""},
	{"4294967295:*", "4-4", "4-4"},
	{"30:4294967295", NULL, "3-4"},
	{"6", NULL, ""},
	{"4:6", NULL, ""},
	{"20:21", NULL, "1-2"},
	{"11:29,40", NULL, "1-2,4-4"},
	{"10,20", NULL, "0-1"},
	{"$", "1-1,3-4", "1-1,3-4"},
};

static void put_ranges(const struct uid_range *r, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) { buf_fmt(out, "%s%u-%u", i ? "," : "", r[i].lo, r[i].hi); }
}

static void check_set(const struct view *v, const char *text, bool uid, const char *want)
{
	struct arena a = {0};
	struct lex l = {.in = str_of(text), .arena = &a};
	struct seqset set;
	struct uid_range *r;
	size_t n;
	struct buf got = {0};
	CHECK(lex_seqset(&l, &set) && lex_end(&l));
	if (view_resolve(v, &set, uid, &a, &r, &n)) {
		put_ranges(r, n, &got);
	} else {
		buf_str(&got, STR("refused"));
	}
	tap_check_str(__FILE__, __LINE__, text, buf_view(&got), str_of(want ? want : "refused"));
	buf_fini(&got);
	arena_fini(&a);
}

static void test_sets(void)
{
	struct uid_range saved[] = {{15, 20}, {22, 60}};
	struct view v = {.uids = (uint32_t *)(uintptr_t)five, .n = 5, .saved = saved, .saved_n = 2};
	struct view empty = {0};
	for (size_t i = 0; i < COUNT(sets); i++) {
		check_set(&v, sets[i].set, false, sets[i].seq);
		check_set(&v, sets[i].set, true, sets[i].uid);
	}
	check_set(&empty, "1:*", false, "");
	check_set(&empty, "1", false, NULL);
	check_set(&empty, "1:*", true, "");
	CHECK_INT(view_find(&v, 21), 2);
	CHECK_INT(view_find(&v, 22), -1);
	CHECK_INT(view_lower(&v, 22), 3);
	CHECK_INT(view_lower(&v, 41), 5);
}

static void test_bad_sets(void)
{
	static const char *const bad[] = {
		"", "0", "1,", ",1", "1:", ":1", "1:0", "a", "**1:", "-1"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct arena a = {0};
		struct lex l = {.in = str_of(bad[i]), .arena = &a};
		struct seqset set;
		bool all = lex_seqset(&l, &set) && lex_end(&l);
		tap_check_int(__FILE__, __LINE__, bad[i], all, false);
		arena_fini(&a);
	}
}

static void test_many_ranges(void)
{
	struct arena a = {0};
	struct buf text = {0};
	struct seqset set;
	for (int i = 0; i < LEX_SEQ_RANGES_MAX; i++) { buf_str(&text, STR("1,")); }
	struct lex l = {.in = str_make(text.p, text.n - 1), .arena = &a};
	CHECK(lex_seqset(&l, &set) && set.n == LEX_SEQ_RANGES_MAX);
	buf_chr(&text, '1');
	l = (struct lex){.in = buf_view(&text), .arena = &a};
	CHECK(!lex_seqset(&l, &set));
	buf_fini(&text);
	arena_fini(&a);
}

static const struct tap_case cases[] = {
	{"atoms", test_atoms},
	{"astrings", test_astrings},
	{"nstring", test_nstring},
	{"numbers", test_numbers},
	{"words", test_words},
	{"mailbox", test_mailbox},
	{"flags", test_flags},
	{"sets", test_sets},
	{"bad sets", test_bad_sets},
	{"many ranges", test_many_ranges},
};

int main(int argc, char **argv)
{
	return tap_run(cases, COUNT(cases), argc, argv);
}
