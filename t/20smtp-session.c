/* smtp: whole sessions of mx and submit with an auth and a store that do as the test says. */
#include "t/tap.h"

#include <unistd.h>

#include "smtp/session.h"
#include "t/smtp_fixture.h"

#define HELLO "EHLO c.example.org\r\n"
#define MAIL "MAIL FROM:<a@example.org>\r\n"
#define FROM "From: <one@example.test>\r\n"
#define TEXT FROM "Subject: x\r\n\r\nHello\r\n.\r\n"

static struct smtp_fixture f;

static void ignore_line(void *ctx, struct str line)
{
	(void)ctx, (void)line;
}

static void mx(const char *settings)
{
	smtp_start(&f, ROLE_MX, settings);
	smtp_connect(&f, LISTEN_SMTP);
}

static void submit(const char *settings)
{
	smtp_start(&f, ROLE_SUBMIT, settings);
	smtp_connect(&f, LISTEN_SUBMISSION);
}

static bool heard(const char *text)
{
	return str_find(buf_view(&f.heard), str_of(text)) >= 0;
}

static bool stored(const char *text)
{
	return str_find(buf_view(&f.body), str_of(text)) >= 0;
}

static void test_receive(void)
{
	mx("");
	CHECK_STR(SAY(&f, ""), STR("220"));
	CHECK_STR(SAY(&f, HELLO), STR("250"));
	CHECK_STR(SAY(&f, MAIL), STR("250/2.1.0"));
	CHECK_STR(SAY(&f, "RCPT TO:<one@example.test>\r\n"), STR("250/2.1.5"));
	CHECK_STR(SAY(&f, "DATA\r\n"), STR("354"));
	CHECK_STR(SAY(&f, FROM "Subject: x\r\n\r\n..dot\r\n.\r\n"), STR("250/2.0.0"));
	CHECK(heard("queued as "));
	CHECK_STR(buf_view(&f.envelope), STR("from=a@example.org local=one@example.test"));
	CHECK(str_starts(buf_view(&f.body), STR("Received: from c.example.org (local)\r\n"
						"\tby mx.example.test with ESMTP id ")));
	CHECK(stored("\tfor <one@example.test>;\r\n"));
	CHECK(str_ends(buf_view(&f.body), STR("\r\n" FROM "Subject: x\r\n\r\n.dot\r\n")));
	CHECK_STR(SAY(&f, "QUIT\r\n"), STR("221/2.0.0."));
	CHECK_INT(f.audits, 0);
	smtp_end(&f);
}

static void test_pipelining(void)
{
	mx("");
	CHECK_STR(
		SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
				   "RCPT TO:<two@example.test>\r\nDATA\r\n"),
		STR("220 250 250/2.1.0 250/2.1.5 550/5.1.1 250/2.1.5 354"));
	CHECK_STR(SAY(&f, TEXT "NOOP\r\nQUIT\r\n"), STR("250/2.0.0 250/2.0.0 221/2.0.0."));
	CHECK_STR(buf_view(&f.envelope),
		STR("from=a@example.org local=one@example.test local=two@example.test"));
	CHECK(!stored("\tfor <"));
	smtp_end(&f);
}

/* Every octet by itself gives the same. */
static void test_slowly(void)
{
	static const char text[] =
		HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" TEXT "QUIT\r\n";
	struct buf all = {0};
	mx("");
	for (size_t i = 0; i < sizeof text - 1; i++) {
		SAY(&f, "");
		smtp_say(&f, str_make(text + i, 1));
		buf_str(&all, buf_view(&f.heard));
	}
	CHECK_INT(f.delivers, 1);
	CHECK(str_find(buf_view(&all), STR("354 ")) > 0);
	CHECK(stored("\r\n\r\nHello\r\n"));
	buf_fini(&all);
	smtp_end(&f);
}

static void test_ehlo(void)
{
	mx("");
	SAY(&f, HELLO);
	CHECK_STR(buf_view(&f.heard),
		STR("220 mx.example.test ESMTP posthouse\r\n250-mx.example.test\r\n"
		    "250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
		    "250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
		    "250-DSN\r\n250-LIMITS MAILMAX=10000 RCPTMAX=100\r\n250 HELP\r\n"));
	CHECK_STR(SAY(&f, "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("500/5.5.1"));
	CHECK_STR(SAY(&f, "LHLO x\r\n"), STR("500/5.5.1"));
	smtp_end(&f);
}

static void test_order(void)
{
	mx("smtp.errors_max=100 smtp.errors_soft=100");
	CHECK_STR(SAY(&f, MAIL), STR("220 503/5.5.1"));
	CHECK_STR(SAY(&f, "RCPT TO:<one@example.test>\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "EHLO\r\nEHLO a b\r\nHELO c.example.org\r\n"),
		STR("501/5.5.4 501/5.5.4 250"));
	CHECK_STR(SAY(&f, "RCPT TO:<one@example.test>\r\nDATA\r\n"), STR("503/5.5.1 503/5.5.1"));
	CHECK_STR(SAY(&f, MAIL MAIL), STR("250/2.1.0 503/5.5.1"));
	CHECK_STR(SAY(&f, "DATA\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "RSET\r\nRSET x\r\n"), STR("250/2.0.0 501/5.5.4"));
	CHECK_STR(SAY(&f, "RCPT TO:<one@example.test>\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "MAIL FROM:<a@example.org> SIZE=99999999\r\n"), STR("552/5.3.4"));
	CHECK_STR(SAY(&f, "MAIL FROM:<a@example.org> X=1\r\n"), STR("555/5.5.4"));
	CHECK_STR(SAY(&f, "MAIL FROM:a@example.org\r\n"), STR("501/5.1.7"));
	CHECK_STR(SAY(&f, "MAIL FROM:<\xc3\xbc@example.org>\r\n"), STR("553/5.6.7"));
	CHECK_STR(SAY(&f, "VRFY one\r\nEXPN all\r\nHELP\r\nNOOP x\r\nFOO\r\n"),
		STR("252/2.5.0 502/5.5.1 214/2.0.0 250/2.0.0 500/5.5.1"));
	smtp_end(&f);
}

static void test_recipients(void)
{
	mx("smtp.errors_max=100 smtp.errors_soft=100");
	SAY(&f, HELLO MAIL);
	CHECK_STR(SAY(&f, "RCPT TO:<x@example.org>\r\n"), STR("550/5.7.1"));
	CHECK_STR(SAY(&f, "RCPT TO:<x%example.org@example.test>\r\n"), STR("550/5.7.1"));
	CHECK_STR(SAY(&f, "RCPT TO:<nobody@example.test>\r\n"), STR("550/5.1.1"));
	CHECK_STR(SAY(&f, "RCPT TO:<full@example.test>\r\n"), STR("452/4.2.2"));
	CHECK_STR(SAY(&f, "RCPT TO:<again@example.test>\r\n"), STR("451/4.3.0"));
	CHECK_STR(SAY(&f, "RCPT TO:<>\r\n"), STR("501/5.1.3"));
	CHECK_STR(SAY(&f, "DATA\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "RCPT TO:<both@example.test>\r\nRCPT TO:<other@example.test>\r\n"
			  "RCPT TO:<postmaster>\r\nRCPT TO:<@x.org:two@example.test>\r\n"),
		STR("250/2.1.5 250/2.1.5 250/2.1.5 250/2.1.5"));
	CHECK_STR(SAY(&f, "DATA\r\n" TEXT), STR("354 250/2.0.0"));
	CHECK_STR(buf_view(&f.envelope),
		STR("from=a@example.org local=both@example.test local=postmaster "
		    "local=two@example.test remote=far@example.org"));
	smtp_end(&f);
}

static void test_recipients_max(void)
{
	struct buf text = {0};
	mx("");
	SAY(&f, HELLO MAIL);
	for (int i = 0; i < 101; i++) {
		buf_fmt(&text, "RCPT TO:<%c%d@example.test>\r\n", 'a' + i % 20, i);
	}
	struct str got = smtp_say(&f, buf_view(&text));
	CHECK(str_ends(got, STR("250/2.1.5 452/4.5.3")));
	CHECK_STR(SAY(&f, "DATA\r\n" TEXT), STR("354 250/2.0.0"));
	buf_fini(&text);
	smtp_end(&f);
}

static void test_refused_is_recorded(void)
{
	mx("");
	SAY(&f, HELLO MAIL "RCPT TO:<nobody@example.test>\r\nQUIT\r\n");
	CHECK_INT(f.audits, 0); /* not yet: it goes in company */
	smtp_wait(&f, SECOND_US);
	CHECK_INT(f.audits, 1);
	CHECK_INT(f.delivers, 0);
	smtp_end(&f);
}

/* Who was sent away before there was a recipient is written down, too. */
static void test_turned_away(void)
{
	mx("policy.helo=refuse smtp.message_max=1M");
	SAY(&f, "EHLO mx.example.test\r\n");
	smtp_wait(&f, SECOND_US);
	CHECK_INT(f.audits, 1);
	CHECK_STR(SAY(&f, HELLO "MAIL FROM:<a@example.org> SIZE=2000000\r\nMAIL FROM:<\r\n"),
		STR("250 552/5.3.4 501/5.1.7"));
	smtp_wait(&f, SECOND_US);
	CHECK_INT(f.audits, 2);
	smtp_end(&f);
}

/* Refusals are written down in batches, and of a flood no more than is useful. */
static void test_many_refused(void)
{
	struct buf text = {0};
	mx("smtp.errors_soft=1000 smtp.errors_max=1000 smtp.idle_commands_max=1000");
	for (int i = 0; i < 900; i++) {
		buf_str(&text, STR(MAIL "RCPT TO:<nobody@example.test>\r\nRSET\r\n"));
	}
	for (int i = 0; i < 4; i++) {
		SAY(&f, HELLO);
		smtp_say(&f, buf_view(&text));
		smtp_connect(&f, LISTEN_SMTP);
	}
	SAY(&f, HELLO);
	smtp_wait(&f, SECOND_US);
	CHECK_INT(f.audits, 2000);
	CHECK(f.audit_ops >= 8 && f.audit_ops < 40);
	SAY(&f, MAIL "RCPT TO:<nobody@example.test>\r\nRSET\r\n");
	smtp_wait(&f, SECOND_US);
	CHECK_INT(f.audits, 2001);
	buf_fini(&text);
	smtp_end(&f);
}

/* What is not yet written down when the role stops is written down before it has stopped. */
static void test_refused_at_stop(void)
{
	mx("");
	SAY(&f, HELLO MAIL "RCPT TO:<nobody@example.test>\r\nQUIT\r\n");
	f.role.stopping = true;
	f.role.ops->stop(&f.role);
	SAY(&f, "");
	CHECK_INT(f.audits, 1);
	smtp_end(&f);
}

static void test_smuggling(void)
{
	static const struct str endings[] = {{"\n.\r\n", 4}, {"\n.\n", 3}, {"\r\n.\n", 4},
		{"\r.\r\n", 4}, {"\r\n.\r", 4}, {"\r.\r", 3}, {"\r\r\n.\r\n", 6}};
	for (size_t i = 0; i < COUNT(endings); i++) {
		struct buf text = {0};
		mx("");
		buf_str(&text, STR(HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" FROM
					      "Subject: x\r\n\r\na"));
		buf_str(&text, endings[i]);
		bool ends = str_ends(endings[i], STR("\r\n.\r\n"));
		if (!ends) {
			buf_str(&text,
				STR("MAIL FROM:<evil@example.org>\r\nRCPT TO:<two@example.test>\r\n"
				    "DATA\r\nevil\r\n.\r\n"));
		}
		CHECK_STR(smtp_say(&f, buf_view(&text)),
			STR("220 250 250/2.1.0 250/2.1.5 354 550/5.6.0"));
		CHECK_INT(f.delivers, 0);
		CHECK_STR(SAY(&f, "NOOP\r\n"), STR("250/2.0.0"));
		smtp_wait(&f, SECOND_US);
		CHECK_INT(f.audits, 1);
		buf_fini(&text);
		smtp_end(&f);
	}
}

static void test_lines(void)
{
	struct buf text = {0};
	mx("smtp.errors_max=100 smtp.errors_soft=100");
	SAY(&f, HELLO);
	CHECK_STR(SAY(&f, "NOOP\nNOOP\r\n"), STR("500/5.5.2 250/2.0.0"));
	for (int i = 0; i < 5000; i++) { buf_chr(&text, 'x'); }
	buf_str(&text, STR("\r\nNOOP\r\n"));
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR("500/5.5.2 250/2.0.0"));
	for (int i = 0; i < 50000; i++) { buf_chr(&text, 'x'); }
	buf_str(&text, STR("\r\nNOOP\r\n"));
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR("500/5.5.2 250/2.0.0 500/5.5.2 250/2.0.0"));
	CHECK_STR(SAY(&f, "NO\0OP\r\n"), STR("500/5.5.1"));
	buf_fini(&text);
	smtp_end(&f);
}

static void test_not_smtp(void)
{
	mx("");
	CHECK_STR(SAY(&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<>\r\n"),
		STR("220 521/5.5.1."));
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, "\x16\x03\x01\r\n"), STR("220 521/5.5.1."));
	smtp_end(&f);
}

static void test_errors(void)
{
	mx("smtp.errors_soft=2 smtp.errors_max=4");
	CHECK_STR(SAY(&f, HELLO "A\r\nB\r\n"), STR("220 250 500/5.5.1 500/5.5.1"));
	CHECK_STR(SAY(&f, "C\r\nNOOP\r\n"), STR("500/5.5.1"));
	CHECK_STR(smtp_wait(&f, SECOND_US / 2), STR(""));
	CHECK_STR(smtp_wait(&f, SECOND_US), STR("250/2.0.0"));
	CHECK_STR(SAY(&f, "D\r\nNOOP\r\n"), STR("500/5.5.1 421/4.7.0."));
	smtp_end(&f);
}

static void test_timeouts(void)
{
	mx("");
	CHECK_STR(smtp_wait(&f, 59 * SECOND_US), STR("220"));
	CHECK_STR(smtp_wait(&f, 2 * SECOND_US), STR("421/4.4.2."));
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, HELLO), STR("220 250"));
	for (int i = 0; i < 5; i++) { /* octets that make no line are no progress */
		CHECK_STR(smtp_wait(&f, 59 * SECOND_US), STR(""));
		SAY(&f, "x");
	}
	CHECK_STR(smtp_wait(&f, 6 * SECOND_US), STR("421/4.4.2."));
	smtp_connect(&f, LISTEN_SMTP);
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(smtp_wait(&f, 179 * SECOND_US), STR(""));
	CHECK_STR(SAY(&f, "x"), STR("421/4.4.2.")); /* far below the least rate */
	smtp_end(&f);
}

static void test_stop(void)
{
	mx("");
	SAY(&f, HELLO);
	f.role.stopping = true;
	f.role.ops->stop(&f.role);
	CHECK_STR(SAY(&f, ""), STR("421/4.3.2."));
	f.role.stopping = false;
	smtp_connect(&f, LISTEN_SMTP);
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" FROM "Subject: x\r\n");
	f.role.stopping = true; /* what has begun is finished */
	f.role.ops->stop(&f.role);
	CHECK_STR(SAY(&f, "\r\nx\r\n.\r\n"), STR("250/2.0.0 421/4.3.2."));
	CHECK_INT(f.delivers, 1);
	smtp_end(&f);
}

static void test_store_says_no(void)
{
	static const struct {
		int rc;
		const char *reply;
	} cases[] = {{ERR_AGAIN, "451/4.3.0"}, {ERR_FULL, "452/4.3.1"}, {ERR_IO, "451/4.3.0"},
		{ERR_GONE, "451/4.3.0"}, {ERR_DENIED, "554/5.3.0"}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		mx("");
		f.deliver_rc = cases[i].rc;
		SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
		CHECK_STR(SAY(&f, TEXT), str_of(cases[i].reply));
		f.deliver_rc = 0;
		CHECK_STR(SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" TEXT),
			STR("250/2.1.0 250/2.1.5 354 250/2.0.0"));
		smtp_end(&f);
	}
}

/* One of two mailboxes has no room: the answer to the message says which. */
static void test_one_is_full(void)
{
	mx("");
	f.full_aid = 't';
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, TEXT), STR("452/4.2.2"));
	CHECK(str_find(buf_view(&f.heard), STR("two@example.test")) > 0);
	CHECK(str_find(buf_view(&f.heard), STR("one@example.test")) < 0);
	smtp_end(&f);
}

static void test_store_is_away(void)
{
	mx("");
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	struct link *store = f.role.peer[ROLE_STORE];
	f.role.peer[ROLE_STORE] = NULL;
	CHECK_STR(SAY(&f, TEXT), STR("451/4.3.0"));
	f.role.peer[ROLE_STORE] = store;
	smtp_end(&f);
}

static void test_no_reply_before_commit(void)
{
	mx("");
	f.silent = true;
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, TEXT "QUIT\r\n"), STR(""));
	smtp_answer_held(&f);
	CHECK_STR(SAY(&f, ""), STR("250/2.0.0 221/2.0.0."));
	smtp_connect(&f, LISTEN_SMTP); /* and one that is never answered */
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	SAY(&f, TEXT);
	CHECK_STR(smtp_wait(&f, 61 * SECOND_US), STR("451/4.3.0"));
	smtp_answer_held(&f);
	smtp_end(&f);
}

static void test_big(void)
{
	struct buf text = {0};
	mx("");
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	SAY(&f, FROM "Subject: big\r\n\r\n");
	for (int i = 0; i < 20000; i++) { buf_fmt(&text, "line %d of a long text\r\n", i); }
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR(""));
	CHECK_STR(SAY(&f, ".\r\n"), STR("250/2.0.0"));
	CHECK(str_ends(buf_view(&f.body), buf_view(&text)));
	buf_fini(&text);
	smtp_end(&f);
}

static void test_too_big(void)
{
	struct buf text = {0};
	mx("smtp.message_max=64K");
	for (int i = 0; i < 1000; i++) { buf_fmt(&text, "%080d\r\n", i); }
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" FROM "\r\n");
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR(""));
	CHECK_STR(SAY(&f, ".\r\nNOOP\r\n"), STR("552/5.3.4 250/2.0.0"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	smtp_say(&f, buf_view(&text));
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR("552/5.3.4.")); /* we do not read for ever */
	CHECK_INT(f.delivers, 0);
	buf_fini(&text);
	smtp_end(&f);
}

static void test_loops(void)
{
	struct buf text = {0};
	mx("smtp.errors_max=100 smtp.errors_soft=100");
	SAY(&f, HELLO);
	for (int i = 0; i < 51; i++) { buf_str(&text, STR("Received: x\r\n")); }
	buf_str(&text, STR(FROM "\r\n.\r\n"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR("554/5.4.6"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(smtp_say(&f, str_skip(buf_view(&text), 13)), STR("250/2.0.0"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, FROM "Delivered-To: ONE@example.test\r\n\r\n.\r\n"), STR("554/5.4.6"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, FROM "Delivered-To: two@example.test\r\n\r\n.\r\n"), STR("250/2.0.0"));
	buf_fini(&text);
	smtp_end(&f);
}

static void test_odd_messages(void)
{
	mx("policy.from=note");
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, ".\r\n"), STR("250/2.0.0"));
	CHECK(str_ends(buf_view(&f.body), STR("+0000\r\n\r\n")));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, FROM "Subject: only\r\n.\r\n"), STR("250/2.0.0"));
	CHECK(str_ends(buf_view(&f.body), STR("Subject: only\r\n\r\n")));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, FROM "Subject: a\0b\r\n\r\n.\r\n"), STR("550/5.6.0"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, FROM "Subject: x\r\n\r\n.\r\n"), STR("250/2.0.0"));
	CHECK(str_ends(buf_view(&f.body), STR("Subject: x\r\n\r\n")));
	smtp_end(&f);
}

static void test_bdat(void)
{
	mx("policy.from=note smtp.errors_max=100 smtp.errors_soft=100");
	SAY(&f, HELLO);
	CHECK_STR(SAY(&f, "BDAT 6\r\nNOOP\r\nNOOP\r\n"), STR("503/5.5.1 250/2.0.0"));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\n");
	CHECK_STR(SAY(&f, "BDAT 40\r\n" FROM "Subject: x\r\n\r\nBDAT 7\r\n.\r\nab\r\nRCPT "
			  "TO:<two@example.test>\r\n"
			  "DATA\r\nBDAT 0 LAST\r\n"),
		STR("250/2.0.0 250/2.0.0 503/5.5.1 503/5.5.1 250/2.0.0"));
	CHECK(str_ends(buf_view(&f.body), STR("Subject: x\r\n\r\n.\r\nab\r\n")));
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\n");
	CHECK_STR(SAY(&f, "BDAT 3 LAST\r\na\nbNOOP\r\n"), STR("550/5.6.0 250/2.0.0"));
	SAY(&f, "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<one@example.test>\r\n");
	CHECK_STR(SAY(&f, "DATA\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "BDAT 7 LAST\r\n\r\n\0\na\rb"), STR("250/2.0.0"));
	CHECK(str_ends(buf_view(&f.body), STR("\r\n\r\n\0\na\rb")));
	CHECK_STR(SAY(&f, "BDAT x\r\n"), STR("501/5.5.4."));
	smtp_end(&f);
}

/* What a binary body may hold would end lines of a header for some readers only. */
static void test_binary_header(void)
{
	static const struct {
		struct str text;
		const char *reply;
	} cases[] = {
		{STR("X: a\rFrom: b@example.org\r\n\r\nhello"), "550/5.6.0"},
		{STR("X: a\nFrom: b@example.org\r\n\r\nhello"), "550/5.6.0"},
		{STR("X: a\n\nFrom: b@example.org\r\n\r\nhello"), "550/5.6.0"},
		{STR("X: a\0b\r\n\r\nhello"), "550/5.6.0"},
		{STR("X: a\n\nhello"), "550/5.6.0"},
		{STR("X: a\r\n\r\nhe\nl\rl\0o"), "250/2.0.0"},
	};
	mx("smtp.errors_max=100 smtp.errors_soft=100");
	SAY(&f, HELLO);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text = {0};
		SAY(&f, "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<one@example.test>\r\n");
		buf_fmt(&text, "BDAT %zu LAST\r\n" FROM, cases[i].text.n + STR(FROM).n);
		buf_str(&text, cases[i].text);
		CHECK_STR(smtp_say(&f, buf_view(&text)), str_of(cases[i].reply));
		buf_fini(&text);
	}
	smtp_end(&f);
}

static void test_bdat_too_big(void)
{
	struct buf text = {0};
	mx("smtp.message_max=64K");
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\n");
	buf_str(&text, STR("BDAT 70000\r\n"));
	for (int i = 0; i < 7000; i++) { buf_str(&text, STR("NOOP 678\r\n")); }
	buf_str(&text, STR("BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n"));
	CHECK_STR(smtp_say(&f, buf_view(&text)), STR("552/5.3.4 552/5.3.4 250/2.0.0"));
	CHECK_STR(SAY(&f, MAIL "BDAT 99999999999 LAST\r\n"), STR("250/2.1.0 503/5.5.1."));
	CHECK_INT(f.delivers, 0);
	buf_fini(&text);
	smtp_end(&f);
}

static void test_starttls(void)
{
	mx("");
	SAY(&f, HELLO MAIL);
	CHECK_STR(SAY(&f, "STARTTLS\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "RSET\r\nSTARTTLS\r\n"), STR("250/2.0.0 220/2.0.0"));
	smtp_tls(&f);
	CHECK_INT(f.tls_rc, 0);
	CHECK_STR(SAY(&f, MAIL), STR("503/5.5.1")); /* all forgotten */
	CHECK_STR(SAY(&f, HELLO), STR("250"));
	CHECK(!heard("STARTTLS"));
	CHECK_STR(SAY(&f, "STARTTLS\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" TEXT),
		STR("250/2.1.0 250/2.1.5 354 250/2.0.0"));
	CHECK(stored("with ESMTPS id"));
	CHECK(stored("(using TLSv1.3 "));
	smtp_end(&f);
}

static void test_starttls_injection(void)
{
	mx("");
	SAY(&f, HELLO);
	CHECK_STR(SAY(&f, "STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n"), STR("."));
	smtp_end(&f);
}

static void test_lmtp(void)
{
	smtp_start(&f, ROLE_MX, "");
	smtp_connect(&f, LISTEN_LMTP);
	CHECK_STR(SAY(&f, "EHLO x\r\n"), STR("220 500/5.5.1"));
	SAY(&f, "LHLO x\r\n" MAIL "RCPT TO:<one@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
		"RCPT TO:<two@example.test>\r\nRCPT TO:<other@example.test>\r\nDATA\r\n");
	f.full_aid = 't';
	CHECK_STR(SAY(&f, TEXT), STR("250/2.0.0 452/4.2.2 250/2.0.0"));
	CHECK(stored("with LMTP id"));
	f.deliver_rc = ERR_FULL;
	SAY(&f, MAIL "RCPT TO:<one@example.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n");
	CHECK_STR(SAY(&f, TEXT), STR("452/4.3.1 452/4.3.1"));
	smtp_end(&f);
}

/* A list whose members have left costs neither time nor the mail of the others. */
static void test_lmtp_unknown(void)
{
	struct buf text = {0}, want = {0};
	smtp_start(&f, ROLE_MX, "smtp.errors_max=3 smtp.errors_soft=2");
	smtp_connect(&f, LISTEN_LMTP);
	SAY(&f, "LHLO x\r\n" MAIL "RCPT TO:<one@example.test>\r\n");
	for (int i = 0; i < 30; i++) {
		buf_str(&text,
			i % 2 ? STR("RCPT TO:<>\r\n") : STR("RCPT TO:<nobody@example.test>\r\n"));
		buf_str(&want, i % 2 ? STR("501/5.1.3 ") : STR("550/5.1.1 "));
	}
	buf_str(&text, STR("DATA\r\n"));
	buf_str(&want, STR("354"));
	CHECK_STR(smtp_say(&f, buf_view(&text)), buf_view(&want));
	CHECK_STR(SAY(&f, TEXT), STR("250/2.0.0"));
	buf_fini(&text);
	buf_fini(&want);
	smtp_end(&f);
}

/* As many good ones as there may be, and bad ones besides: their record has room for so many. */
static void test_lmtp_recipients(void)
{
	struct buf text = {0};
	smtp_start(&f, ROLE_MX, "smtp.errors_max=100 smtp.errors_soft=100");
	smtp_connect(&f, LISTEN_LMTP);
	SAY(&f, "LHLO x\r\n" MAIL "RCPT TO:<nobody@example.test>\r\n");
	for (int i = 0; i < 1000; i++) { buf_str(&text, STR("RCPT TO:<one@example.test>\r\n")); }
	CHECK(str_ends(smtp_say(&f, buf_view(&text)), STR("250/2.1.5")));
	struct str got = SAY(&f, "DATA\r\n" TEXT);
	CHECK(str_ends(got, STR("250/2.0.0")));
	CHECK_INT(f.delivers, 1);
	buf_fini(&text);
	smtp_end(&f);
}

static void test_submission(void)
{
	submit("smtp.errors_soft=100 smtp.errors_max=100");
	SAY(&f, HELLO);
	CHECK(!heard("AUTH"));
	CHECK_STR(SAY(&f, "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("538/5.7.11"));
	CHECK_STR(SAY(&f, MAIL), STR("530/5.7.0"));
	SAY(&f, "STARTTLS\r\n");
	smtp_tls(&f);
	SAY(&f, HELLO);
	CHECK(heard("250-AUTH PLAIN LOGIN\r\n"));
	CHECK_STR(SAY(&f, MAIL), STR("530/5.7.0"));
	CHECK_STR(SAY(&f, "AUTH PLAIN AG9uZQB3cm9uZw==\r\n"), STR("535/5.7.8"));
	CHECK_STR(SAY(&f, "AUTH CRAM-MD5\r\n"), STR("504/5.5.4"));
	CHECK_STR(SAY(&f, "AUTH\r\n"), STR("501/5.5.4"));
	CHECK_STR(SAY(&f, "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("235/2.7.0"));
	CHECK_STR(SAY(&f, "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("503/5.5.1"));
	CHECK_STR(SAY(&f, "MAIL FROM:<x@example.test>\r\n"), STR("553/5.7.1"));
	/* a read receipt has no sender, and an author who is the login */
	CHECK_STR(SAY(&f, "MAIL FROM:<>\r\nRCPT TO:<x@example.org>\r\nDATA\r\n"),
		STR("250/2.1.0 250/2.1.5 354"));
	CHECK_STR(SAY(&f, "From: <x@example.test>\r\n\r\nx\r\n.\r\n"), STR("550/5.7.1"));
	SAY(&f, "MAIL FROM:<>\r\nRCPT TO:<x@example.org> NOTIFY=SUCCESS,FAILURE\r\nDATA\r\n");
	CHECK_STR(SAY(&f, TEXT), STR("250/2.0.0"));
	CHECK_STR(buf_view(&f.envelope), STR("from= remote=x@example.org"));
	CHECK_STR(SAY(&f, "MAIL FROM:<one@example.test> AUTH=<>\r\nRCPT TO:<x@example.org>\r\n"
			  "RCPT TO:<two@example.test>\r\nDATA\r\n"),
		STR("250/2.1.0 250/2.1.5 250/2.1.5 354"));
	CHECK_STR(
		SAY(&f, "From: <one@example.test>\r\nBcc: <s@example.org>,\r\n <t@example.org>\r\n"
			"Authentication-Results: mx.example.test; dmarc=pass\r\n"
			"Subject: x\r\n\r\nHello\r\n.\r\n"),
		STR("250/2.0.0"));
	CHECK_STR(buf_view(&f.envelope),
		STR("from=one@example.test local=two@example.test remote=x@example.org"));
	CHECK(!stored("dmarc=pass")); /* users do not judge in our name */
	CHECK(stored("with ESMTPSA id"));
	CHECK(stored("\r\nDate: "));
	CHECK(stored("\r\nMessage-ID: <"));
	CHECK(!stored("Bcc") && !stored("t@example.org"));
	CHECK(stored("Subject: x\r\n\r\nHello\r\n"));
	smtp_end(&f);
}

/* Sockets of a test have no address: they count as no loopback, so TLS it is. */
static void tls_login(const char *settings)
{
	smtp_start(&f, ROLE_SUBMIT, settings);
	smtp_connect(&f, LISTEN_SUBMISSIONS);
	smtp_tls(&f);
	CHECK_INT(f.tls_rc, 0);
	CHECK_STR(smtp_login(&f), STR("250 235/2.7.0"));
}

/* Between two messages of a session its account is disabled. */
static void test_disabled(void)
{
	tls_login("");
	CHECK_STR(SAY(&f, "MAIL FROM:<one@example.test>\r\nRSET\r\n"), STR("250/2.1.0 250/2.0.0"));
	f.disabled = true;
	CHECK_STR(SAY(&f, "MAIL FROM:<one@example.test>\r\nRCPT TO:<x@example.org>\r\n"),
		STR("550/5.7.1 503/5.5.1"));
	smtp_end(&f);
}

static void test_authors(void)
{
	static const struct {
		const char *header, *reply;
	} cases[] = {
		{"From: <one@example.test>\r\n", "250/2.0.0"},
		{"From: One <ONE@example.test>\r\n", "250/2.0.0"},
		{"From: <other@example.test>, one@example.test\r\nSender: one@example.test\r\n",
			"250/2.0.0"},
		{"From: <x@example.test>\r\n", "550/5.7.1"},
		{"From: <one@example.test>, <x@example.org>\r\n", "550/5.7.1"},
		{"From: <one@example.test>\r\nSender: <x@example.test>\r\n", "550/5.7.1"},
		{"From: <one@example.test>\r\nFrom: <one@example.test>\r\n", "550/5.7.1"},
		{"From: nonsense\r\n", "550/5.7.1"},
		{"From: one@example.test <one@example.test>\r\n", "250/2.0.0"},
		{"From: one@example.test <x@example.org>\r\n", "550/5.7.1"},
		{"From: x@example.org <one@example.test>\r\n", "550/5.7.1"},
		{"From: <one@example.test> <x@example.org>\r\n", "550/5.7.1"},
		{"From: <@example.org:one@example.test>\r\n", "550/5.7.1"},
		{"Subject: x\r\n", "550/5.7.1"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text = {0};
		tls_login("");
		SAY(&f, "MAIL FROM:<one@example.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n");
		buf_fmt(&text, "%s\r\nx\r\n.\r\n", cases[i].header);
		CHECK_STR(smtp_say(&f, buf_view(&text)), str_of(cases[i].reply));
		buf_fini(&text);
		smtp_end(&f);
	}
}

static void test_auth_dialogue(void)
{
	smtp_start(&f, ROLE_SUBMIT, "");
	smtp_connect(&f, LISTEN_SUBMISSIONS);
	smtp_tls(&f);
	SAY(&f, HELLO);
	CHECK_STR(SAY(&f, "AUTH LOGIN\r\n*\r\n"), STR("334 501/5.7.0"));
	CHECK_STR(SAY(&f, "AUTH PLAIN\r\n!\r\n"), STR("334 501/5.5.2"));
	CHECK_STR(SAY(&f, "AUTH PLAIN =\r\n"), STR("501/5.5.2"));
	CHECK_STR(SAY(&f, "AUTH LOGIN b25l\r\nd3Jvbmc=\r\n"), STR("334 535/5.7.8"));
	CHECK_STR(SAY(&f, "AUTH LOGIN\r\n"), STR("334"));
	CHECK(heard("334 VXNlcm5hbWU6\r\n"));
	CHECK_STR(SAY(&f, "b25l\r\n"), STR("334"));
	CHECK(heard("334 UGFzc3dvcmQ6\r\n"));
	CHECK_STR(SAY(&f, "c2VjcmV0\r\n"), STR("235/2.7.0"));
	smtp_end(&f);
}

static void tcp(enum role_id role, enum listen_kind kind, const char *settings)
{
	smtp_start(&f, role, settings);
	f.over_tcp = true;
	smtp_connect(&f, kind);
}

/* Octets over TCP may come a moment later than the loop is quiet. */
static struct str say_tcp(const char *text)
{
	static struct buf all;
	struct str codes = smtp_say(&f, str_of(text));
	buf_reset(&all);
	for (int i = 0; i < 1000 && codes.n == 0; i++) {
		usleep(1000);
		codes = SAY(&f, "");
	}
	buf_str(&all, codes);
	return buf_view(&all);
}

static void test_xclient(void)
{
	mx("");
	CHECK_STR(SAY(&f, HELLO "XCLIENT ADDR=192.0.2.1\r\n"), STR("220 250 502/5.5.1"));
	smtp_end(&f);
	tcp(ROLE_MX, LISTEN_SMTP, "smtp.xclient_from=127.0.0.1");
	CHECK_STR(say_tcp(HELLO), STR("220 250"));
	CHECK(heard("250-XCLIENT NAME ADDR PORT HELO\r\n"));
	CHECK_STR(say_tcp("XCLIENT ADDR=nonsense\r\n"), STR("501/5.5.4"));
	CHECK_STR(say_tcp("XCLIENT FOO=1\r\n"), STR("501/5.5.4"));
	CHECK_STR(
		say_tcp("XCLIENT ADDR=IPV6:2001:db8::9 NAME=h.example.net HELO=[UNAVAILABLE]\r\n"),
		STR("220"));
	CHECK_STR(say_tcp(MAIL), STR("503/5.5.1"));
	CHECK_STR(say_tcp(HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n"),
		STR("250 250/2.1.0 250/2.1.5 354"));
	CHECK_STR(say_tcp(TEXT), STR("250/2.0.0"));
	CHECK(stored("from c.example.org (h.example.net [IPv6:2001:db8::9])"));
	smtp_end(&f);
}

static void test_proxy(void)
{
	tcp(ROLE_MX, LISTEN_SMTP, "smtp.proxy_from=127.0.0.0/8");
	CHECK_STR(say_tcp("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"), STR("220"));
	CHECK_STR(say_tcp(HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n"),
		STR("250 250/2.1.0 250/2.1.5 354"));
	CHECK_STR(say_tcp(TEXT), STR("250/2.0.0"));
	CHECK(stored("from c.example.org ([192.0.2.7])"));
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(say_tcp("EHLO x\r\n"), STR("421/4.5.1."));
	smtp_end(&f);
	tcp(ROLE_MX, LISTEN_SMTP, "");
	CHECK_STR(say_tcp("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"), STR("220 500/5.5.1"));
	smtp_end(&f);
}

/* The header of the proxy and the first octets of the handshake come in one piece. */
static void test_proxy_before_tls(void)
{
	tcp(ROLE_SUBMIT, LISTEN_SUBMISSIONS, "smtp.proxy_from=127.0.0.0/8");
	conn_put(f.task.conn, STR("PROXY TCP4 192.0.2.7 192.0.2.8 1234 465\r\n"));
	smtp_tls(&f);
	for (int i = 0; i < 1000 && f.tls_rc == 1; i++) {
		usleep(1000);
		SAY(&f, "");
	}
	CHECK_INT(f.tls_rc, 0);
	say_tcp("");
	CHECK_STR(say_tcp(HELLO "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("250 235/2.7.0"));
	smtp_end(&f);
}

static void test_networks(void)
{
	tcp(ROLE_MX, LISTEN_SMTP, "smtp.proxy_from=127.0.0.0/8 policy.connections_max=2");
	struct peer_ticket t[3];
	struct server *sv = f.role.state;
	struct net_addr a;
	net_addr_parse(STR("192.0.2.7"), 0, &a);
	for (int i = 0; i < 3; i++) { peers_enter(&sv->peers, &a, 0, 0, 0, &t[i]); }
	CHECK_STR(say_tcp("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"), STR("421/4.7.0."));
	for (int i = 0; i < 3; i++) { peers_leave(&t[i]); }
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(say_tcp("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"), STR("220"));
	smtp_end(&f);
}

static void test_auth_without_tls(void)
{
	tcp(ROLE_SUBMIT, LISTEN_SUBMISSION, "smtp.auth_without_tls=loopback");
	CHECK_STR(say_tcp(HELLO "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("220 250 235/2.7.0"));
	CHECK_STR(say_tcp("STARTTLS\r\n"), STR("503/5.5.1"));
	CHECK(heard("STARTTLS comes before AUTH"));
	smtp_end(&f);
	tcp(ROLE_SUBMIT, LISTEN_SUBMISSION, "");
	CHECK_STR(say_tcp(HELLO "AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), STR("220 250 538/5.7.11"));
	smtp_end(&f);
}

static void test_policy(void)
{
	mx("policy.helo=refuse");
	CHECK_STR(SAY(&f, "EHLO localhost\r\n" MAIL), STR("220 550/5.7.1 503/5.5.1"));
	CHECK_STR(SAY(&f, "EHLO mx.example.test\r\n"), STR("550/5.7.1"));
	CHECK_STR(SAY(&f, "EHLO [192.0.2.1]\r\n"), STR("250"));
	smtp_end(&f);
	mx("policy.helo=junk");
	SAY(&f, "EHLO localhost\r\n" MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" TEXT);
	CHECK_STR(buf_view(&f.envelope), STR("from=a@example.org local=one@example.test(junk)"));
	smtp_end(&f);
	mx("policy.early=refuse policy.early_wait=2s");
	CHECK_STR(SAY(&f, HELLO), STR(""));
	CHECK_STR(smtp_wait(&f, 3 * SECOND_US), STR("554/5.5.1."));
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(smtp_wait(&f, 3 * SECOND_US), STR("220"));
	smtp_end(&f);
}

static void test_sessions_max(void)
{
	int fd[2];
	mx("smtp.sessions_max=1");
	CHECK_STR(SAY(&f, HELLO), STR("220 250"));
	CHECK_INT(net_pair(fd), 0); /* the idle one goes */
	session_start(f.role.state, service_find(LISTEN_SMTP), conn_new(f.loop, fd[0], true));
	CHECK_STR(SAY(&f, ""), STR("421/4.3.2."));
	char text[128];
	ssize_t n = read(fd[1], text, sizeof text);
	CHECK(n > 4 && memcmp(text, "220 ", 4) == 0);
	static const char busy[] = HELLO MAIL; /* within a transaction it may stay */
	CHECK_INT(write(fd[1], busy, sizeof busy - 1), sizeof busy - 1);
	SAY(&f, "");
	smtp_connect(&f, LISTEN_SMTP);
	CHECK_STR(SAY(&f, ""), STR("421/4.3.2."));
	close(fd[1]);
	smtp_end(&f);
}

/* Octets of a plain socket, once there are some. */
static ssize_t read_some(int fd, char *p, size_t n)
{
	ssize_t got = -1;
	for (int i = 0; i < 1000 && got < 0; i++) {
		while (loop_turn(f.loop)) {}
		got = recv(fd, p, n, MSG_DONTWAIT);
		if (got < 0) { usleep(1000); }
	}
	return got;
}

static void test_listener(void)
{
	struct net_addr any;
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof sa;
	char text[64];
	smtp_start(&f, ROLE_MX, "");
	CHECK_INT(net_addr_parse(STR("127.0.0.1"), 0, &any), 0);
	int ln = net_listen(&any, NULL), fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_INT(getsockname(ln, (struct sockaddr *)&sa, &len), 0);
	f.role.ops->listen(&f.role, LISTEN_LMTP, ln);
	CHECK_INT(connect(fd, (struct sockaddr *)&sa, len), 0);
	ssize_t n = read_some(fd, text, sizeof text);
	CHECK(n > 0 && str_find(str_make(text, (size_t)MAX(n, 0)), STR(" LMTP ")) > 0);
	f.role.stopping = true;
	f.role.ops->stop(&f.role);
	n = read_some(fd, text, sizeof text);
	CHECK(n > 4 && memcmp(text, "421 4.3.2 ", 4) == 0);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_INT(connect(fd, (struct sockaddr *)&sa, len), -1); /* nobody listens any more */
	close(fd);
	smtp_end(&f);
}

static void test_reload(void)
{
	struct err e = {{0}};
	struct server *sv;
	mx("smtp.proxy_from=192.0.2.0/24");
	sv = f.role.state;
	CHECK_INT(sv->proxy_from.n, 1);
	CHECK_INT(conf_set(f.conf, STR("smtp.proxy_from"), STR("192.0.2.1, 2001:db8::/32"), &e), 0);
	f.role.ops->reload(&f.role);
	CHECK_INT(sv->proxy_from.n, 2);
	CHECK_STR(SAY(&f, HELLO), STR("220 250")); /* who is there stays */
	CHECK_INT(conf_set(f.conf, STR("smtp.proxy_from"), STR("192.0.2.1"), &e), 0);
	CHECK_INT(conf_set(f.conf, STR("policy.except"), STR("nonsense"), &e), 0);
	log_sink(ignore_line, NULL);
	f.role.ops->reload(&f.role);
	log_sink(NULL, NULL);
	CHECK_INT(sv->proxy_from.n, 2); /* the old ones */
	smtp_end(&f);
}

static void test_messages_max(void)
{
	mx("smtp.messages_max=1");
	SAY(&f, HELLO MAIL "RCPT TO:<one@example.test>\r\nDATA\r\n" TEXT);
	CHECK_STR(SAY(&f, MAIL), STR("421/4.5.0."));
	smtp_end(&f);
}

int main(int argc, char **argv)
{
	static const struct tap_case table[] = {
		{"a message comes in", test_receive},
		{"pipelining", test_pipelining},
		{"octet by octet", test_slowly},
		{"EHLO", test_ehlo},
		{"order of commands", test_order},
		{"recipients", test_recipients},
		{"too many recipients", test_recipients_max},
		{"what was refused is recorded", test_refused_is_recorded},
		{"who is turned away is recorded", test_turned_away},
		{"many refusals", test_many_refused},
		{"refusals when the role stops", test_refused_at_stop},
		{"smuggling", test_smuggling},
		{"lines that are none", test_lines},
		{"clients that are none", test_not_smtp},
		{"errors cost time, then the session", test_errors},
		{"timeouts", test_timeouts},
		{"a stop", test_stop},
		{"the store says no", test_store_says_no},
		{"one mailbox of two is full", test_one_is_full},
		{"the store is away", test_store_is_away},
		{"no 250 before the store has answered", test_no_reply_before_commit},
		{"a message of many chunks", test_big},
		{"a message that is too big", test_too_big},
		{"loops", test_loops},
		{"odd messages", test_odd_messages},
		{"BDAT", test_bdat},
		{"binary bodies have no binary header", test_binary_header},
		{"BDAT that is too big", test_bdat_too_big},
		{"STARTTLS", test_starttls},
		{"text behind STARTTLS", test_starttls_injection},
		{"LMTP", test_lmtp},
		{"LMTP to many who are unknown", test_lmtp_unknown},
		{"LMTP to as many as there may be", test_lmtp_recipients},
		{"submission", test_submission},
		{"authors", test_authors},
		{"an account that is disabled", test_disabled},
		{"the dialogue of AUTH", test_auth_dialogue},
		{"XCLIENT", test_xclient},
		{"PROXY", test_proxy},
		{"PROXY before TLS", test_proxy_before_tls},
		{"too many from one network", test_networks},
		{"AUTH without TLS", test_auth_without_tls},
		{"policy", test_policy},
		{"messages of a session", test_messages_max},
		{"a listener, and its end", test_listener},
		{"reload", test_reload},
		{"more sessions than places", test_sessions_max},
	};
	return tap_run(table, COUNT(table), argc, argv);
}
