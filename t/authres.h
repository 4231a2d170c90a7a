/* A strict reader of Authentication-Results (RFC 8601 2.2), for tests of what writes them. Written
   from the grammar, sharing nothing with the writer. */
#pragma once

#include "lib/lib.h"

/* Read a whole field, name to last CRLF. What it says as text: the authserv-id, then for each
   result " ;method=result", its comments " (...)" and its properties " ptype.property=value", all
   unquoted; " ;none" without results. ERR_SYNTAX for what the grammar does not allow, and for lines
   that are too long or cannot be unfolded. */
int authres_read(struct str field, struct buf *out);
