/* Signatures that libopendkim cannot take, verified with our own canonicalisation and OpenSSL; and
   the count of the body for l=. RFC 6376 3.7, 6.1.3; RFC 8463 3. */
#include "auth/dkim_private.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static void hash_out(void *ctx, struct str octets)
{
	EVP_DigestUpdate(ctx, octets.p, octets.n);
}

static EVP_MD_CTX *sha256_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) { abort(); } /* no memory */
	return ctx;
}

void dkim_own_start(struct dkim_work *w, struct arena *a)
{
	const struct dkim_signature *s = &w->signature;
	if (!s->beyond_lib && !s->has_l) { return; }
	w->body = arena_new(a, struct dkim_body);
	w->body->relaxed = s->body_relaxed;
	w->body->limit = s->has_l ? s->l : UINT64_MAX;
	if (s->beyond_lib) {
		w->hash = sha256_new();
		w->body->out = hash_out;
		w->body->ctx = w->hash;
	}
}

void dkim_own_free(struct dkim_work *w)
{
	EVP_MD_CTX_free(w->hash);
	w->hash = NULL;
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
	unsigned char body[32], header[32];
	(void)EVP_DigestFinal_ex(w->hash, body, NULL); /* memory only */
	hash_header(v, w, header);
	if (!str_eq(w->signature.body_hash, str_make(body, sizeof body))) {
		dkim_decide(w, DKIM_RESULT_FAIL, STR("the body was changed"));
	} else if (w->key.ed25519 ? check_ed25519(w, header) : check_rsa(w, header)) {
		dkim_decide(w, DKIM_RESULT_PASS, STR("good signature"));
	} else {
		dkim_decide(w, DKIM_RESULT_FAIL,
			STR("the signature does not match the header and the key"));
	}
	ERR_clear_error(); /* or the next TLS connection takes what failed here for its own */
}
