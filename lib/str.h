/* Borrowed bytes: a pointer and a length, never NUL-terminated, never owned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t n;
};

/* A string literal as a str. */
#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
/* For "%.*s". Only for text of bounded length (log lines, replies). */
#define STR_ARG(s) ((int)(s).n), (s).p

static inline struct str str_make(const void *p, size_t n)
{
	return (struct str){p, n};
}

/* The empty string for NULL. */
struct str str_of(const char *cstr);

bool str_eq(struct str a, struct str b);
/* Equal but for ASCII case. */
bool str_ieq(struct str a, struct str b);
/* Order by octets, the shorter first on a tie. */
int str_cmp(struct str a, struct str b);
int str_icmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);

/* Offset of the first (last) `c`, or -1. */
ptrdiff_t str_chr(struct str s, char c);
ptrdiff_t str_rchr(struct str s, char c);
/* Offset of the first `needle`, or -1; an empty needle is found at 0. ifind folds ASCII case. */
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_ifind(struct str s, struct str needle);

/* From `off`, at most `n` octets; both are clamped to what is there. */
struct str str_sub(struct str s, size_t off, size_t n);
/* Without the first `off` octets. */
struct str str_skip(struct str s, size_t off);
/* Without SP and HTAB at both ends. */
struct str str_trim(struct str s);
/* Cut what stands before the first `sep` off the front of *s into *head_out and drop the separator.
   Without one, all of *s is the head, *s becomes empty and the answer is false. */
bool str_cut(struct str *s, char sep, struct str *head_out);

/* The whole of `s` as decimal digits; false when empty, not digits or above `max`. */
bool str_u64(struct str s, uint64_t max, uint64_t *out);

/* Octets of the UTF-8 sequence at the start of `s` (RFC 3629: no overlong forms, no surrogates); 0
   when there is none or `s` is empty. */
size_t utf8_len(struct str s);
/* The same, but 0 for the control characters C0, DEL and C1 as well, which terminals act on. */
size_t plain_len(struct str s);
/* Is no octet of it above 127? */
bool str_ascii(struct str s);

static inline char ascii_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static inline char ascii_upper(char c)
{
	return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

/* SP, HTAB, CR, LF: what folding white space is made of. */
static inline bool ascii_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
