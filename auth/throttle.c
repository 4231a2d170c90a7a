/* Back-off by network. Runs in the auth role. */
#include "auth/throttle.h"

#include "lib/net.h"

enum {
	KEY_MAX = 17,
	FORGET_TIMES = 4
}; /* forgotten after 4 times the longest delay without a failure */

struct net {
	struct list node;
	unsigned char key[KEY_MAX];
	size_t key_n;
	unsigned failures;
	int64_t last_us, until_us;
};

void throttle_init(struct throttle *t, int64_t first_us, int64_t most_us)
{
	*t = (struct throttle){.first_us = first_us, .most_us = most_us};
	list_init(&t->oldest);
}

static void forget(struct throttle *t, struct net *n)
{
	map_del(&t->nets, str_make(n->key, n->key_n));
	list_del(&n->node);
	free(n);
}

void throttle_fini(struct throttle *t)
{
	list_each(node, &t->oldest) { forget(t, list_entry(node, struct net, node)); }
	map_fini(&t->nets);
}

static struct str net_key(struct str peer, unsigned char out[KEY_MAX])
{
	struct net_addr a;
	if (net_addr_parse(peer, 0, &a) < 0) { return STR(""); }
	if (a.sa.sa_family == AF_INET) {
		out[0] = 4;
		memcpy(out + 1, &a.in.sin_addr, 4);
		return str_make(out, 5);
	}
	out[0] = 6;
	memcpy(out + 1, &a.in6.sin6_addr, 8);
	return str_make(out, 9);
}

static struct net *find(struct throttle *t, struct str peer)
{
	unsigned char key[KEY_MAX];
	struct str k = net_key(peer, key);
	return k.n ? map_get(&t->nets, k) : NULL;
}

int64_t throttle_wait_us(struct throttle *t, struct str peer, int64_t now_us)
{
	struct net *n = find(t, peer);
	return n && n->until_us > now_us ? n->until_us - now_us : 0;
}

static struct net *enter(struct throttle *t, struct str peer)
{
	struct net *n = xnew(struct net);
	list_init(&n->node);
	n->key_n = net_key(peer, n->key).n;
	if (n->key_n == 0) {
		free(n);
		return NULL;
	}
	if (t->nets.n == THROTTLE_NETS_MAX) {
		forget(t, list_entry(t->oldest.next, struct net, node));
	}
	map_put(&t->nets, str_make(n->key, n->key_n), n);
	return n;
}

void throttle_failed(struct throttle *t, struct str peer, int64_t now_us)
{
	if (t->first_us == 0) { return; }
	struct net *n = find(t, peer);
	if (!n) { n = enter(t, peer); }
	if (!n) { return; }
	if (now_us - n->last_us > FORGET_TIMES * t->most_us) { n->failures = 0; }
	int64_t delay = n->failures < 30 ? t->first_us << n->failures : t->most_us;
	n->failures++;
	n->last_us = now_us;
	n->until_us = now_us + MIN(delay, t->most_us);
	list_del(&n->node);
	list_add(&t->oldest, &n->node);
}

void throttle_passed(struct throttle *t, struct str peer)
{
	struct net *n = find(t, peer);
	if (n) { forget(t, n); }
}
