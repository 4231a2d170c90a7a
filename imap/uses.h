/* Special uses as attributes of LIST and CREATE (RFC 6154 2, RFC 8457). */
#pragma once

#include "imap/lex.h"

/* USE_* of "\Sent" and its sisters in any case; 0 when unknown. */
uint32_t use_by_name(struct str attribute);
/* Append " \Sent" for each use in the mask. */
void uses_put(uint32_t uses, struct buf *out);
