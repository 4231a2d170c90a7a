/* Verifying DKIM signatures (RFC 6376, 8301, 8463, 8616) while the message streams by, on top of
   libopendkim. Works without files; keys come through lib/dns only. */
#pragma once

#include "auth/dkim_tags.h"
#include "lib/dns.h"

enum {
	DKIM_VERIFIED_MAX = 8, /* signatures that are looked at; the rest is reported as policy */
	DKIM_REPORTED_MAX = 1000,
	DKIM_B_MIN = 8 /* octets of b= that tell a signature from the others (RFC 8601 2.7.1) */
};

/* What one DKIM-Signature field is worth. Strings live as long as the struct dkim_verify; what the
   signature does not say in a readable form is empty. */
struct dkim_sig {
	enum dkim_result result;
	struct str reason;           /* a sentence, never empty */
	struct str domain, selector; /* d=, s= in the form of idn_domain */
	struct str identity;         /* i= decoded, "@domain" without one. Any octets */
	struct str algorithm;        /* a= */
	struct str b;                /* so much of b= that it is unique in this message */
	struct str asked;            /* the name of the key record, empty: was not asked for */
	unsigned key_bits;           /* 0 = no key seen */
	bool weak;                   /* RSA of DKIM_RSA_BITS_WEAK bits: still accepted */
	bool testing;                /* the key's t=y: a failure means nothing */
};

struct dkim_verify;

struct dkim_env {
	struct dns *dns;
	struct dns_budget *budget; /* of the message; NULL = none */
	struct task *task;         /* woken by answers */
	int64_t now_us;            /* wall clock */
};

/* Load what verifying needs from files: before the sandbox of a role closes. */
void dkim_verify_prepare(void);

struct dkim_verify *dkim_verify_new(const struct dkim_env *env);
/* NULL is fine. Cancels questions. */
void dkim_verify_free(struct dkim_verify *v);
/* The whole header block as received, with its empty line, once. Asks for the keys. */
void dkim_verify_header(struct dkim_verify *v, struct str header);
/* The body behind the empty line, in pieces: dot-unstuffed, CRLF. */
void dkim_verify_body(struct dkim_verify *v, struct str octets);
/* After the last octet of the body: 1 finished, 0 return STEP_WAIT and call again when woken. */
int dkim_verify_step(struct dkim_verify *v);
/* One for each DKIM-Signature field, in their order, up to DKIM_REPORTED_MAX. Final once
   dkim_verify_step has answered 1. */
const struct dkim_sig *dkim_verify_sigs(const struct dkim_verify *v, size_t *n_out);
