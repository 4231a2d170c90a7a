/* Names against LIST patterns (RFC 9051 6.3.9): '*' matches anything, '%' anything but '/'. INBOX
   as first level is met in any case. */
#pragma once

#include "lib/lib.h"

/* Linear in the product of the two lengths at worst, never recursive. */
bool list_match(struct str pattern, struct str name);
