/* Modified UTF-7, the mailbox names of IMAP4rev1 (RFC 3501 5.1.3). Both ways accept only the one
   right form, so that decode and encode are inverse and no name has two spellings. Pure functions,
   every role. */
#include "lib/codec.h"

#include <unistr.h>

#include "lib/codec_private.h"

static const char mbase64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool direct(char c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* UTF-16 on its way into base64: bits not yet written. */
struct shift {
	uint32_t bits;
	unsigned n;
};

static void shift_unit(struct shift *s, uint32_t unit, struct buf *out)
{
	s->bits = s->bits << 16 | unit;
	for (s->n += 16; s->n >= 6; s->n -= 6) {
		buf_chr(out, mbase64_digits[s->bits >> (s->n - 6) & 63]);
	}
}

static void shift_end(struct shift *s, struct buf *out)
{
	if (s->n) { buf_chr(out, mbase64_digits[s->bits << (6 - s->n) & 63]); }
	buf_chr(out, '-');
}

/* A run of characters that cannot stand for themselves. Returns its octets, 0 on bad UTF-8. */
static size_t encode_shifted(struct str s, struct buf *out)
{
	struct shift shift = {0};
	size_t at = 0;
	buf_chr(out, '&');
	while (at < s.n && !direct(s.p[at])) {
		ucs4_t c;
		int n = u8_mbtoucr(&c, (const uint8_t *)s.p + at, s.n - at);
		if (n <= 0) { return 0; }
		at += (size_t)n;
		if (c >= 0x10000) {
			shift_unit(&shift, 0xd800 + ((c - 0x10000) >> 10), out);
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		shift_unit(&shift, c, out);
	}
	shift_end(&shift, out);
	return at;
}

int mutf7_encode(struct str utf8, struct buf *out)
{
	size_t start = out->n, at = 0;
	while (at < utf8.n) {
		char c = utf8.p[at];
		if (direct(c)) {
			buf_add(out, c == '&' ? "&-" : &c, c == '&' ? 2 : 1);
			at++;
			continue;
		}
		size_t n = encode_shifted(str_skip(utf8, at), out);
		if (!n) {
			out->n = start;
			return ERR_SYNTAX;
		}
		at += n;
	}
	return 0;
}

static int mbase64_value(char c)
{
	return c == ',' ? 63 : c == '/' ? -1 : base64_value(c);
}

/* One UTF-16 unit. *high holds a high surrogate that waits for its other half. */
static int decode_unit(uint32_t unit, uint32_t *high, struct buf *out)
{
	bool low = unit >= 0xdc00 && unit <= 0xdfff;
	if ((*high != 0) != low) { return ERR_SYNTAX; }
	if (unit >= 0xd800 && unit < 0xdc00) {
		*high = unit;
		return 0;
	}
	if (low) { unit = 0x10000 + ((*high - 0xd800) << 10 | (unit - 0xdc00)); }
	*high = 0;
	if (unit < 0x80 && direct((char)unit)) { return ERR_SYNTAX; }
	uint8_t utf8[6];
	int n = u8_uctomb(utf8, unit, sizeof utf8);
	if (n <= 0) { return ERR_SYNTAX; }
	buf_add(out, utf8, (size_t)n);
	return 0;
}

/* The digits between "&" and "-". */
static int decode_shifted(struct str digits, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;
	for (size_t i = 0; i < digits.n; i++) {
		int digit = mbase64_value(digits.p[i]);
		if (digit < 0) { return ERR_SYNTAX; }
		bits = bits << 6 | (uint32_t)digit;
		n += 6;
		if (n < 16) { continue; }
		n -= 16;
		if (decode_unit(bits >> n & 0xffff, &high, out) < 0) { return ERR_SYNTAX; }
	}
	bool padded = n < 6 && (bits & ((1U << n) - 1)) == 0;
	return padded && !high && digits.n >= 3 ? 0 : ERR_SYNTAX;
}

/* "&...-" at the front of *rest; `after_shift`: another one stood right before it, which the one
   right form would have joined. */
static int decode_amp(struct str *rest, bool after_shift, struct buf *out)
{
	ptrdiff_t end = str_chr(*rest, '-');
	if (end < 0) { return ERR_SYNTAX; }
	struct str digits = str_sub(*rest, 1, (size_t)end - 1);
	*rest = str_skip(*rest, (size_t)end + 1);
	if (digits.n == 0) {
		buf_chr(out, '&');
		return 0;
	}
	return after_shift ? ERR_SYNTAX : decode_shifted(digits, out);
}

int mutf7_decode(struct str mutf7, struct buf *out)
{
	size_t start = out->n;
	bool after_shift = false;
	while (mutf7.n) {
		int rc = 0;
		if (mutf7.p[0] == '&') {
			bool amp = mutf7.n > 1 && mutf7.p[1] == '-';
			rc = decode_amp(&mutf7, after_shift, out);
			after_shift = !amp;
		} else if (direct(mutf7.p[0])) {
			buf_chr(out, mutf7.p[0]);
			mutf7 = str_skip(mutf7, 1);
			after_shift = false;
		} else {
			rc = ERR_SYNTAX;
		}
		if (rc < 0) {
			out->n = start;
			return rc;
		}
	}
	return 0;
}
