/* Back-off for whoever guesses passwords: after a failure, the next attempt from the same network
   (IPv4 /32, IPv6 /64) waits, twice as long each time. Keyed by network, so an account's owner
   elsewhere is never locked out. */
#pragma once

#include "lib/loop.h"
#include "lib/map.h"

enum { THROTTLE_NETS_MAX = 65536 };

struct throttle {
	struct map nets;
	struct list oldest; /* by last failure */
	int64_t first_us, most_us;
};

/* Delays start at `first_us` and double up to `most_us`; 0 = never wait. */
void throttle_init(struct throttle *t, int64_t first_us, int64_t most_us);
void throttle_fini(struct throttle *t);
/* How long the attempt must wait, microseconds. `peer` is IP text; "" (none) never waits. */
int64_t throttle_wait_us(struct throttle *t, struct str peer, int64_t now_us);
void throttle_failed(struct throttle *t, struct str peer, int64_t now_us);
void throttle_passed(struct throttle *t, struct str peer);
