/* What a message asks of the host it goes to, and how it is written for a host that does not take
   it as it is: parts whose octets or lines do not fit become quoted-printable or base64 (RFC 6152
   3, RFC 3030 3, RFC 5321 4.5.3.1.6), what stands in them stays octet for octet. Pure; everything
   streams, only the headers of the parts are kept. */
#pragma once

#include "lib/lib.h"

enum { CONVERT_LINE_MAX = 998 }; /* octets without CRLF */

struct convert_needs {
	bool eight;       /* octets beyond ASCII anywhere */
	bool utf8_header; /* in the header of the message or of a part (RFC 6532) */
	bool raw;         /* NUL, or a CR or LF that stands alone: binary (RFC 3030) */
	bool line_long;   /* a line over CONVERT_LINE_MAX */
	bool line_open;   /* the last line does not end */
};

struct convert;

struct convert *convert_new(void);
void convert_free(struct convert *c); /* NULL is fine */
/* The first walk over the message, in pieces. */
void convert_look(struct convert *c, struct str octets);
/* It has ended. */
void convert_looked(struct convert *c, struct convert_needs *out);

/* The second walk begins, to a host that takes binary no more, and with `seven` no 8-bit octets
   either. NULL, or why the message cannot be written for it, as "5.6.3 ...". May be called again
   for another host. */
const char *convert_begin(struct convert *c, bool seven);
/* The same octets once more; what is to be sent is appended to `out`. */
void convert_add(struct convert *c, struct str octets, struct buf *out);
void convert_end(struct convert *c, struct buf *out);
