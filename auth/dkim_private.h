/* What the files of the DKIM verifier share. */
#pragma once

#include <openssl/evp.h>

#include "auth/dkim_canon.h"
#include "auth/dkim_verify.h"
#include "lib/map.h"

/* A key record, asked for once however many signatures want it. */
struct dkim_question {
	struct str name;
	struct dns_query query;
};

/* One of the signatures that are verified. */
struct dkim_work {
	struct dkim_sig *sig;            /* where the verdict goes */
	struct dkim_signature signature; /* what it says */
	struct str field;                /* without the last CRLF */
	bool open;                       /* no verdict yet */
	struct dkim_question *question;
	struct dkim_key key;
	void *lib; /* DKIM_SIGINFO, NULL: not with libopendkim */
};

/* The fields of one name, as many from the bottom of the header as any signature takes. */
struct dkim_named {
	struct str name; /* lower case */
	size_t want, have;
	struct str *field; /* the last `want` ones in their order, without the last CRLF */
	bool damaged;      /* one of that name holds what cannot be canonicalised */
	size_t used;       /* by the signature at hand */
};

/* The whole body in one canonicalisation of our own. One of each serves all signatures, so that an
   l= in each of them costs nothing more. */
struct dkim_whole {
	struct dkim_body body;
	EVP_MD_CTX *hash; /* NULL: no signature wants it */
	unsigned char digest[32];
};

struct dkim_verify {
	struct dkim_env env;
	struct arena arena;
	struct dkim_sig *sigs;
	size_t n;
	struct dkim_work work[DKIM_VERIFIED_MAX];
	size_t work_n;
	struct dkim_question question[DKIM_VERIFIED_MAX];
	size_t question_n;
	struct map named; /* name -> struct dkim_named */
	struct dkim_lib_message *lib;
	struct dkim_whole whole[2]; /* simple, relaxed */
	bool asked, ended, done;
	char last[2]; /* octets of the body */
	uint64_t size;
	bool bare; /* the body holds a CR or LF that is no line end */
};

/* End one signature. `why` is a fixed sentence or lives in the arena. */
void dkim_decide(struct dkim_work *w, enum dkim_result result, struct str why);

/* --- dkim_fields.c: which fields are hashed --- */

/* Gather the fields that the open signatures name. Ends those that cannot be served. */
void dkim_fields_gather(struct dkim_verify *v, struct str header);
/* What `w` signs, in order: start with *at = 0; false at the end. Fields it names that are not
   there are left out. */
bool dkim_fields_next(
	struct dkim_verify *v, const struct dkim_work *w, size_t *at, struct str *out);

/* --- dkim_lib.c: libopendkim --- */

/* Header fed; ends what it refuses. Leaves v->lib NULL when there is nothing for it to do. */
void dkim_lib_header(struct dkim_verify *v);
void dkim_lib_body(struct dkim_verify *v, struct str octets);
/* Verify all that is open and has its key. */
void dkim_lib_end(struct dkim_verify *v);
void dkim_lib_free(struct dkim_verify *v);

/* --- dkim_own.c: what libopendkim cannot take --- */

/* Count and hash the body for the open signatures that are beyond libopendkim. */
void dkim_own_start(struct dkim_verify *v);
void dkim_own_body(struct dkim_verify *v, struct str octets);
void dkim_own_body_end(struct dkim_verify *v);
/* Octets of the canonical body that such a signature is about. The body has ended. */
uint64_t dkim_own_size(const struct dkim_verify *v, const struct dkim_work *w);
/* Verify it, as one over the whole body. */
void dkim_own_end(struct dkim_verify *v, struct dkim_work *w);
void dkim_own_free(struct dkim_verify *v);
