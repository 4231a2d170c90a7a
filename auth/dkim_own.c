/* Signatures that libopendkim cannot take, verified with our own canonicalisation and
   OpenSSL. RFC 6376 3.7, 6.1.3; RFC 8463 3. */
#include "auth/dkim_private.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static void hash_out(void *ctx, struct str octets)
{
	EVP_DigestUpdate(ctx, octets.p, octets.n);
}

void dkim_own_start(struct dkim_verify *v)
{
	for (size_t i = 0; i < v->work_n; i++) {
		const struct dkim_work *w = &v->work[i];
		struct dkim_whole *b = &v->whole[w->signature.body_relaxed];
		if (!w->open || !w->signature.beyond_lib || b->hash) { continue; }
		b->hash = EVP_MD_CTX_new();
		if (!b->hash || EVP_DigestInit_ex(b->hash, EVP_sha256(), NULL) != 1) {
			abort(); /* no memory */
		}
		b->body = (struct dkim_body){.relaxed = w->signature.body_relaxed,
			.limit = UINT64_MAX,
			.out = hash_out,
			.ctx = b->hash};
	}
}

void dkim_own_body(struct dkim_verify *v, struct str octets)
{
	for (size_t i = 0; i < COUNT(v->whole); i++) {
		if (v->whole[i].hash) { dkim_body_add(&v->whole[i].body, octets); }
	}
}

void dkim_own_body_end(struct dkim_verify *v)
{
	for (size_t i = 0; i < COUNT(v->whole); i++) {
		struct dkim_whole *b = &v->whole[i];
		if (!b->hash) { continue; }
		dkim_body_end(&b->body);
		(void)EVP_DigestFinal_ex(b->hash, b->digest, NULL); /* memory only */
	}
}

uint64_t dkim_own_size(const struct dkim_verify *v, const struct dkim_work *w)
{
	return v->whole[w->signature.body_relaxed].body.size;
}

void dkim_own_free(struct dkim_verify *v)
{
	for (size_t i = 0; i < COUNT(v->whole); i++) { EVP_MD_CTX_free(v->whole[i].hash); }
}

static void hash_header(struct dkim_verify *v, struct dkim_work *w, unsigned char digest[32])
{
	bool relaxed = w->signature.header_relaxed;
	struct buf text = {0};
	struct str field;
	size_t at = 0;
	while (dkim_fields_next(v, w, &at, &field)) { dkim_canon_field(field, relaxed, &text); }
	dkim_canon_own_field(w->field, relaxed, &text);
	(void)EVP_Digest(text.p, text.n, digest, NULL, EVP_sha256(), NULL); /* memory only */
	buf_fini(&text);
}

static bool check_ed25519(const struct dkim_work *w, const unsigned char digest[32])
{
	struct str key = w->key.key, sig = w->signature.signature;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(
		EVP_PKEY_ED25519, NULL, (const unsigned char *)key.p, key.n);
	bool ok = ctx && pkey && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		  EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n, digest, 32) == 1;
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool check_rsa(const struct dkim_work *w, const unsigned char digest[32])
{
	const unsigned char *der = (const unsigned char *)w->key.key.p;
	struct str sig = w->signature.signature;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)w->key.key.n);
	EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
	bool ok = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		  EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		  EVP_PKEY_verify(ctx, (const unsigned char *)sig.p, sig.n, digest, 32) == 1;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

void dkim_own_end(struct dkim_verify *v, struct dkim_work *w)
{
	const struct dkim_whole *b = &v->whole[w->signature.body_relaxed];
	unsigned char header[32];
	hash_header(v, w, header);
	if (!str_eq(w->signature.body_hash, str_make(b->digest, sizeof b->digest))) {
		dkim_decide(w, DKIM_RESULT_FAIL, STR("the body was changed"));
	} else if (w->key.ed25519 ? check_ed25519(w, header) : check_rsa(w, header)) {
		dkim_decide(w, DKIM_RESULT_PASS, STR("good signature"));
	} else {
		dkim_decide(w, DKIM_RESULT_FAIL,
			STR("the signature does not match the header and the key"));
	}
	ERR_clear_error(); /* or the next TLS connection takes what failed here for its own */
}
