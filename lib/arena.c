/* Arenas. Every role. */
#include "lib/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fault.h"

enum { ARENA_BLOCK = 4096 - 64, ARENA_ALIGN = 16 };

struct arena_block {
	struct arena_block *next;
	size_t cap, used;
	_Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){.max = max};
}

static void free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
}

void arena_reset(struct arena *a)
{
	if (a->head) {
		free_blocks(a->head->next);
		a->head->next = NULL;
		a->head->used = 0;
		if (a->head->cap > 4 * ARENA_BLOCK) {
			free(a->head);
			a->head = NULL;
		}
	}
	a->used = 0;
}

void arena_fini(struct arena *a)
{
	free_blocks(a->head);
	a->head = NULL;
	a->used = 0;
}

static struct arena_block *new_block(struct arena *a, size_t n)
{
	size_t cap = n > ARENA_BLOCK ? n : ARENA_BLOCK;
	struct arena_block *b = malloc(sizeof *b + cap);
	if (!b || FAULT("mem.alloc")) { abort(); }
	*b = (struct arena_block){.next = a->head, .cap = cap};
	a->head = b;
	return b;
}

void *arena_try(struct arena *a, size_t n)
{
	size_t size, used;
	if (__builtin_add_overflow(n, ARENA_ALIGN - 1, &size)) { return NULL; }
	size &= ~(size_t)(ARENA_ALIGN - 1);
	if (__builtin_add_overflow(a->used, size, &used) || (a->max && used > a->max)) {
		return NULL;
	}
	struct arena_block *b = a->head;
	if (!b || b->cap - b->used < size) { b = new_block(a, size); }
	void *p = b->data + b->used;
	b->used += size;
	a->used = used;
	return memset(p, 0, size);
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_try(a, n);
	if (!p) { abort(); }
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;
	if (__builtin_mul_overflow(count, size, &n)) { abort(); }
	return arena_alloc(a, n);
}

struct str arena_dup(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (s.n) { memcpy(p, s.p, s.n); }
	return str_make(p, s.n);
}

const char *arena_cstr(struct arena *a, struct str s)
{
	return arena_dup(a, s).p;
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) { abort(); }
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return str_make(p, (size_t)n);
}
