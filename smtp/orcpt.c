/* ORCPT and what becomes of it. Runs in relay. */
#include "smtp/orcpt.h"

#include "lib/codec.h"

static const struct str UTF8_TYPE = {"utf-8;", 6};

/* --- \x{...} --- */

static bool is_qchar(uint32_t c)
{
	return c > ' ' && c < 127 && c != '\\' && c != '+' && c != '=';
}

/* The code point of a UTF-8 sequence of n octets. */
static uint32_t code_point(struct str s, size_t n)
{
	uint32_t c = n == 1 ? (unsigned char)s.p[0] : (unsigned char)s.p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) { c = c << 6 | ((unsigned char)s.p[i] & 0x3f); }
	return c;
}

static void put_code_point(uint32_t c, struct buf *out)
{
	static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
	int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	buf_chr(out, (char)(leads[more] | c >> 6 * more));
	while (more--) { buf_chr(out, (char)(0x80 | (c >> 6 * more & 0x3f))); }
}

/* EmbeddedUnicodeChar: octets taken, 0 when there is none. NUL is in no address. */
static size_t embedded(struct str s, uint32_t *c_out)
{
	ptrdiff_t end = str_chr(s, '}');
	uint32_t c = 0;
	if (!str_starts(s, STR("\\x{")) || end < 5 || end > 9) { return 0; }
	for (ptrdiff_t i = 3; i < end; i++) {
		const char digit[] = {'%', '0', s.p[i]};
		int v = hex_escape(str_make(digit, sizeof digit));
		if (v < 0) { return 0; }
		c = c << 4 | (uint32_t)v;
	}
	bool surrogate = c >= 0xd800 && c < 0xe000;
	if (c == 0 || c > 0x10ffff || surrogate || is_qchar(c)) { return 0; }
	*c_out = c;
	return (size_t)end + 1;
}

/* utf-8-address of any form. An address that is of none is what it is. */
static void plain_address(struct str address, struct buf *out)
{
	size_t start = out->n;
	uint32_t c;
	for (struct str rest = address; rest.n;) {
		bool escape = str_starts(rest, STR("\\x{"));
		size_t n = escape ? embedded(rest, &c) : 1;
		if (n == 0) {
			out->n = start;
			buf_str(out, address);
			return;
		}
		if (escape) {
			put_code_point(c, out);
		} else {
			buf_chr(out, rest.p[0]);
		}
		rest = str_skip(rest, n);
	}
}

static void put_embedded(struct str address, bool all, struct buf *out)
{
	for (size_t n; (n = utf8_len(address)) > 0; address = str_skip(address, n)) {
		uint32_t c = code_point(address, n);
		if (is_qchar(c) || (c >= 0x80 && !all)) {
			buf_add(out, address.p, n);
		} else {
			buf_fmt(out, "\\x{%02X}", c);
		}
	}
}

void utf8_addr_xtext(struct str address, struct buf *out)
{
	put_embedded(address, true, out);
}

/* --- ORCPT --- */

static bool is_utf8_type(struct str orcpt)
{
	return str_istarts(orcpt, UTF8_TYPE);
}

bool orcpt_param(struct str orcpt, bool smtputf8, struct buf *out)
{
	struct buf plain = {0};
	size_t start = out->n;
	if (!is_utf8_type(orcpt)) { /* xtext */
		if (str_ascii(orcpt)) { buf_str(out, orcpt); }
		return out->n > start;
	}
	plain_address(str_skip(orcpt, UTF8_TYPE.n), &plain);
	buf_str(out, UTF8_TYPE);
	put_embedded(buf_view(&plain), !smtputf8, out);
	buf_fini(&plain);
	if (out->n - start > ORCPT_MAX) { out->n = start; }
	return out->n > start;
}

void xtext_decode(struct str xtext, struct buf *out)
{
	for (size_t i = 0; i < xtext.n; i++) {
		int c = xtext.p[i] == '+' ? hex_escape(str_skip(xtext, i)) : -1;
		buf_chr(out, c >= 0 ? (char)c : xtext.p[i]);
		i += c >= 0 ? 2 : 0;
	}
}

void orcpt_field(struct str orcpt, bool utf8, struct buf *out)
{
	struct buf plain = {0};
	if (!is_utf8_type(orcpt)) {
		xtext_decode(orcpt, out); /* RFC 3461 6.3: a field of a report is none */
		return;
	}
	plain_address(str_skip(orcpt, UTF8_TYPE.n), &plain);
	buf_str(out, UTF8_TYPE);
	if (utf8) {
		buf_str(out, buf_view(&plain));
	} else {
		put_embedded(buf_view(&plain), true, out);
	}
	buf_fini(&plain);
}
