/* Heap, random octets, wiping. Every role. */
#include "lib/lib.h"

#include <sys/random.h>

#include "lib/fault.h"

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p || FAULT("mem.alloc")) { abort(); }
	return p;
}

char *xstrdup(struct str s)
{
	char *p = xcalloc(1, s.n + 1);
	if (s.n) { memcpy(p, s.p, s.n); }
	return p;
}

void random_bytes(void *p, size_t n)
{
	char *at = p;
	while (n) {
		ssize_t got = FAULT("mem.random") ? -1 : getrandom(at, n, 0);
		if (got < 0) { continue; }
		at += got;
		n -= (size_t)got;
	}
}

void wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}
