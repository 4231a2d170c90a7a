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

/* EmbeddedUnicodeChar: octets taken, 0 when there is none. It names nothing that needs none, and no
   control character, which no Mailbox has; HEXPOINT of more than two digits begins with no 0. */
static size_t embedded(struct str s, uint32_t *c_out)
{
	ptrdiff_t end = str_chr(s, '}');
	uint32_t c = 0;
	if (!str_starts(s, STR("\\x{")) || end < 5 || end > 9) { return 0; }
	if (end > 5 && s.p[3] == '0') { return 0; }
	for (ptrdiff_t i = 3; i < end; i++) {
		const char digit[] = {'%', '0', s.p[i]};
		int v = hex_escape(str_make(digit, sizeof digit));
		if (v < 0) { return 0; }
		c = c << 4 | (uint32_t)v;
	}
	bool surrogate = c >= 0xd800 && c < 0xe000;
	if (c < ' ' || c == 127 || c > 0x10ffff || surrogate || is_qchar(c)) { return 0; }
	*c_out = c;
	return (size_t)end + 1;
}

/* QUCHAR or EmbeddedUnicodeChar: octets taken, 0 when there is neither. */
static size_t one_char(struct str s, uint32_t *c_out)
{
	size_t n = embedded(s, c_out);
	if (n) { return n; }
	n = utf8_len(s);
	*c_out = n ? code_point(s, n) : 0;
	return is_qchar(*c_out) || *c_out >= 0x80 ? n : 0;
}

/* Is it utf-8-addr-xtext or utf-8-addr-unitext? What is neither is what it is. */
static bool is_encoded(struct str address)
{
	uint32_t c;
	for (size_t n; address.n; address = str_skip(address, n)) {
		n = one_char(address, &c);
		if (n == 0) { return false; }
	}
	return true;
}

/* Decode of an encoded address what is `from` this code point on. */
static void put_decoded(struct str address, uint32_t from, struct buf *out)
{
	uint32_t c;
	for (size_t n; (n = one_char(address, &c)) > 0; address = str_skip(address, n)) {
		if (c >= from) {
			put_code_point(c, out);
		} else {
			buf_add(out, address.p, n);
		}
	}
}

/* Any address as ASCII, which stays as it is. */
static void put_ascii(struct str address, struct buf *out)
{
	uint32_t c;
	if (str_ascii(address)) {
		buf_str(out, address);
	} else if (!is_encoded(address)) {
		utf8_addr_xtext(address, out);
	} else {
		for (size_t n; (n = one_char(address, &c)) > 0; address = str_skip(address, n)) {
			if (n > 1 && address.p[0] != '\\') {
				buf_fmt(out, "\\x{%02X}", c);
			} else {
				buf_add(out, address.p, n);
			}
		}
	}
}

void utf8_addr_xtext(struct str address, struct buf *out)
{
	for (size_t n; (n = utf8_len(address)) > 0; address = str_skip(address, n)) {
		uint32_t c = code_point(address, n);
		if (is_qchar(c)) {
			buf_chr(out, address.p[0]);
		} else {
			buf_fmt(out, "\\x{%02X}", c);
		}
	}
}

/* --- ORCPT --- */

static bool is_utf8_type(struct str orcpt)
{
	return str_istarts(orcpt, UTF8_TYPE);
}

/* One of type utf-8: for whom reads `utf8`, codes from `least` on become characters. */
static void put_utf8_type(struct str orcpt, bool utf8, uint32_t least, struct buf *out)
{
	struct str address = str_skip(orcpt, UTF8_TYPE.n);
	buf_str(out, str_sub(orcpt, 0, UTF8_TYPE.n));
	if (!utf8) {
		put_ascii(address, out);
	} else if (is_encoded(address)) {
		put_decoded(address, least, out);
	} else {
		buf_str(out, address);
	}
}

/* RFC 3461 5.2.1: as it came, its letters, too, wherever this host may get that. RFC 6533 3: one
   with SMTPUTF8 gets characters instead of their codes. */
bool orcpt_param(struct str orcpt, bool smtputf8, struct buf *out)
{
	size_t start = out->n;
	if (!is_utf8_type(orcpt)) { /* xtext */
		if (str_ascii(orcpt)) { buf_str(out, orcpt); }
		return out->n > start;
	}
	put_utf8_type(orcpt, smtputf8, 0x80, out);
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
	if (!is_utf8_type(orcpt)) {
		xtext_decode(orcpt, out); /* RFC 3461 6.3: a field of a report is none */
		return;
	}
	put_utf8_type(orcpt, utf8, 0, out);
}
