/* Octets as text and back: base64, quoted-printable, modified UTF-7. Pure functions; output is
   appended to a buf. */
#pragma once

#include "lib/lib.h"

/* RFC 4648, padded, no line breaks. */
void base64_encode(struct str in, struct buf *out);
/* Strict, for protocols: the padded alphabet and nothing else. ERR_SYNTAX. */
int base64_decode(struct str in, struct buf *out);
/* The octet that the two digits behind the escape character s.p[0] stand for, -1 without them. */
int hex_escape(struct str s);

/* RFC 9051 appendix B / RFC 3501 5.1.3: mailbox names on the wire of IMAP4rev1. ERR_SYNTAX on bad
   UTF-8 or on UTF-7 that is not in its one right form. */
int mutf7_encode(struct str utf8, struct buf *out);
int mutf7_decode(struct str mutf7, struct buf *out);

/* Content-Transfer-Encoding (RFC 2045 6), decoded as it streams. Lenient, as readers must be: bad
   octets in base64 are skipped (noted in `bad`), a bad "=XY" of quoted-printable is left as text.
 */
enum transfer { TRANSFER_NONE, TRANSFER_BASE64, TRANSFER_QP, TRANSFER_UNKNOWN };
/* By name, any case: "7bit", "8bit", "binary" (NONE), "base64", "quoted-printable". */
enum transfer transfer_by_name(struct str name);
struct transfer_decoder { /* all zeros but `kind` = at the start */
	enum transfer kind;
	bool bad;         /* octets were met that the encoding does not have */
	uint32_t bits, n; /* base64: what waits for its quantum */
	bool ended;       /* base64: padding was seen */
	char held[80];    /* quoted-printable: "=" sequence or white space that may end a line */
	size_t held_n;
};
void transfer_decode(struct transfer_decoder *d, struct str in, struct buf *out);
/* What still waits, at the end of the body. */
void transfer_end(struct transfer_decoder *d, struct buf *out);

/* The same two written as they stream (RFC 2045 6.7, 6.8): lines of at most 76 octets. Text goes
   into quoted-printable with its CRLFs as line ends, a CR or LF alone as an octet; base64 has no
   line end behind its last line. */
enum { TRANSFER_LINE_MAX = 76, TRANSFER_BASE64_LINE = 57 /* octets that make one line */ };
struct transfer_encoder { /* all zeros but `kind` = at the start */
	enum transfer kind;
	size_t column; /* quoted-printable */
	bool blank_held, cr_held;
	char blank;
	bool line_written; /* base64 */
	char held[TRANSFER_BASE64_LINE];
	size_t held_n;
};
void transfer_encode(struct transfer_encoder *e, struct str in, struct buf *out);
/* What still waits, at the end of the body. */
void transfer_encode_end(struct transfer_encoder *e, struct buf *out);
