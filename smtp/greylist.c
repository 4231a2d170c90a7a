/* The greylist. Runs in mx. Keys are kept as their hash under the key of the process: strangers'
   addresses take no room, and nobody outside can find two that collide. */
#include "smtp/greylist.h"

struct entry {
	struct list node; /* of waiting or known */
	uint64_t hash;
	bool known;
	int64_t first_us, seen_us;
};

static struct str key_of(const struct entry *e)
{
	return str_make(&e->hash, sizeof e->hash);
}

static void forget(struct greylist *g, struct entry *e)
{
	map_del(&g->entries, key_of(e));
	list_del(&e->node);
	free(e);
}

void greylist_fini(struct greylist *g)
{
	struct list *node;
	while (g->ready &&
		((node = g->waiting.next) != &g->waiting || (node = g->known.next) != &g->known)) {
		forget(g, list_entry(node, struct entry, node));
	}
	map_fini(&g->entries);
	*g = (struct greylist){0};
}

/* Those at the front of a list that have been silent for too long. */
static void expire(struct greylist *g, struct list *list, int64_t before_us)
{
	list_each(node, list) {
		struct entry *e = list_entry(node, struct entry, node);
		if (e->seen_us > before_us) { return; }
		forget(g, e);
	}
}

/* Room for one more: who only waits goes before who has shown to be a server. */
static void make_room(struct greylist *g)
{
	struct list *from = list_empty(&g->waiting) ? &g->known : &g->waiting;
	if (g->entries.n < GREYLIST_MAX) { return; }
	forget(g, list_entry(from->next, struct entry, node));
}

static struct entry *find(struct greylist *g, struct str key, int64_t now_us)
{
	uint64_t hash = map_hash(key);
	struct entry *e = map_get(&g->entries, str_make(&hash, sizeof hash));
	if (e) { return e; }
	make_room(g);
	e = xnew(struct entry);
	*e = (struct entry){.hash = hash, .first_us = now_us};
	list_init(&e->node);
	map_put(&g->entries, key_of(e), e);
	return e;
}

int64_t greylist_try(struct greylist *g, struct str key, const struct greylist_times *t)
{
	if (!g->ready) {
		list_init(&g->waiting);
		list_init(&g->known);
		g->ready = true;
	}
	expire(g, &g->waiting, t->now_us - GREYLIST_RETRY_S * SECOND_US);
	expire(g, &g->known, t->now_us - t->keep_us);
	struct entry *e = find(g, key, t->now_us);
	int64_t left = e->known ? 0 : e->first_us + t->delay_us - t->now_us;
	e->known = left <= 0;
	e->seen_us = e->known ? t->now_us : e->first_us;
	if (e->known) {
		list_del(&e->node);
		list_add(&g->known, &e->node);
	} else if (list_empty(&e->node)) { /* its place is that of the first attempt */
		list_add(&g->waiting, &e->node);
	}
	return MAX(left, 0);
}
