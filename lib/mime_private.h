/* Between mime.c, which finds where parts are, and mime_part.c, which reads what they say. */
#pragma once

#include "lib/mime.h"

/* Fill `p` from p->header: type, encoding, kind and the rest. `digest`: the parent is a
   multipart/digest, whose parts are messages unless they say otherwise (RFC 2046 5.1.5). */
void mime_part_read(struct mime_part *p, bool digest, struct arena *a);
/* The boundary of a multipart without white space at its end; empty when it has no usable one. */
struct str mime_part_boundary(const struct mime_part *p, struct arena *a);
/* message/rfc822 or message/global: a message is (or, encoded, would be) inside. */
bool mime_type_is_message(const struct head_typed *t);
