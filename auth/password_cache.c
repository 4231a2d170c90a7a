/* Recent successes: IMAP clients reconnect all the time, hashing each time is waste. Keyed by an
   HMAC over account, stored secret and password, so nothing in memory tells a password. Runs in the
   auth role. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/password.h"
#include "lib/map.h"

enum { DIGEST = 32, ENTRIES_MAX = 20000 };
static const int64_t KEEP_US = 600 * SECOND_US;

struct entry {
	struct list node;
	unsigned char digest[DIGEST];
	int64_t until_us;
};

struct password_cache {
	unsigned char key[DIGEST];
	struct map by_digest;
	struct list oldest;
};

struct password_cache *password_cache_new(void)
{
	struct password_cache *c = xnew(struct password_cache);
	random_bytes(c->key, sizeof c->key);
	list_init(&c->oldest);
	return c;
}

static void forget(struct password_cache *c, struct entry *e)
{
	map_del(&c->by_digest, str_make(e->digest, DIGEST));
	list_del(&e->node);
	free(e);
}

void password_cache_free(struct password_cache *c)
{
	if (!c) { return; }
	list_each(node, &c->oldest) { forget(c, list_entry(node, struct entry, node)); }
	map_fini(&c->by_digest);
	wipe(c->key, sizeof c->key);
	free(c);
}

static void digest(const struct password_cache *c, uint32_t aid, struct str hashes,
	struct str password, unsigned char out[DIGEST])
{
	struct buf b = {0};
	char lengths[12];
	put_be32(lengths, aid);
	put_be64(lengths + 4, hashes.n);
	buf_add(&b, lengths, sizeof lengths);
	buf_str(&b, hashes);
	buf_str(&b, password);
	HMAC(EVP_sha256(), c->key, sizeof c->key, (unsigned char *)b.p, b.n, out, NULL);
	wipe(b.p, b.n);
	buf_fini(&b);
}

static void expire(struct password_cache *c, int64_t now_us)
{
	list_each(node, &c->oldest) {
		struct entry *e = list_entry(node, struct entry, node);
		if (e->until_us > now_us && c->by_digest.n < ENTRIES_MAX) { return; }
		forget(c, e);
	}
}

bool password_cache_has(struct password_cache *c, uint32_t aid, struct str hashes,
	struct str password, int64_t now_us)
{
	unsigned char d[DIGEST];
	expire(c, now_us);
	if (c->by_digest.n == 0) { return false; }
	digest(c, aid, hashes, password, d);
	return map_get(&c->by_digest, str_make(d, DIGEST)) != NULL;
}

void password_cache_add(struct password_cache *c, uint32_t aid, struct str hashes,
	struct str password, int64_t now_us)
{
	struct entry *e = xnew(struct entry);
	expire(c, now_us);
	digest(c, aid, hashes, password, e->digest);
	e->until_us = now_us + KEEP_US;
	struct entry *old = map_get(&c->by_digest, str_make(e->digest, DIGEST));
	if (old) { forget(c, old); }
	map_put(&c->by_digest, str_make(e->digest, DIGEST), e);
	list_add(&c->oldest, &e->node);
}
