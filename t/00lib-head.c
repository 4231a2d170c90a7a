/* lib: header fields, parameters, encoded-words, addresses. */
#include "t/tap.h"

#include "lib/addr.h"
#include "lib/head.h"

static void test_fields(void)
{
	struct str rest = STR("A: b\r\nFolded : one\r\n\ttwo\r\n \r\nno "
			      "field\r\nC:\nLast:x\r\n\r\nbody: y"),
		   value;
	static const struct {
		struct str name, value, whole;
	} rows[] = {
		{STR("A"), STR(" b"), STR("A: b\r\n")},
		{STR("Folded"), STR(" one\r\n\ttwo\r\n "), STR("Folded : one\r\n\ttwo\r\n \r\n")},
		{STR(""), STR("no field"), STR("no field\r\n")},
		{STR("C"), STR(""), STR("C:\n")},
		{STR("Last"), STR("x"), STR("Last:x\r\n")},
	};
	struct str header = rest;
	struct head_field f;
	for (size_t i = 0; i < COUNT(rows); i++) {
		CHECK(head_next(&rest, &f));
		CHECK_STR(f.name, rows[i].name);
		CHECK_STR(f.value, rows[i].value);
		CHECK_STR(f.whole, rows[i].whole);
	}
	CHECK(!head_next(&rest, &f));
	CHECK_STR(rest, STR("body: y"));
	CHECK(head_find(header, STR("last"), 0, &value));
	CHECK_STR(value, STR("x"));
	CHECK(!head_find(header, STR("body"), 0, &value));
	CHECK(head_find(STR("X: 1\r\ny: 2\r\nx: 3"), STR("X"), 1, &value));
	CHECK_STR(value, STR(" 3"));
	CHECK(!head_find(STR("X: 1\r\nx: 3"), STR("X"), 2, &value));
}

static void check_text(
	void (*f)(struct str, struct buf *), struct str in, struct str want, int line)
{
	struct buf b = {0};
	f(in, &b);
	tap_check_str(__FILE__, line, "text", buf_view(&b), want);
	buf_fini(&b);
}

static void test_unfold(void)
{
	check_text(head_unfold, STR(" a\r\n b \r\n"), STR("a b"), __LINE__);
	check_text(head_unfold, STR("a\n\tb"), STR("a\tb"), __LINE__);
	check_text(head_unfold, STR("\r\n a"), STR("a"), __LINE__);
	check_text(head_unfold, STR("a\rb"), STR("a\rb"), __LINE__);
	check_text(head_unfold, STR(""), STR(""), __LINE__);
	check_text(head_unfold, STR(" \r\n \t\r\n"), STR(""), __LINE__);
}

static void test_comments(void)
{
	check_text(head_strip_comments, STR("a (b (c) \\) d) e"), STR("a  e"), __LINE__);
	check_text(head_strip_comments, STR("\"(x)\" (y)"), STR("\"(x)\" "), __LINE__);
	check_text(head_strip_comments, STR("a (never closed"), STR("a "), __LINE__);
	check_text(head_strip_comments, STR("\"a\\\"(b)"), STR("\"a\\\"(b)"), __LINE__);
	check_text(head_strip_comments, STR("a) b"), STR("a) b"), __LINE__);
	check_text(head_strip_comments, STR("(\\"), STR(""), __LINE__);
}

static void test_words(void)
{
	static const struct {
		struct str in, out;
	} rows[] = {
		{STR("=?ISO-8859-1?Q?a?="), STR("a")},
		{STR("=?ISO-8859-1?Q?a?= b"), STR("a b")},
		{STR("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?="), STR("ab")},
		{STR("=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?="), STR("ab")},
		{STR("=?ISO-8859-1?Q?a_b?="), STR("a b")},
		{STR("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), STR("a b")},
		{STR("=?US-ASCII*EN?Q?Keith_Moore?="), STR("Keith Moore")},
		{STR("(=?utf-8?b?w7w=?=)"), STR("(\xc3\xbc)")},
		{STR("=?utf-8?b?w7w?="), STR("\xc3\xbc")},
		{STR("=?utf-8?B?ww==?= =?UTF-8?b?vA==?="), STR("\xc3\xbc")},
		{STR("=?iso-8859-1?q?=FC=4?="), STR("\xc3\xbc=4")},
		{STR("=?x-none?q?=FC?="), STR("\xc3\xbc")},
		{STR("=?utf-8?q?a"), STR("=?utf-8?q?a")},
		{STR("=?utf-8?x?a?="), STR("=?utf-8?x?a?=")},
		{STR("=?"
		     "?q?a?="),
			STR("=?"
			    "?q?a?=")},
		{STR("=?a?=?utf-8?q?b?="), STR("=?a?b")},
		{STR("=?=?utf-8?q?b?="), STR("=?b")},
		{STR("=?utf-8?q?"
		     "?="),
			STR("")},
		{STR("raw \xfc \xc3\xbc"), STR("raw \xc3\xbc \xc3\xbc")},
		{STR("x=?"), STR("x=?")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_text(head_decode, rows[i].in, rows[i].out, __LINE__);
	}
}

/* type "/" subtype then name "=" value, "*" behind the name of an extended one. */
static void describe_typed(const struct head_typed *t, struct buf *out)
{
	buf_str(out, t->type);
	buf_chr(out, '/');
	buf_str(out, t->subtype);
	for (size_t i = 0; i < t->params_n; i++) {
		buf_chr(out, '|');
		buf_str(out, t->params[i].name);
		if (t->params[i].extended) { buf_chr(out, '*'); }
		buf_chr(out, '=');
		buf_str(out, t->params[i].value);
	}
}

static void test_typed(void)
{
	static const struct {
		struct str in, out;
	} rows[] = {
		{STR(" Text/Plain; CharSet=UTF-8"), STR("Text/Plain|charset=UTF-8")},
		{STR("text / plain ; a = b ; c"), STR("text/plain|a=b")},
		{STR("(x) text/(y)plain(z); (u) a=(v)b(w)"), STR("text/plain|a=b")},
		{STR("attachment; filename=\"a \\\"b\\\";c\"; size=3"),
			STR("attachment/|filename=a \"b\";c|size=3")},
		{STR("a/b; x=\"never closed; y=z"), STR("a/b|x=never closed; y=z")},
		{STR("a/b; x=1\r\n\t;y=2;;z=\"a\r\n b\""), STR("a/b|x=1|y=2|z=a b")},
		{STR("a/b; boundary=--=_x/y:z?; q="), STR("a/b|boundary=--=_x/y:z?|q=")},
		{STR("a/b x=1; y=2 junk \";z=3\"; u=4"), STR("a/b|y=2|u=4")},
		{STR("a/b; =x; y=1"), STR("a/b|y=1")},
		{STR("message/external-body; access-type=URL; URL*0=\"ftp://\"; "
		     "URL*1=\"cs.utk.edu/x\""),
			STR("message/external-body|access-type=URL|url=ftp://cs.utk.edu/x")},
		{STR("a/x; title*=us-ascii'en-us'This%20is"),
			STR("a/x|title*=us-ascii'en-us'This%20is")},
		{STR("a/x; title*0*=us-ascii'en'This%20is%20; title*1*=%2A%2Afun; title*2=\" "
		     "it's!\""),
			STR("a/x|title*=us-ascii'en'This%20is%20%2A%2Afun%20it%27s!")},
		{STR("a/x; t*1=b; u=1; t*0=a; t*3=d"), STR("a/x|u=1|t=ab")},
		{STR("a/x; t*0=a; t*1*=%62"), STR("a/x|t*=''a%62")},
		{STR("a/x; t*1=b"), STR("a/x|t*1=b")},
		{STR("a/x; t=a; t*=''b"), STR("a/x|t=a|t*=''b")},
		{STR("a/x; *=b; t*x=c; t**=d"), STR("a/x|*=b|t*x=c|t**=d")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a = {0};
		struct head_typed t;
		struct buf b = {0};
		CHECK_INT(head_typed(rows[i].in, &a, &t), 0);
		describe_typed(&t, &b);
		CHECK_STR(buf_view(&b), rows[i].out);
		buf_fini(&b);
		arena_fini(&a);
	}
}

static void test_typed_bounds(void)
{
	static const struct str bad[] = {STR(""), STR(" (x) "), STR("/plain"), STR(";a=b"),
		STR("\"text\"/plain"), STR("\xc3\xbc/x")};
	struct arena a = {0};
	struct head_typed t;
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_INT(head_typed(bad[i], &a, &t), ERR_SYNTAX);
		CHECK_INT(t.params_n, 0);
	}
	buf_str(&b, STR("a/b"));
	for (int i = 0; i < 1000; i++) { buf_fmt(&b, ";p%d=%d", i, i); }
	CHECK_INT(head_typed(buf_view(&b), &a, &t), 0);
	CHECK_INT(t.params_n, HEAD_PARAMS_MAX);
	arena_fini(&a);
	buf_fini(&b);
}

static void check_param(struct str value, struct str want)
{
	struct arena a = {0};
	struct head_typed t;
	struct str got = STR("absent");
	CHECK_INT(head_typed(value, &a, &t), 0);
	CHECK_INT(head_typed_param(&t, STR("NAME"), &a, &got), !str_eq(want, STR("absent")));
	CHECK_STR(got, want);
	arena_fini(&a);
}

static void test_param(void)
{
	check_param(STR("a; name=x"), STR("x"));
	check_param(STR("a; names=x"), STR("absent"));
	check_param(STR("a; name*=iso-8859-1'de'%fcber"), STR("\xc3\xbc"
							      "ber"));
	check_param(STR("a; name*=''%c3%bc"), STR("\xc3\xbc"));
	check_param(STR("a; name*=plain%2"), STR("plain%2"));
	check_param(STR("a; name=old; name*=utf-8''new"), STR("new"));
	check_param(STR("a; name=1; name=2"), STR("1"));
	check_param(STR("a; name*0*=utf-8''%c3; name*1*=%bc"), STR("\xc3\xbc"));
}

static void test_msgids(void)
{
	struct str rest = STR("(x) <a@b> junk <c\r\n d> <> < <e@f> <never"), id;
	CHECK(head_msgid_next(&rest, &id));
	CHECK_STR(id, STR("<a@b>"));
	CHECK(head_msgid_next(&rest, &id));
	CHECK_STR(id, STR("<c\r\n d>"));
	CHECK(head_msgid_next(&rest, &id));
	CHECK_STR(id, STR("<e@f>"));
	CHECK(!head_msgid_next(&rest, &id));
}

/* name|route|local|domain for each, "{" and "}" around a group. */
static void describe_addr(const struct addr *a, struct buf *out)
{
	struct str fields[] = {a->name, a->route, a->local, a->domain};
	if (a->kind == ADDR_GROUP_END) {
		buf_chr(out, '}');
		return;
	}
	if (a->kind == ADDR_GROUP_START) {
		buf_str(out, a->name);
		buf_chr(out, '{');
		return;
	}
	for (size_t i = 0; i < COUNT(fields); i++) {
		buf_chr(out, i ? '|' : '[');
		buf_str(out, fields[i]);
	}
	buf_chr(out, ']');
}

static void test_addresses(void)
{
	static const struct {
		struct str in, out;
	} rows[] = {
		{STR(""), STR("")},
		{STR(" , ,"), STR("")},
		{STR("a@b"), STR("[||a|b]")},
		{STR("John Doe <jdoe@machine.example>"), STR("[John Doe||jdoe|machine.example]")},
		{STR("\"Joe Q. Public\" <john.q.public@example.com>"),
			STR("[Joe Q. Public||john.q.public|example.com]")},
		{STR("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
			STR("[Mary Smith||mary|x.test][||jdoe|example.org][Who?||one|y.test]")},
		{STR("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
			STR("A Group{[Ed "
			    "Jones||c|a.test][||joe|where.test][John||jdoe|one.test]}")},
		{STR("Undisclosed recipients:;"), STR("Undisclosed recipients{}")},
		{STR("g: a@b; , c@d"), STR("g{[||a|b]}[||c|d]")},
		{STR("g: a@b"), STR("g{[||a|b]}")},
		{STR("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
			STR("[Pete||pete|silly.test]")},
		{STR("john@example.org (John Doe)"), STR("[John Doe||john|example.org]")},
		{STR("Joe Q. Public <john . q . public @ example . com>"),
			STR("[Joe Q. Public||john.q.public|example.com]")},
		{STR("<@node.test,@other:mary@example.net>"),
			STR("[|@node.test,@other|mary|example.net]")},
		{STR("\"a b\"@c, \"x\\\"y\".z@[127.0.0.1]"),
			STR("[||a b|c][||x\"y.z|[127.0.0.1]]")},
		{STR("[list] Name <a@b>"), STR("[[list] Name||a|b]")},
		{STR("\"=?utf-8?q?x?=\" =?utf-8?q?y?= <a@b>"),
			STR("[=?utf-8?q?x?= =?utf-8?q?y?=||a|b]")},
		{STR("one \"two\"\r\n\tthree <a@b>"), STR("[one two three||a|b]")},
		{STR("<>"), STR("[|||]")},
		{STR("MAILER-DAEMON <>"), STR("[MAILER-DAEMON|||]")},
		{STR("root"), STR("[||root|]")},
		{STR("a@b; c@d"), STR("[||a|b][||c|d]")},
		{STR("a@b stray words, c@d"), STR("[||a|b][||c|d]")},
		{STR("a <b@c> \"d,e\" f, g@h"), STR("[a||b|c][||g|h]")},
		{STR("a <b@c, d@e"), STR("[a||b|c][||d|e]")},
		{STR("a@b@c, d@e"), STR("[||a|b][||d|e]")},
		{STR("\"never closed <a@b>"), STR("[||never closed <a@b>|]")},
		{STR("(only a comment)"), STR("")},
		{STR("(never closed a@b"), STR("")},
		{STR(")x( <a@b>"), STR("[||x|]")},
		{STR("a: b: c@d, e@f;"), STR("a{[||e|f]}")},
		{STR("\xc3\xbc <a@\xc3\xbc>"), STR("[\xc3\xbc||a|\xc3\xbc]")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a = {0};
		struct addr *list;
		size_t n;
		struct buf b = {0};
		CHECK_INT(addr_parse(rows[i].in, &a, &list, &n), 0);
		for (size_t k = 0; k < n; k++) { describe_addr(&list[k], &b); }
		CHECK_STR(buf_view(&b), rows[i].out);
		buf_fini(&b);
		arena_fini(&a);
	}
}

static void test_wary(void)
{
	static const struct {
		struct str in, out; /* "?" in front: not clear */
	} rows[] = {
		{STR("a@b"), STR("[||a|b]")},
		{STR("a@b, , \"c d\"@e (x), g: <h@i>;"), STR("[||a|b][x||c d|e]g{[||h|i]}")},
		{STR("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
			STR("[Pete||pete|silly.test]")},
		{STR("Joe Q. Public <john . q . public @ example . com>"),
			STR("[Joe Q. Public||john.q.public|example.com]")},
		{STR("[list] O'Neil\\ <a..b.@c>\r\n "), STR("[[list] O'Neil\\||a..b.|c]")},
		{STR("a@b <c@d>"), STR("[||a|b][||c|d]")},
		{STR("x a@b <c@d>, e@f"), STR("[||xa|b][||c|d][||e|f]")},
		{STR("\"a@b\" <c@d>"), STR("[a@b||c|d]")},
		{STR("\"a@b\"@c"), STR("[||a@b|c]")},
		{STR("root"), STR("[||root|]")},
		{STR("a@b; c@d"), STR("[||a|b][||c|d]")},
		{STR("g: a@b"), STR("g{[||a|b]}")},
		{STR("a@b <c@d> <e@f>"), STR("?[||a|b][||c|d]")},
		{STR("<a@b> c@d"), STR("?[||a|b]")},
		{STR("<a@b><c@d>"), STR("?[||a|b]")},
		{STR("a@b@c"), STR("?[||a|b]")},
		{STR("a@b c"), STR("?[||a|b]")},
		{STR("a b@c"), STR("?[||ab|c]")},
		{STR("\"a\"b@c"), STR("?[||ab|c]")},
		{STR("\"a.\" b@c"), STR("?[||a.b|c]")},
		{STR("a[@c"), STR("?[||a[|c]")},
		{STR("<a\\@c>"), STR("?[||a\\|c]")},
		{STR("@c"), STR("?[|||c]")},
		{STR("<@x:a@b>"), STR("?[|@x|a|b]")},
		{STR("<@x a@b>"), STR("?[|||x]")},
		{STR("<a@b"), STR("?[||a|b]")},
		{STR("<a@b, c@d"), STR("?[||a|b][||c|d]")},
		{STR("a@b)"), STR("?[||a|b]")},
		{STR(")a@b"), STR("?[||a|b]")},
		{STR("a@b (never closed"), STR("?[never closed||a|b]")},
		{STR("a@b (x\\)"), STR("?[x\\)||a|b]")},
		{STR("\"never closed <a@b>"), STR("?[||never closed <a@b>|]")},
		{STR("g: h: a@b;"), STR("?g{}")},
		{STR("a@b:c@d"), STR("?[||a|b:c]")},
		{STR("a@b\r"), STR("?[||a|b]")},
		{STR("a@b\n"), STR("?[||a|b]")},
		{STR("a\x7f@b"), STR("?[||a\x7f|b]")},
		{STR("a\0@b"), STR("?[||a\0|b]")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a = {0};
		struct addr *list;
		size_t n;
		bool clear;
		struct buf b = {0};
		CHECK_INT(addr_parse_wary(rows[i].in, &a, &list, &n, &clear), 0);
		if (!clear) { buf_chr(&b, '?'); }
		for (size_t k = 0; k < n; k++) { describe_addr(&list[k], &b); }
		CHECK_STR(buf_view(&b), rows[i].out);
		buf_fini(&b);
		arena_fini(&a);
	}
}

static void test_name_like(void)
{
	static const struct {
		struct str line;
		bool like;
	} rows[] = {
		{STR("From: x"), true},
		{STR("FROM \t: x"), true},
		{STR(" From: x"), true},
		{STR("F\0rom: x"), true},
		{STR("From\xc2\xa0: x"), true},
		{STR("Fr\r\n om: x"), true},
		{STR("From x: y"), false},
		{STR("From"), false},
		{STR("Fro: m"), false},
		{STR(":From:"), false},
		{STR("XFrom:"), false},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str rest = rows[i].line;
		struct head_field f;
		CHECK(head_next(&rest, &f));
		if (head_name_like(&f, STR("From")) != rows[i].like) {
			tap_fail(__FILE__, __LINE__, "row %zu", i);
		}
	}
}

static void test_address_limit(void)
{
	struct arena a = {0};
	struct addr *list;
	size_t n;
	struct buf b = {0};
	for (int i = 0; i < ADDRS_MAX; i++) { buf_str(&b, STR("a@b,")); }
	CHECK_INT(addr_parse(buf_view(&b), &a, &list, &n), 0);
	CHECK_INT(n, ADDRS_MAX);
	buf_str(&b, STR("c@d"));
	CHECK_INT(addr_parse(buf_view(&b), &a, &list, &n), ERR_LIMIT);
	CHECK_INT(n, ADDRS_MAX);
	arena_fini(&a);
	buf_fini(&b);
}

/* Values made to send a careless reader over the same octets again and again. */
static void test_linear(void)
{
	static const struct str units[] = {STR("("), STR("\""), STR("<@"), STR("a@["), STR("<"),
		STR("=?a?q?"), STR("=?a"), STR("a;b*0=\""), STR(";b=("), STR("\\"), STR("(\\"),
		STR("@"), STR("a:"), STR(";a*0="), STR("<a"), STR("<@a,")};
	for (size_t i = 0; i < COUNT(units); i++) {
		struct buf b = {0}, out = {0};
		struct arena a = {0};
		struct head_typed t;
		struct addr *list;
		struct str rest, id;
		size_t n;
		bool clear;
		buf_str(&b, STR("x/y"));
		while (b.n < 250000) { buf_str(&b, units[i]); }
		rest = buf_view(&b);
		head_decode(rest, &out);
		head_strip_comments(rest, &out);
		CHECK_INT(head_typed(rest, &a, &t), 0);
		CHECK(addr_parse(rest, &a, &list, &n) == 0 || n == ADDRS_MAX);
		CHECK(addr_parse_wary(rest, &a, &list, &n, &clear) == 0 || n == ADDRS_MAX);
		while (head_msgid_next(&rest, &id)) {}
		arena_fini(&a);
		buf_fini(&b);
		buf_fini(&out);
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"fields", test_fields},
		{"unfolding", test_unfold},
		{"comments", test_comments},
		{"encoded-words", test_words},
		{"types and parameters", test_typed},
		{"types that are none, and too many parameters", test_typed_bounds},
		{"parameters as text", test_param},
		{"msg-ids", test_msgids},
		{"addresses", test_addresses},
		{"addresses that could be read in several ways", test_wary},
		{"names of fields, read leniently", test_name_like},
		{"too many addresses", test_address_limit},
		{"hostile values take no longer than others", test_linear},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
