/* smtp: what messages ask of a host, and how they are written for one that does not offer it. */
#include "t/tap.h"

#include "smtp/convert.h"

#define LONG_WORD \
	"123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 " \
	"123456789 "

/* Written for a host; the reason when that cannot be. */
static const char *convert(struct str in, bool seven, struct convert_needs *needs, struct buf *out)
{
	struct convert *c = convert_new();
	convert_look(c, in);
	convert_looked(c, needs);
	const char *no = convert_begin(c, seven);
	if (!no) {
		convert_add(c, in, out);
		convert_end(c, out);
	}
	convert_free(c);
	return no;
}

struct row {
	const char *name;
	struct str in;
	const char *seven, *eight; /* as written; NULL: as it is; else the status of the refusal */
};

#define MULTI "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"

static const struct row rows[] = {
	{"ASCII stays", STR("Subject: a\r\n\r\n.text = x \r\n"), NULL, NULL},
	{"an undeclared text", STR("Subject: a\r\n\r\ngr\xc3\xbc\xc3\x9f = x \r\n"),
		"Subject: a\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: "
		"1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\r\ngr=C3=BC=C3=9F =3D "
		"x=20\r\n",
		NULL},
	{"a declared one",
		STR("MIME-Version: 1.0\r\ncontent-transfer-encoding: 8bit\r\nContent-Type: "
		    "text/plain; charset=utf-8\r\n\r\n\xc3\xbc"),
		"MIME-Version: 1.0\r\ncontent-transfer-encoding: quoted-printable\r\nContent-Type: "
		"text/plain; charset=utf-8\r\n\r\n=C3=BC",
		NULL},
	{"8bit that is none", STR("Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n"),
		"Content-Transfer-Encoding: 7bit\r\n\r\nx\r\n", NULL},
	{"parts one by one",
		STR(MULTI "Content-Transfer-Encoding: 8bit\r\n\r\nbefore\xff\r\n"
			  "--b\r\n\r\nx = y\r\n"
			  "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\xc3\xa4\r\n"
			  "--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
			  "\xff\r\n\xfe\r\n--b--\r\n\r\nbehind\r\n"),
		MULTI "Content-Transfer-Encoding: 7bit\r\n\r\nbefore?\r\n"
		      "--b\r\n\r\nx = y\r\n"
		      "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
		      "quoted-printable\r\n\r\n=C3=A4\r\n"
		      "--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		      "/w0K/g==\r\n--b--\r\n\r\nbehind\r\n",
		NULL},
	{"a message within the message",
		STR(MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: "
			  "8bit\r\n\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
			  "\xe4\r\n--b--\r\n"),
		MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: "
		      "7bit\r\n\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
		      "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n--b--\r\n",
		NULL},
	{"binary text",
		STR("MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
		    "binary\r\n\r\na\nb\0\r\n"),
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
		"quoted-printable\r\n\r\na=0Ab=00\r\n",
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
		"quoted-printable\r\n\r\na=0Ab=00\r\n"},
	{"quoted-printable with octets it does not have",
		STR("MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
		    "Quoted-Printable\r\n\r\na=3Db\xff=\r\nc\r\n"),
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
		"quoted-printable\r\n\r\na=3Db=FFc\r\n",
		NULL},
	{"a header beyond ASCII", STR("Subject: \xc3\xa4\r\n\r\nx\r\n"), "5.6.9", NULL},
	{"a fragment", STR("Content-Type: message/partial\r\n\r\n\xff\r\n"), "5.6.3", NULL},
	{"an encoding nobody knows", STR("Content-Transfer-Encoding: x-uuencode\r\n\r\n\xff\r\n"),
		"5.6.3", NULL},
	{"a multipart without parts", STR(MULTI "\r\n\xff\r\n"), "5.6.3", NULL},
};

static void check(const struct row *row, bool seven, const char *want)
{
	struct convert_needs needs;
	struct buf out = {0};
	const char *no = convert(row->in, seven, &needs, &out);
	if (want && ascii_digit(want[0])) {
		bool right = no && str_starts(str_of(no), str_of(want));
		if (!right) { tap_fail(row->name, seven, "is %s", no ? no : "converted"); }
	} else {
		struct str as = want ? str_of(want) : row->in;
		if (no) { tap_fail(row->name, seven, "refused: %s", no); }
		tap_check_str(row->name, seven, "text", buf_view(&out), as);
	}
	buf_fini(&out);
}

static void test_rows(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(&rows[i], true, rows[i].seven);
		check(&rows[i], false, rows[i].eight);
	}
}

static void test_needs(void)
{
	static const struct {
		struct str in;
		bool eight, utf8_header, raw;
	} cases[] = {
		{STR(""), false, false, false},
		{STR("A: b\r\n\r\nc"), false, false, false},
		{STR("A: b\r\n\r\n\x80"), true, false, false},
		{STR("A: \xc3\xa4\r\n\r\nc"), true, true, false},
		{STR(MULTI "\r\n--b\r\nContent-Description: \xc3\xa4\r\n\r\nc\r\n--b--\r\n"), true,
			true, false},
		{STR("A: b\r\n\r\nc\rd\r\n"), false, false, true},
		{STR("A: b\r\n\r\nc\nd\r\n"), false, false, true},
		{STR("A: b\r\n\r\nc\r"), false, false, true},
		{STR("A: b\r\n\r\n\0\r\n"), false, false, true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct convert_needs needs;
		struct buf out = {0};
		(void)convert(cases[i].in, false, &needs, &out); /* only the needs are looked at */
		CHECK_INT(needs.eight, cases[i].eight);
		CHECK_INT(needs.utf8_header, cases[i].utf8_header);
		CHECK_INT(needs.raw, cases[i].raw);
		CHECK(!needs.line_long);
		buf_fini(&out);
	}
}

static void fill(struct buf *b, size_t n)
{
	while (b->n < n) { buf_chr(b, 'x'); }
}

/* 998 octets are the limit; a longer line of a body is encoded, one of a header folded. */
static void test_long(void)
{
	for (size_t n = CONVERT_LINE_MAX; n <= CONVERT_LINE_MAX + 1; n++) {
		struct convert_needs needs;
		struct buf in = {0}, out = {0};
		fill(&in, n);
		struct str line = buf_view(&in);
		struct buf message = {0};
		buf_fmt(&message, "A: b\r\n\r\n%.*s\r\n", STR_ARG(line));
		CHECK(!convert(buf_view(&message), false, &needs, &out));
		bool over = n > CONVERT_LINE_MAX;
		CHECK_INT(needs.line_long, over);
		CHECK_INT(str_find(buf_view(&out), STR("quoted-printable")) >= 0, over);
		buf_fini(&in);
		buf_fini(&message);
		buf_fini(&out);
	}
}

static void test_long_header(void)
{
	struct convert_needs needs;
	struct buf in = {0}, out = {0};
	buf_str(&in, STR("A: "));
	for (int i = 0; i < 11; i++) { buf_str(&in, STR(LONG_WORD)); }
	fill(&in, 1100);
	buf_str(&in, STR("\r\n\r\nb\r\n"));
	CHECK(!convert(buf_view(&in), false, &needs, &out));
	CHECK_INT(needs.line_long, true);
	CHECK_INT(out.n, in.n + 2);
	ptrdiff_t end = str_find(buf_view(&out), STR("\r\n"));
	CHECK(end > 900 && end <= CONVERT_LINE_MAX && out.p[end + 2] == ' ');
	buf_reset(&in);
	buf_reset(&out);
	buf_str(&in, STR("A:"));
	fill(&in, 2500);
	buf_str(&in, STR("\r\n\r\nb\r\n"));
	CHECK(!convert(buf_view(&in), false, &needs, &out));
	CHECK_INT(out.n, in.n + 6); /* CRLF and SP, twice */
	CHECK_INT(str_find(buf_view(&out), STR("\r\n ")), CONVERT_LINE_MAX);
	buf_fini(&in);
	buf_fini(&out);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"what messages need", test_needs},
		{"how they are written for hosts that take less", test_rows},
		{"long lines of a body", test_long},
		{"long lines of a header", test_long_header},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
