/* lib: the structure of messages and the parse record. */
#include "t/tap.h"

#include "lib/mimerec.h"

static struct mime *parse(struct str s, size_t piece)
{
	struct mime *m = mime_new();
	for (size_t at = 0; at < s.n; at += piece) { mime_add(m, str_sub(s, at, piece)); }
	mime_end(m);
	return m;
}

/* One line for each part: depth.number kind header_off+header_len+body_len/lines type/subtype. */
static void describe(const struct mime *m, struct buf *out)
{
	for (size_t i = 0; i < mime_parts(m); i++) {
		const struct mime_part *p = mime_part(m, i);
		buf_fmt(out, "%u.%u%c %llu+%u+%llu/%u ", p->depth, p->number, "TMRO"[p->kind],
			(unsigned long long)p -> header_off, p -> header_len,
			(unsigned long long)p -> body_len, p -> lines);
		buf_str(out, p->type.type);
		buf_chr(out, '/');
		buf_str(out, p->type.subtype);
		buf_chr(out, '\n');
	}
}

struct shape {
	const char *name;
	struct str message, parts;
};

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static const struct shape shapes[] = {
	{"nothing", STR(""), STR("0.1T 0+0+0/0 text/plain\n")},
	{"header only", STR("A: b\r\n"), STR("0.1T 0+6+0/0 text/plain\n")},
	{"header without line end", STR("A: b"), STR("0.1T 0+4+0/0 text/plain\n")},
	{"body only", STR("\r\nhi"), STR("0.1T 0+2+2/0 text/plain\n")},
	{"bare LF", STR("A: b\n\nhi\nho\n"), STR("0.1T 0+6+6/2 text/plain\n")},
	{"two parts",
		STR(MIXED
			"pre\r\n--b\r\n\r\none\r\n--b\r\nA: b\r\n\r\ntwo\r\n\r\n--b--\r\nepi\r\n"),
		STR("0.1M 0+45+49/11 multipart/mixed\n"
		    "1.1T 55+2+3/0 text/plain\n"
		    "1.2T 67+8+5/1 text/plain\n")},
	{"two parts with bare LF",
		STR("Content-Type: multipart/mixed; "
		    "boundary=b\n\n--b\n\none\n--b\n\ntwo\n\n--b--\n"),
		STR("0.1M 0+43+25/8 multipart/mixed\n"
		    "1.1T 47+1+3/0 text/plain\n"
		    "1.2T 56+1+4/1 text/plain\n")},
	{"no close delimiter", STR(MIXED "--b\r\n\r\none\r\n"),
		STR("0.1M 0+45+12/3 multipart/mixed\n1.1T 50+2+5/1 text/plain\n")},
	{"close delimiter at the very end", STR(MIXED "--b\r\n\r\none\r\n--b--"),
		STR("0.1M 0+45+17/3 multipart/mixed\n1.1T 50+2+3/0 text/plain\n")},
	{"white space behind the boundary", STR(MIXED "--b \t\r\n\r\none\r\n--b-- \r\n"),
		STR("0.1M 0+45+22/4 multipart/mixed\n1.1T 52+2+3/0 text/plain\n")},
	{"not the boundary", STR(MIXED "--b\r\n\r\n--bb\r\n--b-\r\n --b\r\n--B\r\n--b--\r\n"),
		STR("0.1M 0+45+37/7 multipart/mixed\n1.1T 50+2+21/3 text/plain\n")},
	{"part header without empty line", STR(MIXED "--b\r\nA: b\r\n--b--\r\n"),
		STR("0.1M 0+45+18/3 multipart/mixed\n1.1T 50+4+0/0 text/plain\n")},
	{"parts without anything", STR(MIXED "--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n"),
		STR("0.1M 0+45+28/7 multipart/mixed\n1.1T 50+0+0/0 text/plain\n"
		    "1.2T 55+2+0/0 text/plain\n1.3T 62+2+0/0 text/plain\n")},
	{"delimiter in the epilogue", STR(MIXED "--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo"),
		STR("0.1M 0+45+29/6 multipart/mixed\n1.1T 50+2+3/0 text/plain\n")},
	{"multipart without parts", STR(MIXED "text\r\n"), STR("0.1M 0+45+6/1 multipart/mixed\n")},
	{"multipart without boundary", STR("Content-Type: multipart/mixed\r\n\r\ntext\r\n"),
		STR("0.1T 0+33+6/1 text/plain\n")},
	{"the outer boundary ends the inner parts",
		STR(MIXED "--b\r\nContent-Type: multipart/x; "
			  "boundary=i\r\n\r\n--i\r\n\r\nin\r\n--b\r\n"
			  "\r\nout\r\n--b--\r\n"),
		STR("0.1M 0+45+76/10 multipart/mixed\n1.1M 50+41+9/2 multipart/x\n"
		    "2.1T 96+2+2/0 text/plain\n1.2T 107+2+3/0 text/plain\n")},
	{"nested, boundaries one the start of the other",
		STR(MIXED "--b\r\nContent-Type: multipart/x; "
			  "boundary=b2\r\n\r\n--b2\r\n\r\nin\r\n--b2--"
			  "\r\n--b\r\n\r\nout\r\n--b--"),
		STR("0.1M 0+45+84/10 multipart/mixed\n1.1M 50+42+18/3 multipart/x\n"
		    "2.1T 98+2+2/0 text/plain\n1.2T 117+2+3/0 text/plain\n")},
	{"a message inside", STR("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n"),
		STR("0.1R 0+32+21/3 message/rfc822\n1.1T 32+15+6/1 text/plain\n")},
	{"a multipart message inside",
		STR(MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\n"
			  "Content-Type: multipart/x; "
			  "boundary=i\r\n\r\n--i\r\n\r\nin\r\n--i--\r\n--b--"),
		STR("0.1M 0+45+101/9 multipart/mixed\n1.1R 50+32+57/5 message/rfc822\n"
		    "2.1M 82+41+16/3 multipart/x\n3.1T 128+2+2/0 text/plain\n")},
	{"a message in base64 is opaque",
		STR("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
		    "base64\r\n\r\nQQ=="),
		STR("0.1O 0+67+4/0 message/rfc822\n")},
	{"an empty message inside", STR("Content-Type: message/rfc822\r\n\r\n"),
		STR("0.1R 0+32+0/0 message/rfc822\n1.1T 32+0+0/0 text/plain\n")},
	{"digest",
		STR("Content-Type: multipart/digest; boundary=\"b c \"\r\n\r\n--b c\r\n\r\nS: x\r\n"
		    "\r\nhi\r\n--b c\r\nContent-Type: text/plain\r\n\r\nho\r\n--b c--"),
		STR("0.1M 0+51+67/9 multipart/digest\n1.1R 58+2+10/2 message/rfc822\n"
		    "2.1T 60+8+2/0 text/plain\n1.2T 79+28+2/0 text/plain\n")},
	{"types that cannot be read", STR("Content-Type: ;x\r\n\r\n"),
		STR("0.1T 0+20+0/0 text/plain\n")},
	{"text without subtype", STR("Content-Type: TEXT; charset=x\r\n\r\n"),
		STR("0.1T 0+33+0/0 TEXT/plain\n")},
	{"the first Content-Type counts",
		STR("Content-Type: image/png\r\nContent-Type: text/html\r\n\r\n"),
		STR("0.1O 0+52+0/0 image/png\n")},
	{"CR alone ends no line", STR(MIXED "--b\r\r\n\rx\r--b\r\n\r\none\r\n--b--\r"),
		STR("0.1M 0+45+27/4 multipart/mixed\n1.1T 51+10+3/0 text/plain\n")},
};

static void test_shapes(void)
{
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct mime *m = parse(shapes[i].message, SIZE_MAX / 2);
		struct buf b = {0};
		describe(m, &b);
		if (!str_eq(buf_view(&b), shapes[i].parts)) {
			tap_fail(__FILE__, __LINE__, "%s", shapes[i].name);
			CHECK_STR(buf_view(&b), shapes[i].parts);
		}
		CHECK_INT(mime_size(m), shapes[i].message.n);
		CHECK(!mime_truncated(m));
		CHECK(mime_header_done(m));
		buf_fini(&b);
		mime_free(m);
	}
}

static void record_of(struct str s, size_t piece, struct buf *out)
{
	struct mime *m = parse(s, piece);
	describe(m, out);
	mimerec_build(m, out);
	mime_free(m);
}

static void test_pieces(void)
{
	static const size_t pieces[] = {1, 2, 3, 7};
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct buf whole = {0};
		record_of(shapes[i].message, SIZE_MAX / 2, &whole);
		for (size_t k = 0; k < COUNT(pieces); k++) {
			struct buf cut = {0};
			record_of(shapes[i].message, pieces[k], &cut);
			CHECK_STR(buf_view(&cut), buf_view(&whole));
			buf_fini(&cut);
		}
		buf_fini(&whole);
	}
}

static void test_header_done(void)
{
	struct mime *m = mime_new();
	mime_add(m, STR("Subject: x\r\nContent-Type: text/html\r\n\r"));
	CHECK(!mime_header_done(m));
	mime_add(m, STR("\n"));
	CHECK(mime_header_done(m));
	CHECK_STR(mime_part(m, 0)->type.subtype, STR("html"));
	CHECK_INT(mime_part(m, 0)->header_len, 39);
	mime_add(m, STR("body"));
	mime_end(m);
	mime_end(m);
	CHECK_INT(mime_part(m, 0)->body_len, 4);
	mime_free(m);
	mime_free(NULL);
}

/* Feed whole and in odd pieces: limits must fall alike. */
static struct mime *parse_twice(struct str s)
{
	struct mime *m = parse(s, s.n), *odd = parse(s, 61);
	struct buf a = {0}, b = {0};
	describe(m, &a);
	describe(odd, &b);
	CHECK_STR(buf_view(&b), buf_view(&a));
	CHECK_INT(mime_truncated(odd), mime_truncated(m));
	buf_fini(&a);
	buf_fini(&b);
	mime_free(odd);
	return m;
}

/* Lines on top that come last give the record that they give when they come first. */
static void test_top(void)
{
	static const struct str top = STR("Authentication-Results: a.test; spf=pass\r\n"
					  "Received: from b\r\n\tby a.test; now\r\n");
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct buf whole = {0}, want = {0}, got = {0};
		buf_str(&whole, top);
		buf_str(&whole, shapes[i].message);
		struct mime *first = parse(buf_view(&whole), whole.n);
		struct mime *last = parse(shapes[i].message, MAX(shapes[i].message.n, 1));
		mime_top(last, top);
		mimerec_build(first, &want);
		mimerec_build(last, &got);
		CHECK_STR(buf_view(&got), buf_view(&want));
		CHECK_INT(mime_size(last), mime_size(first));
		CHECK_STR(mime_part(last, 0)->header, mime_part(first, 0)->header);
		mime_free(first);
		mime_free(last);
		buf_fini(&whole);
		buf_fini(&want);
		buf_fini(&got);
	}
}

static void test_many_parts(void)
{
	struct buf b = {0};
	buf_str(&b, STR(MIXED));
	for (int i = 0; i < 3000; i++) { buf_str(&b, STR("--b\r\n\r\nx\r\n")); }
	struct mime *m = parse_twice(buf_view(&b));
	CHECK(mime_truncated(m));
	CHECK_INT(mime_parts(m), MIME_PARTS_MAX);
	const struct mime_part *last = mime_part(m, MIME_PARTS_MAX - 1);
	CHECK_INT(last->header_off + last->header_len + last->body_len, b.n);
	CHECK_INT(last->header_len, 0);
	mime_free(m);
	buf_fini(&b);
}

static void test_deep(void)
{
	struct buf b = {0}, record = {0};
	for (int i = 0; i < 100; i++) {
		buf_fmt(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	}
	struct mime *m = parse_twice(buf_view(&b));
	CHECK(mime_truncated(m));
	CHECK_INT(mime_parts(m), MIME_DEPTH_MAX);
	const struct mime_part *last = mime_part(m, MIME_DEPTH_MAX - 1);
	CHECK_INT(last->depth, MIME_DEPTH_MAX - 1);
	CHECK_INT(last->kind, MIME_OTHER);
	CHECK_INT(last->header_off + last->header_len + last->body_len, b.n);
	mimerec_build(m, &record);
	mime_free(m);
	buf_reset(&b);
	for (int i = 0; i < 100; i++) { buf_str(&b, STR("Content-Type: message/rfc822\r\n\r\n")); }
	m = parse_twice(buf_view(&b));
	CHECK_INT(mime_parts(m), MIME_DEPTH_MAX);
	CHECK(mime_truncated(m));
	mimerec_build(m, &record);
	mime_free(m);
	buf_fini(&b);
	buf_fini(&record);
}

static void test_long_header(void)
{
	struct buf b = {0};
	buf_str(&b, STR("Content-Type: multipart/mixed; boundary=b\r\n"));
	while (b.n < MIME_HEADER_MAX) {
		buf_str(&b, STR("X-Long: 0123456789012345678901234567\r\n"));
	}
	buf_str(&b, STR("\r\n--b\r\n\r\nx"));
	struct mime *m = parse_twice(buf_view(&b));
	CHECK(mime_truncated(m));
	CHECK_INT(mime_parts(m), 1);
	CHECK_INT(mime_part(m, 0)->kind, MIME_OTHER);
	CHECK(mime_part(m, 0)->header_len <= MIME_HEADER_MAX);
	CHECK(mime_part(m, 0)->header_len > MIME_HEADER_MAX - 100);
	CHECK_INT(mime_part(m, 0)->header_len + mime_part(m, 0)->body_len, b.n);
	mime_free(m);
	buf_reset(&b);
	while (b.n <= MIME_HEADER_MAX) { buf_str(&b, STR("one line without end")); }
	m = parse_twice(buf_view(&b));
	CHECK_INT(mime_part(m, 0)->header_len, 0);
	CHECK_INT(mime_part(m, 0)->body_len, b.n);
	mime_free(m);
	buf_fini(&b);
}

static void test_many_headers(void)
{
	struct buf b = {0};
	size_t kept = 0;
	buf_str(&b, STR(MIXED));
	for (int i = 0; i < 9; i++) {
		size_t start = b.n;
		buf_str(&b, STR("--b\r\n"));
		while (b.n - start < 200000) {
			buf_str(&b, STR("X-Long: 01234567890123456789\r\n"));
		}
		buf_str(&b, STR("\r\nx\r\n"));
	}
	struct mime *m = parse_twice(buf_view(&b));
	for (size_t i = 0; i < mime_parts(m); i++) { kept += mime_part(m, i)->header.n; }
	CHECK(mime_truncated(m));
	CHECK(kept <= MIME_HEADERS_MAX && kept > MIME_HEADERS_MAX - 100);
	CHECK_INT(mime_parts(m), 7);
	mime_free(m);
	buf_fini(&b);
}

static void test_fields(void)
{
	struct mime *m = parse(STR("Content-Type: image/png; name=x.png\r\nContent-ID: <a@b>\r\n"
				   "Content-Disposition: attachment;\r\n filename=y.png\r\n"
				   "Content-Description: a\r\n picture\r\nContent-MD5: Q2hlY2s=\r\n"
				   "Content-Language: en, de\r\nContent-Location: http://x/\r\n"
				   "Content-Transfer-Encoding: BASE64 (x)\r\n\r\n"),
		1000);
	const struct mime_part *p = mime_part(m, 0);
	CHECK_STR(p->id, STR("<a@b>"));
	CHECK_STR(p->description, STR("a picture"));
	CHECK_STR(p->md5, STR("Q2hlY2s="));
	CHECK_STR(p->language, STR("en, de"));
	CHECK_STR(p->location, STR("http://x/"));
	CHECK_STR(p->encoding, STR("BASE64"));
	CHECK_INT(p->transfer, TRANSFER_BASE64);
	CHECK_STR(p->disposition.type, STR("attachment"));
	CHECK_INT(p->disposition.params_n, 1);
	CHECK_INT(p->type.params_n, 1);
	mime_free(m);
}

static void check_texts(struct str message, struct str envelope, struct str structure)
{
	struct mime *m = parse(message, message.n ? message.n : 1);
	struct buf packed = {0};
	struct arena a = {0};
	struct mimerec r;
	mimerec_build(m, &packed);
	CHECK_INT(mimerec_read(buf_view(&packed), &a, &r), 0);
	if (envelope.n) { CHECK_STR(r.envelope, envelope); }
	if (structure.n) { CHECK_STR(r.bodystructure, structure); }
	arena_fini(&a);
	buf_fini(&packed);
	mime_free(m);
}

static void test_envelope(void)
{
	static const struct {
		struct str header, envelope;
	} rows[] = {
		{STR(""), STR("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")},
		{STR("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray "
		     "<gray@cac.washington.edu>\r\n"
		     "Subject: IMAP4rev2 WG mtg summary\r\n  and minutes\r\nTo: "
		     "imap@cac.washington.edu\r\n"
		     "Cc: minutes@CNRI.Reston.VA.US, \"John \\\"K\\\" Klensin\" "
		     "<KLENSIN@MIT.EDU>\r\n"
		     "Message-ID: <B27397-0100000@cac.washington.ed>\r\n\r\n"),
			STR("(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary "
			    " and minutes\" "
			    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
			    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
			    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
			    "((NIL NIL \"imap\" \"cac.washington.edu\")) "
			    "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
			    "(\"John \\\"K\\\" Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
			    "\"<B27397-0100000@cac.washington.ed>\")")},
		{STR("From: a@b\r\nSender: \r\nReply-To: c@d\r\nTo: A Group:Ed <e@f>, g@h;\r\n"
		     "Cc: undisclosed-recipients:;\r\nBcc: <@x,@y:z@w>\r\n\r\n"),
			STR("(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL "
			    "\"c\" \"d\")) "
			    "((NIL NIL \"A Group\" NIL)(\"Ed\" NIL \"e\" \"f\")(NIL NIL \"g\" "
			    "\"h\")"
			    "(NIL NIL NIL NIL)) ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL "
			    "NIL NIL)) "
			    "((NIL \"@x,@y\" \"z\" \"w\")) NIL NIL)")},
		{STR("Subject: \r\nIn-Reply-To:\r\nMessage-ID: a\\\"b\r\n\r\n"),
			STR("(NIL \"\" NIL NIL NIL NIL NIL NIL \"\" \"a\\\\\\\"b\")")},
		{STR("Subject: gr\xc3\xbc\xc3\x9f\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <j@x>\r\n\r\n"),
			STR("(NIL {6}\r\ngr\xc3\xbc\xc3\x9f "
			    "((\"=?utf-8?Q?J=C3=B6rg?=\" NIL \"j\" \"x\")) "
			    "((\"=?utf-8?Q?J=C3=B6rg?=\" NIL \"j\" \"x\")) "
			    "((\"=?utf-8?Q?J=C3=B6rg?=\" NIL \"j\" \"x\")) NIL NIL NIL NIL NIL)")},
		{STR("To: a@b\r\nSubject: nul\0s\r\nTo: c@d\r\n\r\n"),
			STR("(NIL {4}\r\nnuls NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" "
			    "\"d\")) "
			    "NIL NIL NIL NIL)")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_texts(rows[i].header, rows[i].envelope, STR(""));
	}
}

#define INNER_ENVELOPE "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL)"

static void test_structure(void)
{
	static const struct {
		struct str message, structure;
	} rows[] = {
		{STR(""), STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 "
			      "NIL NIL NIL NIL)")},
		{STR("Content-Type: TEXT/HTML; format=Flowed; "
		     "charset=\"utf-8\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\ny\r\n"),
			STR("(\"TEXT\" \"HTML\" (\"format\" \"Flowed\" \"charset\" \"utf-8\") NIL "
			    "NIL \"8bit\" 6 2 NIL NIL NIL NIL)")},
		{STR(MIXED), STR("((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
				 "0 0 NIL NIL NIL NIL) "
				 "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)")},
		{STR(MIXED "--b\r\n\r\nhi\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <i>\r\n"
			   "Content-Description: d\r\nContent-MD5: m\r\nContent-Language: en,de\r\n"
			   "Content-Location: l\r\nContent-Transfer-Encoding: base64\r\n"
			   "Content-Disposition: attachment; filename*=utf-8''%C3%BC; "
			   "size=4\r\n\r\nQUJD\r\n--b--\r\n"),
			STR("((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 2 0 "
			    "NIL NIL NIL NIL)"
			    "(\"image\" \"png\" NIL \"<i>\" \"d\" \"base64\" 4 \"m\" "
			    "(\"attachment\" (\"filename*\" \"utf-8''%C3%BC\" \"size\" \"4\")) "
			    "(\"en\" \"de\") \"l\") "
			    "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)")},
		{STR("Content-Type: message/rfc822\r\nContent-Language: en\r\n\r\nSubject: "
		     "in\r\n\r\nbody\r\n"),
			STR("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 21 " INNER_ENVELOPE
			    " (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1 "
			    "NIL NIL NIL NIL)"
			    " 3 NIL NIL \"en\" NIL)")},
		{STR("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
		     "base64\r\n\r\nQQ=="),
			STR("(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 4 NIL NIL "
			    "NIL NIL)")},
		{STR(MIXED "--b\r\nContent-Type: multipart/alternative; "
			   "boundary=i\r\n\r\n--i\r\n\r\nx\r\n--i--\r\n"
			   "--b\r\nContent-Type: application/pdf\r\n\r\n\r\n--b--\r\n"),
			STR("(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 "
			    "NIL NIL NIL NIL)"
			    " \"alternative\" (\"boundary\" \"i\") NIL NIL NIL)"
			    "(\"application\" \"pdf\" NIL NIL NIL \"7bit\" 0 NIL NIL NIL NIL)"
			    " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_texts(rows[i].message, STR(""), rows[i].structure);
	}
}

static void test_record(void)
{
	struct mime *m = parse(STR("Received: x\r\nFROM: a@b\r\nX-Mine: y\r\nsubject: s\r\n\tt\r\n"
				   "Date: Fri, 21 Nov 1997 23:55:06 -0600\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n\r\nx\r\n"),
		9);
	struct buf packed = {0};
	struct arena a = {0};
	struct mimerec r;
	mimerec_build(m, &packed);
	CHECK_INT(mimerec_read(buf_view(&packed), &a, &r), 0);
	CHECK_STR(r.hot,
		STR("FROM: a@b\r\nsubject: s\r\n\tt\r\nDate: Fri, 21 Nov 1997 23:55:06 -0600\r\n"
		    "Content-Type: text/plain; charset=utf-8\r\n"));
	CHECK(r.hot_complete);
	CHECK_INT(r.sent_us, 880178106 * SECOND_US);
	CHECK_INT(r.sent_day, 10186);
	CHECK_STR(r.body, STR("(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 3 1)"));
	CHECK_INT(r.parts_n, 1);
	CHECK_STR(r.parts[0].charset, STR("utf-8"));
	CHECK_INT(r.header_len, mime_part(m, 0)->header_len);
	for (size_t n = 0; n + 4 < packed.n; n += 5) {
		struct str damaged = str_sub(buf_view(&packed), 0, n);
		CHECK_INT(mimerec_read(damaged, &a, &r), ERR_SYNTAX);
	}
	arena_fini(&a);
	buf_fini(&packed);
	mime_free(m);
}

static void test_hot(void)
{
	static const struct str hot[] = {STR("from"), STR("SENDER"), STR("Reply-To"), STR("To"),
		STR("Cc"), STR("Bcc"), STR("Subject"), STR("Date"), STR("Message-Id"),
		STR("In-Reply-To"), STR("References"), STR("Content-Type"),
		STR("Content-Transfer-Encoding"), STR("MIME-Version"), STR("List-Id"),
		STR("List-Post"), STR("List-Unsubscribe"), STR("X-Priority"), STR("Priority"),
		STR("Importance"), STR("Newsgroups"), STR("Followup-To"),
		STR("Disposition-Notification-To"), STR("Delivered-To"), STR("X-Spam-Flag"),
		STR("X-Spam-Status")};
	for (size_t i = 0; i < COUNT(hot); i++) {
		if (!mimerec_is_hot(hot[i])) {
			tap_fail(__FILE__, __LINE__, "not hot: %.*s", STR_ARG(hot[i]));
		}
	}
	CHECK(!mimerec_is_hot(STR("Received")));
	CHECK(!mimerec_is_hot(STR("")));
}

static void test_refs(void)
{
	struct mime *m = parse(STR("Message-ID: <a@x>\r\nIn-Reply-To: <b@x> (was: <c@x>)\r\n"
				   "References: <d@x> <b@x>\r\n\t<a@x> <e@x>\r\n\r\n"),
		1000);
	struct mime *bare = parse(STR("Message-ID: a@x\r\n\r\n"), 1000);
	struct mime *none = parse(STR("References: <a@x>\r\n\r\n"), 1000);
	uint64_t refs[10], other[10];
	CHECK_INT(mimerec_refs(m, refs, 10), 5);
	CHECK_INT(mimerec_refs(m, other, 2), 2);
	CHECK_INT(mimerec_refs(m, other, 0), 0);
	CHECK_INT(mimerec_refs(bare, other, 10), 1);
	CHECK(other[0] == refs[0] && refs[0] != 0);
	CHECK_INT(mimerec_refs(none, other, 10), 2);
	CHECK(other[0] == 0 && other[1] == refs[0]);
	mime_free(m);
	mime_free(bare);
	mime_free(none);
}

static void check_nstring(struct str in, struct str want)
{
	struct buf b = {0};
	imap_nstring(in, &b);
	CHECK_STR(buf_view(&b), want);
	buf_fini(&b);
}

static void test_nstring(void)
{
	static char big[1000];
	struct buf b = {0};
	check_nstring((struct str){0}, STR("NIL"));
	check_nstring(STR(""), STR("\"\""));
	check_nstring(STR("NIL"), STR("\"NIL\""));
	check_nstring(STR("a\"b\\c"), STR("\"a\\\"b\\\\c\""));
	check_nstring(STR("a\r\nb"), STR("{4}\r\na\r\nb"));
	check_nstring(STR("\xc3\xbc"), STR("{2}\r\n\xc3\xbc"));
	check_nstring(STR("\0a\0"), STR("{1}\r\na"));
	memset(big, 'x', sizeof big);
	imap_nstring(str_make(big, 999), &b);
	CHECK(b.n == 1001 && b.p[0] == '"');
	buf_reset(&b);
	imap_nstring(str_make(big, 1000), &b);
	CHECK(str_starts(buf_view(&b), STR("{1000}\r\nxx")));
	buf_fini(&b);
}

/* Many addresses make the largest texts; the record must stay within its bounds. */
static void test_large(void)
{
	struct buf b = {0}, packed = {0};
	struct arena a = {0};
	struct mimerec r;
	for (int i = 0; i < 60; i++) {
		buf_str(&b, STR("From: "));
		for (int k = 0; k < 2000; k++) { buf_str(&b, STR("a,")); }
		buf_str(&b, STR("\r\n"));
	}
	buf_str(&b, STR("\r\n"));
	struct mime *m = parse(buf_view(&b), b.n);
	mimerec_build(m, &packed);
	CHECK_INT(mimerec_read(buf_view(&packed), &a, &r), 0);
	CHECK(!r.hot_complete);
	CHECK(r.envelope.n < 1100000);
	mime_free(m);
	arena_fini(&a);
	buf_fini(&b);
	buf_fini(&packed);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"shapes of messages", test_shapes},
		{"nothing depends on the pieces", test_pieces},
		{"the header is known early", test_header_done},
		{"lines on top that come last", test_top},
		{"too many parts", test_many_parts},
		{"too deep", test_deep},
		{"too long a header", test_long_header},
		{"too many headers", test_many_headers},
		{"fields of a part", test_fields},
		{"ENVELOPE", test_envelope},
		{"BODYSTRUCTURE", test_structure},
		{"the record and damage to it", test_record},
		{"hot fields", test_hot},
		{"references", test_refs},
		{"nstring", test_nstring},
		{"large texts", test_large},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
