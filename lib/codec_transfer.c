/* Content-Transfer-Encodings (RFC 2045 6), decoded as they stream: the state between two pieces is
   all in struct transfer_decoder. Pure functions, every role. */
#include "lib/codec.h"

#include "lib/codec_private.h"

static const struct {
	struct str name;
	enum transfer kind;
} transfers[] = {
	{STR("7bit"), TRANSFER_NONE},
	{STR("8bit"), TRANSFER_NONE},
	{STR("binary"), TRANSFER_NONE},
	{STR("base64"), TRANSFER_BASE64},
	{STR("quoted-printable"), TRANSFER_QP},
};

enum transfer transfer_by_name(struct str name)
{
	for (size_t i = 0; i < COUNT(transfers); i++) {
		if (str_ieq(transfers[i].name, name)) { return transfers[i].kind; }
	}
	return TRANSFER_UNKNOWN;
}

/* One or two octets may wait in an unfinished quantum. */
static void base64_flush(struct transfer_decoder *d, struct buf *out)
{
	if (d->n == 2) { buf_chr(out, (char)(d->bits >> 4)); }
	if (d->n == 3) {
		buf_chr(out, (char)(d->bits >> 10));
		buf_chr(out, (char)(d->bits >> 2));
	}
	d->bad |= d->n == 1;
	d->n = 0;
}

/* Padding ends the data, but base64 pieces glued together are met: digits behind it start anew. */
static void base64_octet(struct transfer_decoder *d, char c, struct buf *out)
{
	int digit = base64_value(c);
	if (c == '=') {
		d->ended = true;
		base64_flush(d, out);
		return;
	}
	if (digit < 0) {
		d->bad |= c != '\r' && c != '\n' && c != ' ' && c != '\t';
		return;
	}
	d->bad |= d->ended;
	d->ended = false;
	d->bits = d->bits << 6 | (uint32_t)digit;
	d->n = (d->n + 1) & 3;
	if (d->n == 0) {
		char three[] = {(char)(d->bits >> 16), (char)(d->bits >> 8), (char)d->bits};
		buf_add(out, three, sizeof three);
	}
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What is held turned out to be plain text. */
static void qp_flush(struct transfer_decoder *d, struct buf *out)
{
	d->bad |= d->held_n && d->held[0] == '=';
	buf_add(out, d->held, d->held_n);
	d->held_n = 0;
}

/* A line ends: white space before it goes (RFC 2045 6.7 rule 3), a soft break goes as a whole. */
static void qp_line_end(struct transfer_decoder *d, struct buf *out)
{
	bool cr = d->held_n && d->held[d->held_n - 1] == '\r';
	bool soft = d->held_n && d->held[0] == '=';
	d->held_n = 0;
	if (soft) { return; }
	if (cr) { buf_chr(out, '\r'); }
	buf_chr(out, '\n');
}

/* Whether `c` may go on what is held: "=" HEXDIG, or ["="] *WSP [CR]. */
static bool qp_holds(const struct transfer_decoder *d, char c)
{
	char last = d->held_n ? d->held[d->held_n - 1] : ' ';
	if (d->held_n == sizeof d->held) { return false; }
	if (c == '=') { return d->held_n == 0; }
	if (blank(c) || c == '\r') { return last == '=' || blank(last); }
	return last == '=' && hex_value(c) >= 0;
}

static void qp_octet(struct transfer_decoder *d, char c, struct buf *out)
{
	bool half = d->held_n == 2 && d->held[0] == '=' && hex_value(d->held[1]) >= 0;
	if (half && hex_value(c) >= 0) {
		buf_chr(out, (char)(hex_value(d->held[1]) << 4 | hex_value(c)));
		d->held_n = 0;
		return;
	}
	if (c == '\n' && !half) {
		qp_line_end(d, out);
		return;
	}
	if (!qp_holds(d, c)) { qp_flush(d, out); }
	if (qp_holds(d, c)) {
		d->held[d->held_n++] = c;
	} else {
		buf_chr(out, c);
	}
}

static void qp_decode(struct transfer_decoder *d, struct str in, struct buf *out)
{
	while (in.n) {
		size_t n = 0;
		while (!d->held_n && n < in.n && in.p[n] != '=' && in.p[n] != '\r' &&
			!blank(in.p[n])) {
			n++;
		}
		buf_add(out, in.p, n);
		if (n < in.n) { qp_octet(d, in.p[n++], out); }
		in = str_skip(in, n);
	}
}

void transfer_decode(struct transfer_decoder *d, struct str in, struct buf *out)
{
	if (d->kind == TRANSFER_BASE64) {
		for (size_t i = 0; i < in.n; i++) { base64_octet(d, in.p[i], out); }
	} else if (d->kind == TRANSFER_QP) {
		qp_decode(d, in, out);
	} else {
		buf_str(out, in);
	}
}

void transfer_end(struct transfer_decoder *d, struct buf *out)
{
	if (d->kind == TRANSFER_BASE64) {
		base64_flush(d, out);
	} else if (d->kind == TRANSFER_QP && d->held_n == 2 && hex_value(d->held[1]) >= 0) {
		qp_flush(d, out);
	}
	d->held_n = 0;
}
