/* Owned bytes. Every role. */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fault.h"

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

char *buf_reserve(struct buf *b, size_t more)
{
	size_t need;
	if (__builtin_add_overflow(b->n, more, &need)) { abort(); }
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < need) { cap = cap > SIZE_MAX / 2 ? need : cap * 2; }
		char *p = realloc(b->p, cap);
		if (!p || FAULT("mem.alloc")) { abort(); }
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0) { return; }
	memcpy(buf_reserve(b, n), p, n);
	b->n += n;
}

void buf_chr(struct buf *b, char c)
{
	*buf_reserve(b, 1) = c;
	b->n++;
}

void buf_plain(struct buf *b, struct str s)
{
	while (s.n) {
		size_t n = utf8_len(s);
		buf_str(b, plain_len(s) ? str_sub(s, 0, n) : STR("?"));
		s = str_skip(s, n ? n : 1);
	}
}

void buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0) { abort(); }
	vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
	va_end(again);
	b->n += (size_t)n;
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void buf_u64(struct buf *b, uint64_t v)
{
	char tmp[20];
	size_t at = sizeof tmp;
	do {
		tmp[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_add(b, tmp + at, sizeof tmp - at);
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return b->p;
}
