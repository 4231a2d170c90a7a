/* Hash map from octets to a pointer. Keys are hashed with SipHash under a random key of this
   process, so a peer that picks the keys cannot pick the collisions. A map of all zeros is empty
   and valid. */
#pragma once

#include "lib/lib.h"

struct map_slot;

struct map {
	struct map_slot *slots;
	size_t n, cap, dead;
};

void map_fini(struct map *m); /* frees the table, not the values */
/* NULL when absent. */
void *map_get(const struct map *m, struct str key);
/* Set; the key's octets are borrowed until map_del (keep them in the value). Returns the value that
 * stood there. */
void *map_put(struct map *m, struct str key, void *value);
/* Remove and return, NULL when absent. */
void *map_del(struct map *m, struct str key);
/* Walk in no order: start with *at = 0; NULL at the end. The map must not change but by map_del of
 * what was returned. */
void *map_next(const struct map *m, size_t *at, struct str *key_out);

/* SipHash-1-3 under the process key. */
uint64_t map_hash(struct str key);
