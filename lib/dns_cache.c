/* Answers kept for their time to live, least recently used out first. Roles with DNS. Pending
   questions are entries, too, so that the same question is asked once. */
#include "lib/dns_private.h"

void dns_cache_init(struct dns_cache *c, size_t max)
{
	*c = (struct dns_cache){.max = max};
	list_init(&c->lru);
}

void dns_cache_fini(struct dns_cache *c)
{
	list_each(node, &c->lru) { dns_cache_drop(c, list_entry(node, struct dns_entry, lru)); }
	map_fini(&c->map);
}

static void put_key(struct str name, enum dns_type type, struct buf *out)
{
	buf_chr(out, (char)(type >> 8));
	buf_chr(out, (char)type);
	buf_str(out, name);
}

struct dns_entry *dns_cache_find(
	struct dns_cache *c, struct str name, enum dns_type type, int64_t now_us)
{
	struct buf key = {0};
	put_key(name, type, &key);
	struct dns_entry *e = map_get(&c->map, buf_view(&key));
	buf_fini(&key);
	if (e && e->done && e->expires_us <= now_us) {
		dns_cache_drop(c, e);
		return NULL;
	}
	if (e) {
		list_del(&e->lru);
		list_add(&c->lru, &e->lru);
	}
	return e;
}

static bool make_room(struct dns_cache *c)
{
	if (c->map.n < c->max) { return true; }
	list_each(node, &c->lru) {
		struct dns_entry *e = list_entry(node, struct dns_entry, lru);
		if (e->done) {
			dns_cache_drop(c, e);
			return true;
		}
	}
	return false;
}

struct dns_entry *dns_cache_add(struct dns_cache *c, struct str name, enum dns_type type)
{
	struct buf key = {0};
	if (!make_room(c)) { return NULL; }
	struct dns_entry *e = xnew(struct dns_entry);
	put_key(name, type, &key);
	e->key = arena_dup(&e->arena, buf_view(&key));
	e->name = str_skip(e->key, 2);
	e->type = type;
	e->refs = 2;
	e->cached = true;
	list_init(&e->waiting);
	list_init(&e->lru);
	list_add(&c->lru, &e->lru);
	map_put(&c->map, e->key, e);
	buf_fini(&key);
	return e;
}

void dns_cache_drop(struct dns_cache *c, struct dns_entry *e)
{
	if (!e->cached) { return; }
	e->cached = false;
	list_del(&e->lru);
	map_del(&c->map, e->key);
	dns_entry_put(e);
}

void dns_entry_put(struct dns_entry *e)
{
	if (--e->refs) { return; }
	arena_fini(&e->arena);
	free(e);
}
