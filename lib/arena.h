/* Memory of one command or message: many small allocations, all freed at once. An arena of all
   zeros with a `max` is valid. Nothing handed out outlives arena_reset or arena_fini. */
#pragma once

#include "lib/str.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t used, max; /* octets handed out, and the cap; max 0 = no cap */
};

void arena_init(struct arena *a, size_t max);
/* Free everything but one block kept for the next command. */
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);
/* `n` zeroed octets, aligned for any type. NULL only when the cap would be passed. */
void *arena_try(struct arena *a, size_t n);
/* The same for callers whose sizes are already bounded: passing the cap is our own bug and aborts.
 */
void *arena_alloc(struct arena *a, size_t n);
/* `count` objects of `size` octets; the product is checked. */
void *arena_array(struct arena *a, size_t count, size_t size);
struct str arena_dup(struct arena *a, struct str s);
/* With a NUL behind it, not counted. */
const char *arena_cstr(struct arena *a, struct str s);
struct str arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
