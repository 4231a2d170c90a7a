/* Between mimerec.c and the files that write its IMAP texts. */
#pragma once

#include "lib/mimerec.h"

enum {
	/* Address lists are cut where a text has grown to this; what else goes in is at most about
	   twice the headers. */
	MIMEREC_ADDRS_TEXT_MAX = 1024 * 1024,
	MIMEREC_TEXT_MAX = 16 * 1024 * 1024,
	MIMEREC_HOT_MAX = 64 * 1024
};

/* imap_nstring, but never NIL; a NULL is the empty string. */
void imap_string(struct str s, struct buf *out);
/* imap_nstring with NIL for the empty string. */
void imap_nstring_given(struct str s, struct buf *out);

/* "(...)" of RFC 9051 7.5.2 ENVELOPE from the fields of `header`. */
void mimerec_envelope(struct str header, struct buf *out);
/* BODY, or with `extended` BODYSTRUCTURE, of the whole message. */
void mimerec_body(const struct mime *m, bool extended, struct buf *out);
