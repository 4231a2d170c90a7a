/* How often something has failed lately: what fails once a week is no crash loop, however old the
   process gets. */
#pragma once

#include "lib/lib.h"

enum { CALM_S = 30 }; /* without a failure; then the count begins anew */

struct calm {
	unsigned count;
	int64_t last_us; /* by loop_mono_us */
};

/* One more failure, now. Answers the count with it. */
static inline unsigned calm_failed(struct calm *c, int64_t now_us)
{
	c->count = now_us - c->last_us > CALM_S * SECOND_US ? 1 : c->count + 1;
	c->last_us = now_us;
	return c->count;
}
