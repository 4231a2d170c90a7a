/* lib: domain names in the form in which they are compared. */
#include "t/tap.h"

#include "lib/idn.h"

static void check(struct str in, struct str want, int line)
{
	struct arena a = {0};
	struct str got = STR("bad");
	int rc = idn_domain(in, &a, &got);
	tap_check_str(__FILE__, line, "domain", rc < 0 ? STR("bad") : got, want);
	arena_fini(&a);
}

static void test_domains(void)
{
	static const struct {
		struct str in, out;
	} rows[] = {
		{STR("example.com"), STR("example.com")},
		{STR("Example.COM."), STR("example.com")},
		{STR("localhost"), STR("localhost")},
		{STR("_dmarc.a-b.example"), STR("_dmarc.a-b.example")},
		{STR("XN--BCHER-KVA.example"), STR("xn--bcher-kva.example")},
		{STR("b\xc3\xbc"
		     "cher.example"),
			STR("xn--bcher-kva.example")},
		{STR("B\xc3\x9c"
		     "CHER.Example"),
			STR("xn--bcher-kva.example")},
		{STR("bu\xcc\x88"
		     "cher.example"),
			STR("xn--bcher-kva.example")}, /* not composed */
		{STR("stra\xc3\x9f"
		     "e.example"),
			STR("xn--strae-oqa.example")},
		{STR("example\xe3\x80\x82"
		     "com"),
			STR("example.com")},                         /* the ideographic full stop */
		{STR("\xef\xbd\x85xample.com"), STR("example.com")}, /* a full-width letter */
		{STR(""), STR("bad")},
		{STR("."), STR("bad")},
		{STR("a..b"), STR("bad")},
		{STR(".a"), STR("bad")},
		{STR("a.."), STR("bad")},
		{STR("[192.0.2.1]"), STR("bad")},
		{STR("a b"), STR("bad")},
		{STR("a\0b"), STR("bad")},
		{STR("\xc3\xbc\0.example"), STR("bad")},
		{STR("a@b"), STR("bad")},
		{STR("a\\.b"), STR("bad")},
		{STR("a/b"), STR("bad")},
		{STR("\xc3.example"), STR("bad")},
		{STR("\xe2\x80\xae.example"), STR("bad")}, /* right-to-left override */
		{STR("=?utf-8?q?a?=.example"), STR("bad")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) { check(rows[i].in, rows[i].out, __LINE__); }
}

static void test_lengths(void)
{
	struct buf b = {0};
	for (int i = 0; i < 63; i++) { buf_chr(&b, 'a'); }
	check(buf_view(&b), buf_view(&b), __LINE__);
	buf_chr(&b, 'a');
	check(buf_view(&b), STR("bad"), __LINE__);
	buf_reset(&b);
	for (int i = 0; i < 126; i++) { buf_str(&b, STR("a.")); }
	buf_chr(&b, 'a');
	CHECK_INT(b.n, 253);
	check(buf_view(&b), buf_view(&b), __LINE__);
	buf_chr(&b, 'a');
	check(buf_view(&b), STR("bad"), __LINE__);
	buf_reset(&b);
	for (int i = 0; i < 600; i++) { buf_str(&b, STR("\xc3\xbc")); }
	check(buf_view(&b), STR("bad"), __LINE__);
	buf_fini(&b);
}

static void test_within(void)
{
	CHECK(idn_within(STR("example.org"), STR("example.org")));
	CHECK(idn_within(STR("a.b.Example.org"), STR("example.ORG")));
	CHECK(!idn_within(STR("badexample.org"), STR("example.org")));
	CHECK(!idn_within(STR("example.org"), STR("a.example.org")));
	CHECK(!idn_within(STR("example.org"), STR("")));
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"domains in one form", test_domains},
		{"names and labels that are too long", test_lengths},
		{"domains and what is below them", test_within},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
