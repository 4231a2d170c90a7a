/* What a server says it can do (RFC 5321 4.1.1.1), and what this makes of a message. Pure. */
#pragma once

#include "smtp/client_reply.h"
#include "smtp/convert.h"

struct client_offer {
	bool pipelining, dsn, size;
	bool eight;            /* 8BITMIME (RFC 6152), or SMTPUTF8, which includes it */
	bool utf8;             /* SMTPUTF8 (RFC 6531) */
	bool chunking, binary; /* RFC 3030 */
	uint64_t size_max;     /* octets of a message (RFC 1870), 0 = not told */
	uint64_t rcpts_max;    /* in a transaction (RFC 9422 RCPTMAX), 0 = not told */
	bool one_domain;       /* RCPTDOMAINMAX: at least one domain may be named */
	struct str auth;       /* the mechanisms, by blanks */
};

/* Out of the reply to EHLO, or to HELO, which offers nothing. Strings from `a`. */
void client_offer_read(const struct client_reply *r, struct arena *a, struct client_offer *out);

struct client_fit {
	bool utf8;    /* the header needs SMTPUTF8 */
	bool chunked; /* it goes by BDAT, as it is */
	bool convert; /* by convert_begin */
};
/* How a message goes to this server. `body`: BODY_* as it was declared when it came. NULL, or why
   it cannot go there at all, as "5.6.9 ..." (RFC 6531 3.4, RFC 5504 for the status). */
const char *client_offer_fit(const struct client_offer *o, const struct convert_needs *needs,
	uint8_t body, struct client_fit *out);
/* An address as this server can read it: a domain beyond ASCII becomes A-labels where it must (RFC
   6531 3.2). False when the local part is beyond ASCII and SMTPUTF8 is not offered. */
bool client_offer_address(
	const struct client_offer *o, struct str address, struct arena *a, struct str *out);
