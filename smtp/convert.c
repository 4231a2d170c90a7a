/* Messages rewritten for hosts that take less. Owns struct convert. Runs in relay. Never changes
   what a part says: only how it is written, and the field that names this. */
#include "smtp/convert.h"

#include "lib/mime.h"

enum { EIGHT = 1, RAW = 2, LINE_LONG = 4 }; /* what lines have */

/* How the octets of a stretch of the message go out. */
enum manner {
	COPY,
	MEND, /* what no line may have is left out, long lines are broken: nobody reads it */
	ENCODE
};

struct convert {
	struct mime *mime;
	bool seven;
	/* the first walk */
	uint8_t found[MIME_PARTS_MAX]; /* in the bodies of parts */
	uint8_t found_header, found_any;
	uint8_t line_found;
	uint64_t line_len; /* of the line that has not ended */
	bool cr;           /* its last octet */
	/* the second walk */
	uint64_t at, stretch_end; /* octets of the message */
	size_t part;              /* that the stretch belongs to */
	enum stretch { HEADER, BODY, BETWEEN } stretch;
	enum manner manner;
	struct transfer_decoder decoder; /* of a body that is encoded badly */
	struct transfer_encoder encoder;
	/* of the line that is mended */
	size_t column, dashes; /* octets so far; "-" at its beginning, at most 2 */
	size_t crs;            /* held back until it is known what comes behind them */
};

struct convert *convert_new(void)
{
	struct convert *c = xnew(struct convert);
	c->mime = mime_new();
	return c;
}

void convert_free(struct convert *c)
{
	if (!c) { return; }
	mime_free(c->mime);
	free(c);
}

/* --- the first walk --- */

static void look_piece(struct convert *c, struct str piece, bool ended)
{
	size_t n = piece.n - ended; /* before the LF */
	bool cr = n ? piece.p[n - 1] == '\r' : c->cr;
	bool cr_within = (c->cr && n) || (n > 1 && memchr(piece.p, '\r', n - 1));
	if (!str_ascii(piece)) { c->line_found |= EIGHT; }
	if (cr_within || (ended && !cr) || memchr(piece.p, 0, piece.n)) { c->line_found |= RAW; }
	c->cr = cr && !ended;
	c->line_len += piece.n;
}

/* The line belongs to the part that was the last to begin before it. What stands behind the last
   part of a multipart counts for that one: it may be encoded for nothing, never left out. */
static void look_line_end(struct convert *c, size_t part, bool header, size_t end_len)
{
	if (c->line_len > CONVERT_LINE_MAX + end_len) { c->line_found |= LINE_LONG; }
	if (header) {
		c->found_header |= c->line_found;
	} else {
		c->found[part] |= c->line_found;
	}
	c->found_any |= c->line_found;
	c->line_found = 0;
	c->line_len = 0;
}

void convert_look(struct convert *c, struct str octets)
{
	while (octets.n) {
		const char *lf = memchr(octets.p, '\n', octets.n);
		struct str piece = str_sub(octets, 0, lf ? (size_t)(lf - octets.p) + 1 : octets.n);
		size_t part = mime_parts(c->mime) - 1;
		bool header = mime_in_header(c->mime);
		look_piece(c, piece, lf != NULL);
		mime_add(c->mime, piece);
		if (lf) { look_line_end(c, part, header, 2); }
		octets = str_skip(octets, piece.n);
	}
}

void convert_looked(struct convert *c, struct convert_needs *out)
{
	bool line_open = c->line_len > 0;
	if (c->cr) { c->line_found |= RAW; }
	look_line_end(c, mime_parts(c->mime) - 1, mime_in_header(c->mime), 0);
	mime_end(c->mime);
	*out = (struct convert_needs){.eight = c->found_any & EIGHT,
		.utf8_header = c->found_header & EIGHT,
		.raw = c->found_any & RAW,
		.line_long = c->found_any & LINE_LONG,
		.line_open = line_open};
}

/* --- what becomes of each part --- */

static uint8_t unfit(const struct convert *c, uint8_t found)
{
	return c->seven ? found : found & (uint8_t)~EIGHT;
}

static bool is_container(const struct mime_part *p)
{
	return p->kind == MIME_MULTIPART || p->kind == MIME_MESSAGE;
}

/* RFC 2045 6.4, RFC 2046 5.2: some types must not be encoded, whatever is in them. Beyond a limit
   of the parser nobody knows what is inside. */
static bool may_encode(const struct convert *c, const struct mime_part *p)
{
	bool fragment = str_ieq(p->type.type, STR("message")) &&
			(str_ieq(p->type.subtype, STR("partial")) ||
				str_ieq(p->type.subtype, STR("external-body")));
	return !is_container(p) && !fragment && !str_ieq(p->type.type, STR("multipart")) &&
	       p->transfer != TRANSFER_UNKNOWN && !mime_truncated(c->mime);
}

static enum manner manner_of(const struct convert *c, size_t part)
{
	const struct mime_part *p = mime_part(c->mime, part);
	if (!unfit(c, c->found[part]) || p->body_len == 0) { return COPY; }
	return may_encode(c, p) ? ENCODE : MEND;
}

static enum transfer encoding_of(const struct mime_part *p)
{
	if (p->transfer != TRANSFER_NONE) { return p->transfer; }
	bool text = p->kind == MIME_TEXT || str_ieq(p->type.type, STR("message"));
	return text ? TRANSFER_QP : TRANSFER_BASE64;
}

/* The part's body would lose octets that belong to it. */
static bool would_lose(const struct convert *c, size_t part)
{
	const struct mime_part *p = mime_part(c->mime, part);
	bool read = !is_container(p) || (p->kind == MIME_MULTIPART && p->children == 0);
	uint8_t losses = EIGHT | RAW;
	/* a line end in the midst of a line changes all but base64 */
	if (!is_container(p) && p->transfer != TRANSFER_BASE64) { losses |= LINE_LONG; }
	return read && manner_of(c, part) == MEND && (unfit(c, c->found[part]) & losses);
}

/* A line of a header can be broken at white space. Elsewhere this changes the value: nobody reads
   it so, but where it says how to read the rest. */
static bool breaks_badly(struct str whole)
{
	size_t n =
		0; /* octets since the last place where a line may be folded, in front of white */
	for (size_t i = 0; i < whole.n && n < CONVERT_LINE_MAX; i++) {
		bool fold = i && ascii_white(whole.p[i]) && !ascii_white(whole.p[i - 1]);
		n = fold ? 1 : n + 1;
	}
	return n == CONVERT_LINE_MAX;
}

static bool may_write_header(const struct convert *c, size_t part)
{
	struct str rest = mime_part(c->mime, part)->header;
	struct head_field f;
	if (c->found_header & RAW) { return false; }
	while ((c->found_header & LINE_LONG) && head_next(&rest, &f)) {
		if (str_istarts(f.name, STR("Content-")) && breaks_badly(f.whole)) { return false; }
	}
	return true;
}

/* --- stretches: header, body or what stands between, one behind the other --- */

static void stretch_begin(struct convert *c, enum stretch stretch, uint64_t end)
{
	c->stretch = stretch;
	c->stretch_end = end;
	c->column = c->dashes = c->crs = 0;
	c->manner = MEND;
	if (stretch != BODY) { return; }
	const struct mime_part *p = mime_part(c->mime, c->part);
	c->manner = manner_of(c, c->part);
	c->decoder = (struct transfer_decoder){.kind = p->transfer};
	c->encoder = (struct transfer_encoder){.kind = encoding_of(p)};
}

static void stretch_next(struct convert *c)
{
	const struct mime_part *p = mime_part(c->mime, c->part);
	if (c->stretch == HEADER && !is_container(p)) {
		stretch_begin(c, BODY, c->at + p->body_len);
	} else if (c->stretch != BETWEEN) {
		bool last = c->part + 1 == mime_parts(c->mime);
		stretch_begin(c, BETWEEN,
			last ? mime_size(c->mime) : mime_part(c->mime, c->part + 1)->header_off);
	} else {
		p = mime_part(c->mime, ++c->part);
		stretch_begin(c, HEADER, p->header_off + p->header_len);
	}
}

const char *convert_begin(struct convert *c, bool seven)
{
	c->seven = seven;
	if (seven && (c->found_header & EIGHT)) {
		return "5.6.9 the header needs 8-bit octets and the server does not take them";
	}
	for (size_t i = 0; i < mime_parts(c->mime); i++) {
		if (would_lose(c, i) || !may_write_header(c, i)) {
			return "5.6.3 the message cannot be converted to what the server takes";
		}
	}
	c->at = 0;
	c->part = 0;
	stretch_begin(c, HEADER, mime_part(c->mime, 0)->header_len);
	return NULL;
}

/* --- octets --- */

static void mend_octet(struct convert *c, char o, struct buf *out)
{
	if (c->column == CONVERT_LINE_MAX) {
		buf_str(out, STR("\r\n ")); /* no delimiter begins with a space */
		c->column = 1;
		c->dashes = 0;
	}
	if (o == '-' && c->column == c->dashes && c->dashes < 2) { c->dashes++; }
	buf_chr(out, o);
	c->column++;
}

/* Instead of an octet that must not stand here. In what may be a delimiter it is one that no
   boundary has. */
static void mend_odd(struct convert *c, struct buf *out)
{
	mend_octet(c, c->dashes == 2 ? 0x7f : '?', out);
}

static void mend_crs(struct convert *c, bool white, struct buf *out)
{
	for (; c->crs; c->crs--) {
		if (white) {
			mend_octet(c, ' ', out);
		} else {
			mend_odd(c, out);
		}
	}
}

/* A line is a delimiter afterwards if it was one before: no octet is left out, and a CR at its end,
   which counts as white space there, becomes a space. */
static void mend(struct convert *c, struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char o = s.p[i];
		if (o == '\r') {
			c->crs++;
		} else if (o == '\n') {
			c->crs -= c->crs > 0;
			mend_crs(c, true, out);
			buf_str(out, STR("\r\n"));
			c->column = c->dashes = 0;
		} else if (o == ' ' || o == '\t') {
			mend_octet(c, o, out);
		} else {
			mend_crs(c, false, out);
			if (o == 0 || (c->seven && (unsigned char)o > 127)) {
				mend_odd(c, out);
			} else {
				mend_octet(c, o, out);
			}
		}
	}
}

/* Break the line at `at`, where white space stands unless it is the end; answers where the new line
   begins. */
static size_t fold_at(size_t at, struct buf *out)
{
	bool end = at == out->n;
	buf_str(out, end ? STR("\r\n ") : STR("\r\n"));
	if (!end) {
		memmove(out->p + at + 2, out->p + at, out->n - at - 2);
		memcpy(out->p + at, "\r\n", 2);
	}
	return at + 2;
}

/* A field folded before white space where a line is too long, at the limit where it has none (RFC
   5322 2.1.1, 2.2.3). */
static void put_field(struct str whole, struct buf *out)
{
	size_t start = out->n, fold = 0;
	for (size_t i = 0; i < whole.n; i++) {
		char o = whole.p[i];
		bool black_before = out->n > start && !ascii_white(out->p[out->n - 1]);
		if ((o == ' ' || o == '\t') && black_before) { fold = out->n; }
		if (out->n - start == CONVERT_LINE_MAX && o != '\r' && o != '\n') {
			start = fold_at(fold ? fold : out->n, out);
			fold = 0;
		}
		buf_chr(out, o);
		if (o == '\n') {
			start = out->n;
			fold = 0;
		}
	}
}

/* What Content-Transfer-Encoding is to say; NULL: what it says already. */
static const char *new_encoding(const struct convert *c, const struct mime_part *p)
{
	if (manner_of(c, c->part) == ENCODE) {
		return encoding_of(p) == TRANSFER_QP ? "quoted-printable" : "base64";
	}
	bool eight = str_ieq(p->encoding, STR("8bit")),
	     binary = str_ieq(p->encoding, STR("binary"));
	if (binary && !c->seven) { return "8bit"; }
	return (eight && c->seven) || binary ? "7bit" : NULL;
}

/* What a part that was not encoded before may lack to be read as what it is. RFC 1428 3: nobody
   knows the charset of text that does not say. */
static void put_missing(const struct convert *c, const struct mime_part *p, bool version, bool type,
	struct buf *out)
{
	bool message = c->part == 0 || mime_part(c->mime, p->parent)->kind == MIME_MESSAGE;
	if (message && !version) { buf_str(out, STR("MIME-Version: 1.0\r\n")); }
	if (!type && (c->found[c->part] & EIGHT)) {
		buf_str(out, STR("Content-Type: text/plain; charset=unknown-8bit\r\n"));
	}
}

static void put_header(const struct convert *c, struct buf *out)
{
	const struct mime_part *p = mime_part(c->mime, c->part);
	const char *encoding = new_encoding(c, p);
	bool written = false, version = false, type = false;
	struct str rest = p->header, at = rest;
	struct head_field f;
	while (head_next(&rest, &f)) {
		at = rest;
		version |= str_ieq(f.name, STR("MIME-Version"));
		type |= str_ieq(f.name, STR("Content-Type"));
		if (!encoding || !str_ieq(f.name, STR("Content-Transfer-Encoding"))) {
			put_field(f.whole, out);
			continue;
		}
		if (!written) { buf_fmt(out, "%.*s: %s\r\n", STR_ARG(f.name), encoding); }
		written = true;
	}
	if (manner_of(c, c->part) == ENCODE) {
		if (!written) { buf_fmt(out, "Content-Transfer-Encoding: %s\r\n", encoding); }
		put_missing(c, p, version, type, out);
	}
	if (at.n) { buf_str(out, STR("\r\n")); } /* the empty line, when there is one */
}

static void encode(struct convert *c, struct str s, struct buf *out)
{
	struct buf plain = {0};
	transfer_decode(&c->decoder, s, &plain);
	transfer_encode(&c->encoder, buf_view(&plain), out);
	buf_fini(&plain);
}

static void encode_end(struct convert *c, struct buf *out)
{
	struct buf plain = {0};
	transfer_end(&c->decoder, &plain);
	transfer_encode(&c->encoder, buf_view(&plain), out);
	transfer_encode_end(&c->encoder, out);
	buf_fini(&plain);
}

static void put_piece(struct convert *c, struct str piece, struct buf *out)
{
	if (c->stretch == HEADER) { return; } /* at its end, all of it */
	switch (c->manner) {
	case COPY: buf_str(out, piece); break;
	case MEND: mend(c, piece, out); break;
	case ENCODE: encode(c, piece, out); break;
	}
}

static void stretch_finish(struct convert *c, struct buf *out)
{
	if (c->stretch == HEADER) { put_header(c, out); }
	if (c->stretch == BODY && c->manner == ENCODE) { encode_end(c, out); }
	if (c->manner == MEND) { mend_crs(c, true, out); }
}

void convert_add(struct convert *c, struct str octets, struct buf *out)
{
	while (octets.n) {
		while (c->at == c->stretch_end) {
			stretch_finish(c, out);
			stretch_next(c);
		}
		struct str piece =
			str_sub(octets, 0, (size_t)MIN(octets.n, c->stretch_end - c->at));
		put_piece(c, piece, out);
		c->at += piece.n;
		octets = str_skip(octets, piece.n);
	}
}

void convert_end(struct convert *c, struct buf *out)
{
	assert(c->at == mime_size(c->mime));
	stretch_finish(c, out);
}
