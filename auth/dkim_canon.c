/* Simple and relaxed canonicalisation. Pure; called with a stranger's octets. RFC 6376 3.4, 3.5
   (b=). */
#include "auth/dkim_canon.h"

#include "auth/dkim_tags.h"

/* --- body --- */

static void give(struct dkim_body *b)
{
	if (b->out && b->held_n) {
		size_t n = (size_t)MIN((uint64_t)b->held_n, b->limit);
		b->out(b->ctx, str_make(b->held, n));
		b->limit -= n;
	}
	b->held_n = 0;
}

static void emit(struct dkim_body *b, char c)
{
	if (b->held_n == sizeof b->held) { give(b); }
	b->held[b->held_n++] = c;
	b->size++;
}

static void emit_line_end(struct dkim_body *b)
{
	emit(b, '\r');
	emit(b, '\n');
}

/* An octet that is no line end, and in relaxed form no blank. */
static void emit_text(struct dkim_body *b, char c)
{
	for (; b->blanks; b->blanks--) { emit_line_end(b); }
	if (b->space) { emit(b, ' '); }
	b->space = false;
	b->in_line = true;
	emit(b, c);
}

static void end_line(struct dkim_body *b)
{
	b->space = false;
	if (b->in_line) {
		emit_line_end(b);
	} else {
		b->blanks++;
	}
	b->in_line = false;
}

static void bare_cr(struct dkim_body *b)
{
	b->cr = false;
	b->bare = true;
	emit_text(b, '\r');
}

void dkim_body_add(struct dkim_body *b, struct str octets)
{
	for (size_t i = 0; i < octets.n; i++) {
		char c = octets.p[i];
		if (b->cr && c == '\n') {
			b->cr = false;
			end_line(b);
			continue;
		}
		if (b->cr) { bare_cr(b); }
		if (c == '\r') {
			b->cr = true;
		} else if (b->relaxed && (c == ' ' || c == '\t')) {
			b->space = true;
		} else {
			b->bare |= c == '\n';
			emit_text(b, c);
		}
	}
}

void dkim_body_end(struct dkim_body *b)
{
	if (b->cr) { bare_cr(b); }
	if (b->in_line) { end_line(b); }
	if (!b->relaxed && b->size == 0) { emit_line_end(b); }
	give(b);
}

/* --- header --- */

/* Unfolded, white space made one space, none at the ends. */
static void relax_value(struct str v, struct buf *out)
{
	bool space = false, any = false;
	for (size_t i = 0; i < v.n; i++) {
		if (ascii_white(v.p[i])) {
			space = true;
			continue;
		}
		if (space && any) { buf_chr(out, ' '); }
		buf_chr(out, v.p[i]);
		space = false;
		any = true;
	}
}

static void relax_field(struct str field, struct buf *out)
{
	struct str name;
	(void)str_cut(&field, ':', &name); /* a field without a colon is all name */
	while (name.n && ascii_white(name.p[name.n - 1])) { name.n--; }
	for (size_t i = 0; i < name.n; i++) { buf_chr(out, ascii_lower(name.p[i])); }
	buf_chr(out, ':');
	relax_value(field, out);
}

void dkim_canon_field(struct str field, bool relaxed, struct buf *out)
{
	if (relaxed) {
		relax_field(field, out);
	} else {
		buf_str(out, field);
	}
	buf_str(out, STR("\r\n"));
}

/* Everything between the "=" of b= and the next ";" goes. */
static void without_b(struct str field, struct buf *out)
{
	struct str head, spec;
	bool more = str_cut(&field, ':', &head);
	buf_str(out, head);
	if (more) { buf_chr(out, ':'); }
	while (more) {
		more = str_cut(&field, ';', &spec);
		ptrdiff_t equals = str_chr(spec, '=');
		if (equals >= 0 && str_eq(dkim_trim(str_sub(spec, 0, (size_t)equals)), STR("b"))) {
			spec.n = (size_t)equals + 1;
		}
		buf_str(out, spec);
		if (more) { buf_chr(out, ';'); }
	}
}

void dkim_canon_own_field(struct str field, bool relaxed, struct buf *out)
{
	if (!relaxed) {
		without_b(field, out);
		return;
	}
	struct buf plain = {0};
	without_b(field, &plain);
	relax_field(buf_view(&plain), out);
	buf_fini(&plain);
}
