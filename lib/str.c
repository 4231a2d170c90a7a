/* Borrowed bytes. Pure functions, every role. */
#include "lib/str.h"

#include <string.h>

struct str str_of(const char *cstr)
{
	return cstr ? str_make(cstr, strlen(cstr)) : STR("");
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

int str_icmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b.p[i]);
		if (c) { return c; }
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool str_ieq(struct str a, struct str b)
{
	return a.n == b.n && str_icmp(a, b) == 0;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_make(s.p, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq(str_make(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_skip(s, s.n - suffix.n), suffix);
}

bool str_iends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_ieq(str_skip(s, s.n - suffix.n), suffix);
}

ptrdiff_t str_chr(struct str s, char c)
{
	const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
	return hit ? hit - s.p : -1;
}

ptrdiff_t str_rchr(struct str s, char c)
{
	const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
	return hit ? hit - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0) { return 0; }
	const char *hit = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return hit ? hit - s.p : -1;
}

ptrdiff_t str_ifind(struct str s, struct str needle)
{
	for (size_t i = 0; i + needle.n <= s.n; i++) {
		if (str_ieq(str_make(s.p + i, needle.n), needle)) { return (ptrdiff_t)i; }
	}
	return -1;
}

struct str str_sub(struct str s, size_t off, size_t n)
{
	if (off > s.n) { off = s.n; }
	if (n > s.n - off) { n = s.n - off; }
	return str_make(n ? s.p + off : "", n);
}

struct str str_skip(struct str s, size_t off)
{
	return str_sub(s, off, SIZE_MAX);
}

struct str str_trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) { s = str_skip(s, 1); }
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) { s.n--; }
	return s;
}

bool str_cut(struct str *s, char sep, struct str *head_out)
{
	ptrdiff_t at = str_chr(*s, sep);
	if (at < 0) {
		*head_out = *s;
		*s = str_skip(*s, s->n);
		return false;
	}
	*head_out = str_sub(*s, 0, (size_t)at);
	*s = str_skip(*s, (size_t)at + 1);
	return true;
}

bool str_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0) { return false; }
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_digit(s.p[i])) { return false; }
		uint64_t d = (uint64_t)(s.p[i] - '0');
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v) ||
			v > max) {
			return false;
		}
	}
	*out = v;
	return true;
}

bool str_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80) { return false; }
	}
	return true;
}

size_t utf8_len(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	if (s.n == 0) { return 0; }
	size_t n = p[0] < 0x80                   ? 1
		   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						 : 0;
	if (n == 0 || n > s.n) { return 0; }
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) { return 0; }
	}
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool outside = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
	return overlong || outside ? 0 : n;
}

size_t plain_len(struct str s)
{
	size_t n = utf8_len(s);
	unsigned char c = n ? (unsigned char)s.p[0] : 0;
	bool c1 = n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0;
	return c < 0x20 || c == 0x7f || c1 ? 0 : n;
}
