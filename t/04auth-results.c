/* auth: writing Authentication-Results, and taking out forged ones. */
#include "t/authres.h"
#include "t/tap.h"

#include "auth/results.h"

/* --- the reader that judges the writer --- */

static void test_reader(void)
{
	static const struct str bad[] = {STR("h; none"), STR("h\r\n"), STR("h; spf\r\n"),
		STR("h; spf=\r\n"), STR("h; spf=pass smtp.helo\r\n"), STR("; spf=pass\r\n"),
		STR("h; spf=pass smtp.helo=::1\r\n"), STR("h; spf=pass smtp.helo=a@b\r\n"),
		STR("h; spf=pass (x\r\n"), STR("h; spf=pass smtp.helo=\"x\r\n"),
		STR("h; spf=pass smtp.helo=a b\r\n"), STR("h; spf=pass;\r\n"),
		STR("h; none; spf=pass\r\n"), STR("h; spf=pass (\x01)\r\n"),
		STR("h; spf=pass\r\nX\r\n"), STR("h; spf=pass\r\n \r\n"), STR("h i; none\r\n")};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf field = {0}, read = {0};
		buf_fmt(&field, "Authentication-Results: %.*s", STR_ARG(bad[i]));
		if (authres_read(buf_view(&field), &read) == 0) {
			tap_fail(__FILE__, __LINE__, "taken: %.*s", STR_ARG(bad[i]));
		}
		buf_fini(&field);
		buf_fini(&read);
	}
}

/* --- writing --- */

static void check_written(
	const struct results_method *m, size_t n, bool utf8, struct str says, int line)
{
	struct buf field = {0}, read = {0};
	results_write(STR("mx.example.org"), m, n, utf8, &field);
	if (authres_read(buf_view(&field), &read) < 0) {
		tap_fail(__FILE__, line, "not RFC 8601: %.*s", STR_ARG(buf_view(&field)));
	}
	tap_check_str(__FILE__, line, "read", buf_view(&read), says);
	buf_fini(&field);
	buf_fini(&read);
}

static void test_shape(void)
{
	struct results_prop spf[] = {{"smtp", "mailfrom", STR("user@example.com")},
		{"smtp", "helo", STR("mail.example.com")}};
	struct results_prop dkim[] = {{"header", "d", STR("example.com")},
		{"header", "i", STR("@example.com")}, {"header", "s", STR("sel.2024")},
		{"header", "a", STR("rsa-sha256")}, {"header", "b", STR("abc/+=Zq")}};
	struct results_prop dmarc[] = {
		{"header", "from", STR("example.com")}, {"policy", "dmarc", STR("reject")}};
	struct results_prop iprev[] = {{"policy", "iprev", STR("2001:db8::1")}};
	struct results_method m[] = {
		{"spf", "pass", STR("192.0.2.1 is permitted by example.com"), spf, COUNT(spf)},
		{"dkim", "pass", STR("2048-bit key"), dkim, COUNT(dkim)},
		{"dkim", "permerror", STR(""), dkim, 1},
		{"dmarc", "pass", STR("p=reject"), dmarc, COUNT(dmarc)},
		{"iprev", "pass", STR(""), iprev, COUNT(iprev)},
	};
	struct buf out = {0};
	results_write(STR("mx.example.org"), m, COUNT(m), false, &out);
	CHECK_STR(buf_view(&out),
		STR("Authentication-Results: mx.example.org;\r\n"
		    "\tspf=pass (192.0.2.1 is permitted by example.com)\r\n"
		    "\tsmtp.mailfrom=user@example.com smtp.helo=mail.example.com;\r\n"
		    "\tdkim=pass (2048-bit key) header.d=example.com header.i=@example.com\r\n"
		    "\theader.s=sel.2024 header.a=rsa-sha256 header.b=\"abc/+=Zq\";\r\n"
		    "\tdkim=permerror header.d=example.com;\r\n"
		    "\tdmarc=pass (p=reject) header.from=example.com policy.dmarc=reject;\r\n"
		    "\tiprev=pass policy.iprev=\"2001:db8::1\"\r\n"));
	buf_fini(&out);
	check_written(m, COUNT(m), false,
		STR("mx.example.org ;spf=pass (192.0.2.1 is permitted by example.com)"
		    " smtp.mailfrom=user@example.com smtp.helo=mail.example.com"
		    " ;dkim=pass (2048-bit key) header.d=example.com header.i=@example.com"
		    " header.s=sel.2024 header.a=rsa-sha256 header.b=abc/+=Zq"
		    " ;dkim=permerror header.d=example.com"
		    " ;dmarc=pass (p=reject) header.from=example.com policy.dmarc=reject"
		    " ;iprev=pass policy.iprev=2001:db8::1"),
		__LINE__);
	check_written(NULL, 0, false, STR("mx.example.org ;none"), __LINE__);
}

static void check_value(struct str value, bool utf8, struct str raw, struct str says, int line)
{
	struct results_prop p = {"smtp", "mailfrom", value};
	struct results_method m = {"spf", "fail", STR(""), &p, 1};
	struct buf out = {0}, want = {0};
	results_write(STR("h"), &m, 1, utf8, &out);
	buf_str(&want, STR("Authentication-Results: h;\r\n\tspf=fail"));
	if (raw.n) { buf_fmt(&want, " smtp.mailfrom=%.*s", STR_ARG(raw)); }
	buf_str(&want, STR("\r\n"));
	tap_check_str(__FILE__, line, "written", buf_view(&out), buf_view(&want));
	buf_reset(&want);
	buf_str(&want, STR("mx.example.org ;spf=fail"));
	if (raw.n) { buf_fmt(&want, " smtp.mailfrom=%.*s", STR_ARG(says)); }
	check_written(&m, 1, utf8, buf_view(&want), line);
	buf_fini(&out);
	buf_fini(&want);
}

static void test_values(void)
{
	static const struct {
		struct str value, raw, says;
		bool utf8;
	} rows[] = {
		{STR("token-1.x"), STR("token-1.x"), STR("token-1.x")},
		{STR("a.b@c.d"), STR("a.b@c.d"), STR("a.b@c.d")},
		{STR("@c.d"), STR("@c.d"), STR("@c.d")},
		{STR("a=b?@c-1.d"), STR("a=b?@c-1.d"), STR("a=b?@c-1.d")},
		{STR("a@localhost"), STR("\"a@localhost\""), STR("a@localhost")},
		{STR("a..b@c.d"), STR("\"a..b@c.d\""), STR("a..b@c.d")},
		{STR("a b@c.d"), STR("\"a b@c.d\""), STR("a b@c.d")},
		{STR("a@b@c.d"), STR("\"a@b@c.d\""), STR("a@b@c.d")},
		{STR("a@-c.d"), STR("\"a@-c.d\""), STR("a@-c.d")},
		{STR("a@c_.d"), STR("\"a@c_.d\""), STR("a@c_.d")},
		{STR("\"x\\y\""), STR("\"\\\"x\\\\y\\\"\""), STR("\"x\\y\"")},
		{STR("::1"), STR("\"::1\""), STR("::1")},
		{STR("a;b"), STR("\"a;b\""), STR("a;b")},
		{STR("(x)"), STR("\"(x)\""), STR("(x)")},
		{STR("a\r\nEvil: x"), STR("\"a??Evil: x\""), STR("a??Evil: x")},
		{STR("a\0b"), STR("\"a?b\""), STR("a?b")},
		{STR("a\tb\x7f"), STR("\"a?b?\""), STR("a?b?")},
		{STR("\xc3\xbc@c.d"), STR("\"?@c.d\""), STR("?@c.d")},
		{STR("\xc3\xbc@c.d"), STR("\"\xc3\xbc@c.d\""), STR("\xc3\xbc@c.d"), true},
		{STR("\xc3\xff"), STR("\"??\""), STR("??"), true},
		{STR("\xc2\x85"), STR("\"?\""), STR("?"), true}, /* a C1 control: next line */
		{STR(""), STR(""), STR("")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_value(rows[i].value, rows[i].utf8, rows[i].raw, rows[i].says, __LINE__);
	}
}

static void check_reason(struct str reason, struct str says, int line)
{
	struct results_method m = {"spf", "none", reason, NULL, 0};
	struct buf want = {0};
	buf_fmt(&want, "mx.example.org ;spf=none%.*s", STR_ARG(says));
	check_written(&m, 1, true, buf_view(&want), line);
	buf_fini(&want);
}

static void test_reasons(void)
{
	check_reason(STR(""), STR(""), __LINE__);
	check_reason(STR(" \r\n "), STR(""), __LINE__);
	check_reason(STR(" a  b "), STR(" (a b)"), __LINE__);
	check_reason(STR("x) dkim=pass (y"), STR(" (x) dkim=pass (y)"), __LINE__);
	check_reason(STR("\\"), STR(" (\\)"), __LINE__);
	check_reason(STR("x\\)"), STR(" (x\\))"), __LINE__);
	check_reason(STR("a\r\nEvil: b"), STR(" (a Evil: b)"), __LINE__);
	check_reason(STR("a\0b\x1b[1m"), STR(" (a?b?[1m)"), __LINE__);
	check_reason(STR("gr\xc3\xbc\xc3\x9f \xff"), STR(" (gr\xc3\xbc\xc3\x9f ?)"), __LINE__);
}

/* The longest line of what is written, without its CRLF. */
static size_t longest_line(struct str s)
{
	struct str line;
	size_t most = 0;
	while (s.n) {
		str_cut(&s, '\n', &line);
		most = MAX(most, line.n - 1);
	}
	return most;
}

static void test_long(void)
{
	struct buf value = {0}, out = {0}, read = {0};
	for (int i = 0; i < 5000; i++) { buf_chr(&value, '"'); }
	struct str all = buf_view(&value);
	struct results_prop p[] = {{"smtp", "mailfrom", str_sub(all, 0, RESULTS_VALUE_MAX)},
		{"smtp", "helo", str_sub(all, 0, RESULTS_VALUE_MAX + 1)}};
	struct results_method m = {"spf", "fail", all, p, COUNT(p)};
	results_write(str_sub(all, 0, RESULTS_VALUE_MAX), &m, 1, false, &out);
	CHECK_INT(authres_read(buf_view(&out), &read), 0);
	CHECK(longest_line(buf_view(&out)) <= 998);
	CHECK(str_find(buf_view(&out), STR("smtp.mailfrom=")) > 0);
	CHECK(str_find(buf_view(&out), STR("smtp.helo=")) < 0); /* half a value would be a lie */
	CHECK(str_find(buf_view(&read), STR("\"...)")) > 0);
	buf_reset(&value);
	for (int i = 0; i < 200; i++) { buf_str(&value, STR("word ")); }
	m = (struct results_method){"spf", "fail", buf_view(&value), NULL, 0};
	buf_reset(&out);
	results_write(STR("mx.example.org"), &m, 1, false, &out);
	CHECK(longest_line(buf_view(&out)) <= 78);
	buf_fini(&value);
	buf_fini(&out);
	buf_fini(&read);
}

/* Every octet in every place, and random strings. */
static void test_any_octet(void)
{
	uint32_t seed = 1;
	for (int i = 0; i < 5000; i++) {
		char text[64];
		size_t n = (size_t)i % sizeof text;
		for (size_t k = 0; k < n; k++) {
			seed = seed * 1664525 + 1013904223;
			char c = (char)(seed >> 24);
			text[k] = seed & 0x8000 ? "()\\\";=@. \r\n,<"[(unsigned char)c % 13] : c;
		}
		struct str s = str_make(text, n);
		struct results_prop p[] = {{"header", "d", s}, {"header", "i", s}};
		struct results_method m[] = {{"dkim", "fail", s, p, 2}, {"spf", "none", s, p, 1}};
		struct buf out = {0}, read = {0};
		results_write(STR("mx.example.org"), m, 2, i & 1, &out);
		if (authres_read(buf_view(&out), &read) < 0 || longest_line(buf_view(&out)) > 160) {
			tap_fail(__FILE__, __LINE__, "round %d", i);
		}
		buf_fini(&out);
		buf_fini(&read);
	}
}

/* --- taking out --- */

static bool is_removed(struct str field, struct str id)
{
	struct buf in = {0}, out = {0}, kept = {0};
	buf_str(&in, STR("Subject: x\r\n"));
	buf_str(&in, field);
	buf_str(&in, STR("To: y\r\n\r\nAuthentication-Results: mx.example.org; body\r\n"));
	size_t n = results_strip(buf_view(&in), id, &out);
	buf_str(&kept, STR("Subject: x\r\nTo: y\r\n\r\n"
			   "Authentication-Results: mx.example.org; body\r\n"));
	CHECK_STR(buf_view(&out), n ? buf_view(&kept) : buf_view(&in));
	buf_fini(&in);
	buf_fini(&out);
	buf_fini(&kept);
	return n == 1;
}

static void test_ours(void)
{
	static const struct str ours[] = {
		STR("Authentication-Results: mx.example.org; spf=pass\r\n"),
		STR("authentication-results:MX.Example.ORG;spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org\r\n"),
		STR("Authentication-Results:\r\n\tmx.example.org;\r\n\tspf=pass\r\n"),
		STR("Authentication-Results: (a (b) \\) c)\r\n (d) mx.example.org (e); "
		    "spf=pass\r\n"),
		STR("Authentication-Results: \"mx.example.org\"; spf=pass\r\n"),
		STR("Authentication-Results: \"mx\\.example.org\" ; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org 1; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org/1; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org (x) 99 ; none\r\n"),
		STR("Authentication-Results: mx.example.org.; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org, other; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org: spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org@x; spf=pass\r\n"),
		STR("Authentication-Results: <mx.example.org>; spf=pass\r\n"),
		STR("Authentication-Results: ; mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: (mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: ((a) mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: (a(b) mx.example.org; spf=pass;)\r\n"),
		STR("Authentication-Results: (a\\) mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.\r\n example.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.(x)example.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.example\0.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org\0; spf=pass\r\n"),
		STR("Authentication-Results: =?utf-8?q?mx=2Eexample.org?=; spf=pass\r\n"),
		STR("Authentication-Results: \xef\xbd\x8dx.example.org; spf=pass\r\n"),
		STR("Authentication-Results : mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results\t: mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results\xc2\xa0: mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results\0: mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org; spf=pass\n"),
	};
	for (size_t i = 0; i < COUNT(ours); i++) {
		if (!is_removed(ours[i], STR("mx.example.org"))) {
			tap_fail(__FILE__, __LINE__, "stays: %.*s", STR_ARG(ours[i]));
		}
	}
}

static void test_others(void)
{
	static const struct str others[] = {
		STR("Authentication-Results: example.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org.evil.example; spf=pass\r\n"),
		STR("Authentication-Results: amx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: x-mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.organic; spf=pass\r\n"),
		STR("Authentication-Results: mx.example.org-x; spf=pass\r\n"),
		STR("Authentication-Results: mx.example; spf=pass smtp.helo=mx.example.org\r\n"),
		STR("Authentication-Results: other (mx.example.org); spf=pass\r\n"),
		STR("Authentication-Results: (mx.example.org) other; spf=pass\r\n"),
		STR("Authentication-Results: other; mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results: m\xc3\xbc.example.org; spf=pass\r\n"),
		STR("Authentication-Results: =?utf-8?q?other?=; mx.example.org\r\n"),
		STR("Authentication-Results:\r\n"),
		STR("Authentication-Results: ;\r\n"),
		STR("Authentication-Results: (\r\n"),
		STR("Authentication-Results mx.example.org\r\n"),
		STR("X-Authentication-Results: mx.example.org; spf=pass\r\n"),
		STR("Authentication-Results-Original: mx.example.org; spf=pass\r\n"),
		STR("ARC-Authentication-Results: i=1; mx.example.org; spf=pass\r\n"),
		STR("Received-SPF: pass (mx.example.org) receiver=mx.example.org\r\n"),
		STR("Subject: Authentication-Results: mx.example.org; spf=pass\r\n"),
	};
	for (size_t i = 0; i < COUNT(others); i++) {
		if (is_removed(others[i], STR("mx.example.org"))) {
			tap_fail(__FILE__, __LINE__, "is gone: %.*s", STR_ARG(others[i]));
		}
	}
}

static void test_international(void)
{
	struct str u = STR("Authentication-Results: mx.b\xc3\xbc"
			   "cher.example; spf=pass\r\n"),
		   upper = STR("Authentication-Results: \"mx.B\xc3\x9c"
			       "CHER.example\"; spf=pass\r\n"),
		   puny = STR("Authentication-Results: mx.XN--bcher-kva.example 1; spf=pass\r\n"),
		   other = STR("Authentication-Results: mx.bucher.example; spf=pass\r\n");
	static const struct str ids[] = {STR("mx.xn--bcher-kva.example"), STR("mx.b\xc3\xbc"
									      "cher.example")};
	for (size_t i = 0; i < COUNT(ids); i++) {
		CHECK(is_removed(u, ids[i]));
		CHECK(is_removed(upper, ids[i]));
		CHECK(is_removed(puny, ids[i]));
		CHECK(!is_removed(other, ids[i]));
	}
}

static void check_strip(struct str in, size_t removed, struct str want, int line)
{
	struct buf out = {0};
	tap_check_int(__FILE__, line, "removed",
		(long long)results_strip(in, STR("mx.example.org"), &out), (long long)removed);
	tap_check_str(__FILE__, line, "left", buf_view(&out), want);
	buf_fini(&out);
}

static void test_edges(void)
{
	check_strip(STR(""), 0, STR(""), __LINE__);
	check_strip(STR("\r\n"), 0, STR("\r\n"), __LINE__);
	check_strip(STR("A: b"), 0, STR("A: b"), __LINE__);
	check_strip(STR("Authentication-Results: mx.example.org"), 1, STR(""), __LINE__);
	check_strip(STR(" Authentication-Results: mx.example.org\r\nA: b\r\n\r\n"), 1,
		STR("A: b\r\n\r\n"), __LINE__);
	check_strip(STR("A: b\r\nAuthentication-Results: mx.example.org;\r\n\r\n"), 1,
		STR("A: b\r\n\r\n"), __LINE__);
	check_strip(STR("Authentication-Results: mx.example.org; a\r\n"
			"Authentication-Results: other; b\r\n"
			"Authentication-Results: mx.example.org; c\r\n"),
		2, STR("Authentication-Results: other; b\r\n"), __LINE__);
}

/* What we write is ours. */
static void test_own(void)
{
	static const struct str ids[] = {STR("mx.example.org"), STR("mx_1"), STR("mx [\"a\\b\"]"),
		STR("b\xc3\xbc"
		    "cher.example")};
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct results_method m = {"spf", "none", STR(""), NULL, 0};
		struct buf field = {0}, out = {0};
		results_write(ids[i], &m, 1, true, &field);
		CHECK_INT(results_strip(buf_view(&field), ids[i], &out), 1);
		CHECK_INT(out.n, 0);
		buf_fini(&field);
		buf_fini(&out);
	}
}

/* Ten thousand fields, and values made to be read again and again. */
static void test_many(void)
{
	static const struct str units[] = {STR("("), STR("\""), STR("=?utf-8?q?m?="), STR("(m)"),
		STR("m"), STR("\xc3\xbc"), STR("\\"), STR(" \r\n "), STR("=?utf-8?b?"), STR("mx.")};
	for (size_t i = 0; i < COUNT(units); i++) {
		struct buf in = {0}, out = {0};
		for (int k = 0; k < 10000; k++) {
			buf_str(&in, STR("Authentication-Results: "));
			for (int u = 0; u < 8; u++) { buf_str(&in, units[i]); }
			buf_str(&in, STR("\r\n"));
		}
		size_t before = in.n;
		buf_str(&in, STR("Authentication-Results: "));
		for (int k = 0; k < 100000; k++) { buf_str(&in, units[i]); }
		buf_str(&in, STR("\r\n"));
		CHECK_INT(results_strip(buf_view(&in), STR("mx.example.org"), &out), 0);
		CHECK(out.n == in.n && out.n > before);
		buf_fini(&in);
		buf_fini(&out);
	}
	struct buf in = {0}, out = {0};
	for (int k = 0; k < 10000; k++) {
		buf_str(&in, STR("Authentication-Results: mx.example.org; spf=pass\r\n"));
	}
	CHECK_INT(results_strip(buf_view(&in), STR("mx.example.org"), &out), 10000);
	CHECK_INT(out.n, 0);
	buf_fini(&in);
	buf_fini(&out);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"the reader of these tests is strict", test_reader},
		{"a field in full", test_shape},
		{"values in their three forms", test_values},
		{"reasons as comments", test_reasons},
		{"long values and lines", test_long},
		{"any octet, and it is still RFC 8601", test_any_octet},
		{"fields in our name go", test_ours},
		{"fields of others stay", test_others},
		{"internationalized names", test_international},
		{"first, last and only fields", test_edges},
		{"what we write is taken for ours", test_own},
		{"many fields and hostile ones", test_many},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
