/* Where the text of DATA ends. Runs in mx and submit. Never mends a line end: what is wrong is
   noted and the message refused by the caller. */
#include "smtp/dot.h"

enum state {
	LINE_START, /* also the start of the text */
	SEEN_DOT,   /* a dot at the start of a line, taken away */
	SEEN_DOT_CR,
	IN_LINE,
	SEEN_CR /* it may be half of a CRLF */
};

/* Is there anything to say about the `n` octets of a line at `p`, which is ended by a LF at p[n] or
   goes on? */
static void check_line(struct dot *d, const char *p, size_t n, bool ended)
{
	const char *cr = memchr(p, '\r', n);
	d->line_n = (uint32_t)MIN(d->line_n + n, (size_t)UINT32_MAX / 2);
	if (memchr(p, '\0', n)) { d->faults |= DOT_NUL; }
	if (cr && cr != p + n - 1) { d->faults |= DOT_BARE_CR; }
	if (ended && (n == 0 || p[n - 1] != '\r')) { d->faults |= DOT_BARE_LF; }
	/* the CR of the line end is counted */
	if (d->line_max && d->line_n > d->line_max + 1) { d->faults |= DOT_LINE_LONG; }
}

/* Take octets of the line that has begun, up to its LF or the end of input. Returns how many. */
static size_t take_line(struct dot *d, const char *p, size_t n)
{
	if (d->state == SEEN_CR) {
		if (p[0] == '\n') {
			d->state = LINE_START;
			d->line_n = 0;
			return 1;
		}
		d->faults |= DOT_BARE_CR;
	}
	const char *lf = memchr(p, '\n', n);
	size_t len = lf ? (size_t)(lf - p) : n;
	check_line(d, p, len, lf != NULL);
	bool cr = len && p[len - 1] == '\r';
	d->state = lf && cr ? LINE_START : !lf && cr ? SEEN_CR : IN_LINE;
	if (d->state == LINE_START) { d->line_n = 0; }
	return lf ? len + 1 : n;
}

/* What follows a dot at the start of a line. 1: the end of the text. */
static int after_dot(struct dot *d, struct str *in)
{
	char want = d->state == SEEN_DOT ? '\r' : '\n';
	if (in->p[0] != want) {
		if (d->state == SEEN_DOT_CR) { d->faults |= DOT_BARE_CR; }
		d->state = IN_LINE;
		return 0;
	}
	*in = str_skip(*in, 1);
	bool end = d->state == SEEN_DOT_CR;
	d->state = end ? LINE_START : SEEN_DOT_CR;
	return end;
}

/* Dots at the start of a line: 1 the end of the text, 0 the line goes on or input has run out. */
static int take_dot(struct dot *d, struct str *in)
{
	if (d->state == LINE_START && in->n && in->p[0] == '.') {
		d->state = SEEN_DOT;
		*in = str_skip(*in, 1);
	}
	while (in->n && (d->state == SEEN_DOT || d->state == SEEN_DOT_CR)) {
		if (after_dot(d, in)) { return 1; }
	}
	return 0;
}

int dot_next(struct dot *d, struct str *in, struct str *run_out)
{
	if (d->binary) {
		*run_out = *in;
		*in = str_skip(*in, in->n);
		return 0;
	}
	if (!d->chunk && take_dot(d, in)) {
		*run_out = STR("");
		return 1;
	}
	size_t i = 0;
	while (i < in->n && (i == 0 || d->chunk || d->state != LINE_START || in->p[i] != '.')) {
		i += take_line(d, in->p + i, in->n - i);
	}
	*run_out = str_sub(*in, 0, i);
	*in = str_skip(*in, i);
	return 0;
}

bool dot_at_line_start(struct dot *d)
{
	if (d->state == SEEN_CR) { d->faults |= DOT_BARE_CR; }
	return d->state == LINE_START;
}
