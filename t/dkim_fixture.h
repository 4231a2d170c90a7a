/* Signing and verifying DKIM in tests: signatures are made from a template of tags, so that they
   can be right about anything wrong. */
#pragma once

#include <openssl/evp.h>

#include "auth/dkim_verify.h"

/* Put a DKIM-Signature field on top of a message. In `tags` "%h" stands for the body hash and "%b"
   for the signature; c=, h= and l= are followed. `digest` names what is hashed with, "sha256"
   mostly. */
void dkim_fixture_sign(
	struct str message, const char *tags, EVP_PKEY *key, const char *digest, struct buf *out);
/* p= of a key record; `raw_rsa`: RSAPublicKey without its wrapping. */
void dkim_fixture_public(EVP_PKEY *key, bool raw_rsa, struct buf *out);

struct dkim_fixture { /* one verification, its own loop and resolver */
	struct loop *loop;
	struct dns *dns;
	struct dns_budget budget;
	struct task task;
	struct dkim_verify *v;
	struct str message;
	size_t piece; /* octets of body fed at once, 0 = all */
	bool broke;   /* nothing may be asked */
	bool finished;
	const struct dkim_sig *sigs;
	size_t n;
};
/* Verify at the moment `now_us`; `zone` is master-file text. */
void dkim_fixture_verify(
	struct dkim_fixture *f, struct str message, struct str zone, int64_t now_us);
/* Only the header and the body, into f->v, which it makes. */
void dkim_fixture_feed(struct dkim_fixture *f);
void dkim_fixture_fini(struct dkim_fixture *f);
