/* auth: the author domains of a message. */
#include "t/tap.h"

#include "auth/authors.h"

/* The domains with commas, or the name of the fault. */
static void check(struct str header, struct str want, int line)
{
	static const char *const names[] = {
		"", "no field", "fields", "nobody", "unclear", "no domain", "many"};
	struct arena a = {0};
	struct authors authors;
	struct buf got = {0};
	enum authors_fault fault = authors_find(header, &a, &authors);
	buf_str(&got, str_of(names[fault]));
	CHECK(authors_fault_text(fault).n > 0);
	for (size_t i = 0; i < authors.n && fault == AUTHORS_OK; i++) {
		if (i) { buf_chr(&got, ','); }
		buf_str(&got, authors.domains[i]);
	}
	tap_check_str(__FILE__, line, "authors", buf_view(&got), want);
	buf_fini(&got);
	arena_fini(&a);
}

static void check_from(struct str value, struct str want, int line)
{
	struct buf header = {0};
	buf_str(&header, STR("To: x@y\r\nFrom:"));
	buf_str(&header, value);
	buf_str(&header, STR("\r\nSubject: From: z@w\r\n\r\nFrom: body@body\r\n"));
	check(buf_view(&header), want, line);
	buf_fini(&header);
}

static void test_values(void)
{
	static const struct {
		struct str in, out;
	} rows[] = {
		{STR(" a@example.com"), STR("example.com")},
		{STR(" a@Example.COM"), STR("example.com")},
		{STR(" \"A, B\" <a@b.example>, c@d.example (x@y)"), STR("b.example,d.example")},
		{STR(" a@b, c@B, d@b."), STR("b")},
		{STR("\r\n\tA\r\n\t<a@b>"), STR("b")},
		{STR(" (c@d) a@(e@f) b (g@h)"), STR("b")},
		{STR(" A Group:a@b.c, \"x\" <d@e.f>;"), STR("b.c,e.f")},
		{STR(" a . b @ c . d"), STR("c.d")},
		{STR(" \"victim@bank.example\"@evil.example"), STR("evil.example")},
		{STR(" \"victim@bank.example\" <a@evil.example>"), STR("evil.example")},
		{STR(" =?utf-8?q?victim=40bank=2Eexample?= <a@evil.example>"), STR("evil.example")},
		{STR(" a@evil.example <victim@bank.example>"), STR("evil.example,bank.example")},
		{STR(" a@b.example <a@b.example>"), STR("b.example")},
		{STR(" a@b\xc3\xbc"
		     "cher.example, b@xn--bcher-kva.example"),
			STR("xn--bcher-kva.example")},
		{STR(" \xc3\xbc@x.example"), STR("x.example")},
		/* nobody */
		{STR(""), STR("nobody")},
		{STR(" ,,"), STR("nobody")},
		{STR(" (a@b)"), STR("nobody")},
		{STR(" undisclosed:;"), STR("nobody")},
		/* no domain */
		{STR(" root"), STR("no domain")},
		{STR(" Root <root>"), STR("no domain")},
		{STR(" <>"), STR("no domain")},
		{STR(" a@b, root"), STR("no domain")},
		{STR(" a@[192.0.2.1]"), STR("no domain")},
		{STR(" a@b..c"), STR("no domain")},
		{STR(" a@=?utf-8?q?bank.example?="), STR("no domain")},
		{STR(" =?utf-8?b?PHZpY3RpbUBiYW5rLmV4YW1wbGU+?="), STR("unclear")},
		{STR(" =?utf-8?q?victim=40bank.example?=, a@evil.example"), STR("unclear")},
		/* what different readers take for different authors */
		{STR(" =?utf-8?q?victim=40bank.example=3E?=@evil.example"), STR("unclear")},
		{STR(" <@bank.example:a@evil.example>"), STR("unclear")},
		{STR(" <a@evil.example> victim@bank.example"), STR("unclear")},
		{STR(" <a@evil.example><victim@bank.example>"), STR("unclear")},
		{STR(" a@evil.example victim@bank.example"), STR("unclear")},
		{STR(" a@evil.example@bank.example"), STR("unclear")},
		{STR(" a@evil.example\0@bank.example"), STR("unclear")},
		{STR(" \"a\\\"<victim@bank.example>,\" <a@evil.example"), STR("unclear")},
		{STR(" \\\"a\\\" <victim@bank.example> \\\" <a@evil.example>"), STR("unclear")},
		{STR(" a@evil.example (never closed, victim@bank.example"), STR("unclear")},
		{STR(" a@evil.example\rFrom: victim@bank.example"), STR("unclear")},
		{STR(" g: h: victim@bank.example, a@evil.example;"), STR("unclear")},
		{STR(" (x)), victim@bank.example"), STR("unclear")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) { check_from(rows[i].in, rows[i].out, __LINE__); }
}

static void test_fields(void)
{
	static const struct {
		struct str header, out;
	} rows[] = {
		{STR(""), STR("no field")},
		{STR("To: a@b\r\n\r\nFrom: c@d\r\n"), STR("no field")},
		{STR("Sender: a@b\r\nResent-From: c@d\r\nX-From: e@f\r\n"), STR("no field")},
		{STR("From: a@b\r\nFrom: a@b\r\n"), STR("fields")},
		{STR("From: a@b\r\nfrom : c@d\r\n"), STR("fields")},
		{STR("From: a@b\r\nFrom:\r\n"), STR("fields")},
		{STR("FROM\t: a@b\r\n"), STR("b")},
		{STR(" From: a@b\r\n"), STR("fields")},
		{STR(" From: a@b\r\nFrom: c@d\r\n"), STR("fields")},
		{STR("From: a@b\r\nFr\0om: c@d\r\n"), STR("fields")},
		{STR("From: a@b\r\nFrom\xc2\xa0: c@d\r\n"), STR("fields")},
		{STR("From me Thu Jan 1 00:00:00 1970\r\nFrom: a@b\r\n"), STR("b")},
		{STR("From: a@b"), STR("b")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) { check(rows[i].header, rows[i].out, __LINE__); }
}

static void test_many(void)
{
	struct buf header = {0};
	buf_str(&header, STR("From: "));
	for (int i = 0; i < 10; i++) { buf_fmt(&header, "a@d%d.example,", i); }
	check(buf_view(&header),
		STR("d0.example,d1.example,d2.example,d3.example,d4.example,"
		    "d5.example,d6.example,d7.example,d8.example,d9.example"),
		__LINE__);
	buf_str(&header, STR("a@d10.example"));
	check(buf_view(&header), STR("many"), __LINE__);
	buf_reset(&header);
	buf_str(&header, STR("From: "));
	for (int i = 0; i < 10000; i++) { buf_fmt(&header, "a@d%d.\xc3\xbc.example,", i % 2); }
	check(buf_view(&header), STR("d0.xn--tda.example,d1.xn--tda.example"), __LINE__);
	buf_str(&header, STR("a@b"));
	check(buf_view(&header), STR("many"), __LINE__);
	buf_reset(&header);
	for (int i = 0; i < 10000; i++) { buf_str(&header, STR("From: a@b\r\n")); }
	check(buf_view(&header), STR("fields"), __LINE__);
	buf_fini(&header);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"whom a From field names", test_values},
		{"which field it is", test_fields},
		{"many authors", test_many},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
