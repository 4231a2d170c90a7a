/* lib: codecs, charsets, dates. */
#include "t/tap.h"

#include "lib/charset.h"
#include "lib/codec.h"
#include "lib/date.h"

static void test_base64(void)
{
	static const struct {
		struct str plain, coded;
	} pairs[] = {
		{STR(""), STR("")},
		{STR("f"), STR("Zg==")},
		{STR("fo"), STR("Zm8=")},
		{STR("foo"), STR("Zm9v")},
		{STR("foob"), STR("Zm9vYg==")},
		{STR("\0a\0b"), STR("AGEAYg==")},
		{STR("\xff\xfe\xfd"), STR("//79")},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct buf b = {0}, d = {0};
		base64_encode(pairs[i].plain, &b);
		CHECK_STR(buf_view(&b), pairs[i].coded);
		CHECK_INT(base64_decode(pairs[i].coded, &d), 0);
		CHECK_STR(buf_view(&d), pairs[i].plain);
		buf_fini(&b);
		buf_fini(&d);
	}
}

static void test_base64_strict(void)
{
	static const struct str bad[] = {STR("Z"), STR("Zg="), STR("Zg==Zg=="), STR("Zh=="),
		STR("Zm9="), STR("===="), STR("Z==="), STR("Zg=a"), STR("Zm 9"), STR("Zm9v\r\n"),
		STR("Zm9-")};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf b = {0};
		buf_str(&b, STR("x"));
		if (base64_decode(bad[i], &b) != ERR_SYNTAX) {
			tap_fail(__FILE__, __LINE__, "accepted: %.*s", STR_ARG(bad[i]));
		}
		CHECK_STR(buf_view(&b), STR("x"));
		buf_fini(&b);
	}
}

static void test_mutf7(void)
{
	static const struct {
		struct str utf8, wire;
	} pairs[] = {
		{STR("INBOX"), STR("INBOX")},
		{STR("A&B"), STR("A&-B")},
		{STR("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"),
			STR("~peter/mail/&U,BTFw-/&ZeVnLIqe-")},
		{STR("Entw\xc3\xbcrfe"), STR("Entw&APw-rfe")},
		{STR("\xf0\x9f\x93\xac"), STR("&2D3c7A-")},
		{STR("\xe2\x98\xba!&"), STR("&Jjo-!&-")},
		{STR("\x01"), STR("&AAE-")},
		{STR("&&"), STR("&-&-")},
		{STR("\xc3\xbc&"), STR("&APw-&-")},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct buf b = {0}, d = {0};
		CHECK_INT(mutf7_encode(pairs[i].utf8, &b), 0);
		CHECK_STR(buf_view(&b), pairs[i].wire);
		CHECK_INT(mutf7_decode(pairs[i].wire, &d), 0);
		CHECK_STR(buf_view(&d), pairs[i].utf8);
		buf_fini(&b);
		buf_fini(&d);
	}
}

static void test_mutf7_strict(void)
{
	static const struct str bad[] = {STR("&"), STR("&AGE-"), /* "a" shifted */
		STR("&APw"),                                     /* never ends */
		STR("&APx-"),                                    /* bits behind the last unit */
		STR("&APwA-"),                                   /* a digit too many */
		STR("&2D0-"), STR("&3Kw-"),                      /* half a pair */
		STR("&APw-&APw-"),                               /* two runs that are one */
		STR("&U/BTFw-"),                                 /* "/" is no digit here */
		STR("Entw\xc3\xbcrfe"), STR("a\tb"), STR("&A-"), STR("&*-"), STR("&APw=-")};
	struct buf b = {0};
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (mutf7_decode(bad[i], &b) != ERR_SYNTAX || b.n) {
			tap_fail(__FILE__, __LINE__, "accepted: %.*s", STR_ARG(bad[i]));
		}
	}
	CHECK_INT(mutf7_encode(STR("a\xff"), &b), ERR_SYNTAX);
	CHECK_INT(mutf7_encode(STR("\xed\xa0\x80"), &b), ERR_SYNTAX);
	CHECK_INT(b.n, 0);
	buf_fini(&b);
}

struct transfer_row {
	const char *encoding;
	struct str in, out;
	bool bad;
};

static const struct transfer_row transfers[] = {
	{"7BIT", STR("a=41\r\n"), STR("a=41\r\n"), false},
	{"base64", STR("Zm9v\r\nYmFy\r\n"), STR("foobar"), false},
	{"base64", STR("Zm9vYg==\r\n"), STR("foob"), false},
	{"base64", STR("Zm9vYmE="), STR("fooba"), false},
	{"base64", STR("Zm9vYg"), STR("foob"), false},
	{"base64", STR("Zm9v*YmFy"), STR("foobar"), true},
	{"base64", STR("Zg==Zg=="), STR("ff"), true},
	{"base64", STR("Zm9vY"), STR("foo"), true},
	{"quoted-printable", STR("a=3Db=\r\nc\r\n"), STR("a=bc\r\n"), false},
	{"quoted-printable", STR("a  \t \r\nb \n"), STR("a\r\nb\n"), false},
	{"quoted-printable", STR("a= \t\r\nb"), STR("ab"), false},
	{"quoted-printable", STR("a=\nb"), STR("ab"), false},
	{"quoted-printable", STR("x=zz =4 =4"), STR("x=zz =4 =4"), true},
	{"quoted-printable", STR("x=4\r\n"), STR("x=4\r\n"), true},
	{"quoted-printable", STR("==41 =e4="), STR("=A \xe4"), true},
	{"quoted-printable", STR("a\rb \rc"), STR("a\rb \rc"), false},
	{"quoted-printable", STR("end  "), STR("end"), false},
	{"quoted-printable", STR("a \r"), STR("a"), false},
};

static void run_transfer(const struct transfer_row *row, size_t piece)
{
	struct transfer_decoder d = {.kind = transfer_by_name(str_of(row->encoding))};
	struct buf b = {0};
	for (size_t at = 0; at < row->in.n; at += piece) {
		transfer_decode(&d, str_sub(row->in, at, piece), &b);
	}
	transfer_end(&d, &b);
	CHECK_STR(buf_view(&b), row->out);
	CHECK_INT(d.bad, row->bad);
	buf_fini(&b);
}

static void test_transfer(void)
{
	CHECK_INT(transfer_by_name(STR("x-uuencode")), TRANSFER_UNKNOWN);
	for (size_t i = 0; i < COUNT(transfers); i++) {
		run_transfer(&transfers[i], 1000);
		run_transfer(&transfers[i], 1);
		run_transfer(&transfers[i], 3);
	}
}

static void test_charset(void)
{
	static const struct {
		struct str charset, in, out;
		int rc;
	} rows[] = {
		{STR("UTF-8"), STR("a\xc3\xa4"), STR("a\xc3\xa4"), 0},
		{STR("utf-8"), STR("a\xff\xc3"), STR("a\xef\xbf\xbd\xef\xbf\xbd"), 0},
		{STR("us-ascii"), STR("a\xe4"), STR("a\xef\xbf\xbd"), 0},
		{STR("ISO-8859-1"), STR("\xe4\x80"), STR("\xc3\xa4\xe2\x82\xac"), 0},
		{STR("iso-8859-15"), STR("\xa4"), STR("\xe2\x82\xac"), 0},
		{STR("koi8-r"), STR("\xf0\xd2"), STR("\xd0\x9f\xd1\x80"), 0},
		{STR("iso-2022-jp"), STR("\x1b$B$\"\x1b(B."), STR("\xe3\x81\x82."), 0},
		{STR("gb2312"), STR("\xc4\xe3"), STR("\xe4\xbd\xa0"), 0},
		{STR("shift_jis"), STR("\x82\xa0\x82"), STR("\xe3\x81\x82\xef\xbf\xbd"), 0},
		{STR("windows-1258"), STR("a"), STR("a"), 0},
		{STR("utf-7"), STR("+APw-"), STR("\xc3\xbc"), 0},
		{STR("x-unknown"), STR("\xc3\xa4\xe4"), STR("\xc3\xa4\xc3\xa4"), ERR_GONE},
		{STR("utf-8//IGNORE"), STR("\x80"), STR("\xe2\x82\xac"), ERR_GONE},
		{STR(""), STR("plain"), STR("plain"), ERR_GONE},
	};
	charset_prepare();
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = {0};
		CHECK_INT(charset_to_utf8(rows[i].charset, rows[i].in, &b), rows[i].rc);
		CHECK_STR(buf_view(&b), rows[i].out);
		CHECK_INT(charset_known(rows[i].charset), rows[i].rc == 0);
		buf_fini(&b);
	}
}

static void check_fold(struct str in, struct str want)
{
	struct buf b = {0};
	utf8_fold(in, &b);
	CHECK_STR(buf_view(&b), want);
	buf_fini(&b);
}

static void test_fold(void)
{
	struct buf upper = {0}, lower = {0};
	check_fold(STR("HeLLo-1"), STR("hello-1"));
	check_fold(STR(""), STR(""));
	check_fold(STR("Stra\xc3\x9f"
		       "e"),
		STR("strasse"));
	check_fold(STR("\xef\xac\x81"), STR("fi"));
	check_fold(STR("\xff"), STR("\xef\xbf\xbd"));
	utf8_fold(STR("\xc3\x84"), &upper);
	utf8_fold(STR("a\xcc\x88"), &lower);
	CHECK_STR(buf_view(&upper), buf_view(&lower));
	buf_reset(&lower);
	utf8_nfc(STR("a\xcc\x88"
		     "b"),
		&lower);
	CHECK_STR(buf_view(&lower), STR("\xc3\xa4"
					"b"));
	buf_reset(&lower);
	utf8_nfc(STR("\xc3\xa4 ascii"), &lower);
	CHECK_STR(buf_view(&lower), STR("\xc3\xa4 ascii"));
	CHECK(utf8_valid(STR("")));
	CHECK(!utf8_valid(STR("\xed\xa0\x80")));
	CHECK(!utf8_valid(STR("\xc0\x80")));
	buf_fini(&upper);
	buf_fini(&lower);
}

static void test_date_write(void)
{
	static const struct {
		int64_t s;
		struct str rfc5322, internal, iso;
	} rows[] = {
		{1795484993, STR("Tue, 24 Nov 2026 01:49:53 +0000"),
			STR("24-Nov-2026 01:49:53 +0000"), STR("2026-11-24T01:49:53Z")},
		{0, STR("Thu, 1 Jan 1970 00:00:00 +0000"), STR(" 1-Jan-1970 00:00:00 +0000"),
			STR("1970-01-01T00:00:00Z")},
		{-1, STR("Wed, 31 Dec 1969 23:59:59 +0000"), STR("31-Dec-1969 23:59:59 +0000"),
			STR("1969-12-31T23:59:59Z")},
		{951782400, STR("Tue, 29 Feb 2000 00:00:00 +0000"),
			STR("29-Feb-2000 00:00:00 +0000"), STR("2000-02-29T00:00:00Z")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = {0}, c = {0}, d = {0};
		int64_t us = rows[i].s * SECOND_US, back;
		date_rfc5322(us, &b);
		CHECK_STR(buf_view(&b), rows[i].rfc5322);
		CHECK_INT(date_rfc5322_parse(buf_view(&b), &back, NULL), 0);
		CHECK_INT(back, us);
		date_internal(us, &c);
		CHECK_STR(buf_view(&c), rows[i].internal);
		CHECK_INT(date_internal_parse(buf_view(&c), &back), 0);
		CHECK_INT(back, us);
		date_iso(us, &d);
		CHECK_STR(buf_view(&d), rows[i].iso);
		buf_fini(&b);
		buf_fini(&c);
		buf_fini(&d);
	}
}

static void test_date_read(void)
{
	static const struct {
		struct str text;
		int64_t s;
		int zone;
	} rows[] = {
		{STR(" Fri, 21 Nov 1997 09:55:06 -0600"), 880127706, -360},
		{STR("21 Nov 97 09:55:06 GMT"), 880127706 - 6 * 3600, 0},
		{STR("Fri, 21 Nov 1997 09(comment (nested \\) )):   55  :  06 -0600"), 880127706,
			-360},
		{STR("Fri,\r\n 21 Nov 1997 09:55 CST (x)"), 880127700, -360},
		{STR("Fri 21 November 1997 9:55:06 +0000 (UTC)"), 880127706 - 6 * 3600, 0},
		{STR("21-Nov-1997 09:55:06 -0600"), 880127706, -360},
		{STR("21 Nov 1997 09:55:06"), 880127706 - 6 * 3600, 0},
		{STR("21 Nov 1997 09:55:06 Z"), 880127706 - 6 * 3600, 0},
		{STR("1 Jan 00 00:00:00 +0000"), 946684800, 0},
		{STR("1 Jan 100 00:00:00 +0000"), 946684800, 0},
		{STR("1 Jan 2000 00:30:00 +0100"), 946683000, 60},
		{STR("31 Dec 2016 23:59:60 +0000"), 1483228800, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t us = 0;
		int zone = 99;
		CHECK_INT(date_rfc5322_parse(rows[i].text, &us, &zone), 0);
		CHECK_INT(us, rows[i].s * SECOND_US);
		CHECK_INT(zone, rows[i].zone);
	}
}

static void test_date_bad(void)
{
	static const struct str bad[] = {STR(""), STR("x"), STR("Fri, 21 Nov"),
		STR("31 Feb 2000 00:00:00 +0000"), STR("29 Feb 1900 00:00:00 +0000"),
		STR("1 Jan 2000 24:00:00 +0000"), STR("1 Jan 2000 00:60:00 +0000"),
		STR("1 Jan 2000 00:00:00 +00"), STR("1 Foo 2000 00:00:00 +0000"),
		STR("1 Jan 20000 00:00:00 +0000"), STR("0 Jan 2000 00:00:00 +0000"),
		STR("((((((((")};
	static const struct str bad_internal[] = {STR(" 01-Jan-2000 00:00:00 +0000"),
		STR(" 1-Jan-2000 00:00:00"), STR(" 1-Jan-2000 00:00:00 +0000 "),
		STR("32-Jan-2000 00:00:00 +0000"), STR(" 1-January-2000 00:00:00 +0000")};
	int64_t us;
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_INT(date_rfc5322_parse(bad[i], &us, NULL), ERR_SYNTAX);
	}
	for (size_t i = 0; i < COUNT(bad_internal); i++) {
		CHECK_INT(date_internal_parse(bad_internal[i], &us), ERR_SYNTAX);
	}
	CHECK_INT(date_internal_parse(STR("1-Jan-2000 00:00:00 +0000"), &us), 0);
	CHECK_INT(us, 946684800 * SECOND_US);
}

static void test_date_day(void)
{
	int64_t day;
	CHECK_INT(date_day_parse(STR("24-Nov-2026"), &day), 0);
	CHECK_INT(day, 1795484993 / 86400);
	CHECK_INT(date_day_parse(STR("1-jan-1970"), &day), 0);
	CHECK_INT(day, 0);
	CHECK_INT(date_day_parse(STR("01-Jan-1970"), &day), 0);
	CHECK_INT(date_day_parse(STR("30-Feb-2026"), &day), ERR_SYNTAX);
	CHECK_INT(date_day_parse(STR("1-Jan-70"), &day), ERR_SYNTAX);
	CHECK_INT(date_day_parse(STR("1-Jan-1970 "), &day), ERR_SYNTAX);
	CHECK_INT(date_day(946683000 * SECOND_US, 60), 10957);
	CHECK_INT(date_day(-1 * SECOND_US, 0), -1);
}

static void test_date_since(void)
{
	static const int64_t now = 1795484993 * SECOND_US;
	static const struct str bad[] = {STR(""), STR("2h "), STR("2"), STR("h"), STR("2w"),
		STR("2026-13-01"), STR("2026-11-24T"), STR("2026-11-24T01:49:53"),
		STR("2026-11-24T01:49:53Zx"), STR("99999999s")};
	int64_t us;
	CHECK_INT(date_since_parse(STR("2026-11-24T01:49:53Z"), now, &us), 0);
	CHECK_INT(us, now);
	CHECK_INT(date_since_parse(STR("2026-11-24"), now, &us), 0);
	CHECK_INT(us, now / SECOND_US / 86400 * 86400 * SECOND_US);
	CHECK_INT(date_since_parse(STR("2h"), now, &us), 0);
	CHECK_INT(us, now - 7200 * SECOND_US);
	CHECK_INT(date_since_parse(STR("7d"), now, &us), 0);
	CHECK_INT(us, now - 7 * 86400 * SECOND_US);
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_INT(date_since_parse(bad[i], now, &us), ERR_SYNTAX);
	}
}

/* However the octets are cut, the same is written. */
static void test_encode(void)
{
	static const struct {
		enum transfer kind;
		struct str in;
		const char *want;
	} rows[] = {
		{TRANSFER_QP, STR(""), ""},
		{TRANSFER_QP, STR("a = b\r\n"), "a =3D b\r\n"},
		{TRANSFER_QP, STR("gr\xc3\xbc\xc3\x9f \r\n\t\r\n"), "gr=C3=BC=C3=9F=20\r\n=09\r\n"},
		{TRANSFER_QP, STR("a\rb\nc\0\r"), "a=0Db=0Ac=00=0D"},
		{TRANSFER_QP, STR("end "), "end=20"},
		{TRANSFER_QP, STR("a \r\rb"), "a =0D=0Db"},
		{TRANSFER_QP,
			STR("123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
			    "12345\xff"),
			"123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
			"12345=\r\n=FF"},
		{TRANSFER_QP, /* what begins with "-" could be a delimiter */
			STR("123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
			    "12345--b\r\n--b"),
			"123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
			"12345=\r\n=2D-b\r\n=2D-b"},
		{TRANSFER_BASE64, STR(""), ""},
		{TRANSFER_BASE64, STR("\r\n\0\xff"), "DQoA/w=="},
		{TRANSFER_BASE64, STR("123456789 123456789 123456789 123456789 123456789 1234567"),
			"MTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NTY3ODkgMTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NT"
			"Y3"},
		{TRANSFER_BASE64, STR("123456789 123456789 123456789 123456789 123456789 12345678"),
			"MTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NTY3ODkgMTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NT"
			"Y3"
			"\r\nOA=="},
		{TRANSFER_NONE, STR("\xff\r"), "\xff\r"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t piece = 1; piece < 4; piece++) {
			struct transfer_encoder e = {.kind = rows[i].kind};
			struct buf out = {0};
			for (size_t at = 0; at < rows[i].in.n; at += piece) {
				transfer_encode(&e, str_sub(rows[i].in, at, piece), &out);
			}
			transfer_encode_end(&e, &out);
			CHECK_STR(buf_view(&out), str_of(rows[i].want));
			buf_fini(&out);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"base64", test_base64},
		{"base64 is strict", test_base64_strict},
		{"modified UTF-7", test_mutf7},
		{"modified UTF-7 is strict", test_mutf7_strict},
		{"transfer encodings, in pieces of any size", test_transfer},
		{"transfer encodings written, from pieces of any size", test_encode},
		{"charsets", test_charset},
		{"case folding", test_fold},
		{"dates written", test_date_write},
		{"dates of mail read", test_date_read},
		{"bad dates", test_date_bad},
		{"days", test_date_day},
		{"times that are written in commands", test_date_since},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
