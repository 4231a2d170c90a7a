/* What a DKIM signature and a DKIM key say: tag lists (RFC 6376 3.2), the DKIM-Signature field
   (3.5), the key record (3.6.1), and all that can be judged by looking at them alone. Pure. */
#pragma once

#include "lib/lib.h"

enum {
	DKIM_SIGNATURE_MAX = 16 * 1024, /* octets of a DKIM-Signature field that is read */
	DKIM_TAGS_MAX = 64,             /* in one list */
	DKIM_FIELDS_MAX = 256,          /* names in h= */
	DKIM_H_MAX = 4000,              /* octets of h=; libopendkim cuts at 4096 */
	DKIM_KEY_MAX = 8192,            /* octets of a key record that is read */
	DKIM_RSA_BITS_MIN = 1024,       /* RFC 8301 3.2 */
	DKIM_RSA_BITS_WEAK = 1024,      /* up to here accepted, but noted */
	DKIM_RSA_BITS_MAX = 4096,
	DKIM_RSA_EXPONENT_MAX = 8, /* octets: a long one makes verifying expensive */
	DKIM_SKEW_S = 300          /* how far another clock may be ahead of ours */
};

/* RFC 8601 2.7.1: how a signature did. */
enum dkim_result {
	DKIM_RESULT_PASS,
	DKIM_RESULT_FAIL,      /* well made, and the message or the key does not match it */
	DKIM_RESULT_NEUTRAL,   /* cannot be read: syntax, unknown version or algorithm */
	DKIM_RESULT_POLICY,    /* could be read, and is not acceptable to us */
	DKIM_RESULT_TEMPERROR, /* the key could not be had now */
	DKIM_RESULT_PERMERROR  /* something it needs is not there: key, From */
};
const char *dkim_result_name(enum dkim_result r);

/* --- tag lists --- */

struct dkim_tag {
	struct str name, value; /* borrowed; the value without white space at its ends */
	bool spaced;            /* white space between name and "=" */
};
struct dkim_tags {
	struct dkim_tag tag[DKIM_TAGS_MAX];
	size_t n;
};
/* ERR_SYNTAX; ERR_EXISTS when a name stands twice, in whatever case (libopendkim does not tell them
   apart); ERR_LIMIT beyond DKIM_TAGS_MAX. Octets of 128 and above are taken only with `utf8`. */
int dkim_tags_parse(struct str text, bool utf8, struct dkim_tags *out);
/* False when it is not there. */
bool dkim_tag_find(const struct dkim_tags *tags, struct str name, struct str *value_out);

/* Folding white space off both ends; out of everywhere. */
struct str dkim_trim(struct str s);
struct str dkim_without_white(struct str s, struct arena *a);

/* --- signatures --- */

enum dkim_algorithm { DKIM_ALGORITHM_NONE, DKIM_RSA_SHA1, DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };

/* Why something is not (or cannot be) verified. `why` is a fixed sentence, NULL = nothing wrong. */
struct dkim_flaw {
	enum dkim_result result;
	const char *why;
};

/* Strings are borrowed from the field or live in the arena. A tag that is missing or malformed
   leaves an empty one. */
struct dkim_signature {
	enum dkim_algorithm algorithm;
	struct str a; /* as written */
	bool header_relaxed, body_relaxed;
	struct str d, s;             /* as written: A-labels, or U-labels (RFC 8616) */
	struct str domain, selector; /* the same in the form of idn_domain */
	struct str identity;         /* i= decoded; "@" and d= without one */
	struct str identity_domain;  /* in the form of idn_domain */
	struct str b;                /* base64 without white space */
	struct str signature;        /* octets */
	struct str body_hash;        /* octets */
	struct str *fields;          /* h=, as written */
	size_t fields_n;
	bool has_t, has_x, has_l;
	uint64_t t_s, x_s; /* seconds since the epoch; UINT64_MAX = further away than we can say */
	uint64_t l;        /* octets */
	/* not for libopendkim: U-labels, l=, numbers it cannot hold, writing by which it would not
	   find b=, other signatures signed by it */
	bool beyond_lib;
};
/* Read the value of a DKIM-Signature field. `out` is filled as far as it can be read; answers what
   is wrong with it as it stands, at the time `now_us`. */
struct dkim_flaw dkim_signature_parse(
	struct str value, int64_t now_us, struct arena *a, struct dkim_signature *out);
/* Does h= name this field? */
bool dkim_signature_covers(const struct dkim_signature *s, struct str name);

/* --- keys --- */

struct dkim_key {
	bool is_key; /* a tag list with p=; other text may stand at the same name */
	bool ed25519;
	bool testing, no_subdomain; /* t=y, t=s */
	struct str key;             /* octets: DER SubjectPublicKeyInfo, or the 32 of Ed25519 */
	unsigned bits;
};
/* Read a key record and judge whether it is one for this signature. */
struct dkim_flaw dkim_key_parse(
	struct str text, const struct dkim_signature *s, struct arena *a, struct dkim_key *out);
/* The record with nothing in it but the key, for libopendkim. */
void dkim_key_write(const struct dkim_key *k, struct buf *out);
