/* Hash maps. Every role. Open addressing with linear probing; removed slots keep a mark until the
 * next rebuild. */
#include "lib/map.h"

struct map_slot {
	struct str key;
	void *value; /* NULL with key.p set = removed */
};

static uint64_t sip_key[2];

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

/* Aumasson and Bernstein, SipHash, with one compression and three finalisation rounds. */
uint64_t map_hash(struct str key)
{
	if (!sip_key[0]) { random_bytes(sip_key, sizeof sip_key), sip_key[0] |= 1; }
	uint64_t v[4] = {sip_key[0] ^ 0x736f6d6570736575, sip_key[1] ^ 0x646f72616e646f6d,
		sip_key[0] ^ 0x6c7967656e657261, sip_key[1] ^ 0x7465646279746573};
	const char *p = key.p;
	size_t left = key.n;
	for (; left >= 8; p += 8, left -= 8) {
		uint64_t w;
		memcpy(&w, p, 8);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	uint64_t last = (uint64_t)key.n << 56;
	for (size_t i = 0; i < left; i++) { last |= (uint64_t)(unsigned char)p[i] << (8 * i); }
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++) { sip_round(v); }
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_fini(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}

/* The slot that holds `key`, or the first free one on its way (NULL in an empty map). */
static struct map_slot *find(const struct map *m, struct str key)
{
	struct map_slot *reuse = NULL;
	if (m->cap == 0) { return NULL; }
	for (size_t i = map_hash(key) & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key.p) { return reuse ? reuse : s; }
		if (!s->value) {
			reuse = reuse ? reuse : s;
		} else if (str_eq(s->key, key)) {
			return s;
		}
	}
}

static void rebuild(struct map *m, size_t cap)
{
	struct map old = *m;
	*m = (struct map){.slots = xcalloc(cap, sizeof *m->slots), .cap = cap, .n = old.n};
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].value) { *find(m, old.slots[i].key) = old.slots[i]; }
	}
	free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
	struct map_slot *s = find(m, key);
	return s ? s->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	assert(value);
	if (!key.p) { key.p = ""; }
	if ((m->n + m->dead + 1) * 4 > m->cap * 3) {
		rebuild(m, m->n * 2 < 8 ? 16 : m->cap << (m->n * 2 > m->cap));
	}
	struct map_slot *s = find(m, key);
	void *old = s->value;
	if (!old) {
		m->n++;
		m->dead -= s->key.p != NULL;
	}
	*s = (struct map_slot){key, value};
	return old;
}

void *map_del(struct map *m, struct str key)
{
	struct map_slot *s = find(m, key);
	if (!s || !s->value) { return NULL; }
	void *old = s->value;
	*s = (struct map_slot){.key = STR("")};
	m->n--;
	m->dead++;
	return old;
}

void *map_next(const struct map *m, size_t *at, struct str *key_out)
{
	while (*at < m->cap) {
		struct map_slot *s = &m->slots[(*at)++];
		if (s->value) {
			if (key_out) { *key_out = s->key; }
			return s->value;
		}
	}
	return NULL;
}
