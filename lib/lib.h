/* What every file may use without asking. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/str.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define SECOND_US INT64_C(1000000)

/* calloc and friends that abort when memory is out. */
void *xcalloc(size_t count, size_t size);
char *xstrdup(struct str s); /* NUL-terminated copy on the heap */
#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

/* Big-endian integers in keys and messages. */
static inline void put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}
static inline void put_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}
static inline uint32_t get_be32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}
static inline uint64_t get_be64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

/* `n` octets nobody can guess (getrandom(2)). */
void random_bytes(void *p, size_t n);
/* Overwrite a secret in a way the compiler keeps. */
void wipe(void *p, size_t n);
