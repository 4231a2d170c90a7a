/* smtp: trace fields, what a header tells, what submission adds; counts per network; replies. */
#include "t/tap.h"

#include "smtp/envelope.h"
#include "smtp/peers.h"
#include "smtp/trace.h"

static void test_received(void)
{
	struct buf out = {0};
	struct trace t = {.helo = STR("c.example.org"),
		.addr = STR("[192.0.2.1]"),
		.host = STR("mx.example.test"),
		.with = STR("ESMTPS"),
		.tls = STR("TLSv1.3 X"),
		.id = STR("abc"),
		.rcpt = STR("a@b")};
	trace_received(&t, &out);
	CHECK_STR(buf_view(&out), STR("Received: from c.example.org ([192.0.2.1])\r\n"
				      "\t(using TLSv1.3 X)\r\n"
				      "\tby mx.example.test with ESMTPS id abc\r\n"
				      "\tfor <a@b>;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n"));
	buf_reset(&out);
	t.helo = STR("evil (by x) with"); /* what is no name is not repeated */
	t.name = STR("h.example.net");
	t.tls = t.rcpt = STR("");
	trace_received(&t, &out);
	CHECK_STR(buf_view(&out), STR("Received: from [192.0.2.1] (h.example.net [192.0.2.1])\r\n"
				      "\tby mx.example.test with ESMTPS id abc;\r\n"
				      "\tThu, 1 Jan 1970 00:00:00 +0000\r\n"));
	buf_fini(&out);
}

static void test_with(void)
{
	static const struct {
		struct trace_proto p;
		const char *name;
	} cases[] = {
		{{.extended = false}, "SMTP"},
		{{.extended = true}, "ESMTP"},
		{{.extended = true, .tls = true}, "ESMTPS"},
		{{.extended = true, .login = true}, "ESMTPA"},
		{{.extended = true, .tls = true, .login = true}, "ESMTPSA"},
		{{.extended = true, .tls = true, .login = true, .utf8 = true}, "UTF8SMTPSA"},
		{{.lmtp = true, .extended = true}, "LMTP"},
		{{.lmtp = true, .extended = true, .tls = true, .utf8 = true}, "UTF8LMTPS"},
	};
	char out[16];
	for (size_t i = 0; i < COUNT(cases); i++) {
		CHECK_STR(str_of(trace_with(&cases[i].p, out)), str_of(cases[i].name));
	}
}

static void test_header_end(void)
{
	struct str text = STR("A: b\r\nC: d\r\n\r\nbody\r\n\r\n");
	for (size_t n = 0; n <= text.n; n++) {
		size_t scanned = 0, end = 0;
		for (size_t i = 0; i <= n && !end; i++) {
			end = trace_header_end(str_sub(text, 0, i), &scanned);
		}
		CHECK_INT(end, n >= 14 ? 14 : 0);
	}
	size_t scanned = 0;
	CHECK_INT(trace_header_end(STR("\r\nbody"), &scanned), 2);
}

static void test_look(void)
{
	struct header_facts f;
	header_look(STR("Received: a\r\nreceived: b\r\n\tc\r\nFrom: x@y\r\nSender: z\r\n"
			"Message-Id: <1@2> \r\nDelivered-To: p@q\r\n\r\nFrom: body\r\n"),
		&f);
	CHECK_INT(f.received, 2);
	CHECK_INT(f.from, 1);
	CHECK(f.sender && f.msgid && !f.date && !f.bcc);
	CHECK_STR(f.msgid_value, STR("<1@2>"));
	CHECK(header_was_delivered_to(&f, STR("P@q")));
	CHECK(!header_was_delivered_to(&f, STR("q@q")));
}

static void test_complete(void)
{
	static const char date[] = "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n";
	static const struct {
		const char *in, *out;
		bool dated, named; /* we add them */
	} cases[] = {
		{"\r\n", "\r\n", true, true},
		{"Subject: x\r\n\r\n", "Subject: x\r\n\r\n", true, true},
		{"Date: x\r\nMessage-ID: y\r\n\r\n", "Date: x\r\nMessage-ID: y\r\n\r\n", false,
			false},
		{"Message-ID: \r\n\t\r\nDate: x\r\n\r\n", "Date: x\r\n\r\n", false, true},
		{"Bcc: a,\r\n b\r\nDate: x\r\nbcc: c\r\nResent-BCC: d\r\n\r\n", "Date: x\r\n\r\n",
			false, true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header_facts f;
		struct buf out = {0}, want = {0};
		header_look(str_of(cases[i].in), &f);
		header_complete(str_of(cases[i].in), &f, 0, STR("id"), STR("h"), &out);
		buf_fmt(&want, "%s%s%s", cases[i].dated ? date : "",
			cases[i].named ? "Message-ID: <id@h>\r\n" : "", cases[i].out);
		CHECK_STR(buf_view(&out), buf_view(&want));
		buf_fini(&out);
		buf_fini(&want);
	}
}

static struct net_addr addr(const char *text)
{
	struct net_addr a;
	CHECK_INT(net_addr_parse(str_of(text), 0, &a), 0);
	return a;
}

static unsigned enter(struct peers *p, const char *ip, int64_t now_us, struct peer_ticket *t)
{
	struct net_addr a = addr(ip);
	return peers_enter(p, &a, 2, 0, now_us, t);
}

static void test_concurrency(void)
{
	struct peers p = {0};
	struct peer_ticket t[16];
	size_t n = 0;
	CHECK_INT(enter(&p, "192.0.2.1", 0, &t[n++]), 0);
	CHECK_INT(enter(&p, "192.0.2.1", 0, &t[n++]), 0);
	CHECK_INT(enter(&p, "192.0.2.1", 0, &t[n]), PEER_TOO_MANY);
	peers_leave(&t[n]);
	peers_leave(&t[--n]);
	CHECK_INT(enter(&p, "192.0.2.1", 0, &t[n++]), 0);
	CHECK_INT(enter(&p, "2001:db8::1", 0, &t[n++]), 0);
	CHECK_INT(enter(&p, "2001:db8::2", 0, &t[n++]), 0);
	CHECK_INT(enter(&p, "2001:db8::3", 0, &t[n++]), PEER_TOO_MANY); /* one /64 */
	CHECK_INT(enter(&p, "2001:db8:0:1::3", 0, &t[n++]), 0);
	for (int i = 2; i < 8; i++) { /* a /24 may have 4 x 2; two are there */
		char ip[32];
		snprintf(ip, sizeof ip, "192.0.2.%d", i);
		CHECK_INT(enter(&p, ip, 0, &t[n++]), 0);
	}
	CHECK_INT(enter(&p, "192.0.2.99", 0, &t[n++]), PEER_TOO_MANY);
	CHECK_INT(enter(&p, "127.0.0.1", 0, &t[n]), 0);
	CHECK(!t[n].near);
	while (n--) { peers_leave(&t[n]); }
	peers_fini(&p);
}

static void test_rate(void)
{
	struct peers p = {0};
	struct peer_ticket t;
	struct net_addr a = addr("192.0.2.1");
	int64_t now = SECOND_US;
	for (int i = 0; i < 4; i++) {
		CHECK_INT(peers_enter(&p, &a, 0, 3, now, &t), i < 3 ? 0 : PEER_TOO_FAST);
		peers_leave(&t);
	}
	now += 61 * SECOND_US; /* the pause is longer than the minute */
	CHECK_INT(peers_enter(&p, &a, 0, 3, now, &t), PEER_TOO_FAST);
	peers_leave(&t);
	now += PEERS_PAUSE_S * SECOND_US;
	CHECK_INT(peers_enter(&p, &a, 0, 3, now, &t), 0);
	peers_leave(&t);
	now += 2 * PEERS_PAUSE_S * SECOND_US;
	a = addr("198.51.100.1");
	CHECK_INT(peers_enter(&p, &a, 0, 3, now, &t), 0);
	CHECK_INT(p.nets.n, 2); /* the others are forgotten */
	peers_leave(&t);
	peers_fini(&p);
}

static void test_reply(void)
{
	struct buf out = {0};
	for (enum reply_id i = 0; i < REPLY_N; i++) {
		buf_reset(&out);
		reply_text(i, STR("a\r\nb"), &out);
		unsigned code = reply_code(i);
		CHECK(code >= 200 && code < 600 && out.n > 4);
		CHECK(str_ends(buf_view(&out), STR(" a??b")));
		if (code != 334 && code != 354) { /* RFC 2034 4: the class agrees */
			CHECK(out.p[4] == out.p[0] && out.p[5] == '.');
		}
	}
	buf_fini(&out);
}

static void test_envelope(void)
{
	struct envelope *e = envelope_new(0);
	struct rcpt_args r = {.to = {.text = STR("a@b")}};
	struct auth_target many[600];
	for (uint32_t i = 0; i < COUNT(many); i++) {
		many[i] = (struct auth_target){.aid = i + 1, .address = STR("x@y")};
	}
	CHECK_INT(envelope_accept(e, &r, many, 600), 0);
	CHECK_INT(envelope_accept(e, &r, many, 2), 0); /* the same accounts */
	CHECK_INT(e->locals_n, 600);
	CHECK_INT(e->accepted_n, 2);
	CHECK_INT(envelope_accept(e, &r, many, 600), ERR_LIMIT);
	CHECK_INT(e->accepted_n, 2);
	envelope_refuse(e, STR("c@d"), STR("550 no"));
	CHECK_INT(e->rcpts_n, 3);
	CHECK(e->rcpts[2].refused);
	envelope_free(e);
}

/* RFC 5321 4.4: it is made at final delivery, whatever came. */
static void test_return_path(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"\r\n", NULL},
		{"From: x\r\n\r\n", NULL},
		{"X-Return-Path: a\r\nReturn-Path-X: b\r\n\r\n", NULL},
		{"Return-Path: <a@b>\r\nFrom: x\r\n\r\n", "From: x\r\n\r\n"},
		{"A: b\r\nreturn-PATH :\r\n <a@b>\r\nB: \r\n c\r\nReturn-Path: d\r\n\r\n",
			"A: b\r\nB: \r\n c\r\n\r\n"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header_facts f;
		struct buf out = {0};
		header_look(str_of(cases[i].in), &f);
		CHECK_INT(f.return_path, cases[i].out != NULL);
		header_without_return_path(str_of(cases[i].in), &out);
		CHECK_STR(buf_view(&out), str_of(cases[i].out ? cases[i].out : cases[i].in));
		buf_fini(&out);
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case table[] = {
		{"Received", test_received},
		{"with", test_with},
		{"the end of the header", test_header_end},
		{"what a header tells", test_look},
		{"what submission adds", test_complete},
		{"Return-Path from outside", test_return_path},
		{"sessions per network", test_concurrency},
		{"connections per minute", test_rate},
		{"replies", test_reply},
		{"recipients of an envelope", test_envelope},
	};
	return tap_run(table, COUNT(table), argc, argv);
}
