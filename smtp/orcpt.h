/* The original recipient (RFC 3461 4.2), from the command it came in to the command and the report
   it goes out in. Addresses of type utf-8 have three forms (RFC 6533 3): as they are, or with some
   (unitext) or all (xtext) that is not plain ASCII as "\x{FC}". One that is of no form is passed on
   as it came, in ASCII if it must be. Pure. */
#pragma once

#include "lib/lib.h"

enum { ORCPT_MAX = 500 }; /* octets of the parameter (RFC 3461 4.2) */

/* The value for a host that offers SMTPUTF8 or does not, from the one that came. False, and nothing
   is appended, when there is none. */
bool orcpt_param(struct str orcpt, bool smtputf8, struct buf *out);
/* "type;address" as a field of a report tells it: with `utf8` as it is, else in ASCII when the type
   has a form for that. May hold control characters that were encoded. */
void orcpt_field(struct str orcpt, bool utf8, struct buf *out);
/* utf-8-addr-xtext of an address, which is valid UTF-8. */
void utf8_addr_xtext(struct str address, struct buf *out);
/* RFC 3461 4: what xtext says. */
void xtext_decode(struct str xtext, struct buf *out);
