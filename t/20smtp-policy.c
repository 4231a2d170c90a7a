/* smtp: the policy: each check with its actions and exceptions, which action wins, what is
   recorded. The clock stands still and a zone answers. */
#include "t/tap.h"

#include "auth/iprev.h"
#include "smtp/policy_look.h"
#include "smtp/policy_rules.h"
#include "smtp/receive.h"
#include "t/smtp_fixture.h"

static struct smtp_fixture f;

static const char zone[] =
	"$ORIGIN .\n"
	"example.org MX 10 mx.example.org\n"
	"mx.example.org A 192.0.2.10\n"
	"v6only.example AAAA 2001:db8::1\n"
	"xn--bcher-kva.example MX 5 mx.example.org\n"
	"nullmx.example MX 0 .\n"
	"bare.example TXT x\n"
	"mute.example SERVFAIL\n"
	"9.2.0.192.in-addr.arpa PTR c.example.org\n"
	"c.example.org A 192.0.2.9\n"
	"8.2.0.192.in-addr.arpa PTR c.example.org\n"
	"7.2.0.192.in-addr.arpa SERVFAIL\n"
	"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "
	"v6only.example\n"
	/* lists: two that work, and some that do not */
	"9.2.0.192.bl.example A 127.0.0.4\n"
	"2.0.0.127.bl.example A 127.0.0.2\n"
	"9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.2\n"
	"bl.example TXT x\n"
	"9.2.0.192.wl.example A 127.0.5.2\n"
	"wl.example TXT x\n"
	"*.all.example A 127.0.0.2\n"
	"*.no.example A 127.255.255.254\n"
	"*.parked.example A 203.0.113.7\n"
	"*.mute.example SERVFAIL\n";

/* One message from a client; NULL = the usual. */
struct flow {
	const char *name, *settings;
	const char *from;   /* the client's address; 192.0.2.9 */
	const char *helo;   /* c.example.org */
	const char *sender; /* a@example.org */
	const char *rcpt;   /* one@example.test */
	const char *header; /* with CRLF */
	const char *replies;
	const char *checks; /* words that the audit record has among its checks */
	const char *detail; /* part of a sentence */
	bool junk;
};

#define TAKEN "220 250 250/2.1.0 250/2.1.5 354 250/2.0.0"
#define AUTHOR "From: <a@example.org>\r\n"

static const char *given(const char *text, const char *standard)
{
	return text ? text : standard;
}

static bool has_words(struct str all, const char *words)
{
	struct str rest = str_of(words), word, one;
	while (rest.n) {
		struct str look = all;
		bool found = false;
		str_cut(&rest, ' ', &word);
		while (look.n && !found) {
			str_cut(&look, ' ', &one);
			found = str_eq(one, word);
		}
		if (!found) { return false; }
	}
	return true;
}

/* Whole dialogue in one piece; a refusal on the way changes the replies behind it. */
static struct str converse(const struct flow *c)
{
	struct buf text = {0};
	buf_fmt(&text, "EHLO %s\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n",
		given(c->helo, "c.example.org"), given(c->sender, "a@example.org"),
		given(c->rcpt, "one@example.test"));
	static struct buf all;
	buf_reset(&all);
	buf_str(&all, smtp_say(&f, buf_view(&text)));
	if (str_ends(buf_view(&all), STR("354"))) {
		buf_reset(&text);
		buf_fmt(&text, "%sSubject: x\r\n\r\nx\r\n.\r\n", given(c->header, AUTHOR));
		buf_chr(&all, ' ');
		buf_str(&all, smtp_say(&f, buf_view(&text)));
	}
	smtp_say(&f, STR("QUIT\r\n"));
	buf_fini(&text);
	return buf_view(&all);
}

static void check_flow(const struct flow *c)
{
	smtp_start_zone(&f, ROLE_MX, given(c->settings, ""), zone);
	f.from = given(c->from, "192.0.2.9");
	smtp_connect(&f, LISTEN_SMTP);
	struct str replies = converse(c);
	smtp_wait(&f, 2 * SECOND_US); /* records of refusals come in batches */
	struct str checks = buf_view(&f.checks), details = buf_view(&f.details);
	bool junk = str_find(buf_view(&f.envelope), STR("(junk)")) >= 0;
	if (!str_eq(replies, str_of(c->replies)) || !has_words(checks, given(c->checks, "")) ||
		str_find(details, str_of(c->detail)) < 0 || junk != c->junk) {
		tap_fail(__FILE__, __LINE__,
			"%s:\n  replies %.*s, want %s\n  checks %.*s, want %s%s\n%.*s", c->name,
			STR_ARG(replies), c->replies, STR_ARG(checks), given(c->checks, "-"),
			junk != c->junk ? "\n  Junk or not" : "", STR_ARG(details));
	}
	smtp_end(&f);
}

static void check_flows(const struct flow *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) { check_flow(&cases[i]); }
}

/* --- the client --- */

static void test_client(void)
{
	static const struct flow cases[] = {
		{"all is well", NULL, .replies = TAKEN,
			.checks = "connections=pass rate=pass helo=pass sender=pass routed=pass "
				  "from=pass hops=pass loop=pass"},
		{"helo, noted", NULL, .helo = "localhost", .replies = TAKEN,
			.checks = "helo=hit(note)", .detail = "helo: HELO is neither"},
		{"helo, junk", "policy.helo=junk", .helo = "localhost", .replies = TAKEN,
			.checks = "helo=hit(junk)", .junk = true},
		{"helo, defer", "policy.helo=defer", .helo = "localhost",
			.replies = "220 451/4.7.1 503/5.5.1 503/5.5.1 503/5.5.1",
			.checks = "helo=hit(defer)"},
		{"helo, refuse", "policy.helo=refuse", .helo = "mx.example.test",
			.replies = "220 550/5.7.1 503/5.5.1 503/5.5.1 503/5.5.1",
			.checks = "helo=hit(refuse)", .detail = "name of this server"},
		{"helo, off", "policy.helo=off", .helo = "localhost", .replies = TAKEN,
			.checks = "connections=pass"},
		{"helo, a literal", "policy.helo=refuse", .helo = "[192.0.2.9]", .replies = TAKEN,
			.checks = "helo=pass"},
		{"helo, excepted network", "policy.helo=refuse policy.except=helo=192.0.2.0/24",
			.helo = "localhost", .replies = TAKEN,
			.checks = "helo=hit[helo=192.0.2.0/24]"},
		{"helo, another's exception",
			"policy.helo=refuse policy.except=helo=192.0.3.0/24,size=192.0.2.0/24",
			.helo = "localhost",
			.replies = "220 550/5.7.1 503/5.5.1 503/5.5.1 503/5.5.1",
			.checks = "helo=hit(refuse)"},
		{"all checks excepted", "policy.helo=refuse policy.except=*=2001:db8::/32",
			.from = "2001:db8::7", .helo = "localhost", .replies = TAKEN,
			.checks = "helo=hit[*=2001:db8::/32]"},
		{"early, refuse", "policy.early=refuse policy.early_wait=1s", .replies = "",
			.checks = "early=hit(refuse)"},
		{"early, defer", "policy.early=defer policy.early_wait=1s", .replies = "",
			.checks = "early=hit(defer)"},
	};
	check_flows(cases, COUNT(cases));
}

/* Of 2 sessions that are there, and of 3 in a minute. */
static void check_counts(const char *settings, const char *reply, const char *checks)
{
	struct peer_ticket t[3];
	struct net_addr a;
	smtp_start_zone(&f, ROLE_MX, settings, zone);
	struct server *sv = f.role.state;
	net_addr_parse(STR("192.0.2.9"), 0, &a);
	for (int i = 0; i < 3; i++) {
		peers_enter(&sv->peers, &a, 0, 0, loop_mono_us(f.loop), &t[i]);
	}
	f.from = "192.0.2.9";
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "EHLO c.example.org\r\n"), str_of(reply));
	for (int i = 0; i < 3; i++) { peers_leave(&t[i]); }
	if (f.gone) {
		smtp_wait(&f, 2 * SECOND_US);
		CHECK(has_words(buf_view(&f.checks), checks));
	} else {
		CHECK_INT(policy_found(smtp_session(&f), POLICY_CONNECTIONS)->action, POLICY_NOTE);
	}
	smtp_end(&f);
}

static void test_counts(void)
{
	check_counts("policy.connections_max=2", "421/4.7.0.", "connections=hit(defer)");
	check_counts("policy.rate_max=2", "421/4.7.0.", "connections=pass rate=hit(defer)");
	check_counts("policy.rate_max=2 policy.connections=off", "421/4.7.0.", "rate=hit(defer)");
	check_counts("policy.connections_max=2 policy.connections=refuse", "421/4.7.0.",
		"connections=hit(refuse)");
	check_counts("policy.connections_max=2 policy.connections=note", "220 250", NULL);
}

/* --- DNS lists --- */

static void test_dnsl(void)
{
	static const struct flow cases[] = {
		{"lists, but off", "policy.dnsbl_lists=bl.example", .replies = TAKEN},
		{"listed, refused", "policy.dnsbl=refuse policy.dnsbl_lists=bl.example",
			.replies = "554/5.7.1.", .checks = "dnsbl=listed(refuse)",
			.detail = "bl.example has 192.0.2.9 (127.0.0.4)"},
		{"listed, deferred", "policy.dnsbl=defer policy.dnsbl_lists=bl.example",
			.replies = "421/4.7.1.", .checks = "dnsbl=listed(defer)"},
		{"listed, junk", "policy.dnsbl=junk policy.dnsbl_lists=bl.example",
			.replies = TAKEN, .checks = "dnsbl=listed(junk)", .junk = true},
		{"listed, noted", "policy.dnsbl=note policy.dnsbl_lists=bl.example",
			.replies = TAKEN, .checks = "dnsbl=listed(note)"},
		{"not listed", "policy.dnsbl=refuse policy.dnsbl_lists=bl.example",
			.from = "192.0.2.8", .replies = TAKEN, .checks = "dnsbl=pass"},
		{"IPv6", "policy.dnsbl=refuse policy.dnsbl_lists=bl.example", .from = "2001:db8::9",
			.replies = "554/5.7.1.", .checks = "dnsbl=listed(refuse)"},
		{"IPv6, not listed", "policy.dnsbl=refuse policy.dnsbl_lists=bl.example",
			.from = "2001:db8::8", .replies = TAKEN, .checks = "dnsbl=pass"},
		{"a code that counts",
			"policy.dnsbl=refuse policy.dnsbl_lists=bl.example=127.0.0.2~127.0.*.4-7",
			.replies = "554/5.7.1.", .checks = "dnsbl=listed(refuse)"},
		{"a code that does not",
			"policy.dnsbl=refuse policy.dnsbl_lists=bl.example=127.0.0.2-3",
			.replies = TAKEN, .checks = "dnsbl=pass"},
		{"a list of everybody", "policy.dnsbl=refuse policy.dnsbl_lists=all.example",
			.replies = TAKEN, .checks = "dnsbl=pass",
			.detail = "all.example is left out, it lists everybody"},
		{"the same over IPv6", "policy.dnsbl=refuse policy.dnsbl_lists=all.example",
			.from = "2001:db8::9", .replies = TAKEN, .checks = "dnsbl=pass"},
		{"a list that does not serve us",
			"policy.dnsbl=refuse policy.dnsbl_lists=no.example", .replies = TAKEN,
			.checks = "dnsbl=pass",
			.detail = "does not serve us: 192.0.2.9 (127.255.255.254)"},
		{"a list that was sold", "policy.dnsbl=refuse policy.dnsbl_lists=parked.example",
			.replies = TAKEN, .checks = "dnsbl=pass", .detail = "(203.0.113.7)"},
		{"a list that is mute", "policy.dnsbl=refuse policy.dnsbl_lists=mute.example",
			.replies = TAKEN, .checks = "dnsbl=pass",
			.detail = "mute.example does not answer"},
		{"broken ones and one that works",
			"policy.dnsbl=refuse "
			"policy.dnsbl_lists=all.example,no.example,mute.example,bl.example",
			.replies = "554/5.7.1.", .checks = "dnsbl=listed(refuse)"},
		{"loopback is not trusted", "policy.dnsbl=refuse policy.dnsbl_lists=bl.example",
			.from = "127.0.0.2", .replies = "554/5.7.1."},
		{"welcome",
			"policy.dnsbl=refuse policy.dnsbl_lists=bl.example policy.dnswl=note "
			"policy.dnswl_lists=wl.example=127.0.*.2-3",
			.replies = TAKEN, .checks = "dnswl=listed(note) dnsbl=skipped"},
		{"welcome, but not enough",
			"policy.dnsbl=refuse policy.dnsbl_lists=bl.example policy.dnswl=note "
			"policy.dnswl_lists=wl.example=127.0.*.3",
			.replies = "554/5.7.1.", .checks = "dnswl=pass dnsbl=listed(refuse)"},
		{"welcome, but off",
			"policy.dnsbl=refuse policy.dnsbl_lists=bl.example "
			"policy.dnswl_lists=wl.example",
			.replies = "554/5.7.1.", .checks = "dnsbl=listed(refuse)"},
		{"excepted",
			"policy.dnsbl=refuse policy.dnsbl_lists=bl.example "
			"policy.except=dnsbl=192.0.2.9",
			.replies = TAKEN, .checks = "dnsbl=listed[dnsbl=192.0.2.9]",
			.detail = "bl.example has 192.0.2.9"},
		{"who is turned away is not asked about",
			"policy.early=defer policy.early_wait=1s policy.dnsbl=refuse "
			"policy.dnsbl_lists=bl.example",
			.replies = "", .checks = "early=hit(defer)"},
	};
	check_flows(cases, COUNT(cases));
}

static void test_iprev(void)
{
	static const struct flow cases[] = {
		{"a name that leads back", NULL, .replies = TAKEN, .checks = "iprev=pass",
			.detail = "iprev: c.example.org\n"},
		{"one that does not", NULL, .from = "192.0.2.8", .replies = TAKEN,
			.checks = "iprev=fail(note)", .detail = "c.example.org does not lead back"},
		{"refused", "policy.iprev=refuse", .from = "192.0.2.8", .replies = "554/5.7.25.",
			.checks = "iprev=fail(refuse)"},
		{"no name", "policy.iprev=junk", .from = "192.0.2.6", .replies = TAKEN,
			.checks = "iprev=permerror(junk)", .junk = true},
		{"deferred", "policy.iprev=defer", .from = "2001:db8::8", .replies = "421/4.7.25.",
			.checks = "iprev=permerror(defer)"},
		{"no answer", "policy.iprev=junk", .from = "192.0.2.7", .replies = TAKEN,
			.checks = "iprev=temperror(note)"},
		{"no answer, refused", "policy.iprev=refuse", .from = "192.0.2.7",
			.replies = "421/4.4.3.", .checks = "iprev=temperror(defer)"},
		{"IPv6", NULL, .from = "2001:db8::7", .replies = TAKEN,
			.checks = "iprev=fail(note)"},
		{"off", "policy.iprev=off", .replies = TAKEN, .checks = "rate=pass"},
		{"excepted", "policy.iprev=refuse policy.except=iprev=192.0.2.8",
			.from = "192.0.2.8", .replies = TAKEN,
			.checks = "iprev=fail[iprev=192.0.2.8]"},
	};
	check_flows(cases, COUNT(cases));
}

/* It stands in Authentication-Results, too, for the true client. */
static void test_iprev_results(void)
{
	smtp_start_zone(&f, ROLE_MX, "smtp.xclient_from=192.0.2.77", zone);
	f.from = "192.0.2.77";
	smtp_connect(&f, LISTEN_SMTP);
	SAY(&f, "EHLO c.example.org\r\nXCLIENT ADDR=192.0.2.9\r\nEHLO c.example.org\r\n"
		"MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, AUTHOR "\r\nx\r\n.\r\n"), STR("250/2.0.0"));
	CHECK(str_find(buf_view(&f.body), STR("iprev=pass")) > 0);
	CHECK(str_find(buf_view(&f.body), STR("policy.iprev=192.0.2.9")) > 0);
	smtp_end(&f);
}

/* --- the envelope --- */

#define MAIL_NO(code) "220 250 " code " 503/5.5.1 503/5.5.1"

static void test_envelope(void)
{
	static const struct flow cases[] = {
		{"no such domain", NULL, .sender = "a@ghost.example",
			.replies = MAIL_NO("550/5.1.8"), .checks = "sender=hit(refuse)",
			.detail = "ghost.example does not exist"},
		{"null MX", NULL, .sender = "a@nullmx.example", .replies = MAIL_NO("550/5.7.27"),
			.checks = "sender=hit(refuse)"},
		{"no mail", NULL, .sender = "a@bare.example", .replies = MAIL_NO("550/5.1.8"),
			.detail = "neither MX nor address"},
		{"no answer", NULL, .sender = "a@mute.example", .replies = MAIL_NO("451/4.4.3"),
			.checks = "sender=temperror(defer)"},
		{"no answer, deferred", "policy.sender=defer", .sender = "a@mute.example",
			.replies = MAIL_NO("451/4.4.3"), .checks = "sender=temperror(defer)"},
		{"no answer makes no junk", "policy.sender=junk", .sender = "a@mute.example",
			.replies = TAKEN, .checks = "sender=temperror(note)"},
		{"deferred", "policy.sender=defer", .sender = "a@ghost.example",
			.replies = MAIL_NO("451/4.1.8"), .checks = "sender=hit(defer)"},
		{"junk", "policy.sender=junk", .sender = "a@nullmx.example", .replies = TAKEN,
			.checks = "sender=hit(junk)", .junk = true},
		{"noted", "policy.sender=note", .sender = "a@ghost.example", .replies = TAKEN,
			.checks = "sender=hit(note)"},
		{"only IPv6", NULL, .sender = "a@v6only.example", .replies = TAKEN,
			.checks = "sender=pass"},
		{"nobody", NULL, .sender = "", .replies = TAKEN, .checks = "routed=pass"},
		{"excepted domain", "policy.except=sender=ghost.example",
			.sender = "a@ghost.example", .replies = TAKEN,
			.checks = "sender=hit[sender=ghost.example]"},
		{"excepted below", "policy.except=sender=.example", .sender = "a@ghost.example",
			.replies = TAKEN, .checks = "sender=hit[sender=.example]"},
		{"not below", "policy.except=sender=.host.example", .sender = "a@ghost.example",
			.replies = MAIL_NO("550/5.1.8"), .checks = "sender=hit(refuse)"},
		{"excepted address", "policy.except=sender=A@Ghost.Example",
			.sender = "a@ghost.example", .replies = TAKEN,
			.checks = "sender=hit[sender=A@Ghost.Example]"},
		{"another's address", "policy.except=sender=b@ghost.example",
			.sender = "a@ghost.example", .replies = MAIL_NO("550/5.1.8")},
		{"routed", NULL, .rcpt = "x%y@example.test",
			.replies = "220 250 250/2.1.0 550/5.7.1 503/5.5.1",
			.checks = "routed=hit(refuse)"},
		{"routed, noted", "policy.routed=note", .rcpt = "x!y@example.test",
			.replies = TAKEN, .checks = "routed=hit(note)"},
	};
	check_flows(cases, COUNT(cases));
}

static void test_size(void)
{
	smtp_start_zone(&f, ROLE_MX, "", zone);
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "EHLO c.example.org\r\nMAIL FROM:<> SIZE=99999999\r\n"),
		STR("220 250 552/5.3.4"));
	CHECK(str_ends(buf_view(&f.heard), STR("limit in octets: 52428800\r\n")));
	smtp_wait(&f, 2 * SECOND_US);
	CHECK(has_words(buf_view(&f.checks), "size=hit(refuse)"));
	CHECK_STR(SAY(&f, "MAIL FROM:<\xc3\xbc@b\xc3\xbc"
			  "cher.example> SMTPUTF8\r\n"),
		STR("250/2.1.0"));
	CHECK_STR(policy_found(smtp_session(&f), POLICY_SENDER)->result, STR("pass"));
	smtp_end(&f);
}

/* Of several recipients the worst is kept. */
static void test_recipients(void)
{
	smtp_start_zone(&f, ROLE_MX, "", zone);
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "EHLO c.example.org\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\n"
			  "RCPT TO:<x%y@example.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n"),
		STR("220 250 250/2.1.0 250/2.1.5 550/5.7.1 250/2.1.5 354"));
	CHECK_STR(SAY(&f, AUTHOR "\r\nx\r\n.\r\n"), STR("250/2.0.0"));
	CHECK(has_words(buf_view(&f.checks), "routed=hit(refuse) loop=pass"));
	CHECK(str_find(buf_view(&f.details), STR("routed: x%y@example.test\n")) >= 0);
	smtp_end(&f);
}

/* --- the message --- */

#define END_NO(code) "220 250 250/2.1.0 250/2.1.5 354 " code

static void test_message(void)
{
	static const struct flow cases[] = {
		{"no From", NULL, .header = "To: x\r\n", .replies = END_NO("550/5.7.1"),
			.checks = "from=hit(refuse)", .detail = "from: there is no From field"},
		{"two From", NULL, .header = AUTHOR AUTHOR, .replies = END_NO("550/5.7.1"),
			.checks = "from=hit(refuse)",
			.detail = "from: there is more than one From field"},
		{"From nobody", NULL, .header = "From: nonsense\r\n",
			.replies = END_NO("550/5.7.1"),
			.detail = "from: the From field has an address without"},
		{"two authors in one From", NULL, .header = "From: <a@b.c>, <d@e.f>\r\n",
			.replies = TAKEN, .checks = "from=pass"},
		{"no From, junk", "policy.from=junk", .header = "To: x\r\n", .replies = TAKEN,
			.checks = "from=hit(junk)", .junk = true},
		{"no From, deferred", "policy.from=defer", .header = "To: x\r\n",
			.replies = END_NO("451/4.7.1"), .checks = "from=hit(defer)"},
		{"no From, excepted sender", "policy.except=from=example.org",
			.header = "To: x\r\n", .replies = TAKEN,
			.checks = "from=hit[from=example.org]"},
		{"loop", NULL, .header = AUTHOR "Delivered-To: ONE@example.test\r\n",
			.replies = END_NO("554/5.4.6"), .checks = "hops=pass loop=hit(refuse)",
			.detail = "loop: it was delivered to one@example.test before"},
		{"loop, excepted list", "policy.except=loop=<News.example.org>",
			.header = AUTHOR "List-Id: The news <news.example.org>\r\n"
					 "Delivered-To: one@example.test\r\n",
			.replies = TAKEN, .checks = "loop=hit[loop=<News.example.org>]"},
		{"loop, another list", "policy.except=loop=<news.example.org>",
			.header = AUTHOR "List-Id: <news.example.org> of <other.example.org>\r\n"
					 "Delivered-To: one@example.test\r\n",
			.replies = END_NO("554/5.4.6"), .checks = "loop=hit(refuse)"},
		{"loop, excepted author", "policy.except=loop=x@example.net",
			.header = "From: X <x@example.net>\r\nDelivered-To: one@example.test\r\n",
			.replies = TAKEN, .checks = "loop=hit[loop=x@example.net]"},
		{"loop, one of two authors excepted", "policy.except=loop=x@example.net",
			.header = "From: <x@example.net>, <y@example.com>\r\n"
				  "Delivered-To: one@example.test\r\n",
			.replies = END_NO("554/5.4.6"), .checks = "loop=hit(refuse)"},
		{"loop, deferred and excepted by nobody",
			"policy.loop=defer policy.except=hops=example.org",
			.header = AUTHOR "Delivered-To: one@example.test\r\n",
			.replies = END_NO("554/5.4.6"), .checks = "loop=hit(defer)"},
	};
	check_flows(cases, COUNT(cases));
}

/* --- SPF, DKIM, DMARC: what their results lead to --- */

struct verdict {
	const char *settings;
	const char *spf, *dkim, *dmarc; /* results; NULL = not looked at */
	enum policy_action wish, want;
	const char *reply; /* of DEFER and REFUSE */
};

static void check_verdict(const struct verdict *v)
{
	struct buf reply = {0};
	smtp_start_zone(&f, ROLE_MX, v->settings, zone);
	f.from = "192.0.2.9";
	smtp_connect(&f, LISTEN_SMTP);
	SAY(&f, "EHLO c.example.org\r\nMAIL FROM:<a@example.org>\r\n"
		"RCPT TO:<one@example.test>\r\nDATA\r\n");
	struct session *s = smtp_session(&f);
	s->env->spf = (struct policy_evidence){.result = str_of(v->spf), .detail = STR("why spf")};
	s->env->dkim =
		(struct policy_evidence){.result = str_of(v->dkim), .detail = STR("why dkim")};
	s->env->dmarc = (struct policy_evidence){
		.result = str_of(v->dmarc), .detail = STR("why dmarc"), .wish = v->wish};
	policy_now(s, STAGE_END);
	if (s->run.action >= POLICY_DEFER) { reply_text(s->run.reply, s->run.say, &reply); }
	if (s->run.action != v->want || !str_eq(buf_view(&reply), str_of(v->reply))) {
		tap_fail(__FILE__, __LINE__, "%s spf=%s dkim=%s dmarc=%s: %.*s %.*s", v->settings,
			given(v->spf, "-"), given(v->dkim, "-"), given(v->dmarc, "-"),
			STR_ARG(policy_action_name(s->run.action)), STR_ARG(buf_view(&reply)));
	}
	bool spf = v->spf && policy_found(s, POLICY_SPF)->result.n;
	CHECK(spf == (v->spf && s->server->policy.action[POLICY_SPF] != POLICY_OFF));
	buf_fini(&reply);
	smtp_end(&f);
}

static void test_verdicts(void)
{
	static const struct verdict cases[] = {
		{"", NULL, NULL, NULL, 0, POLICY_OFF},
		{"", "pass", "pass", "pass", 0, POLICY_OFF},
		{"", "none", "none", "none", 0, POLICY_OFF},
		{"", "fail", NULL, NULL, 0, POLICY_NOTE},
		{"", "softfail", NULL, NULL, 0, POLICY_OFF},
		{"", "neutral", NULL, NULL, 0, POLICY_OFF},
		{"policy.spf=junk", "fail", NULL, NULL, 0, POLICY_JUNK},
		{"policy.spf=defer", "fail", NULL, NULL, 0, POLICY_DEFER,
			"451 4.7.23 SPF says no: why spf"},
		{"policy.spf=refuse", "fail", NULL, NULL, 0, POLICY_REFUSE,
			"550 5.7.23 SPF says no: why spf"},
		{"policy.spf=refuse", "permerror", NULL, NULL, 0, POLICY_OFF},
		{"policy.spf=refuse", "temperror", NULL, NULL, 0, POLICY_DEFER,
			"451 4.4.3 Cannot be checked now: why spf"},
		{"policy.spf=junk", "temperror", NULL, NULL, 0, POLICY_NOTE},
		{"policy.spf=off", "fail", NULL, NULL, 0, POLICY_OFF},
		{"", NULL, "fail", NULL, 0, POLICY_NOTE},
		{"policy.dkim=refuse", NULL, "fail", NULL, 0, POLICY_REFUSE,
			"550 5.7.20 No DKIM signature holds: why dkim"},
		{"policy.dkim=refuse", NULL, "permerror", NULL, 0, POLICY_REFUSE,
			"550 5.7.20 No DKIM signature holds: why dkim"},
		{"policy.dkim=refuse", NULL, "temperror", NULL, 0, POLICY_DEFER,
			"451 4.4.3 Cannot be checked now: why dkim"},
		{"", NULL, NULL, "fail", POLICY_NOTE, POLICY_NOTE},
		{"", NULL, NULL, "fail", POLICY_JUNK, POLICY_JUNK},
		{"", NULL, NULL, "fail", POLICY_REFUSE, POLICY_REFUSE,
			"550 5.7.26 DMARC says no: why dmarc"},
		{"", NULL, NULL, "temperror", POLICY_REFUSE, POLICY_DEFER,
			"451 4.4.3 Cannot be checked now: why dmarc"},
		{"", NULL, NULL, "temperror", POLICY_JUNK, POLICY_JUNK},
		{"policy.dmarc=junk", NULL, NULL, "temperror", POLICY_REFUSE, POLICY_JUNK},
		{"policy.dmarc=note", NULL, NULL, "temperror", POLICY_REFUSE, POLICY_NOTE},
		{"", NULL, NULL, "temperror", POLICY_NOTE, POLICY_NOTE},
		{"policy.dmarc=defer", NULL, NULL, "temperror", POLICY_REFUSE, POLICY_DEFER,
			"451 4.4.3 Cannot be checked now: why dmarc"},
		{"policy.dmarc=junk", NULL, NULL, "fail", POLICY_REFUSE, POLICY_JUNK},
		{"policy.dmarc=note", NULL, NULL, "fail", POLICY_REFUSE, POLICY_NOTE},
		{"policy.dmarc=off", NULL, NULL, "fail", POLICY_REFUSE, POLICY_OFF},
		{"policy.dmarc=refuse", NULL, NULL, "fail", POLICY_NOTE, POLICY_REFUSE,
			"550 5.7.26 DMARC says no: why dmarc"},
		/* the strongest wins, the first of the strongest speaks */
		{"policy.spf=junk", "fail", "fail", "fail", POLICY_NOTE, POLICY_JUNK},
		{"policy.spf=defer", "fail", NULL, "fail", POLICY_REFUSE, POLICY_REFUSE,
			"550 5.7.26 DMARC says no: why dmarc"},
		{"policy.spf=refuse", "fail", NULL, "fail", POLICY_REFUSE, POLICY_REFUSE,
			"550 5.7.23 SPF says no: why spf"},
		{"policy.spf=defer policy.dkim=defer", "fail", "fail", NULL, 0, POLICY_DEFER,
			"451 4.7.23 SPF says no: why spf"},
		/* greylisting: for whom nothing speaks */
		{"policy.greylist=defer", "pass", "none", "none", 0, POLICY_OFF},
		{"policy.greylist=defer", "none", "pass", "none", 0, POLICY_OFF},
		{"policy.greylist=defer", "none", "none", "none", 0, POLICY_DEFER,
			"451 4.7.1 Nobody sent you here before, please come back: not before 300 "
			"seconds"},
		{"policy.greylist=note", "softfail", NULL, NULL, 0, POLICY_NOTE},
		{"policy.greylist=defer", "fail", NULL, "fail", POLICY_REFUSE, POLICY_REFUSE,
			"550 5.7.26 DMARC says no: why dmarc"},
		/* exceptions */
		{"policy.spf=refuse policy.except=spf=192.0.2.9", "fail", NULL, NULL, 0,
			POLICY_OFF},
		{"policy.except=dmarc=example.org", NULL, NULL, "fail", POLICY_REFUSE, POLICY_OFF},
		{"policy.except=dmarc=example.com", NULL, NULL, "fail", POLICY_REFUSE,
			POLICY_REFUSE, "550 5.7.26 DMARC says no: why dmarc"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) { check_verdict(&cases[i]); }
}

/* --- greylisting over several messages --- */

static struct str send_from(const char *ip, const char *sender, const char *rcpt)
{
	struct flow c = {.sender = sender, .rcpt = rcpt};
	f.from = ip;
	smtp_connect(&f, LISTEN_SMTP);
	struct str all = converse(&c);
	return str_skip(all, (size_t)(str_rchr(all, ' ') + 1));
}

static void test_greylist(void)
{
	static const char one[] = "one@example.test", who[] = "a@example.org";
	smtp_start_zone(&f, ROLE_MX, "policy.greylist=defer policy.greylist_delay=5m", zone);
	CHECK_STR(send_from("192.0.2.1", who, one), STR("451/4.7.1"));
	smtp_wait(&f, 299 * SECOND_US);
	CHECK_STR(send_from("192.0.2.1", who, one), STR("451/4.7.1"));
	smtp_wait(&f, 2 * SECOND_US);
	CHECK_STR(send_from("192.0.3.1", who, one), STR("451/4.7.1")); /* another network */
	CHECK_STR(send_from("192.0.2.1", "a@v6only.example", one), STR("451/4.7.1"));
	CHECK_STR(send_from("192.0.2.1", who, "two@example.test"), STR("451/4.7.1"));
	CHECK_STR(send_from("192.0.2.200", "b@example.org", "ONE@example.test"), STR("250/2.0.0"));
	CHECK(has_words(buf_view(&f.checks), "greylist=pass"));
	smtp_wait(&f, 34 * 86400 * SECOND_US);
	CHECK_STR(send_from("192.0.2.1", who, one), STR("250/2.0.0")); /* known */
	CHECK_STR(send_from("192.0.3.1", who, one), STR("451/4.7.1")); /* too late: new again */
	smtp_wait(&f, 36 * 86400 * SECOND_US);
	CHECK_STR(send_from("192.0.2.1", who, one), STR("451/4.7.1")); /* forgotten */
	CHECK_STR(send_from("2001:db8::1", who, one), STR("451/4.7.1"));
	smtp_wait(&f, 301 * SECOND_US);
	CHECK_STR(send_from("2001:db8::ffff:1", who, one), STR("250/2.0.0"));
	CHECK_STR(send_from("2001:db8:1::1", who, one), STR("451/4.7.1"));
	smtp_end(&f);
}

/* A flood takes the room of others who wait, not of those who came back. */
static void test_greylist_full(void)
{
	struct greylist g = {0};
	struct greylist_times t = {.delay_us = 10, .keep_us = SECOND_US * 86400};
	char key[32];
	CHECK_INT(greylist_try(&g, STR("known"), &t), 10);
	t.now_us = 10;
	CHECK_INT(greylist_try(&g, STR("known"), &t), 0);
	CHECK_INT(greylist_try(&g, STR("waits"), &t), 10);
	for (int i = 0; i < GREYLIST_MAX + 10; i++) {
		int n = snprintf(key, sizeof key, "%d", i);
		greylist_try(&g, str_make(key, (size_t)n), &t);
	}
	CHECK_INT(g.entries.n, GREYLIST_MAX);
	t.now_us = 30;
	CHECK_INT(greylist_try(&g, STR("known"), &t), 0);
	CHECK_INT(greylist_try(&g, STR("waits"), &t), 10);
	greylist_fini(&g);
	greylist_fini(&g);
}

/* --- what is written down in the configuration --- */

static void test_rules(void)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {{"spf=192.0.2.0/24", true}, {"spf=2001:db8::1", true}, {"*=example.org", true},
		{"dmarc=.example.org", true}, {"dmarc=<x.y>", true}, {"from=a@example.org", true},
		{"helo=192.0.2.1", true}, {" spf = a@b.c ", true}, {"dnsbl=example.org", false},
		{"helo=a@b.c", false}, {"sender=<x.y>", false}, {"routed=<x.y>", false},
		{"nonsense=192.0.2.1", false}, {"spf", false}, {"spf=", false}, {"spf=<>", false},
		{"spf=@x.org", false}, {"spf=a@", false}, {"spf=.", false},
		{"spf=192.0.2.0/33", false}, {"=192.0.2.1", false}, {"", false},
		{"spf=a b", false}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy_except x;
		struct err e = {{0}};
		int rc = policy_except_parse(str_trim(str_of(cases[i].text)), &x, &e);
		if ((rc == 0) != cases[i].good || (rc < 0 && !e.text[0])) {
			tap_fail(__FILE__, __LINE__, "'%s' is %d", cases[i].text, rc);
		}
	}
}

static void test_lists(void)
{
	static const struct {
		const char *text;
		int rc;
		size_t codes;
	} cases[] = {{"bl.example.org", 0, 0}, {"bl=127.0.0.2", 0, 1},
		{"bl.x=127.0.0.2 127.0.0.4-7  127.*.0-1.3", 0, 3}, {"bl.x=", ERR_SYNTAX},
		{"bl.x= ", ERR_SYNTAX}, {"", ERR_SYNTAX}, {"bl..x", ERR_SYNTAX},
		{"bl.x=10.0.0.2", ERR_SYNTAX}, {"bl.x=*.0.0.2", ERR_SYNTAX},
		{"bl.x=127.0.0", ERR_SYNTAX}, {"bl.x=127.0.0.2.3", ERR_SYNTAX},
		{"bl.x=127.0.0.256", ERR_SYNTAX}, {"bl.x=127.0.0.7-4", ERR_SYNTAX},
		{"bl.x=127.0.0.", ERR_SYNTAX}, {"bl x", ERR_SYNTAX}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dnsl l;
		int rc = dnsl_parse(str_of(cases[i].text), &l);
		if (rc != cases[i].rc || (rc == 0 && l.codes_n != cases[i].codes)) {
			tap_fail(__FILE__, __LINE__, "'%s' is %d", cases[i].text, rc);
		}
	}
}

static bool loads(const char *key, const char *value)
{
	struct err e = {{0}};
	CHECK_INT(conf_set(f.conf, str_of(key), str_of(value), &e), 0);
	struct server *sv = f.role.state;
	int rc = policy_load(&sv->policy, conf_get(f.conf, &policy_conf_section), &e);
	CHECK(rc == 0 || str_starts(str_of(e.text), str_of(key)));
	return rc == 0;
}

/* A malformed list keeps the rules of before. */
static void test_load(void)
{
	smtp_start_zone(&f, ROLE_MX, "policy.except=spf=192.0.2.1", zone);
	struct server *sv = f.role.state;
	CHECK(!loads("policy.except", "spf=192.0.2.1, nonsense"));
	CHECK_INT(sv->policy.rules->excepts_n, 1);
	CHECK(loads("policy.except", "spf=192.0.2.1, spf=192.0.2.2"));
	CHECK_INT(sv->policy.rules->excepts_n, 2);
	CHECK(!loads("policy.dnsbl_lists", "a.example=1.2.3.4"));
	CHECK(!loads("policy.dnsbl_lists", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"));
	CHECK(loads("policy.dnsbl_lists", "a.example"));
	CHECK(!loads("policy.dnswl_lists", "..."));
	smtp_end(&f);
}

/* --- the table itself --- */

static void test_table(void)
{
	enum policy_stage last = STAGE_CONNECT;
	for (enum policy_id i = 0; i < POLICY_N; i++) {
		enum policy_action standard = policy_standard(i);
		CHECK(policy_stage_of(i) >= last);
		last = policy_stage_of(i);
		CHECK(policy_may(i, standard));
		CHECK(policy_may(i, POLICY_OFF) && policy_may(i, POLICY_NOTE));
		CHECK(policy_may(i, POLICY_FOLLOW) == (i == POLICY_DMARC));
		CHECK((i < POLICY_OF_SESSION) == (policy_stage_of(i) <= STAGE_HELO));
	}
}

/* --- the true client --- */

static void test_xclient(void)
{
	smtp_start_zone(&f, ROLE_MX,
		"smtp.xclient_from=192.0.2.77 policy.dnsbl=refuse policy.dnsbl_lists=bl.example",
		zone);
	f.from = "192.0.2.77";
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "EHLO c.example.org\r\nXCLIENT ADDR=192.0.2.8\r\n"), STR("220 250 220"));
	CHECK_STR(policy_found(smtp_session(&f), POLICY_DNSBL)->result, STR("pass"));
	CHECK_STR(
		SAY(&f, "EHLO c.example.org\r\nXCLIENT ADDR=192.0.2.9\r\n"), STR("250 554/5.7.1."));
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "EHLO c.example.org\r\nXCLIENT ADDR=IPV6:2001:db8::9\r\n"),
		STR("220 250 554/5.7.1."));
	smtp_end(&f);
}

static void test_proxy(void)
{
	smtp_start_zone(&f, ROLE_MX,
		"smtp.proxy_from=192.0.2.77 policy.dnsbl=refuse policy.dnsbl_lists=bl.example",
		zone);
	f.from = "192.0.2.77";
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "PROXY TCP4 192.0.2.9 192.0.2.77 1234 25\r\n"), STR("554/5.7.1."));
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "PROXY TCP4 192.0.2.8 192.0.2.77 1234 25\r\n"), STR("220"));
	smtp_end(&f);
}

/* A check that waits for the answer of a list. */
static struct session *begin_waiting(void)
{
	smtp_start_zone(&f, ROLE_MX, "policy.dnsbl_lists=bl.example", zone);
	f.from = "192.0.2.9";
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, ""), STR("220"));
	CHECK(loads("policy.dnsbl", "refuse"));
	struct session *s = smtp_session(&f);
	policy_start(s, STAGE_CONNECT);
	CHECK_INT(policy_step(s), 0);
	return s;
}

/* It goes on with the rules it began with. */
static void test_reload(void)
{
	struct session *s = begin_waiting();
	CHECK(loads("policy.dnsbl_lists", ""));
	for (int i = 0; i < 10 && policy_step(s) == 0; i++) { SAY(&f, ""); }
	CHECK_INT(s->run.action, POLICY_REFUSE);
	CHECK_INT(s->server->policy.rules->refs, 1);
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, ""), STR("220"));
	smtp_end(&f);
}

/* It is turned off meanwhile: the next one does not take its work for its own. */
static void test_reload_off(void)
{
	struct session *s = begin_waiting();
	CHECK(loads("policy.dnsbl", "off"));
	for (int i = 0; i < 10 && policy_step(s) == 0; i++) { SAY(&f, ""); }
	CHECK_INT(s->run.action, POLICY_OFF);
	CHECK_STR(policy_found(s, POLICY_DNSBL)->result, STR(""));
	CHECK_STR(policy_found(s, POLICY_IPREV)->result, STR("pass"));
	smtp_end(&f);
}

/* What was not looked at to its end has not passed. */
static void test_reload_iprev_off(void)
{
	struct session *s = begin_waiting();
	CHECK(loads("policy.dnsbl", "off"));
	CHECK_INT(policy_step(s), 0);
	CHECK(s->iprev != NULL);
	CHECK(loads("policy.iprev", "off"));
	CHECK_INT(policy_step(s), 1);
	CHECK(s->iprev->result != IPREV_PASS);
	smtp_end(&f);
}

static void test_abandon(void)
{
	begin_waiting();
	smtp_end(&f);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"the table", test_table},
		{"connect and HELO", test_client},
		{"how many, how often", test_counts},
		{"DNS lists", test_dnsl},
		{"iprev", test_iprev},
		{"iprev in Authentication-Results", test_iprev_results},
		{"MAIL and RCPT", test_envelope},
		{"size, and a U-label", test_size},
		{"several recipients", test_recipients},
		{"the header", test_message},
		{"SPF, DKIM, DMARC and greylisting", test_verdicts},
		{"greylisting", test_greylist},
		{"a full greylist", test_greylist_full},
		{"exceptions", test_rules},
		{"lists", test_lists},
		{"loading", test_load},
		{"XCLIENT", test_xclient},
		{"PROXY", test_proxy},
		{"a reload while a check waits", test_reload},
		{"a check is turned off while it waits", test_reload_off},
		{"iprev is turned off while it waits", test_reload_iprev_off},
		{"an end while a check waits", test_abandon},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
