/* Header fields: cutting, unfolding, comments, typed values with parameters, msg-ids. RFC 2231
   parameters are joined in head_param.c, encoded-words decoded in head_word.c. Pure functions,
   every role. */
#include "lib/head.h"

#include "lib/head_private.h"

/* A field starts with its name: printable ASCII but the colon (RFC 5322 2.2), blanks before the
   colon are obsolete syntax. */
static void split_name(struct str line, struct head_field *f)
{
	size_t n = 0;
	while (n < line.n && line.p[n] > 0x20 && line.p[n] < 0x7f && line.p[n] != ':') { n++; }
	size_t colon = n;
	while (colon < line.n && head_blank(line.p[colon])) { colon++; }
	if (n && colon < line.n && line.p[colon] == ':') {
		f->name = str_sub(line, 0, n);
		f->value = str_skip(line, colon + 1);
	} else {
		f->name = str_sub(line, 0, 0);
		f->value = line;
	}
}

/* Octets of the first line with its LF; all of them when there is none. */
static size_t line_length(struct str s)
{
	const char *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;
	return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static struct str without_line_end(struct str s)
{
	if (s.n && s.p[s.n - 1] == '\n') { s.n--; }
	if (s.n && s.p[s.n - 1] == '\r') { s.n--; }
	return s;
}

bool head_next(struct str *rest, struct head_field *out)
{
	size_t n = line_length(*rest);
	if (without_line_end(str_sub(*rest, 0, n)).n == 0) {
		*rest = str_skip(*rest, n);
		return false;
	}
	while (n < rest->n && head_blank(rest->p[n])) { n += line_length(str_skip(*rest, n)); }
	out->whole = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, n);
	split_name(without_line_end(out->whole), out);
	return true;
}

bool head_name_like(const struct head_field *f, struct str name)
{
	size_t n = 0;
	for (size_t i = 0; i < f->whole.n; i++) {
		unsigned char c = (unsigned char)f->whole.p[i];
		if (c == ':') { return n == name.n; }
		if (c <= 0x20 || c >= 0x7f) { continue; }
		if (n == name.n || ascii_lower((char)c) != ascii_lower(name.p[n++])) {
			return false;
		}
	}
	return false;
}

bool head_find(struct str header, struct str name, unsigned nth, struct str *value_out)
{
	struct head_field f;
	while (head_next(&header, &f)) {
		if (str_ieq(f.name, name) && nth-- == 0) {
			*value_out = f.value;
			return true;
		}
	}
	return false;
}

void head_unfold(struct str value, struct buf *out)
{
	size_t start = out->n;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		bool line_end =
			c == '\n' || (c == '\r' && (i + 1 == value.n || value.p[i + 1] == '\n'));
		bool leading = out->n == start && head_blank(c);
		if (!line_end && !leading) { buf_chr(out, c); }
	}
	while (out->n > start && head_blank(out->p[out->n - 1])) { out->n--; }
}

/* Offset of the closing quote, s.n without one. */
static size_t closing_quote(struct str s)
{
	size_t i = 1;
	while (i < s.n && s.p[i] != '"') { i += s.p[i] == '\\' ? 2 : 1; }
	return MIN(i, s.n);
}

size_t head_quoted_length(struct str s)
{
	return MIN(closing_quote(s) + 1, s.n);
}

bool head_quoted_closed(struct str s)
{
	return closing_quote(s) < s.n;
}

/* Offset of the closing bracket, s.n without one. */
static size_t closing_bracket(struct str s)
{
	size_t depth = 0, i = 0;
	for (; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\\') {
			i++;
		} else if (c == '(') {
			depth++;
		} else if (c == ')' && --depth == 0) {
			return i;
		}
	}
	return s.n;
}

size_t head_comment_length(struct str s)
{
	return MIN(closing_bracket(s) + 1, s.n);
}

bool head_comment_closed(struct str s)
{
	return closing_bracket(s) < s.n;
}

struct str head_unquote(struct str quoted, struct arena *a)
{
	struct str in = str_sub(quoted, 1, closing_quote(quoted) - 1);
	if (str_chr(in, '\\') < 0 && str_chr(in, '\n') < 0) { return in; }
	char *to = arena_alloc(a, in.n);
	size_t n = 0;
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\\' && i + 1 < in.n) {
			to[n++] = in.p[++i];
		} else if (in.p[i] != '\r' && in.p[i] != '\n') {
			to[n++] = in.p[i];
		}
	}
	return str_make(to, n);
}

void head_strip_comments(struct str value, struct buf *out)
{
	while (value.n) {
		size_t n;
		if (value.p[0] == '(') {
			n = head_comment_length(value);
		} else {
			n = value.p[0] == '"' ? head_quoted_length(value) : 1;
			buf_add(out, value.p, n);
		}
		value = str_skip(value, n);
	}
}

void head_skip_cfws(struct str *s)
{
	while (s->n) {
		char c = s->p[0];
		if (c == '(') {
			*s = str_skip(*s, head_comment_length(*s));
		} else if (head_blank(c) || c == '\r' || c == '\n') {
			*s = str_skip(*s, 1);
		} else {
			return;
		}
	}
}

bool head_msgid_next(struct str *rest, struct str *id_out)
{
	ptrdiff_t open = str_chr(*rest, '<');
	while (open >= 0) {
		struct str from = str_skip(*rest, (size_t)open);
		size_t n = 1;
		while (n < from.n && from.p[n] != '>' && from.p[n] != '<') { n++; }
		*rest = str_skip(from, n);
		if (rest->n && rest->p[0] == '>' && n > 1) {
			*id_out = str_sub(from, 0, n + 1);
			*rest = str_skip(*rest, 1);
			return true;
		}
		open = str_chr(*rest, '<');
	}
	return false;
}

/* RFC 2045 5.1: no control, no space, no tspecial. */
static bool token_char(char c)
{
	return c > 0x20 && c < 0x7f && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

struct str head_token(struct str *s)
{
	size_t n = 0;
	while (n < s->n && token_char(s->p[n])) { n++; }
	struct str token = str_sub(*s, 0, n);
	*s = str_skip(*s, n);
	return token;
}
