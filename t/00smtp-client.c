/* smtp: replies of servers, dot-stuffing, delivery status notifications. */
#include "t/tap.h"

#include "smtp/client.h"
#include "smtp/dsn.h"
#include "smtp/orcpt.h"

static int feed(struct client_reply *r, const char *const *lines)
{
	int rc = 0;
	client_reply_reset(r);
	for (; *lines && rc == 0; lines++) { rc = client_reply_line(r, str_of(*lines)); }
	return rc;
}

static void test_reply(void)
{
	static const struct {
		const char *lines[4];
		int rc, code;
		const char *text, *status;
	} cases[] = {
		{{"250 ok"}, 1, 250, "250 ok", ""},
		{{"250"}, 1, 250, "250 ", ""},
		{{"250-one", "250 two"}, 1, 250, "250 one two", ""},
		{{"550 5.1.1 no such user"}, 1, 550, "550 5.1.1 no such user", "5.1.1"},
		{{"550 4.1.1 wrong class"}, 1, 550, "550 4.1.1 wrong class", ""},
		{{"550 5.1.1000 too long"}, 1, 550, "550 5.1.1000 too long", ""},
		{{"451 4.7.1"}, 1, 451, "451 4.7.1", "4.7.1"},
		{{"550-5.1.1 a", "550 5.1.1 b"}, 1, 550, "550 5.1.1 a 5.1.1 b", "5.1.1"},
		{{"250-one", "251 two"}, ERR_SYNTAX, 250, NULL, NULL},
		{{"25x ok"}, ERR_SYNTAX, 0, NULL, NULL},
		{{"199 ok"}, ERR_SYNTAX, 0, NULL, NULL},
		{{"600 ok"}, ERR_SYNTAX, 0, NULL, NULL},
		{{"250_ok"}, ERR_SYNTAX, 0, NULL, NULL},
		{{""}, ERR_SYNTAX, 0, NULL, NULL},
		{{"250 a\001b\177c"}, 1, 250, "250 a?b?c", ""},
	};
	struct client_reply r = {0};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text = {0};
		CHECK_INT(feed(&r, cases[i].lines), cases[i].rc);
		if (cases[i].text) {
			CHECK_INT(r.code, cases[i].code);
			client_reply_text(&r, 500, &text);
			CHECK_STR(buf_view(&text), str_of(cases[i].text));
			CHECK_STR(client_reply_status(&r), str_of(cases[i].status));
		}
		buf_fini(&text);
	}
	client_reply_fini(&r);
}

static void test_reply_limits(void)
{
	struct client_reply r = {0};
	int rc = 0;
	for (int i = 0; i < 1000 && rc == 0; i++) { rc = client_reply_line(&r, STR("250-x")); }
	CHECK_INT(rc, ERR_LIMIT);
	client_reply_fini(&r);
}

static void test_keywords(void)
{
	static const char *const lines[] = {
		"250-mx STARTTLS", "250-SIZE 1000", "250-auth PLAIN LOGIN", "250 8BITMIME", NULL};
	struct client_reply r = {0};
	struct str params;
	CHECK_INT(feed(&r, lines), 1);
	CHECK(client_reply_keyword(&r, STR("size"), &params));
	CHECK_STR(params, STR("1000"));
	CHECK(client_reply_keyword(&r, STR("AUTH"), &params));
	CHECK_STR(params, STR("PLAIN LOGIN"));
	CHECK(client_reply_keyword(&r, STR("8BITMIME"), &params));
	CHECK_STR(params, STR(""));
	CHECK(!client_reply_keyword(&r, STR("STARTTLS"), &params)); /* only in the greeting */
	CHECK(!client_reply_keyword(&r, STR("8BIT"), &params));
	client_reply_fini(&r);
}

/* However the octets are cut, the stuffed text is the same. */
static void test_stuff(void)
{
	static const char in[] = ".\r\n..\r\na.b\r\n.x\r\n\r\n.";
	static const char want[] = "..\r\n...\r\na.b\r\n..x\r\n\r\n..";
	for (size_t cut = 0; cut < sizeof in; cut++) {
		struct buf out = {0};
		bool start = true;
		client_stuff(str_make(in, cut), &start, &out);
		client_stuff(str_make(in + cut, sizeof in - 1 - cut), &start, &out);
		CHECK_STR(buf_view(&out), str_of(want));
		CHECK(!start);
		buf_fini(&out);
		if (cut == sizeof in - 1) { break; }
	}
}

static void test_dsn_status(void)
{
	CHECK_STR(dsn_status(550, STR("550 5.7.1 go away")), STR("5.7.1"));
	CHECK_STR(dsn_status(550, STR("550 go away")), STR("5.0.0"));
	CHECK_STR(dsn_status(450, STR("450 5.7.1 odd")), STR("4.0.0"));
	CHECK_STR(dsn_status(450, STR("450 4.2.0")), STR("4.2.0"));
	CHECK_STR(dsn_status(250, STR("250 2.0.0 ok")), STR("2.0.0"));
	CHECK_STR(dsn_status(250, STR("")), STR("2.0.0"));
	CHECK_STR(dsn_status(550, STR("550 5.7.1.2 x")), STR("5.0.0"));
}

static bool has(const struct buf *b, const char *text)
{
	return str_find(buf_view(b), str_of(text)) >= 0;
}

static void test_dsn(void)
{
	struct dsn_rcpt rcpts[] = {
		{.rcpt = STR("no@b.example"),
			.orcpt = STR("rfc822;no+2Bx@b.example"),
			.action = DSN_FAILED,
			.status = STR("5.1.1"),
			.reply = STR("550 5.1.1 unknown\r\nEvil: yes"),
			.said = true,
			.host = STR("mx.b.example")},
		{.rcpt = STR("late@b.example"),
			.action = DSN_FAILED,
			.expired = true,
			.status = STR("4.4.7"),
			.reply = STR("451 4.2.1 later"),
			.said = true,
			.host = STR("mx.b.example")},
		{.rcpt = STR("large@b.example"),
			.action = DSN_FAILED,
			.status = STR("5.3.4"),
			.reply = STR("5.3.4 too large for mx.b.example"),
			.host = STR("mx.b.example")},
	};
	struct dsn d = {.hostname = STR("mail.a.example"),
		.to = STR("me@a.example"),
		.envid = STR("QQ+2B9+x+0A"),
		.boundary = STR("=_b"),
		.rcpts = rcpts,
		.rcpts_n = COUNT(rcpts)};
	struct buf out = {0};
	dsn_head(&d, &out);
	dsn_tail(&d, &out);
	CHECK(has(&out, "Content-Type: multipart/report; "
			"report-type=delivery-status;\r\n\tboundary=\"=_b\"\r\n"));
	CHECK(has(&out,
		"\r\nReporting-MTA: dns; mail.a.example\r\nOriginal-Envelope-Id: QQ+9+x?\r\n"));
	CHECK(has(&out, "\r\n\r\nOriginal-Recipient: rfc822;no+x@b.example\r\nFinal-Recipient: "
			"rfc822;no@b.example\r\n"
			"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.b.example\r\n"
			"Diagnostic-Code: smtp; 550 5.1.1 unknown??Evil: yes\r\n"));
	CHECK(has(&out, "\r\n\r\nFinal-Recipient: rfc822;late@b.example\r\nAction: "
			"failed\r\nStatus: 4.4.7\r\n"));
	CHECK(has(&out, "\r\nAction: failed\r\nStatus: 5.3.4\r\nDiagnostic-Code: "
			"x-posthouse; 5.3.4 too large for mx.b.example\r\n"));
	CHECK(has(&out,
		"    the time for delivery is over. Last answer: mx.b.example said: 451 4.2.1"));
	CHECK(has(&out, "Content-Type: text/rfc822-headers\r\n"));
	CHECK(!has(&out, "\nEvil:"));
	CHECK(str_ends(buf_view(&out), STR("\r\n--=_b--\r\n")));
	rcpts[0].orcpt = STR("utf-8;\\x{FC}\\x{2B}@b.example");
	rcpts[0].rcpt = STR("\xc3\xbc+\xf0\x9f\x93\xaf@b.example");
	buf_reset(&out);
	dsn_head(&d, &out); /* to a sender who reads ASCII only */
	CHECK(has(&out, "\r\nOriginal-Recipient: utf-8;\\x{FC}\\x{2B}@b.example\r\n"
			"Final-Recipient: utf-8;\\x{FC}\\x{2B}\\x{1F4EF}@b.example\r\n"));
	d.utf8 = true;
	buf_reset(&out);
	dsn_head(&d, &out);
	CHECK(has(&out, "\r\nOriginal-Recipient: utf-8;\xc3\xbc+@b.example\r\n"
			"Final-Recipient: utf-8;\xc3\xbc+\xf0\x9f\x93\xaf@b.example\r\n"));
	buf_fini(&out);
}

/* RFC 6533 3: what came, as a parameter with and without SMTPUTF8, as a field with and without. */
static void test_orcpt(void)
{
	static const struct {
		const char *in, *param8, *param7, *field8, *field7;
	} rows[] = {
		{"rfc822;no+2Bx@b", "rfc822;no+2Bx@b", "rfc822;no+2Bx@b", "rfc822;no+x@b",
			"rfc822;no+x@b"},
		/* RFC 3461 5.2.1 (d): the case of no letter changes, and nothing that needs not */
		{"UTF-8;AbC@x", "UTF-8;AbC@x", "UTF-8;AbC@x", "UTF-8;AbC@x", "UTF-8;AbC@x"},
		{"UTF-8;\xc3\xbc@b\xe6\x97\xa5", "UTF-8;\xc3\xbc@b\xe6\x97\xa5",
			"UTF-8;\\x{FC}@b\\x{65E5}", "UTF-8;\xc3\xbc@b\xe6\x97\xa5",
			"UTF-8;\\x{FC}@b\\x{65E5}"},
		{"utf-8;\\x{fc}\\x{2b}\\x{10FFFD}@b", "utf-8;\xc3\xbc\\x{2b}\xf4\x8f\xbf\xbd@b",
			"utf-8;\\x{fc}\\x{2b}\\x{10FFFD}@b", "utf-8;\xc3\xbc+\xf4\x8f\xbf\xbd@b",
			"utf-8;\\x{fc}\\x{2b}\\x{10FFFD}@b"},
		{"utf-8;\\x{fc}\\x{2B}\xf0\x9f\x93\xaf@b",
			"utf-8;\xc3\xbc\\x{2B}\xf0\x9f\x93\xaf@b",
			"utf-8;\\x{fc}\\x{2B}\\x{1F4EF}@b", "utf-8;\xc3\xbc+\xf0\x9f\x93\xaf@b",
			"utf-8;\\x{fc}\\x{2B}\\x{1F4EF}@b"},
		/* of no encoded form, yet UTF-8: only ASCII needs one */
		{"utf-8;\xc3\xbc+\\x{FC}@b", "utf-8;\xc3\xbc+\\x{FC}@b",
			"utf-8;\\x{FC}\\x{2B}\\x{5C}x{FC}@b", "utf-8;\xc3\xbc+\\x{FC}@b",
			"utf-8;\\x{FC}\\x{2B}\\x{5C}x{FC}@b"},
		{"", "", "", "", ""},
	};
	/* of no form: no surrogates, letters, controls, zeros, nothing open; it stays what it is */
	static const char *const formless[] = {"a+2Bb@x", "a\\q@x", "\\x{D800}", "\\x{FC}\\x{41}",
		"\\x{FC", "\\x{FC}\\x{0A}@b", "\\x{1F}", "\\x{7F}", "\\x{00FC}", "\\x{0FC}",
		"\\x{110000}", "\\x{0000FC}", "\\x{FC}+@b"};
	struct buf out = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str in = str_of(rows[i].in);
		for (int utf8 = 0; utf8 < 2; utf8++) {
			CHECK_INT(orcpt_param(in, utf8, &out), in.n > 0);
			CHECK_STR(buf_view(&out), str_of(utf8 ? rows[i].param8 : rows[i].param7));
			buf_reset(&out);
			orcpt_field(in, utf8, &out);
			CHECK_STR(buf_view(&out), str_of(utf8 ? rows[i].field8 : rows[i].field7));
			buf_reset(&out);
		}
	}
	for (size_t i = 0; i < COUNT(formless); i++) {
		struct buf in = {0};
		buf_fmt(&in, "utf-8;%s", formless[i]);
		for (int utf8 = 0; utf8 < 2; utf8++) {
			CHECK(orcpt_param(buf_view(&in), utf8, &out));
			CHECK_STR(buf_view(&out), buf_view(&in));
			buf_reset(&out);
			orcpt_field(buf_view(&in), utf8, &out);
			CHECK_STR(buf_view(&out), buf_view(&in));
			buf_reset(&out);
		}
		buf_fini(&in);
	}
	struct buf longest = {0};
	buf_str(&longest, STR("utf-8;"));
	while (longest.n + 2 <= ORCPT_MAX) { buf_str(&longest, STR("\xc3\xbc")); }
	CHECK(orcpt_param(buf_view(&longest), true, &out) && out.n == longest.n);
	buf_reset(&out);
	CHECK(!orcpt_param(buf_view(&longest), false, &out) &&
		out.n == 0); /* it would be too long */
	buf_fini(&longest);
	buf_fini(&out);
}

static struct client_offer offer_of(struct arena *a, const char *const *lines)
{
	struct client_reply r = {0};
	struct client_offer o;
	CHECK_INT(feed(&r, lines), 1);
	client_offer_read(&r, a, &o);
	client_reply_fini(&r);
	return o;
}

static void test_offer(void)
{
	static const char *const much[] = {"250-mx", "250-SMTPUTF8", "250-BINARYMIME",
		"250-CHUNKING", "250-SIZE 1000000",
		"250-LIMITS RCPTMAX=20 mailmax=5 RCPTDOMAINMAX=1", "250 AUTH PLAIN", NULL};
	static const char *const odd[] = {"250-mx", "250-LIMITS RCPTMAX=0 RCPTMAX=x RCPTMAX",
		"250-SIZE 1e6", "250 DSN", NULL};
	struct arena a = {0};
	struct client_offer o = offer_of(&a, much);
	CHECK(o.utf8 && o.eight && o.binary && o.chunking && o.one_domain && !o.dsn);
	CHECK_INT(o.rcpts_max, 20);
	CHECK_INT(o.size_max, 1000000);
	CHECK_STR(o.auth, STR("PLAIN"));
	o = offer_of(&a, odd);
	CHECK(o.dsn && !o.utf8 && !o.eight && !o.one_domain && o.rcpts_max == 0);
	CHECK(o.size && o.size_max == 0);
	arena_fini(&a);
}

/* What becomes of a message: by what it needs, not by what it was said to need. */
static void test_fit(void)
{
	static const struct {
		struct client_offer offer;
		struct convert_needs needs;
		uint8_t body;
		bool refused, utf8, chunked, convert;
	} rows[] = {
		{.body = BODY_8BIT | BODY_SMTPUTF8 | BODY_BINARY},
		{.needs = {.eight = true}, .convert = true},
		{.needs = {.eight = true}, .offer = {.eight = true}},
		{.needs = {.line_long = true}, .offer = {.eight = true}, .convert = true},
		{.needs = {.raw = true},
			.offer = {.chunking = true, .binary = true},
			.convert = true},
		{.needs = {.raw = true},
			.offer = {.chunking = true, .binary = true},
			.body = BODY_BINARY,
			.chunked = true},
		{.needs = {.raw = true},
			.offer = {.chunking = true},
			.body = BODY_BINARY,
			.convert = true},
		{.needs = {.eight = true, .utf8_header = true}, .offer = {.eight = true}},
		{.needs = {.eight = true, .utf8_header = true},
			.offer = {.eight = true},
			.body = BODY_SMTPUTF8,
			.refused = true,
			.utf8 = true},
		{.needs = {.eight = true, .utf8_header = true},
			.offer = {.eight = true, .utf8 = true},
			.body = BODY_SMTPUTF8,
			.utf8 = true},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct client_fit fit;
		const char *no =
			client_offer_fit(&rows[i].offer, &rows[i].needs, rows[i].body, &fit);
		CHECK_INT(no != NULL, rows[i].refused);
		CHECK_INT(fit.utf8, rows[i].utf8);
		CHECK_INT(fit.chunked, rows[i].chunked);
		CHECK_INT(fit.convert, rows[i].convert);
	}
}

static void test_address(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"a@b.example", "a@b.example"},
		{"", ""},
		{"a@b\xc3\xbc"
		 "cher.example",
			"a@xn--bcher-kva.example"},
		{"\xc3\xbc@b.example", NULL},
		{"a@\xc3\xbc..example", NULL},
		{"\xc3\xbc", NULL},
	};
	struct client_offer offer = {0};
	struct arena a = {0};
	struct str out;
	for (size_t i = 0; i < COUNT(rows); i++) {
		offer.utf8 = false;
		bool good = client_offer_address(&offer, str_of(rows[i].in), &a, &out);
		CHECK_INT(good, rows[i].out != NULL);
		if (good) { CHECK_STR(out, str_of(rows[i].out)); }
		offer.utf8 = true;
		CHECK(client_offer_address(&offer, str_of(rows[i].in), &a, &out));
		CHECK_STR(out, str_of(rows[i].in));
	}
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"replies", test_reply},
		{"reply limits", test_reply_limits},
		{"EHLO keywords", test_keywords},
		{"dot-stuffing", test_stuff},
		{"DSN status", test_dsn_status},
		{"DSN", test_dsn},
		{"original recipients", test_orcpt},
		{"offers of servers", test_offer},
		{"messages for servers", test_fit},
		{"addresses for servers", test_address},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
