/* For targets whose input is a list of choices: each takes its octets from the front. */
#pragma once

#include "lib/lib.h"

/* The next `n` octets, or what is left. */
static inline struct str take(struct str *in, size_t n)
{
	struct str s = str_sub(*in, 0, MIN(n, in->n));
	*in = str_skip(*in, s.n);
	return s;
}

/* The next octet, 0 when there is none. */
static inline unsigned draw(struct str *in)
{
	struct str s = take(in, 1);
	return s.n ? (unsigned char)s.p[0] : 0;
}
