/* Content-Transfer-Encodings (RFC 2045 6), written as they stream: the state between two pieces is
   all in struct transfer_encoder. Pure functions, every role. */
#include "lib/codec.h"

/* --- quoted-printable --- */

static bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '=';
}

/* One octet, as itself or as "=XY"; a soft break before it where it would not fit with the "=" of
   another. No "-" stands for itself at the beginning of a line: what was no delimiter, encoded
   otherwise or in the middle of a line, could become one. */
static void qp_put(struct transfer_encoder *e, char c, bool plain, struct buf *out)
{
	if (e->column + (plain ? 1 : 3) > TRANSFER_LINE_MAX - 1) {
		buf_str(out, STR("=\r\n"));
		e->column = 0;
	}
	if (e->column == 0 && c == '-') { plain = false; }
	if (plain) {
		buf_chr(out, c);
	} else {
		buf_fmt(out, "=%02X", (unsigned)(unsigned char)c);
	}
	e->column += plain ? 1 : 3;
}

/* White space may stand anywhere but at the end of a line (rule 3). */
static void qp_put_blank(struct transfer_encoder *e, bool plain, struct buf *out)
{
	if (e->blank_held) { qp_put(e, e->blank, plain, out); }
	e->blank_held = false;
}

/* The CR that is held was no part of a line end. */
static void qp_put_cr(struct transfer_encoder *e, struct buf *out)
{
	if (!e->cr_held) { return; }
	e->cr_held = false;
	qp_put_blank(e, true, out);
	qp_put(e, '\r', false, out);
}

static void qp_octet(struct transfer_encoder *e, char c, struct buf *out)
{
	if (c == '\n' && e->cr_held) {
		e->cr_held = false;
		qp_put_blank(e, false, out);
		buf_str(out, STR("\r\n"));
		e->column = 0;
		return;
	}
	qp_put_cr(e, out);
	if (c == '\r') {
		e->cr_held = true;
		return;
	}
	qp_put_blank(e, true, out);
	if (c == ' ' || c == '\t') {
		e->blank_held = true;
		e->blank = c;
	} else {
		qp_put(e, c, is_plain(c), out);
	}
}

/* Octets that stand for themselves wherever they are: white space only before one that is not. */
static size_t plain_run(struct str in)
{
	size_t n = 0;
	while (n < in.n && (is_plain(in.p[n]) || ((in.p[n] == ' ' || in.p[n] == '\t') &&
							 n + 1 < in.n && is_plain(in.p[n + 1])))) {
		n++;
	}
	return n;
}

static void qp_put_run(struct transfer_encoder *e, struct str run, struct buf *out)
{
	while (run.n) {
		/* the first of a line by itself, with the soft break that may be due */
		qp_put(e, run.p[0], true, out);
		size_t n = MIN(run.n - 1, TRANSFER_LINE_MAX - 1 - e->column);
		buf_add(out, run.p + 1, n);
		e->column += n;
		run = str_skip(run, n + 1);
	}
}

static void qp_octets(struct transfer_encoder *e, struct str in, struct buf *out)
{
	while (in.n) {
		size_t n = plain_run(in);
		if (n) {
			qp_put_cr(e, out);
			qp_put_blank(e, true, out);
			qp_put_run(e, str_sub(in, 0, n), out);
		}
		if (n < in.n) { qp_octet(e, in.p[n++], out); }
		in = str_skip(in, n);
	}
}

/* --- base64 --- */

static void base64_line(struct transfer_encoder *e, struct buf *out)
{
	if (e->line_written) { buf_str(out, STR("\r\n")); }
	base64_encode(str_make(e->held, e->held_n), out);
	e->line_written = true;
	e->held_n = 0;
}

static void base64_octets(struct transfer_encoder *e, struct str in, struct buf *out)
{
	while (in.n) {
		size_t n = MIN(in.n, sizeof e->held - e->held_n);
		memcpy(e->held + e->held_n, in.p, n);
		e->held_n += n;
		if (e->held_n == sizeof e->held) { base64_line(e, out); }
		in = str_skip(in, n);
	}
}

void transfer_encode(struct transfer_encoder *e, struct str in, struct buf *out)
{
	if (e->kind == TRANSFER_BASE64) {
		base64_octets(e, in, out);
	} else if (e->kind == TRANSFER_QP) {
		qp_octets(e, in, out);
	} else {
		buf_str(out, in);
	}
}

void transfer_encode_end(struct transfer_encoder *e, struct buf *out)
{
	if (e->held_n) { base64_line(e, out); }
	qp_put_cr(e, out);
	qp_put_blank(e, false, out);
}
