/* Text in any charset as UTF-8 (iconv), and comparison without case (libunistring). */
#pragma once

#include "lib/lib.h"

enum { CHARSET_NAME_MAX = 64 };

/* Load the converters that mail uses (ISO-8859-*, windows-125*, KOI8-R, ISO-2022-JP, GB*, ...)
   while the file system is still there. */
void charset_prepare(void);
bool charset_known(struct str name);
/* Append `in` as valid UTF-8; what cannot be read becomes U+FFFD. An unknown charset is read as
   UTF-8 with windows-1252 for octets that are none. ERR_GONE then, the text is there all the same.
 */
int charset_to_utf8(struct str name, struct str in, struct buf *out);
bool utf8_valid(struct str s);
/* Append `s`, which is valid, in Normalization Form C (Unicode UAX 15, Net-Unicode RFC 5198). */
void utf8_nfc(struct str s, struct buf *out);
/* Case folding for comparison (i;unicode-casemap in spirit: case and compatibility folded). ASCII
   only text takes a short way. */
void utf8_fold(struct str s, struct buf *out);
