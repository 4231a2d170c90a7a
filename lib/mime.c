/* Where the parts of a message are: a push parser that looks at one line at a time and keeps its
   first octets only, so that nothing depends on how the message was cut. Owns struct mime. Pure,
   every role; never keeps a body. */
#include "lib/mime_private.h"

/* A longer line is no delimiter: "--", boundary, "--", white space, line end. */
enum { LINE_HEAD_MAX = MIME_BOUNDARY_MAX + 312 };

/* A part that has not ended. They nest: parent before child. */
struct open {
	size_t part;
	uint64_t body_off;
	uint64_t lfs;        /* LFs of the message before the body */
	struct str boundary; /* of a multipart whose close delimiter was not met, else empty */
};

struct mime {
	struct arena arena; /* headers and what they say */
	struct mime_part *parts;
	size_t parts_n, parts_cap;
	struct open open[MIME_DEPTH_MAX]; /* indexed by depth */
	size_t open_n;
	bool in_header; /* of the innermost part */
	bool opaque;    /* no more delimiters */
	bool header_done, truncated, ended;
	struct buf header;   /* of the innermost part, while it is read */
	size_t headers_size; /* of all complete ones */

	uint64_t size, lfs; /* octets and LFs so far */
	/* the line that has not ended */
	uint64_t line_off, line_lfs; /* octets and LFs before it */
	char head[LINE_HEAD_MAX];    /* its first two octets; more when they are "--" */
	size_t head_n;
	unsigned line_end_before; /* octets of the line end in front of it: 0, 1 or 2 */
	char last;                /* the last octet met */
};

static void header_end(struct mime *m, uint64_t off, uint64_t lfs, bool cut);

/* A part whose header starts at `off`: child of the innermost one. The last that there may be takes
   all the rest. */
static void part_begin(struct mime *m, uint64_t off, uint64_t lfs)
{
	if (m->parts_n == m->parts_cap) {
		size_t cap = m->parts_cap ? m->parts_cap * 2 : 4;
		struct mime_part *parts = xcalloc(cap, sizeof *parts);
		if (m->parts_n) { memcpy(parts, m->parts, m->parts_n * sizeof *parts); }
		free(m->parts);
		m->parts = parts;
		m->parts_cap = cap;
	}
	struct mime_part *p = &m->parts[m->parts_n];
	size_t parent = m->open_n ? m->open[m->open_n - 1].part : 0;
	*p = (struct mime_part){.parent = (uint32_t)parent, .depth = (uint32_t)m->open_n};
	p->number = m->open_n ? ++m->parts[parent].children : 1;
	p->header_off = off;
	m->open[m->open_n++] = (struct open){.part = m->parts_n++};
	m->in_header = true;
	buf_reset(&m->header);
	if (m->parts_n == MIME_PARTS_MAX) {
		m->opaque = true;
		header_end(m, off, lfs, true);
	}
}

static bool in_digest(const struct mime *m, const struct mime_part *p)
{
	const struct mime_part *parent = &m->parts[p->parent];
	return p->depth && parent->kind == MIME_MULTIPART &&
	       str_ieq(parent->type.subtype, STR("digest"));
}

/* The header of the innermost part ends at `off`. `cut`: by a limit, the part is taken as a leaf.
 */
static void header_end(struct mime *m, uint64_t off, uint64_t lfs, bool cut)
{
	struct open *o = &m->open[m->open_n - 1];
	struct mime_part *p = &m->parts[o->part];
	p->header = arena_dup(&m->arena, buf_view(&m->header));
	p->header_len = (uint32_t)(off - p->header_off);
	m->headers_size += p->header.n;
	m->in_header = false;
	m->header_done = true;
	o->body_off = off;
	o->lfs = lfs;
	mime_part_read(p, in_digest(m, p), &m->arena);
	bool container = p->kind == MIME_MULTIPART || p->kind == MIME_MESSAGE;
	if (container && (cut || m->open_n == MIME_DEPTH_MAX)) {
		p->kind = MIME_OTHER;
		cut = true;
	}
	m->truncated |= cut;
	if (p->kind == MIME_MULTIPART) { o->boundary = mime_part_boundary(p, &m->arena); }
	if (p->kind == MIME_MESSAGE) { part_begin(m, off, lfs); }
}

/* The innermost part ends at `end`, with `lfs` LFs before it. */
static void part_end(struct mime *m, uint64_t end, uint64_t lfs)
{
	const struct open *o = &m->open[--m->open_n];
	struct mime_part *p = &m->parts[o->part];
	if (end <= o->body_off) { return; }
	p->body_len = end - o->body_off;
	p->lines = (uint32_t)MIN(lfs - o->lfs, UINT32_MAX);
}

/* End all parts deeper than `depth`, with their headers if need be. */
static void end_down_to(struct mime *m, size_t depth, uint64_t end, uint64_t lfs)
{
	while (m->open_n > depth) {
		if (m->in_header) {
			struct mime_part *p = &m->parts[m->open[m->open_n - 1].part];
			header_end(m, p->header_off + m->header.n, lfs, false);
		} else {
			part_end(m, end, lfs);
		}
	}
}

/* A piece of the current line belongs to the header unless it passes the limit: then the header
   ends before the line. */
static void header_piece(struct mime *m, struct str piece)
{
	size_t left = MIME_HEADERS_MAX - m->headers_size;
	if (m->header.n + piece.n <= MIN(left, MIME_HEADER_MAX)) {
		buf_str(&m->header, piece);
		return;
	}
	uint64_t header_off = m->parts[m->open[m->open_n - 1].part].header_off;
	m->header.n = (size_t)(m->line_off - header_off);
	m->opaque |= left < MIME_HEADER_MAX;
	header_end(m, m->line_off, m->line_lfs, true);
}

static void head_piece(struct mime *m, struct str piece)
{
	for (size_t i = 0; i < piece.n && m->head_n < LINE_HEAD_MAX; i++) {
		bool dashes = m->head_n < 2 || (m->head[0] == '-' && m->head[1] == '-');
		if (!dashes) { return; }
		m->head[m->head_n++] = piece.p[i];
	}
}

/* Whether the line that just ended is a delimiter (RFC 2046 5.1.1) of an open multipart, the
   innermost first. */
static bool find_delimiter(const struct mime *m, size_t *depth_out, bool *close_out)
{
	struct str line = str_make(m->head, m->head_n);
	if (m->opaque || m->size - m->line_off > LINE_HEAD_MAX || !str_starts(line, STR("--"))) {
		return false;
	}
	while (line.n > 2 && memchr(" \t\r\n", line.p[line.n - 1], 4)) { line.n--; }
	line = str_skip(line, 2);
	for (size_t i = m->open_n; i-- > 0;) {
		struct str boundary = m->open[i].boundary;
		if (!boundary.n || !str_starts(line, boundary)) { continue; }
		struct str behind = str_skip(line, boundary.n);
		*depth_out = i;
		*close_out = behind.n > 0;
		if (!behind.n || str_eq(behind, STR("--"))) { return true; }
	}
	return false;
}

/* The line end before a delimiter belongs to it. */
static void delimiter(struct mime *m, size_t depth, bool close)
{
	uint64_t end = m->line_off - m->line_end_before;
	if (m->in_header) { /* ended by it, without an empty line */
		uint64_t begin = m->parts[m->open[m->open_n - 1].part].header_off;
		m->header.n = end > begin ? (size_t)(end - begin) : 0;
	}
	end_down_to(m, depth + 1, end, m->line_lfs - (m->line_end_before > 0));
	if (close) {
		m->open[depth].boundary = STR("");
	} else {
		part_begin(m, m->size, m->lfs);
	}
}

static bool line_is_empty(const struct mime *m)
{
	return m->head[0] == '\n' || (m->head_n == 2 && m->head[0] == '\r' && m->head[1] == '\n');
}

/* The current line is complete; m->size stands behind it. */
static void line_end(struct mime *m)
{
	size_t depth;
	bool close;
	if (find_delimiter(m, &depth, &close)) {
		delimiter(m, depth, close);
	} else if (m->in_header && line_is_empty(m)) {
		header_end(m, m->size, m->lfs, false);
	}
	m->line_off = m->size;
	m->line_lfs = m->lfs;
	m->head_n = 0;
}

/* Octets of one line; `ended`: with its LF. */
static void line_piece(struct mime *m, struct str piece, bool ended)
{
	if (m->in_header) { header_piece(m, piece); }
	head_piece(m, piece);
	m->size += piece.n;
	m->lfs += ended;
	if (!ended) {
		m->last = piece.p[piece.n - 1];
		return;
	}
	char before = piece.n > 1 ? piece.p[piece.n - 2] : m->last;
	line_end(m);
	m->line_end_before = before == '\r' ? 2 : 1;
	m->last = '\n';
}

void mime_add(struct mime *m, struct str s)
{
	assert(!m->ended);
	while (s.n) {
		const char *lf = memchr(s.p, '\n', s.n);
		size_t n = lf ? (size_t)(lf - s.p) + 1 : s.n;
		line_piece(m, str_sub(s, 0, n), lf != NULL);
		s = str_skip(s, n);
	}
}

void mime_end(struct mime *m)
{
	if (m->ended) { return; }
	m->ended = true;
	if (m->size > m->line_off) { line_end(m); }
	end_down_to(m, 0, m->size, m->lfs);
	buf_fini(&m->header);
}

void mime_top(struct mime *m, struct str top)
{
	struct mime_part *p = &m->parts[0];
	struct str header = p->header;
	assert(m->ended);
	char *both = arena_alloc(&m->arena, top.n + header.n);
	if (top.n) { memcpy(both, top.p, top.n); }
	if (header.n) { memcpy(both + top.n, header.p, header.n); }
	p->header = str_make(both, top.n + header.n);
	p->header_len += (uint32_t)top.n;
	for (size_t i = 1; i < m->parts_n; i++) { m->parts[i].header_off += top.n; }
	m->size += top.n;
}

struct mime *mime_new(void)
{
	struct mime *m = xnew(struct mime);
	part_begin(m, 0, 0);
	return m;
}

void mime_free(struct mime *m)
{
	if (!m) { return; }
	arena_fini(&m->arena);
	buf_fini(&m->header);
	free(m->parts);
	free(m);
}

bool mime_header_done(const struct mime *m)
{
	return m->header_done;
}

bool mime_in_header(const struct mime *m)
{
	return m->in_header;
}

uint64_t mime_size(const struct mime *m)
{
	return m->size;
}

size_t mime_parts(const struct mime *m)
{
	return m->parts_n;
}

const struct mime_part *mime_part(const struct mime *m, size_t i)
{
	assert(i < m->parts_n);
	return &m->parts[i];
}

bool mime_truncated(const struct mime *m)
{
	return m->truncated;
}
