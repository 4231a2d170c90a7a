/* Owned, growing bytes. A buf of all zeros is empty and valid. Growth aborts the process when
   memory is out: a size that a peer controls meets its named limit before it comes here. */
#pragma once

#include <stdarg.h>

#include "lib/str.h"

struct buf {
	char *p;
	size_t n, cap;
};

/* Free the bytes; the buf is empty and usable again. */
void buf_fini(struct buf *b);
/* Room for `more` octets behind the content; returns where they go. Add them with buf_grow. */
char *buf_reserve(struct buf *b, size_t more);
static inline void buf_grow(struct buf *b, size_t n)
{
	b->n += n;
}
void buf_add(struct buf *b, const void *p, size_t n);
static inline void buf_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}
void buf_chr(struct buf *b, char c);
/* A stranger's text for people to read: octets that are not UTF-8 and control characters become
   "?". */
void buf_plain(struct buf *b, struct str s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Decimal digits of `v`. */
void buf_u64(struct buf *b, uint64_t v);
/* Drop the first `n` octets. */
void buf_drop(struct buf *b, size_t n);
static inline void buf_reset(struct buf *b)
{
	b->n = 0;
}
static inline struct str buf_view(const struct buf *b)
{
	return str_make(b->n ? b->p : "", b->n);
}
/* The content with a NUL behind it (not counted). Borrowed from the buf. */
const char *buf_cstr(struct buf *b);
