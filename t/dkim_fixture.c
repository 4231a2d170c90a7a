/* Signing DKIM with OpenSSL, and running one verification to its end. */
#include "t/dkim_fixture.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/dkim_canon.h"
#include "lib/codec.h"
#include "lib/head.h"

/* --- signing --- */

static struct str body_of(struct str message)
{
	ptrdiff_t end = str_find(message, STR("\r\n\r\n"));
	return end < 0 ? STR("") : str_skip(message, (size_t)end + 4);
}

static void add_octets(void *ctx, struct str octets)
{
	buf_str(ctx, octets);
}

static bool tag(const struct dkim_tags *tags, const char *name, struct str *out)
{
	return dkim_tag_find(tags, str_of(name), out);
}

static void digest_base64(struct str octets, const char *digest, struct buf *out)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n;
	EVP_Digest(octets.p, octets.n, hash, &n, EVP_get_digestbyname(digest), NULL);
	base64_encode(str_make(hash, n), out);
}

static void hash_body(
	const struct dkim_tags *tags, struct str message, const char *digest, struct buf *out)
{
	struct buf text = {0};
	struct str c = STR(""), l;
	struct dkim_body body = {.limit = UINT64_MAX, .out = add_octets, .ctx = &text};
	uint64_t n;
	(void)tag(tags, "c", &c);
	body.relaxed = str_ends(c, STR("/relaxed"));
	if (tag(tags, "l", &l) && str_u64(l, UINT64_MAX, &n)) { body.limit = n; }
	dkim_body_add(&body, body_of(message));
	dkim_body_end(&body);
	digest_base64(buf_view(&text), digest, out);
	buf_fini(&text);
}

/* The fields of h=, each name from the bottom up. */
static void header_text(
	const struct dkim_tags *tags, struct str message, bool relaxed, struct buf *out)
{
	struct str h = STR(""), name, names[300];
	size_t n = 0;
	(void)tag(tags, "h", &h);
	for (bool more = h.n > 0; more && n < COUNT(names);) {
		more = str_cut(&h, ':', &name);
		names[n] = dkim_trim(name);
		unsigned before = 0, there = 0;
		for (size_t i = 0; i < n; i++) { before += str_ieq(names[i], names[n]); }
		struct str rest = message;
		struct head_field f;
		while (head_next(&rest, &f)) { there += str_ieq(f.name, names[n]); }
		unsigned nth = there > before ? there - before - 1 : UINT32_MAX;
		rest = message;
		while (nth != UINT32_MAX && head_next(&rest, &f)) {
			if (str_ieq(f.name, names[n]) && nth-- == 0) {
				dkim_canon_field(str_sub(f.whole, 0, f.whole.n - 2), relaxed, out);
				break;
			}
		}
		n++;
	}
}

static void sign_text(struct str text, EVP_PKEY *key, const char *digest, struct buf *out)
{
	unsigned char sig[1024], hash[EVP_MAX_MD_SIZE];
	size_t n = sizeof sig;
	unsigned hash_n;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ed25519 = EVP_PKEY_is_a(key, "ED25519");
	const EVP_MD *md = EVP_get_digestbyname(digest);
	EVP_Digest(text.p, text.n, hash, &hash_n, md, NULL);
	EVP_DigestSignInit(ctx, NULL, ed25519 ? NULL : md, NULL, key);
	int ok = ed25519 ? EVP_DigestSign(ctx, sig, &n, hash, hash_n)
			 : EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n);
	assert(ok == 1);
	base64_encode(str_make(sig, n), out);
	EVP_MD_CTX_free(ctx);
}

static void replace(struct str in, struct str what, struct str by, struct buf *out)
{
	ptrdiff_t at = str_find(in, what);
	if (at < 0) {
		buf_str(out, in);
		return;
	}
	buf_str(out, str_sub(in, 0, (size_t)at));
	buf_str(out, by);
	buf_str(out, str_skip(in, (size_t)at + what.n));
}

void dkim_fixture_sign(
	struct str message, const char *tags, EVP_PKEY *key, const char *digest, struct buf *out)
{
	struct dkim_tags list;
	struct buf hash = {0}, field = {0}, text = {0}, sig = {0};
	struct str c = STR("");
	(void)dkim_tags_parse(str_of(tags), true, &list); /* so far as it can be read */
	hash_body(&list, message, digest, &hash);
	buf_str(&field, STR("DKIM-Signature: "));
	replace(str_of(tags), STR("%h"), buf_view(&hash), &field);
	(void)tag(&list, "c", &c);
	bool relaxed = str_starts(c, STR("relaxed"));
	header_text(&list, message, relaxed, &text);
	dkim_canon_own_field(buf_view(&field), relaxed, &text);
	sign_text(buf_view(&text), key, digest, &sig);
	replace(buf_view(&field), STR("%b"), buf_view(&sig), out);
	buf_str(out, STR("\r\n"));
	buf_str(out, message);
	buf_fini(&hash);
	buf_fini(&field);
	buf_fini(&text);
	buf_fini(&sig);
}

void dkim_fixture_public(EVP_PKEY *key, bool raw_rsa, struct buf *out)
{
	unsigned char *der = NULL, raw[32];
	size_t n = sizeof raw;
	if (EVP_PKEY_is_a(key, "ED25519")) {
		EVP_PKEY_get_raw_public_key(key, raw, &n);
		base64_encode(str_make(raw, n), out);
		return;
	}
	int len = raw_rsa ? i2d_PublicKey(key, &der) : i2d_PUBKEY(key, &der);
	assert(len > 0);
	base64_encode(str_make(der, (size_t)len), out);
	OPENSSL_free(der);
}

/* --- verifying --- */

void dkim_fixture_feed(struct dkim_fixture *f)
{
	struct dkim_env env = {.dns = f->dns,
		.budget = &f->budget,
		.task = &f->task,
		.now_us = loop_now_us(f->loop)};
	struct str body = body_of(f->message);
	size_t piece = f->piece ? f->piece : MAX(body.n, 1);
	f->v = dkim_verify_new(&env);
	dkim_verify_header(f->v, str_sub(f->message, 0, f->message.n - body.n));
	for (size_t at = 0; at < body.n; at += piece) {
		dkim_verify_body(f->v, str_sub(body, at, piece));
	}
}

static enum step step(struct task *t)
{
	struct dkim_fixture *f = task_of(t, struct dkim_fixture, task);
	if (!f->v) { dkim_fixture_feed(f); }
	if (dkim_verify_step(f->v) == 0) { return STEP_WAIT; }
	f->sigs = dkim_verify_sigs(f->v, &f->n);
	f->finished = true;
	return STEP_DONE;
}

static void ended(struct task *t)
{
	(void)t; /* lives in the fixture */
}

void dkim_fixture_verify(
	struct dkim_fixture *f, struct str message, struct str zone, int64_t now_us)
{
	struct dns_conf conf = {.zone_text = zone};
	struct err e = {{0}};
	f->loop = loop_new_fake(now_us);
	f->dns = dns_new(f->loop, &conf, &e);
	if (!f->dns) { fprintf(stderr, "# %s\n", e.text); }
	assert(f->dns);
	f->message = message;
	dns_budget_start(
		&f->budget, f->loop, f->broke ? 0 : DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
	task_start(f->loop, &f->task, NULL, step, ended);
	while (loop_turn(f->loop)) {}
	assert(f->finished); /* a zone answers at once */
}

void dkim_fixture_fini(struct dkim_fixture *f)
{
	dkim_verify_free(f->v);
	dns_free(f->dns);
	loop_free(f->loop);
	*f = (struct dkim_fixture){0};
}
