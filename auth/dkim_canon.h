/* Canonicalisation of DKIM (RFC 6376 3.4) of our own: it counts what l= leaves uncovered, and
   serves signatures that libopendkim cannot take. Pure, streaming. */
#pragma once

#include "lib/lib.h"

struct dkim_body { /* all zeros but the first four = at the start of the body */
	bool relaxed;
	uint64_t limit;                            /* octets given out at most: l=, or UINT64_MAX */
	void (*out)(void *ctx, struct str octets); /* NULL: only count */
	void *ctx;
	uint64_t size; /* octets of the canonical body so far, also those beyond the limit */
	bool bare;     /* a CR or LF that is no line end was met: taken as any other octet */
	/* private */
	uint64_t blanks; /* empty lines that count only if something follows */
	bool cr, space, in_line;
	char held[256];
	size_t held_n;
};
/* The body in pieces, CRLF lines. */
void dkim_body_add(struct dkim_body *b, struct str octets);
/* No more octets: `size` is final, everything has been given out. */
void dkim_body_end(struct dkim_body *b);

/* A field, name to last octet without the CRLF that ends it, as it is hashed (with CRLF). */
void dkim_canon_field(struct str field, bool relaxed, struct buf *out);
/* The DKIM-Signature field itself as it is hashed: b= emptied, no CRLF. */
void dkim_canon_own_field(struct str field, bool relaxed, struct buf *out);
