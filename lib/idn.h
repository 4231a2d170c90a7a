/* Domain names as they stand in mail: internationalized ones (RFC 5890) in the form DNS knows. */
#pragma once

#include "lib/lib.h"

/* The domain in lower case, U-labels as A-labels (UTS 46, non-transitional), without a final dot,
   out of `a`: the form in which two names are compared. ERR_SYNTAX when it is no domain name: an
   address literal, a label that is empty or over 63 octets, more than 253 octets, octets beyond
   letters, digits, "-" and "_". */
int idn_domain(struct str domain, struct arena *a, struct str *out);
/* Is the domain `top`, or below it? Case is no difference; else both are in the same form. */
bool idn_within(struct str domain, struct str top);
