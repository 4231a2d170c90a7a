/* CPU that judging one incoming message takes in mx: 10 KB with one RSA-2048 signature, the answers
   of the DNS at hand. Each part by itself, then whole transactions over a socket pair (the client's
   and the store's end run in the same process and are counted, too). */
#include <inttypes.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <time.h>

#include "auth/authors.h"
#include "auth/dmarc.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "lib/mimerec.h"
#include "smtp/receive.h"
#include "t/dkim_fixture.h"
#include "t/smtp_fixture.h"

enum { ROUNDS = 500, TAKES = 5, FLOOR_US = 500, BODY_LEN = 10 * 1024 };

static const char zone_text[] =
	"$TTL 3600\n"
	"example.org. MX 10 mail.example.org.\n"
	"example.org. TXT \"v=spf1 mx include:spf.example.net -all\"\n"
	"spf.example.net. TXT \"v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 -all\"\n"
	"mail.example.org. A 192.0.2.8\n"
	"mail.example.org. TXT \"v=spf1 a -all\"\n"
	"9.2.0.192.in-addr.arpa. PTR mail.example.org.\n"
	"_dmarc.example.org. TXT \"v=DMARC1; p=reject\"\n";

static struct buf zone, message;
static struct loop *loop;
static struct dns *dns;
static struct dns_budget budget;
static struct task task;
static struct arena arena;

static int64_t cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static struct str header(void)
{
	struct str all = buf_view(&message);
	return str_sub(all, 0, (size_t)str_find(all, STR("\r\n\r\n")) + 4);
}

/* --- the parts --- */

static enum step idle(struct task *t)
{
	(void)t; /* it only has to be woken */
	return STEP_WAIT;
}

static void ended(struct task *t)
{
	(void)t; /* static */
}

static void turn(void)
{
	if (!loop_turn(loop)) {
		fprintf(stderr, "verdict: the resolver is stuck\n");
		exit(1);
	}
}

static void refill(void)
{
	arena_reset(&arena);
	dns_budget_start(&budget, loop, DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
}

static void parse(void)
{
	struct mime *m = mime_new();
	struct header_facts facts;
	struct authors authors;
	struct buf rest = {0}, record = {0};
	refill();
	header_look(header(), &facts);
	authors_find(header(), &arena, &authors);
	results_strip(header(), STR("mx.example.test"), &rest);
	mime_add(m, buf_view(&message));
	mime_end(m);
	mimerec_build(m, &record);
	mime_free(m);
	buf_fini(&rest);
	buf_fini(&record);
}

static void spf_one(enum spf_identity identity)
{
	struct spf_check c = {.dns = dns,
		.budget = &budget,
		.task = &task,
		.arena = &arena,
		.identity = identity,
		.helo = STR("mail.example.org"),
		.local = STR("a"),
		.domain = STR("example.org"),
		.receiver = STR("mx.example.test"),
		.now_us = loop_now_us(loop)};
	net_addr_parse(STR("192.0.2.8"), 0, &c.client);
	spf_check_start(&c);
	while (!spf_check_step(&c)) { turn(); }
	if (c.result != SPFRES_PASS) { exit(1); }
	spf_check_fini(&c);
}

static void spf(void)
{
	refill();
	spf_one(SPFID_MAIL_FROM);
	spf_one(SPFID_HELO);
}

static void dkim(void)
{
	struct dkim_env env = {dns, &budget, &task, loop_now_us(loop)};
	size_t n;
	refill();
	struct dkim_verify *v = dkim_verify_new(&env);
	dkim_verify_header(v, header());
	dkim_verify_body(v, str_skip(buf_view(&message), header().n));
	while (!dkim_verify_step(v)) { turn(); }
	const struct dkim_sig *sigs = dkim_verify_sigs(v, &n);
	if (n != 1 || sigs[0].result != DKIM_RESULT_PASS) {
		fprintf(stderr, "verdict: %.*s\n", n ? (int)sigs[0].reason.n : 0,
			n ? sigs[0].reason.p : "");
		exit(1);
	}
	dkim_verify_free(v);
}

static void dmarc(void)
{
	struct dmarc_check c;
	struct authors authors;
	refill();
	authors_find(header(), &arena, &authors);
	dmarc_check_start(&c, dns, &budget, &task, &arena);
	dmarc_check_authors(&c, &authors);
	dmarc_check_spf(&c, STR("example.org"), false);
	dmarc_check_dkim(&c, STR("example.org"), false);
	while (!dmarc_check_step(&c)) { turn(); }
	if (c.result != DMARC_RESULT_PASS) { exit(1); }
	dmarc_check_fini(&c);
}

/* --- in a session --- */

static struct smtp_fixture f;

static void policy(void)
{
	struct session *s = smtp_session(&f);
	for (enum policy_stage stage = STAGE_MAIL; stage <= STAGE_END; stage++) {
		policy_start(s, stage);
		while (!policy_step(s)) { loop_turn(f.loop); }
	}
}

static void transaction(void)
{
	SAY(&f, "MAIL FROM:<a@example.org>\r\nRCPT TO:<one@example.test>\r\nDATA\r\n");
	smtp_say(&f, buf_view(&message));
	struct str reply = SAY(&f, ".\r\n");
	if (!str_starts(reply, STR("250"))) {
		fprintf(stderr, "verdict: %.*s\n", STR_ARG(reply));
		exit(1);
	}
}

static void start_session(void)
{
	smtp_start_zone(&f, ROLE_MX, "smtp.messages_max=10000", buf_cstr(&zone));
	f.from = "192.0.2.8";
	smtp_connect(&f, LISTEN_SMTP);
	SAY(&f, "EHLO mail.example.org\r\n");
}

/* --- measuring --- */

static double measure(const char *name, void (*part)(void))
{
	double best = 0;
	part(); /* fills caches */
	for (int k = 0; k < TAKES; k++) {
		int64_t begun = cpu_ns();
		for (int i = 0; i < ROUNDS; i++) { part(); }
		double us = (double)(cpu_ns() - begun) / 1000 / ROUNDS;
		best = k ? MIN(best, us) : us;
	}
	printf("%-12s %8.1f us\n", name, best);
	return best;
}

static void make_message(EVP_PKEY *key)
{
	struct buf plain = {0};
	buf_str(&plain, STR("From: A <a@example.org>\r\nTo: one@example.test\r\n"
			    "Subject: what it takes\r\nDate: Mon, 21 Sep 2026 14:13:20 +0000\r\n"
			    "Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n\r\n"));
	while (plain.n < BODY_LEN) {
		buf_str(&plain, STR("A line of text as it may stand in a message of today.\r\n"));
	}
	dkim_fixture_sign(buf_view(&plain),
		"v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=k; "
		"h=From:To:Subject:Date:Message-ID; bh=%h; b=%b",
		key, "sha256", &message);
	buf_fini(&plain);
}

static void make_zone(EVP_PKEY *key)
{
	struct buf p = {0};
	dkim_fixture_public(key, false, &p);
	buf_str(&zone, str_of(zone_text));
	buf_str(&zone, STR("k._domainkey.example.org. TXT \"v=DKIM1; p=\""));
	for (struct str rest = buf_view(&p); rest.n; rest = str_skip(rest, 200)) {
		buf_fmt(&zone, " \"%.*s\"", STR_ARG(str_sub(rest, 0, 200)));
	}
	buf_chr(&zone, '\n');
	buf_fini(&p);
}

int main(void)
{
	struct err e = {{0}};
	EVP_PKEY *key = EVP_RSA_gen(2048);
	if (!key) { return 1; }
	make_message(key);
	make_zone(key);
	loop = loop_new_fake(INT64_C(1790000000) * SECOND_US);
	dns = dns_new(loop, &(struct dns_conf){.zone_text = buf_view(&zone)}, &e);
	if (!dns) {
		fprintf(stderr, "verdict: %s\n", e.text);
		return 1;
	}
	task_start(loop, &task, NULL, idle, ended);
	double us = measure("parse", parse) + measure("SPF", spf) + measure("DKIM", dkim) +
		    measure("DMARC", dmarc);
	start_session();
	SAY(&f, "MAIL FROM:<a@example.org>\r\nRCPT TO:<one@example.test>\r\nDATA\r\n");
	us += measure("policy", policy);
	smtp_end(&f);
	printf("%-12s %8.1f us, floor %d: %s\n", "together", us, FLOOR_US,
		us < FLOOR_US ? "kept" : "NOT KEPT");
	start_session();
	measure("transaction", transaction);
	smtp_end(&f);
	task_kill(&task);
	while (loop_turn(loop)) {}
	dns_free(dns);
	loop_free(loop);
	arena_fini(&arena);
	buf_fini(&zone);
	buf_fini(&message);
	EVP_PKEY_free(key);
	return us < FLOOR_US ? 0 : 1;
}
