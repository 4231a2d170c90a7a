/* Authentication-Results (RFC 8601): writing ours, and taking out what was forged in our name. */
#pragma once

#include "lib/lib.h"

enum {
	RESULTS_VALUE_MAX = 400, /* octets of a property; a longer one is left out */
	RESULTS_REASON_MAX = 300 /* a longer one is cut */
};

struct results_prop {            /* "smtp.mailfrom=user@example.com"; nothing is written for "" */
	const char *type, *name; /* Keywords of ours */
	struct str value;        /* from anywhere */
};

struct results_method {            /* "spf=pass (reason) smtp.mailfrom=..." */
	const char *name, *result; /* Keywords of ours */
	struct str reason;         /* a comment, from anywhere; "" = none */
	struct results_prop *props;
	size_t props_n;
};

/* The field with its last CRLF, folded at 78 columns where that is possible, no line over 998
   octets; "; none" without methods. Values become token, address or quoted-string as the grammar
   wants (2.2); controls never pass, and what is beyond ASCII only with `utf8` (the message came by
   SMTPUTF8, RFC 8616 5). */
void results_write(struct str authserv_id, const struct results_method *methods, size_t n,
	bool utf8, struct buf *out);

/* Copy the header to `out` but for Authentication-Results fields in the name of `authserv_id` (RFC
   8601 5): in any case, quoted, with comments and folds, as U-labels or A-labels, and whatever else
   a lenient reader could take for it. Everything else, and what follows the empty line, stays octet
   for octet. Answers how many fields are gone. Signatures are verified on the header as it came,
   before.

   ARC-Authentication-Results (RFC 8617) stay: their names are part of a chain that is sealed.
   Received-SPF (RFC 7208 9.1) stay, too: they carry no name that anybody would trust them by, and a
   signature may cover them. */
size_t results_strip(struct str header, struct str authserv_id, struct buf *out);
