/* Addresses of header fields (RFC 5322 3.4 with 4.4): From, To, Reply-To, ... Lenient and bounded.
 */
#pragma once

#include "lib/lib.h"

enum { ADDRS_MAX = 10000 };

enum addr_kind_in_list { ADDR_MAILBOX, ADDR_GROUP_START, ADDR_GROUP_END };
struct addr {
	enum addr_kind_in_list kind;
	struct str
		name; /* display name, unquoted, raw (encoded-words left); GROUP_START: its name */
	struct str route; /* obsolete "@a,@b", without the colon */
	struct str local; /* unquoted */
	struct str domain;
};

/* ERR_LIMIT beyond ADDRS_MAX; what is malformed is skipped to the next comma. `a` holds the result.
 */
int addr_parse(struct str value, struct arena *a, struct addr **out, size_t *n_out);
/* The same for who must not be fooled: *clear_out is false when another reader could find other
   addresses, because the value is not what RFC 5322 allows or has an obsolete route. A bare address
   before one in brackets, "a@b <c@d>", is told as both. Dots too many in a local part and unquoted
   specials in a name are let pass. */
int addr_parse_wary(
	struct str value, struct arena *a, struct addr **out, size_t *n_out, bool *clear_out);
