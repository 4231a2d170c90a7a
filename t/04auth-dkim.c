/* auth: DKIM: the examples of the RFCs, a table of signatures right and wrong, splits, floods, DNS
   that fails. Signatures are made by t/dkim_fixture.c; t/40dkim-dkimpy.py compares with another
   implementation. */
#include "t/tap.h"

#include <arpa/inet.h>
#include <openssl/rsa.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/dkim_canon.h"
#include "t/dkim_fixture.h"

#define SWAP(type, a, b) \
	do { \
		type swap_ = a; \
		a = b; \
		b = swap_; \
	} while (0)

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
	{"t= at the beginning of time", DKIM_RESULT_PASS, "good", TAGS "t=0; h=from; bh=%h; b=%b"},
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

/* --- a key that comes from several records, or not at all --- */

static void check_zone(const char *name, struct str zone, enum dkim_result want, const char *why)
{
	struct buf message = {0};
	struct dkim_fixture f = {0};
	dkim_fixture_sign(STR(MESSAGE), PLAIN, keys.rsa2048, "sha256", &message);
	dkim_fixture_verify(&f, buf_view(&message), zone, now_us);
	CHECK_INT(f.n, 1);
	if (f.sigs[0].result != want) { tap_fail(__FILE__, __LINE__, "%s:", name); }
	check_sig(&f.sigs[0], want, why);
	dkim_fixture_fini(&f);
	buf_fini(&message);
}

static void test_records(void)
{
	struct buf p = {0}, zone = {0}, record = {0};
	const char *name = "sel._domainkey.example.org";
	dkim_fixture_public(keys.rsa2048, false, &p);
	buf_fmt(&record, "v=DKIM1; p=%.*s", STR_ARG(buf_view(&p)));
	zone_add(name, STR("v=spf1 -all"), &zone);
	zone_add(name, buf_view(&record), &zone);
	zone_add(name, STR("google-site-verification=x"), &zone);
	check_zone("a key among other text", buf_view(&zone), DKIM_RESULT_PASS, "good");
	zone_add(name, buf_view(&record), &zone);
	check_zone("the same key twice", buf_view(&zone), DKIM_RESULT_PASS, "good");
	zone_add(name, STR("v=DKIM1; p="), &zone);
	check_zone("two keys", buf_view(&zone), DKIM_RESULT_PERMERROR, "several keys");
	buf_reset(&zone);
	buf_fmt(&zone, "%s TXT \"\"\n", name);
	check_zone("an empty record", buf_view(&zone), DKIM_RESULT_PERMERROR, "not a list");
	buf_reset(&zone);
	buf_fmt(&zone, "%s CNAME keys.example.net\n", name);
	zone_add("keys.example.net", buf_view(&record), &zone);
	check_zone("an alias", buf_view(&zone), DKIM_RESULT_PASS, "good");
	check_zone("no such type", STR("sel._domainkey.example.org A 127.0.0.1\n"),
		DKIM_RESULT_PERMERROR, "no key record");
	check_zone("a server that fails", STR("sel._domainkey.example.org SERVFAIL\n"),
		DKIM_RESULT_TEMPERROR, "could not be had");
	check_zone("a forged answer", STR("sel._domainkey.example.org BOGUS\n"),
		DKIM_RESULT_TEMPERROR, "DNSSEC");
	buf_reset(&zone);
	buf_reset(&record);
	buf_str(&record, STR("v=DKIM1; n="));
	for (int i = 0; i < DKIM_KEY_MAX; i++) { buf_chr(&record, 'x'); }
	zone_add(name, buf_view(&record), &zone);
	check_zone("a record without end", buf_view(&zone), DKIM_RESULT_PERMERROR, "");
	buf_fini(&p);
	buf_fini(&zone);
	buf_fini(&record);
}

static void test_budget(void)
{
	struct buf message = {0}, zone = {0};
	struct dkim_fixture f = {.broke = true};
	dkim_fixture_sign(STR(MESSAGE), PLAIN, keys.rsa2048, "sha256", &message);
	zone_for(keys.rsa2048, RECORD, false, &zone);
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_TEMPERROR, "could not be had");
	dkim_fixture_fini(&f);
	buf_fini(&message);
	buf_fini(&zone);
}

/* --- an answer that comes late, or after the end --- */

static int said;

static int mute_server(uint16_t *port_out)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(fd, (struct sockaddr *)&sin, len) < 0 ||
		getsockname(fd, (struct sockaddr *)&sin, &len) < 0) {
		return -1;
	}
	*port_out = ntohs(sin.sin_port);
	return fd;
}

static enum step late_step(struct task *t)
{
	struct dkim_fixture *f = task_of(t, struct dkim_fixture, task);
	if (!f->v) { dkim_fixture_feed(f); }
	said = dkim_verify_step(f->v);
	return said ? STEP_DONE : STEP_WAIT;
}

static void ended(struct task *t)
{
	(void)t; /* lives in the fixture */
}

/* A server that never answers: the verdict waits for the budget's end, and no longer. */
static void test_late(void)
{
	struct buf message = {0};
	struct dkim_fixture f = {0};
	uint16_t port = 0;
	int fd = mute_server(&port);
	char forward[40];
	snprintf(forward, sizeof forward, "127.0.0.1:%u", port);
	struct dns_conf conf = {.forward = str_of(forward), .timeout_us = 60 * SECOND_US};
	struct err e = {{0}};
	dkim_fixture_sign(STR(MESSAGE), PLAIN, keys.rsa2048, "sha256", &message);
	f.loop = loop_new_fake(now_us);
	f.dns = dns_new(f.loop, &conf, &e);
	f.message = buf_view(&message);
	dns_budget_start(&f.budget, f.loop, 40, 20 * SECOND_US);
	said = -1;
	task_start(f.loop, &f.task, NULL, late_step, ended);
	while (loop_turn(f.loop)) {}
	CHECK_INT(said, 0);
	task_wake(&f.task, 0); /* by something else */
	while (loop_turn(f.loop)) {}
	CHECK_INT(said, 0);
	loop_advance(f.loop, 19 * SECOND_US);
	CHECK_INT(said, 0);
	loop_advance(f.loop, 2 * SECOND_US);
	CHECK_INT(said, 1);
	f.sigs = dkim_verify_sigs(f.v, &f.n);
	check_sig(&f.sigs[0], DKIM_RESULT_TEMPERROR, "could not be had");
	dkim_verify_free(f.v); /* and one that is given up while it waits */
	f.v = NULL;
	dns_budget_start(&f.budget, f.loop, 40, 20 * SECOND_US);
	task_start(f.loop, &f.task, NULL, late_step, ended);
	while (loop_turn(f.loop)) {}
	CHECK_INT(said, 0);
	task_kill(&f.task);
	while (loop_turn(f.loop)) {}
	dkim_fixture_fini(&f);
	close(fd);
	buf_fini(&message);
}

/* --- many of everything --- */

static void test_many_signatures(void)
{
	struct buf message = {0}, zone = {0}, next = {0};
	struct dkim_fixture f = {0};
	buf_str(&message, STR(MESSAGE));
	for (int i = 0; i < 10; i++) {
		dkim_fixture_sign(buf_view(&message), PLAIN, keys.rsa2048, "sha256", &next);
		SWAP(struct buf, message, next);
		buf_reset(&next);
	}
	for (int i = 0; i < 1490; i++) {
		buf_fmt(&next, "DKIM-Signature: " TAGS "h=from; bh=x; b=%08d%04d\r\n", 11111111, i);
	}
	ptrdiff_t from = str_find(buf_view(&message), STR("From:"));
	struct buf all = {0};
	buf_str(&all, str_sub(buf_view(&message), 0, (size_t)from));
	buf_str(&all, buf_view(&next));
	buf_str(&all, str_skip(buf_view(&message), (size_t)from));
	zone_for(keys.rsa2048, RECORD, false, &zone);
	dkim_fixture_verify(&f, buf_view(&all), buf_view(&zone), now_us);
	CHECK_INT(f.n, DKIM_REPORTED_MAX);
	CHECK_INT(DNS_BUDGET_QUESTIONS - f.budget.left, 1); /* one key for all */
	for (size_t i = 0; i < f.n; i++) {
		check_sig(&f.sigs[i], i < 8 ? DKIM_RESULT_PASS : DKIM_RESULT_POLICY,
			i < 8 ? "good" : "first 8");
	}
	/* enough of b= to tell them apart; RSA signatures of the same text are the same */
	CHECK_STR(f.sigs[10].b, STR("111111110000"));
	CHECK_STR(f.sigs[999].b, STR("111111110989"));
	dkim_fixture_fini(&f);
	buf_fini(&message);
	buf_fini(&zone);
	buf_fini(&next);
	buf_fini(&all);
}

/* What this costs is told by t/bench and seen in the fuzzer; here only that it works. */
static void test_many_fields(void)
{
	struct buf top = {0}, message = {0}, zone = {0};
	struct dkim_fixture f = {0};
	for (int i = 0; i < 10000; i++) { buf_fmt(&top, "Received: by hop%d\r\n", i); }
	buf_str(&top, STR(MESSAGE));
	dkim_fixture_sign(buf_view(&top), TAGS "h=from:received:received; bh=%h; b=%b",
		keys.rsa2048, "sha256", &message);
	zone_for(keys.rsa2048, RECORD, false, &zone);
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_PASS, "good");
	dkim_fixture_fini(&f);
	/* and an h= that names all it can */
	buf_reset(&message);
	char tags[3000];
	int n = snprintf(tags, sizeof tags, TAGS "bh=%%h; b=%%b; h=from");
	for (int i = 1; i < DKIM_FIELDS_MAX; i++) {
		n += snprintf(tags + n, sizeof tags - (size_t)n, ":received");
	}
	dkim_fixture_sign(buf_view(&top), tags, keys.rsa2048, "sha256", &message);
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_PASS, "good");
	dkim_fixture_fini(&f);
	buf_reset(&message);
	snprintf(tags + n, sizeof tags - (size_t)n, ":received");
	dkim_fixture_sign(buf_view(&top), tags, keys.rsa2048, "sha256", &message);
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_POLICY, "too many fields");
	dkim_fixture_fini(&f);
	buf_fini(&top);
	buf_fini(&message);
	buf_fini(&zone);
}

static void test_too_long(void)
{
	struct buf tags = {0}, message = {0}, zone = {0};
	struct dkim_fixture f = {0};
	buf_str(&tags, STR(TAGS "h=from; bh=%h; b=%b; z="));
	for (int i = 0; i < DKIM_SIGNATURE_MAX / 8; i++) { buf_str(&tags, STR("\r\n abcde")); }
	dkim_fixture_sign(STR(MESSAGE), buf_cstr(&tags), keys.rsa2048, "sha256", &message);
	zone_for(keys.rsa2048, RECORD, false, &zone);
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_POLICY, "too long");
	dkim_fixture_fini(&f);
	buf_fini(&tags);
	buf_fini(&message);
	buf_fini(&zone);
}

static void test_nul(void)
{
	struct buf message = {0}, zone = {0};
	struct dkim_fixture f = {0};
	zone_for(keys.rsa2048, RECORD, false, &zone);
	dkim_fixture_sign(STR(MESSAGE), PLAIN, keys.rsa2048, "sha256", &message);
	ptrdiff_t at = str_find(buf_view(&message), STR("Hi  there"));
	message.p[at + 2] = '\0';
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_NEUTRAL, "subject holds octets");
	dkim_fixture_fini(&f);
	message.p[at + 2] = ' ';
	message.p[str_find(buf_view(&message), STR("rsa-sha256")) + 3] = '\0';
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_NEUTRAL, "not a list");
	dkim_fixture_fini(&f);
	/* in the body it is an octet like others */
	buf_reset(&message);
	static const char text[] = "From: a@example.org\r\nTo: b\r\n\r\nHel\0lo\r\n";
	dkim_fixture_sign(str_make(text, sizeof text - 1), PLAIN, keys.rsa2048, "sha256", &message);
	dkim_fixture_verify(&f, buf_view(&message), buf_view(&zone), now_us);
	check_sig(&f.sigs[0], DKIM_RESULT_PASS, "good");
	dkim_fixture_fini(&f);
	buf_fini(&message);
	buf_fini(&zone);
}

/* --- several signatures, each on its own --- */

static void test_each_on_its_own(void)
{
	static const char *const tags[] = {PLAIN, TAGS "h=to; bh=%h; b=%b",
		"v=1; a=ed25519-sha256; d=example.org; s=ed; h=from; bh=%h; b=%b",
		"v=1; a=rsa-sha256; d=example.org; s=gone; h=from; bh=%h; b=%b",
		"v=1; a=rsa-sha256; d=example.org; s=broken; h=from; bh=%h; b=%b",
		TAGS "l=1; h=from; bh=%h; b=%b"};
	static const enum dkim_result want[] = {DKIM_RESULT_POLICY, DKIM_RESULT_TEMPERROR,
		DKIM_RESULT_PERMERROR, DKIM_RESULT_PASS, DKIM_RESULT_PERMERROR, DKIM_RESULT_FAIL};
	struct buf message = {0}, next = {0}, zone = {0}, p = {0}, record = {0};
	struct dkim_fixture f = {0};
	buf_str(&message, STR(MESSAGE));
	for (size_t i = 0; i < COUNT(tags); i++) {
		dkim_fixture_sign(buf_view(&message), tags[i], i == 2 ? keys.ed25519 : keys.rsa2048,
			"sha256", &next);
		SWAP(struct buf, message, next);
		buf_reset(&next);
	}
	zone_for(keys.rsa2048, "v=DKIM1; t=y; p=%p", false, &zone);
	dkim_fixture_public(keys.ed25519, false, &p);
	buf_fmt(&record, "k=ed25519; p=%.*s", STR_ARG(buf_view(&p)));
	zone_add("ed._domainkey.example.org", buf_view(&record), &zone);
	buf_str(&zone, STR("broken._domainkey.example.org SERVFAIL\n"));
	substitute(buf_view(&message), STR("Hi "), STR("Ho "), &next);
	dkim_fixture_verify(&f, buf_view(&next), buf_view(&zone), now_us);
	CHECK_INT(f.n, COUNT(want));
	for (size_t i = 0; i < f.n; i++) { check_sig(&f.sigs[i], want[i], ""); }
	CHECK(f.sigs[5].testing && !f.sigs[3].testing);
	CHECK_INT(f.sigs[5].key_bits, 2048);
	CHECK(!f.sigs[5].weak);
	dkim_fixture_fini(&f);
	buf_fini(&message);
	buf_fini(&next);
	buf_fini(&zone);
	buf_fini(&p);
	buf_fini(&record);
}

static void test_unsigned(void)
{
	struct dkim_fixture f = {0};
	dkim_fixture_verify(&f, STR(MESSAGE), STR("\n"), now_us);
	CHECK_INT(f.n, 0);
	dkim_fixture_fini(&f);
	dkim_fixture_verify(&f, STR("\r\nbody\r\n"), STR("\n"), now_us);
	CHECK_INT(f.n, 0);
	dkim_fixture_fini(&f);
	dkim_fixture_verify(&f, STR("DKIM-Signature: x"), STR("\n"), now_us);
	CHECK_INT(f.n, 1);
	check_sig(&f.sigs[0], DKIM_RESULT_NEUTRAL, "not a list");
	dkim_fixture_fini(&f);
}

/* --- canonicalisation --- */

static void collect(void *ctx, struct str octets)
{
	buf_str(ctx, octets);
}

static void test_body_canon(void)
{
	static const struct {
		const char *body, *simple, *relaxed;
	} texts[] = {
		{"", "\r\n", ""},
		{"\r\n", "\r\n", ""},
		{"\r\n\r\n\r\n", "\r\n", ""},
		{" \r\n", " \r\n", ""},
		{" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
		{"a", "a\r\n", "a\r\n"},
		{"a\r\n \t\r\n\r\nb", "a\r\n \t\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
		{"\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"a\rb\r\n", "a\rb\r\n", "a\rb\r\n"},
		{"a\nb\r\n", "a\nb\r\n", "a\nb\r\n"},
		{"a \r \r\n", "a \r \r\n", "a \r\r\n"},
		{"a\r", "a\r\r\n", "a\r\r\n"},
		{"a\t\t", "a\t\t\r\n", "a\r\n"},
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		for (int relaxed = 0; relaxed < 2; relaxed++) {
			struct buf out = {0}, octets = {0};
			struct dkim_body b = {.relaxed = relaxed,
				.limit = UINT64_MAX,
				.out = collect,
				.ctx = &out};
			struct dkim_body one = b, count = {.relaxed = relaxed};
			one.ctx = &octets;
			dkim_body_add(&b, str_of(texts[i].body));
			dkim_body_add(&count, str_of(texts[i].body));
			for (const char *c = texts[i].body; *c; c++) {
				dkim_body_add(&one, str_make(c, 1));
			}
			dkim_body_end(&b);
			dkim_body_end(&count);
			dkim_body_end(&one);
			CHECK_STR(buf_view(&out),
				str_of(relaxed ? texts[i].relaxed : texts[i].simple));
			CHECK_STR(buf_view(&octets), buf_view(&out));
			CHECK_INT(b.size, out.n);
			CHECK_INT(count.size, out.n);
			buf_fini(&out);
			buf_fini(&octets);
		}
	}
}

static void test_header_canon(void)
{
	static const struct {
		const char *field, *relaxed;
	} texts[] = {
		{"A: X", "a:X\r\n"},
		{"B : Y\t\r\n\tZ  ", "b:Y Z\r\n"},
		{"SUBJect:AbC", "subject:AbC\r\n"},
		{"Empty:", "empty:\r\n"},
		{"Empty: \r\n ", "empty:\r\n"},
		{"X:\r\n a\r\n  b:c", "x:a b:c\r\n"},
	};
	struct buf out = {0};
	for (size_t i = 0; i < COUNT(texts); i++) {
		buf_reset(&out);
		dkim_canon_field(str_of(texts[i].field), true, &out);
		CHECK_STR(buf_view(&out), str_of(texts[i].relaxed));
		buf_reset(&out);
		dkim_canon_field(str_of(texts[i].field), false, &out);
		CHECK_STR(str_sub(buf_view(&out), 0, out.n - 2), str_of(texts[i].field));
	}
	buf_reset(&out);
	dkim_canon_own_field(
		STR("DKIM-Signature: v=1;\r\n b = AB\r\n CD ; bh=x; xb=y"), false, &out);
	CHECK_STR(buf_view(&out), STR("DKIM-Signature: v=1;\r\n b =; bh=x; xb=y"));
	buf_reset(&out);
	dkim_canon_own_field(STR("DKIM-Signature: v=1;\r\n b=AB\r\n CD "), true, &out);
	CHECK_STR(buf_view(&out), STR("dkim-signature:v=1; b="));
	buf_fini(&out);
}

/* --- in a sandbox --- */

/* A new process verifies with no way to open, look at or connect to anything: `closed` below. */
static int be_closed(void)
{
	static const char *const calls[] = {"open", "openat", "openat2", "creat", "stat",
		"newfstatat", "statx", "access", "faccessat", "readlink", "socket", "connect",
		"execve", "fork", "vfork", "clone", "clone3", "unlink", "mkdir", "ioctl"};
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	struct dkim_fixture f = {0};
	dkim_verify_prepare();
	bool ok = c != NULL;
	for (size_t i = 0; ok && i < COUNT(calls); i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);
		ok = seccomp_rule_add(c, SCMP_ACT_KILL_PROCESS, nr, 0) == 0;
	}
	if (!ok || seccomp_load(c) < 0) { _exit(2); }
	dkim_fixture_verify(&f, str_of(rfc8463_message), str_of(rfc8463_zone), now_us);
	ok = f.n == 2 && f.sigs[0].result == DKIM_RESULT_PASS &&
	     f.sigs[1].result == DKIM_RESULT_PASS;
	_exit(ok ? 0 : 3);
}

static const char *self;

static void test_closed(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, self, "--closed", (char *)NULL);
		_exit(127);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(!WIFSIGNALED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

static const struct tap_case cases[] = {
	{"the examples of RFC 6376 and RFC 8463 pass", test_rfc_examples},
	{"one signature, right and wrong", test_table},
	{"the body in pieces", test_pieces},
	{"key records: several, none, failures", test_records},
	{"over the budget of DNS", test_budget},
	{"answers that are late", test_late},
	{"a thousand signatures", test_many_signatures},
	{"ten thousand fields", test_many_fields},
	{"a signature without end", test_too_long},
	{"NUL", test_nul},
	{"each signature on its own", test_each_on_its_own},
	{"messages without signatures", test_unsigned},
	{"canonicalisation of bodies", test_body_canon},
	{"canonicalisation of fields", test_header_canon},
	{"verifying opens nothing", test_closed},
};

int main(int argc, char **argv)
{
	now_us = (int64_t)time(NULL) * SECOND_US; /* libopendkim looks at no other clock */
	self = argv[0];
	if (argc == 2 && strcmp(argv[1], "--closed") == 0) { return be_closed(); }
	make_keys();
	return tap_run(cases, COUNT(cases), argc, argv);
}
