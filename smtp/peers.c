/* Counts per network. Runs in mx and submit. */
#include "smtp/peers.h"

static const int64_t MINUTE_US = 60 * SECOND_US;

void peers_fini(struct peers *p)
{
	size_t at = 0;
	struct str key;
	struct peer_net *n;
	while ((n = map_next(&p->nets, &at, &key))) { free(n); }
	map_fini(&p->nets);
	*p = (struct peers){0};
}

/* Forget those that say nothing any more. */
static void sweep(struct peers *p, int64_t now)
{
	size_t at = 0;
	struct str key;
	struct peer_net *n;
	if (now - p->swept_us < MINUTE_US) { return; }
	p->swept_us = now;
	while ((n = map_next(&p->nets, &at, &key))) {
		if (n->sessions == 0 && now - n->minute_us >= MINUTE_US &&
			now >= n->pause_until_us) {
			map_del(&p->nets, key);
			free(n);
		}
	}
}

static struct peer_net *find(struct peers *p, const void *octets, uint8_t bits, int64_t now)
{
	struct peer_net fresh = {.minute_us = now};
	fresh.key[0] = bits;
	memcpy(fresh.key + 1, octets, bits / 8);
	fresh.key_n = (uint8_t)(1 + bits / 8);
	struct peer_net *n = map_get(&p->nets, str_make(fresh.key, fresh.key_n));
	if (n || p->nets.n >= PEERS_MAX) { return n; }
	n = xnew(struct peer_net);
	*n = fresh;
	map_put(&p->nets, str_make(n->key, n->key_n), n);
	return n;
}

static unsigned count(struct peer_net *n, uint64_t sessions_max, uint64_t per_minute, int64_t now)
{
	unsigned over = 0;
	if (!n) { return 0; }
	if (now - n->minute_us >= MINUTE_US) {
		n->minute_us = now;
		n->recent = 0;
	}
	n->sessions++;
	n->recent++;
	if (sessions_max && n->sessions > sessions_max) { over |= PEER_TOO_MANY; }
	if (per_minute && n->recent > per_minute && now >= n->pause_until_us) {
		n->pause_until_us = now + PEERS_PAUSE_S * SECOND_US;
	}
	if (now < n->pause_until_us) { over |= PEER_TOO_FAST; }
	return over;
}

unsigned peers_enter(struct peers *p, const struct net_addr *a, uint64_t sessions_max,
	uint64_t per_minute, int64_t mono_us, struct peer_ticket *out)
{
	*out = (struct peer_ticket){0};
	sweep(p, mono_us);
	if (net_addr_is_loopback(a)) { return 0; }
	if (a->sa.sa_family == AF_INET) {
		out->near = find(p, &a->in.sin_addr, 32, mono_us);
		out->wide = find(p, &a->in.sin_addr, 24, mono_us);
	} else if (a->sa.sa_family == AF_INET6) {
		out->near = find(p, &a->in6.sin6_addr, 64, mono_us);
		out->wide = find(p, &a->in6.sin6_addr, 48, mono_us);
	}
	return count(out->near, sessions_max, per_minute, mono_us) |
	       count(out->wide, sessions_max * PEERS_WIDE, per_minute * PEERS_WIDE, mono_us);
}

void peers_leave(struct peer_ticket *t)
{
	if (t->near) { t->near->sessions--; }
	if (t->wide) { t->wide->sessions--; }
	*t = (struct peer_ticket){0};
}
