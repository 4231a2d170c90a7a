/* Header fields of a message (RFC 5322 2.2, 2047, 2231). Everything is read leniently and bounded;
   strings are borrowed from the input unless an arena is passed. */
#pragma once

#include "lib/lib.h"

struct head_field {
	struct str
		name; /* without the colon and blanks before it; empty: a line that is no field */
	struct str value; /* behind the colon, folded as it came, without the last CRLF */
	struct str whole; /* name to last CRLF inclusive */
};

/* Cut the next field off *rest. False at the end of the header (at the empty line or of input). A
   bare LF ends a line too: stored messages may come from APPEND. */
bool head_next(struct str *rest, struct head_field *out);
/* Could a reader that forgives what RFC 5322 does not allow take the line for a field of that name?
   What no name can hold (blanks, controls, octets beyond ASCII) is overlooked. */
bool head_name_like(const struct head_field *f, struct str name);
/* The `nth` (0 = first) field of that name, its raw value; false when there is none. */
bool head_find(struct str header, struct str name, unsigned nth, struct str *value_out);
/* Without CRLFs, blanks trimmed at both ends (RFC 5322 2.2.3). */
void head_unfold(struct str value, struct buf *out);
/* Unfolded, encoded-words decoded (RFC 2047): UTF-8 text. */
void head_decode(struct str value, struct buf *out);

/* --- within structured values --- */

/* Octets of the quoted string (of the comment, nested) that `s` begins with, delimiters included;
   one that is never closed goes to the end. */
size_t head_quoted_length(struct str s);
size_t head_comment_length(struct str s);
/* Is it closed? */
bool head_quoted_closed(struct str s);
bool head_comment_closed(struct str s);
/* What a quoted string says: without quotes, backslashes and folds. Borrowed when nothing changes,
   else from `a`. */
struct str head_unquote(struct str quoted, struct arena *a);
/* Skip comments and folding white space. */
void head_skip_cfws(struct str *s);
/* The token (RFC 2045 5.1) at the front of *s; empty when there is none. */
struct str head_token(struct str *s);
/* Take the comments (RFC 5322 3.2.2) out of a structured value; quoted strings are left alone. */
void head_strip_comments(struct str value, struct buf *out);

enum { HEAD_PARAMS_MAX = 64 };
struct head_param {
	struct str name, value; /* name in lower case; value unquoted; RFC 2231 parts joined */
	bool extended;          /* value is charset'language'percent-encoded (RFC 2231 4) */
};
/* "text/plain; charset=utf-8" or "attachment; filename=x": Content-Type, Content-Disposition. */
struct head_typed {
	struct str type, subtype; /* as written; subtype empty without a slash */
	struct head_param *params;
	size_t params_n;
};
/* ERR_SYNTAX when there is no token to begin with. */
int head_typed(struct str value, struct arena *a, struct head_typed *out);
/* A parameter as plain octets (extended ones percent-decoded and in UTF-8); false when absent. */
bool head_typed_param(
	const struct head_typed *t, struct str name, struct arena *a, struct str *out);
/* The next msg-id "<...>" in the value (In-Reply-To, References, Message-ID), with its brackets. */
bool head_msgid_next(struct str *rest, struct str *id_out);
