/* Addresses of the envelope: reverse-path and forward-path (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3).
   Pure functions. */
#pragma once

#include "lib/lib.h"

enum {
	PATH_MAX_LEN = 320, /* octets of the normalised address: 64 @ 255 */
	PATH_DOMAIN_MAX = 255,
	PATH_LABEL_MAX = 63,
	PATH_ROUTE_MAX = 512 /* octets of a source route, which is read and forgotten */
};

enum path_kind {
	PATH_NULL,       /* <> */
	PATH_POSTMASTER, /* <Postmaster> without a domain (4.1.1.3) */
	PATH_MAILBOX
};

struct path {
	enum path_kind kind;
	struct str local;  /* unquoted, case kept */
	struct str domain; /* ASCII letters in lower case; a literal keeps its brackets */
	struct str text;   /* local@domain, quoted only where it must be; "" for <> */
	bool utf8;         /* an octet beyond ASCII is in it: needs SMTPUTF8 */
	bool literal;      /* the domain is an address literal */
};

/* Cut "<...>" off the front of *rest. Null paths and Postmaster are accepted here; the caller knows
   where they may stand. Source routes are skipped (RFC 5321 appendix C). The strings come from `a`.
   0, ERR_SYNTAX, or ERR_LIMIT (too long). */
int path_parse(struct str *rest, struct arena *a, struct path *out);
/* A bare mailbox without brackets, all of `s`: a login's address, XCLIENT. */
int path_parse_mailbox(struct str s, struct arena *a, struct path *out);
/* Is `s` a domain name as SMTP writes one (RFC 5321 4.1.2, RFC 6531)? Underscores are let pass. */
bool path_is_domain(struct str s);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (4.1.3); other tags are not known. */
bool path_is_literal(struct str s);
