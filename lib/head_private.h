/* Between the files that read structured header values: head*.c, addr.c, date.c. */
#pragma once

#include "lib/head.h"

static inline bool head_blank(char c)
{
	return c == ' ' || c == '\t';
}

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
