/* auth: DKIM: the examples of the RFCs, a table of signatures right and wrong, splits, floods, DNS
   that fails. Signatures are made by t/dkim_fixture.c; t/40dkim-dkimpy.py compares with another
   implementation. */
#include "t/tap.h"

#include <openssl/rsa.h>
#include <time.h>

#include "auth/dkim_canon.h"
#include "t/dkim_fixture.h"

static int64_t now_us;
static struct {
	EVP_PKEY *rsa2048, *rsa1024, *rsa1023, *rsa768, *ed25519, *other;
} keys;

static void make_keys(void)
{
	keys.rsa2048 = EVP_RSA_gen(2048);
	keys.other = EVP_RSA_gen(2048);
	keys.rsa1024 = EVP_RSA_gen(1024);
	keys.rsa1023 = EVP_RSA_gen(1023);
	keys.rsa768 = EVP_RSA_gen(768);
	keys.ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	now_us = (int64_t)time(NULL) * SECOND_US; /* libopendkim looks at no other clock */
}

/* --- RFC examples --- */

static const char rfc6376_zone[] =
	"brisbane._domainkey.example.com. TXT ( \"v=DKIM1; p=\"\n"
	"\"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkM\"\n"
	"\"oGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/R\"\n"
	"\"tdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToI\"\n"
	"\"MmPSPDdQPNUYckcQ2QIDAQAB\" )\n";

/* Appendix A.2, with the line that is broken for print in the RFC made whole again. */
static const char rfc6376_message[] =
	"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
	"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
	"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
	"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
	"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
	"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
	"      4bmp/YzhwvcubU4=;\r\n"
	"Received: from client1.football.example.com  [192.0.2.1]\r\n"
	"      by submitserver.example.com with SUBMISSION;\r\n"
	"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
	"From: Joe SixPack <joe@football.example.com>\r\n"
	"To: Suzie Q <suzie@shopping.example.net>\r\n"
	"Subject: Is dinner ready?\r\n"
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
	"\r\n"
	"Hi.\r\n"
	"\r\n"
	"We lost the game. Are you hungry yet?\r\n"
	"\r\n"
	"Joe.\r\n";

static const char rfc8463_zone[] =
	"brisbane._domainkey.football.example.com. TXT "
	"\"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
	"test._domainkey.football.example.com. TXT ( \"v=DKIM1; k=rsa; "
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR\"\n"
	"\"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC\"\n"
	"\"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3\"\n"
	"\"Ip3G+2kryOTIKT+l/K4w3QIDAQAB\" )\n";

static const char rfc8463_message[] =
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
	" d=football.example.com; i=@football.example.com;\r\n"
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
	" subject : date : message-id : from : subject : date;\r\n"
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
	" d=football.example.com; i=@football.example.com;\r\n"
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
	" date : message-id : from : subject : date;\r\n"
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
	"From: Joe SixPack <joe@football.example.com>\r\n"
	"To: Suzie Q <suzie@shopping.example.net>\r\n"
	"Subject: Is dinner ready?\r\n"
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
	"\r\n"
	"Hi.\r\n"
	"\r\n"
	"We lost the game.  Are you hungry yet?\r\n"
	"\r\n"
	"Joe.\r\n";

static void check_sig(const struct dkim_sig *s, enum dkim_result want, const char *why)
{
	if (s->result != want || str_find(s->reason, str_of(why)) < 0) {
		tap_fail(__FILE__, __LINE__, "got %s (%.*s), want %s (%s)",
			dkim_result_name(s->result), STR_ARG(s->reason), dkim_result_name(want),
			why);
	}
}

static void test_rfc_examples(void)
{
	struct dkim_fixture f = {0};
	dkim_fixture_verify(&f, str_of(rfc6376_message), str_of(rfc6376_zone), now_us);
	CHECK_INT(f.n, 1);
	check_sig(&f.sigs[0], DKIM_RESULT_PASS, "good");
	CHECK_STR(f.sigs[0].domain, STR("example.com"));
	CHECK_STR(f.sigs[0].identity, STR("joe@football.example.com"));
	CHECK_STR(f.sigs[0].b, STR("AuUoFEfD"));
	CHECK_STR(f.sigs[0].asked, STR("brisbane._domainkey.example.com"));
	CHECK_INT(f.sigs[0].key_bits, 1024);
	CHECK(f.sigs[0].weak);
	dkim_fixture_fini(&f);
	dkim_fixture_verify(&f, str_of(rfc8463_message), str_of(rfc8463_zone), now_us);
	CHECK_INT(f.n, 2);
	check_sig(&f.sigs[0], DKIM_RESULT_PASS, "good");
	check_sig(&f.sigs[1], DKIM_RESULT_PASS, "good");
	CHECK_STR(f.sigs[0].algorithm, STR("ed25519-sha256"));
	CHECK_INT(f.sigs[0].key_bits, 256);
	CHECK(!f.sigs[0].weak);
	dkim_fixture_fini(&f);
}

/* --- one signature: the table --- */

#define FROM_TO "From: Alice <a@example.org>\r\nTo: b@example.net\r\n"
#define MESSAGE FROM_TO "Subject: Hi  there\r\n\r\nHello  world\r\n \r\n\r\n"
#define TAGS "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=sel; "
#define PLAIN TAGS "h=from:to:subject; bh=%h; b=%b"
#define RECORD "v=DKIM1; k=rsa; p=%p"

struct row {
	const char *name;
	enum dkim_result want;
	const char *why;       /* part of the reason */
	const char *tags;      /* NULL: PLAIN */
	const char *record;    /* "%p": the key; NULL: RECORD */
	const char *message;   /* NULL: MESSAGE */
	EVP_PKEY **key;        /* NULL: rsa2048 */
	const char *digest;    /* NULL: sha256 */
	const char *what, *by; /* changed after signing: the first of those */
	EVP_PKEY **published;  /* NULL: the one it is signed with */
	bool raw_rsa;
};

static const struct row rows[] = {
	/* good ones */
	{"plain", DKIM_RESULT_PASS, "good"},
	{"simple, default c=", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; d=example.org; s=sel; h=From:To; bh=%h; b=%b"},
	{"c=relaxed: body simple", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; c=relaxed; d=example.org; s=sel; h=From:To; bh=%h; b=%b"},
	{"simple/relaxed", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; c=simple/relaxed; d=example.org; s=sel; h=From:To; bh=%h; "
		"b=%b"},
	{"ed25519", DKIM_RESULT_PASS, "good",
		"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=sel; h=from; bh=%h; "
		"b=%b",
		"v=DKIM1; k=ed25519; p=%p", .key = &keys.ed25519},
	{"1024 bits", DKIM_RESULT_PASS, "good", .key = &keys.rsa1024},
	{"folded tags", DKIM_RESULT_PASS, "good",
		"v=1;\r\n\ta=rsa-sha256;\r\n c=relaxed/relaxed; d=example.org;\r\n s=sel;"
		"h=from :\r\n to : subject;\r\n bh=%h;\r\n b=\r\n  %b;\r\n"
		" z=From:x|To:y"},
	{"blanks around =", DKIM_RESULT_PASS, "good",
		"v = 1; a\t= rsa-sha256; c =relaxed/simple; d = example.org; s= sel; h =from; bh = "
		"%h; "
		"b=%b"},
	{"a blank before the = of b=", DKIM_RESULT_PASS, "good", TAGS "h=from; bh=%h; b =%b"},
	{"a tag that ends in b", DKIM_RESULT_PASS, "good", TAGS "h=from; bh=%h; xb=7; b=%b"},
	{"empty tags of no meaning", DKIM_RESULT_PASS, "good", TAGS "y=; h=from; bh=%h; b=%b;"},
	{"unknown tags", DKIM_RESULT_PASS, "good", TAGS "r=y; atps=x.org; h=from; bh=%h; b=%b"},
	{"t= and x= around now", DKIM_RESULT_PASS, "good",
		TAGS "t=1000000000; x=9999999999; h=from; bh=%h; b=%b"},
	{"x= for ever", DKIM_RESULT_PASS, "good",
		TAGS "t=1000; x=999999999999; h=from; bh=%h; b=%b"},
	{"i= of a subdomain", DKIM_RESULT_PASS, "good",
		TAGS "i=alice@mail.example.org; h=from; bh=%h; b=%b"},
	{"i= with quoted octets", DKIM_RESULT_PASS, "good",
		TAGS "i=a=3Dli=20ce@EXAMPLE.org; h=from; bh=%h; b=%b"},
	{"q=dns/txt", DKIM_RESULT_PASS, "good", TAGS "q=dns/txt; h=from; bh=%h; b=%b"},
	{"q= of which one is known", DKIM_RESULT_PASS, "good",
		TAGS "q=mail/x:dns/txt; h=from; bh=%h; b=%b"},
	{"fields that are not there", DKIM_RESULT_PASS, "good",
		TAGS "h=from:from:cc:list-id:subject:subject; bh=%h; b=%b"},
	{"every field that is there", DKIM_RESULT_PASS, "good",
		TAGS "h=from:to:subject:from:to:subject:from:to:subject; bh=%h; b=%b"},
	{"the lowest of several fields", DKIM_RESULT_PASS, "good", TAGS "h=from:x:x; bh=%h; b=%b",
		.message = "X: 1\r\nX: 2\r\nX: 3\r\n" FROM_TO "X: 4\r\n\r\nbody\r\n"},
	{"l= that covers all", DKIM_RESULT_PASS, "good", TAGS "l=13; h=from; bh=%h; b=%b"},
	{"l= beyond the empty lines at the end", DKIM_RESULT_PASS, "good",
		TAGS "l=13; h=from; bh=%h; b=%b", .message = FROM_TO "\r\nHello world\r\n\r\n\r\n"},
	{"l=0 of nothing", DKIM_RESULT_PASS, "good", TAGS "l=0; h=from; bh=%h; b=%b",
		.message = FROM_TO "\r\n"},
	{"no body", DKIM_RESULT_PASS, "good", .message = FROM_TO "Subject: x\r\n\r\n"},
	{"no body, simple", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; d=example.org; s=sel; h=From; bh=%h; b=%b",
		.message = FROM_TO "\r\n"},
	{"no body, no empty line", DKIM_RESULT_PASS, "good", .message = FROM_TO "Subject: x\r\n"},
	{"no line end at the end", DKIM_RESULT_PASS, "good", .message = FROM_TO "\r\nlast"},
	{"no line end at the end, simple", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; d=example.org; s=sel; h=From; bh=%h; b=%b",
		.message = FROM_TO "\r\nlast"},
	{"a field of 64 KB", DKIM_RESULT_PASS, "good", TAGS "h=from:x-long; bh=%h; b=%b",
		.message = NULL, .what = "@long"},
	{"signs another signature", DKIM_RESULT_PASS, "good",
		TAGS "h=from:dkim-signature; bh=%h; b=%b",
		.message = "DKIM-Signature: v=1; nonsense\r\n" MESSAGE},
	{"U-labels", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; c=relaxed/relaxed; d=b\xc3\xbc"
		"cher.example; s=s\xc3\xa4l; "
		"i=j\xc3\xb6rg@b\xc3\xbc"
		"cher.example; h=from; bh=%h; b=%b"},
	{"A-labels, i= in U-labels", DKIM_RESULT_PASS, "good",
		"v=1; a=rsa-sha256; c=simple/simple; d=xn--bcher-kva.example; s=xn--sl-via; "
		"i=@b\xc3\xbc"
		"cher.example; h=from; bh=%h; b=%b"},
	{"a record of few words", DKIM_RESULT_PASS, "good", .record = "p=%p"},
	{"a record of many words", DKIM_RESULT_PASS, "good",
		.record = "v=DKIM1; g=*; n=see http://example.org; h=sha1:sha256; s=web:email; "
			  "t=s; p=%p;"},
	{"a record for everything", DKIM_RESULT_PASS, "good", .record = "s=*; h=sha256; p=%p"},
	{"a key under test", DKIM_RESULT_PASS, "good", .record = "v=DKIM1; t=y; p=%p"},
	{"a bare RSAPublicKey", DKIM_RESULT_PASS, "good", .raw_rsa = true},
	/* tampering */
	{"body changed", DKIM_RESULT_FAIL, "body", .what = "world", .by = "word"},
	{"body longer", DKIM_RESULT_FAIL, "body", .what = "Hello", .by = "Hello there"},
	{"body gone", DKIM_RESULT_FAIL, "body", .what = "Hello  world\r\n", .by = ""},
	{"a signed field changed", DKIM_RESULT_FAIL, "header", .what = "Hi ", .by = "Ho "},
	{"a signed field gone", DKIM_RESULT_FAIL, "header", .what = "To: b@example.net\r\n",
		.by = ""},
	{"a signed field twice", DKIM_RESULT_FAIL, "header", .what = "Subject",
		.by = "Subject: x\r\nX", .tags = TAGS "h=from:subject:subject; bh=%h; b=%b"},
	{"a field that was signed as missing", DKIM_RESULT_FAIL, "header",
		.what = "To:", .by = "Cc: x@y\r\nTo:", .tags = TAGS "h=from:cc; bh=%h; b=%b"},
	{"an unsigned field changed", DKIM_RESULT_PASS, "good", .what = "b@example",
		.by = "c@example", .tags = TAGS "h=from; bh=%h; b=%b"},
	{"blanks changed, relaxed", DKIM_RESULT_PASS, "good", .what = "Hi  there",
		.by = "Hi\r\n\tthere "},
	{"blanks changed, simple", DKIM_RESULT_FAIL, "header", .what = "Hi  there",
		.by = "Hi there",
		.tags = "v=1; a=rsa-sha256; d=example.org; s=sel; h=From:Subject; bh=%h; b=%b"},
	{"blanks of the body changed, relaxed", DKIM_RESULT_PASS, "good",
		.what = "Hello  world\r\n", .by = "Hello\tworld \r\n\r\n"},
	{"blanks of the body changed, simple", DKIM_RESULT_FAIL, "body", .what = "Hello  ",
		.by = "Hello ",
		.tags = "v=1; a=rsa-sha256; d=example.org; s=sel; h=From; bh=%h; b=%b"},
	{"d= changed", DKIM_RESULT_FAIL, "header", .what = "d=example.org", .by = "d=EXAMPLE.org"},
	{"another key", DKIM_RESULT_FAIL, "header and the key", .published = &keys.other},
	{"another ed25519 key", DKIM_RESULT_FAIL, "header and the key",
		"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=sel; h=from; bh=%h; "
		"b=%b",
		"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		.key = &keys.ed25519},
	{"U-labels, body changed", DKIM_RESULT_FAIL, "body",
		"v=1; a=rsa-sha256; c=relaxed/relaxed; d=b\xc3\xbc"
		"cher.example; s=s\xc3\xa4l; h=from; "
		"bh=%h; b=%b",
		.what = "world", .by = "word"},
	{"U-labels, From changed", DKIM_RESULT_FAIL, "header",
		"v=1; a=rsa-sha256; c=relaxed/relaxed; d=b\xc3\xbc"
		"cher.example; s=s\xc3\xa4l; h=from; "
		"bh=%h; b=%b",
		.what = "Alice", .by = "Mallory"},
	{"the other signature changed", DKIM_RESULT_FAIL, "header",
		TAGS "h=from:dkim-signature; bh=%h; b=%b",
		.message = "DKIM-Signature: v=1; nonsense\r\n" MESSAGE, .what = "nonsense",
		.by = "nonsens"},
	/* policy */
	{"rsa-sha1", DKIM_RESULT_POLICY, "SHA-1",
		"v=1; a=rsa-sha1; c=relaxed/relaxed; d=example.org; s=sel; h=from; bh=%h; b=%b",
		.digest = "sha1"},
	{"1023 bits", DKIM_RESULT_POLICY, "shorter than 1024", .key = &keys.rsa1023},
	{"768 bits", DKIM_RESULT_POLICY, "shorter than 1024", .key = &keys.rsa768},
	{"l= and text behind", DKIM_RESULT_POLICY, "unsigned", TAGS "l=13; h=from; bh=%h; b=%b",
		.what = "world\r\n", .by = "world\r\nBuy!\r\n"},
	{"l= too small", DKIM_RESULT_POLICY, "l= leaves 8 octets", TAGS "l=5; h=from; bh=%h; b=%b"},
	{"l=0", DKIM_RESULT_POLICY, "l= leaves 13 octets", TAGS "l=0; h=from; bh=%h; b=%b"},
	{"expired", DKIM_RESULT_POLICY, "expired",
		TAGS "t=1000000; x=2000000; h=from; bh=%h; b=%b"},
	{"from the future", DKIM_RESULT_POLICY, "future", TAGS "t=9999999999; h=from; bh=%h; b=%b"},
	{"two From", DKIM_RESULT_POLICY, "several From",
		.what = "To:", .by = "From: m@example.com\r\nTo:"},
	{"two From, both signed", DKIM_RESULT_POLICY, "several From",
		TAGS "h=from:from; bh=%h; b=%b", .message = "From: x@example.org\r\n" MESSAGE},
	/* what it needs is not there */
	{"no key", DKIM_RESULT_PERMERROR, "no key record", .record = ""},
	{"From not in h=", DKIM_RESULT_PERMERROR, "From field is not signed",
		TAGS "h=to:subject; bh=%h; b=%b"},
	{"no From", DKIM_RESULT_PERMERROR, "no From field", .what = "From:", .by = "Form:"},
	{"i= elsewhere", DKIM_RESULT_PERMERROR, "i= is not inside",
		TAGS "i=a@example.com; h=from; bh=%h; b=%b"},
	{"i= that only ends alike", DKIM_RESULT_PERMERROR, "i= is not inside",
		TAGS "i=a@badexample.org; h=from; bh=%h; b=%b"},
	{"i= above d=", DKIM_RESULT_PERMERROR, "i= is not inside",
		"v=1; a=rsa-sha256; d=mail.example.org; s=sel; i=@example.org; h=from; bh=%h; "
		"b=%b"},
	{"t=s and a subdomain", DKIM_RESULT_PERMERROR, "t=s",
		TAGS "i=a@mail.example.org; h=from; bh=%h; b=%b", "v=DKIM1; t=y:s; p=%p"},
	{"revoked", DKIM_RESULT_PERMERROR, "revoked", .record = "v=DKIM1; p="},
	{"no p=", DKIM_RESULT_PERMERROR, "no key (p=)", .record = "v=DKIM1; k=rsa"},
	{"a key for other hashes", DKIM_RESULT_PERMERROR, "hashes",
		.record = "v=DKIM1; h=sha1; p=%p"},
	{"a key for another service", DKIM_RESULT_PERMERROR, "not for mail",
		.record = "v=DKIM1; s=tlsrpt; p=%p"},
	{"an rsa key that says ed25519", DKIM_RESULT_PERMERROR, "another type",
		.record = "v=DKIM1; k=ed25519; p=%p"},
	{"an ed25519 key that says rsa", DKIM_RESULT_PERMERROR, "another type",
		"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=sel; h=from; bh=%h; "
		"b=%b",
		.key = &keys.ed25519},
	{"an unknown type of key", DKIM_RESULT_PERMERROR, "type of the key",
		.record = "v=DKIM1; k=dsa; p=%p"},
	{"an unknown version of key", DKIM_RESULT_PERMERROR, "version", .record = "v=DKIM2; p=%p"},
	{"the version not in front", DKIM_RESULT_PERMERROR, "version",
		.record = "k=rsa; v=DKIM1; p=%p"},
	{"a key that is not base64", DKIM_RESULT_PERMERROR, "cannot be read",
		.record = "v=DKIM1; p=!!!!"},
	{"a key that is no key", DKIM_RESULT_PERMERROR, "cannot be read",
		.record = "v=DKIM1; p=AAAA"},
	{"an ed25519 key too short", DKIM_RESULT_PERMERROR, "cannot be read",
		"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=sel; h=from; bh=%h; "
		"b=%b",
		"k=ed25519; p=AAAA", .key = &keys.ed25519},
	{"no key but other text", DKIM_RESULT_PERMERROR, "no key (p=)", .record = "v=spf1 -all"},
	/* syntax */
	{"no v=", DKIM_RESULT_NEUTRAL, "v= is missing",
		"a=rsa-sha256; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"v=2", DKIM_RESULT_NEUTRAL, "v= is not 1",
		"v=2; a=rsa-sha256; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"v=0.5", DKIM_RESULT_NEUTRAL, "v= is not 1",
		"v=0.5; a=rsa-sha256; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"no a=", DKIM_RESULT_NEUTRAL, "a= is missing",
		"v=1; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"a= unknown", DKIM_RESULT_NEUTRAL, "algorithm",
		"v=1; a=rsa-md5; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"no d=", DKIM_RESULT_NEUTRAL, "d= is missing",
		"v=1; a=rsa-sha256; s=sel; h=from; bh=%h; b=%b"},
	{"d= empty", DKIM_RESULT_NEUTRAL, "d= is not",
		"v=1; a=rsa-sha256; d=; s=sel; h=from; bh=%h; b=%b"},
	{"d= of one label", DKIM_RESULT_NEUTRAL, "d= is not",
		"v=1; a=rsa-sha256; d=org; s=sel; h=from; bh=%h; b=%b"},
	{"d= with two dots", DKIM_RESULT_NEUTRAL, "d= is not",
		"v=1; a=rsa-sha256; d=example..org; s=sel; h=from; bh=%h; b=%b"},
	{"d= with a slash", DKIM_RESULT_NEUTRAL, "d= is not",
		"v=1; a=rsa-sha256; d=exa/mple.org; s=sel; h=from; bh=%h; b=%b"},
	{"no s=", DKIM_RESULT_NEUTRAL, "s= is missing",
		"v=1; a=rsa-sha256; d=example.org; h=from; bh=%h; b=%b"},
	{"s= with a blank", DKIM_RESULT_NEUTRAL, "s= is not",
		"v=1; a=rsa-sha256; d=example.org; s=s el; h=from; bh=%h; b=%b"},
	{"no h=", DKIM_RESULT_NEUTRAL, "h= is missing", TAGS "bh=%h; b=%b"},
	{"h= empty", DKIM_RESULT_NEUTRAL, "h= is not", TAGS "h=; bh=%h; b=%b"},
	{"h= with nothing between", DKIM_RESULT_NEUTRAL, "h= is not",
		TAGS "h=from::to; bh=%h; b=%b"},
	{"no bh=", DKIM_RESULT_NEUTRAL, "bh= is missing", TAGS "h=from; b=%b"},
	{"bh= of another size", DKIM_RESULT_NEUTRAL, "bh= is not", TAGS "h=from; bh=AAAA; b=%b"},
	{"bh= no base64", DKIM_RESULT_NEUTRAL, "bh= is not", TAGS "h=from; bh=!%h; b=%b"},
	{"no b=", DKIM_RESULT_NEUTRAL, "b= is missing", TAGS "h=from; bh=%h"},
	{"b= empty", DKIM_RESULT_NEUTRAL, "b= is not", TAGS "h=from; bh=%h; b="},
	{"b= no base64", DKIM_RESULT_NEUTRAL, "b= is not", TAGS "h=from; bh=%h; b=%b="},
	{"c= unknown", DKIM_RESULT_NEUTRAL, "canonicalisation",
		"v=1; a=rsa-sha256; c=nowsp/relaxed; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"c= unknown for the body", DKIM_RESULT_NEUTRAL, "canonicalisation",
		"v=1; a=rsa-sha256; c=relaxed/; d=example.org; s=sel; h=from; bh=%h; b=%b"},
	{"q= unknown", DKIM_RESULT_NEUTRAL, "(q=)", TAGS "q=http/x; h=from; bh=%h; b=%b"},
	{"q=dns", DKIM_RESULT_NEUTRAL, "(q=)", TAGS "q=dns; h=from; bh=%h; b=%b"},
	{"i= without @", DKIM_RESULT_NEUTRAL, "i= is not",
		TAGS "i=example.org; h=from; bh=%h; b=%b"},
	{"i= with half an octet", DKIM_RESULT_NEUTRAL, "i= is not",
		TAGS "i=a=4@example.org; h=from; bh=%h; b=%b"},
	{"l= negative", DKIM_RESULT_NEUTRAL, "l= is not", TAGS "l=-1; h=from; bh=%h; b=%b"},
	{"l= beyond all", DKIM_RESULT_FAIL,
		"shorter than l=", TAGS "l=99999999999999999999999; h=from; bh=%h; b=%b"},
	{"l= beyond the body", DKIM_RESULT_FAIL,
		"shorter than l=", TAGS "l=1000; h=from; bh=%h; b=%b"},
	{"t= no number", DKIM_RESULT_NEUTRAL, "t= is not", TAGS "t=now; h=from; bh=%h; b=%b"},
	{"x= no number", DKIM_RESULT_NEUTRAL, "x= is not", TAGS "x=; h=from; bh=%h; b=%b"},
	{"x= before t=", DKIM_RESULT_NEUTRAL, "not after",
		TAGS "t=2000000; x=1000000; h=from; bh=%h; b=%b"},
	{"a tag twice", DKIM_RESULT_NEUTRAL, "twice", TAGS "h=from; bh=%h; d=example.org; b=%b"},
	{"a tag twice, in capitals", DKIM_RESULT_NEUTRAL, "twice",
		TAGS "h=from; H=to; bh=%h; b=%b"},
	{"a name alone", DKIM_RESULT_NEUTRAL, "not a list", TAGS "h=from; foo; bh=%h; b=%b"},
	{"nothing between semicolons", DKIM_RESULT_NEUTRAL, "not a list",
		TAGS "h=from;; bh=%h; b=%b"},
	{"a name of signs", DKIM_RESULT_NEUTRAL, "not a list", TAGS "h=from; !x=1; bh=%h; b=%b"},
	{"a control character", DKIM_RESULT_NEUTRAL, "not a list",
		TAGS "h=from; x=\x01; bh=%h; b=%b"},
	{"octets that are no UTF-8", DKIM_RESULT_NEUTRAL, "not a list",
		TAGS "h=from; x=\xfc; bh=%h; b=%b"},
	{"no tags at all", DKIM_RESULT_NEUTRAL, "not a list", "   "},
	/* damaged fields */
	{"a bare CR in a signed field", DKIM_RESULT_NEUTRAL, "subject holds octets", .what = "Hi ",
		.by = "Hi\r"},
	{"a form feed in a signed field", DKIM_RESULT_NEUTRAL, "subject holds octets",
		.what = "Hi ", .by = "Hi\f"},
	{"a bare CR in an unsigned field", DKIM_RESULT_PASS, "good", .what = "Hi ", .by = "Hi\r",
		.tags = TAGS "h=from; bh=%h; b=%b"},
	{"a bare CR in the body", DKIM_RESULT_NEUTRAL, "no line end", .what = "Hello",
		.by = "Hell\ro"},
	{"a bare LF in the body", DKIM_RESULT_NEUTRAL, "no line end", .what = "Hello",
		.by = "Hell\no"},
	{"a CR at the end of the body", DKIM_RESULT_NEUTRAL, "no line end",
		.what = "Hello  world\r\n", .by = "Hello  world\r\n\r"},
};

/* Pieces of at most 200 octets, quoted. */
static void zone_add(const char *name, struct str record, struct buf *out)
{
	buf_fmt(out, "%s TXT (", name);
	while (record.n) {
		struct str piece = str_sub(record, 0, 200);
		buf_fmt(out, " \"%.*s\"", STR_ARG(piece));
		record = str_skip(record, piece.n);
	}
	buf_str(out, STR(" )\n"));
}

static void substitute(struct str in, struct str what, struct str by, struct buf *out)
{
	ptrdiff_t at = what.n ? str_find(in, what) : -1;
	buf_str(out, at < 0 ? in : str_sub(in, 0, (size_t)at));
	if (at >= 0) {
		buf_str(out, by);
		buf_str(out, str_skip(in, (size_t)at + what.n));
	}
}

static void zone_for(EVP_PKEY *key, const char *record, bool raw_rsa, struct buf *out)
{
	struct buf p = {0}, text = {0};
	dkim_fixture_public(key, raw_rsa, &p);
	substitute(str_of(record), STR("%p"), buf_view(&p), &text);
	buf_str(out, STR("$ORIGIN .\n"));
	if (text.n) {
		zone_add("sel._domainkey.example.org", buf_view(&text), out);
		zone_add("sel._domainkey.mail.example.org", buf_view(&text), out);
		zone_add("xn--sl-via._domainkey.xn--bcher-kva.example", buf_view(&text), out);
	}
	buf_fini(&p);
	buf_fini(&text);
}

static struct str message_of(const struct row *r, struct buf *room)
{
	if (!r->what || strcmp(r->what, "@long") != 0) {
		return str_of(r->message ? r->message : MESSAGE);
	}
	buf_str(room, STR("X-Long: "));
	for (int i = 0; i < 1024; i++) { buf_fmt(room, "%s%063d", i ? "\r\n " : "", i); }
	buf_str(room, STR("\r\n" MESSAGE));
	return buf_view(room);
}

static void run_row(const struct row *r, size_t piece)
{
	EVP_PKEY *key = r->key ? *r->key : keys.rsa2048;
	struct buf room = {0}, message = {0}, zone = {0}, changed = {0};
	struct dkim_fixture f = {.piece = piece};
	dkim_fixture_sign(message_of(r, &room), r->tags ? r->tags : PLAIN, key,
		r->digest ? r->digest : "sha256", &message);
	substitute(buf_view(&message), str_of(r->what), str_of(r->by), &changed);
	zone_for(r->published ? *r->published : key, r->record ? r->record : RECORD, r->raw_rsa,
		&zone);
	dkim_fixture_verify(&f, buf_view(&changed), buf_view(&zone), now_us);
	const struct dkim_sig *s = f.n ? &f.sigs[0] : NULL;
	if (!s || s->result != r->want || str_find(s->reason, str_of(r->why)) < 0) {
		tap_fail(__FILE__, __LINE__, "%s (pieces of %zu): %s (%.*s), want %s (%s)", r->name,
			piece, s ? dkim_result_name(s->result) : "nothing",
			STR_ARG(s ? s->reason : STR("")), dkim_result_name(r->want), r->why);
	}
	dkim_fixture_fini(&f);
	buf_fini(&room);
	buf_fini(&message);
	buf_fini(&zone);
	buf_fini(&changed);
}

static void test_table(void)
{
	printf("# %zu rows\n", COUNT(rows));
	for (size_t i = 0; i < COUNT(rows); i++) { run_row(&rows[i], 0); }
}

static void test_pieces(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_row(&rows[i], 1);
		run_row(&rows[i], 3);
	}
}

static const struct tap_case cases[] = {
	{"the examples of RFC 6376 and RFC 8463 pass", test_rfc_examples},
	{"one signature, right and wrong", test_table},
	{"the body in pieces", test_pieces},
};

int main(int argc, char **argv)
{
	make_keys();
	return tap_run(cases, COUNT(cases), argc, argv);
}
