/* Base64 and hex digits for protocols: strict, whole strings. Pure functions, every role. */
#include "lib/codec.h"

#include "lib/codec_private.h"

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct str in, struct buf *out)
{
	char *to = buf_reserve(out, (in.n + 2) / 3 * 4);
	for (size_t i = 0; i < in.n; i += 3) {
		size_t n = MIN(in.n - i, 3);
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++) {
			v = v << 8 | (k < n ? (unsigned char)in.p[i + k] : 0);
		}
		for (size_t k = 0; k < 4; k++) {
			*to++ = k <= n ? base64_digits[v >> (18 - 6 * k) & 63] : '=';
		}
	}
	buf_grow(out, (in.n + 2) / 3 * 4);
}

int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z') { return c - 'A'; }
	if (c >= 'a' && c <= 'z') { return c - 'a' + 26; }
	if (c >= '0' && c <= '9') { return c - '0' + 52; }
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The last group: one or two "=" at its end, and no bits set that no octet takes. */
static int decode_last(struct str group, struct buf *out)
{
	size_t n = group.p[3] != '=' ? 4 : group.p[2] != '=' ? 3 : 2;
	uint32_t v = 0;
	for (size_t k = 0; k < 4; k++) {
		int digit = k < n ? base64_value(group.p[k]) : 0;
		if (digit < 0) { return ERR_SYNTAX; }
		v = v << 6 | (uint32_t)digit;
	}
	if ((n == 2 && v & 0xffff) || (n == 3 && v & 0xff)) { return ERR_SYNTAX; }
	for (size_t k = 0; k + 1 < n; k++) { buf_chr(out, (char)(v >> (16 - 8 * k))); }
	return 0;
}

int base64_decode(struct str in, struct buf *out)
{
	if (in.n % 4) { return ERR_SYNTAX; }
	size_t start = out->n;
	for (size_t i = 0; i < in.n; i += 4) {
		struct str group = str_sub(in, i, 4);
		bool last = i + 4 == in.n;
		if ((!last && str_chr(group, '=') >= 0) || decode_last(group, out) < 0) {
			out->n = start;
			return ERR_SYNTAX;
		}
	}
	return 0;
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9') { return c - '0'; }
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_escape(struct str s)
{
	int high = s.n > 1 ? hex_value(s.p[1]) : -1;
	int low = s.n > 2 ? hex_value(s.p[2]) : -1;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}
