/* Who is connected, and how often: counts per address (IPv6: per /64) and per network around it
   (/24, /48), so that one network cannot take all sessions. Of one role process. */
#pragma once

#include "lib/map.h"
#include "lib/net.h"

enum {
	PEERS_MAX = 100000, /* networks remembered; beyond that new ones are not counted */
	PEERS_WIDE = 4,     /* the network around may have so many times what an address may */
	PEERS_PAUSE_S = 300 /* after too many connections in a minute */
};

struct peer_net {
	unsigned char key[12]; /* family, bits, prefix */
	uint8_t key_n;
	uint32_t sessions, recent; /* now; since minute_us */
	int64_t minute_us, pause_until_us;
};

struct peers {
	struct map nets;
	int64_t swept_us;
};

struct peer_ticket {
	struct peer_net *near, *wide; /* NULL: not counted */
};

enum { PEER_TOO_MANY = 1, PEER_TOO_FAST = 2 };

void peers_fini(struct peers *p);
/* Count a connection from `a`, told what is too much; 0 = no limit. Loopback and unnamed peers are
   not counted. Returns a mask of PEER_*; the ticket must be given back in any case. `mono_us` is
   the monotonic clock. */
unsigned peers_enter(struct peers *p, const struct net_addr *a, uint64_t sessions_max,
	uint64_t per_minute, int64_t mono_us, struct peer_ticket *out);
void peers_leave(struct peer_ticket *t);
