/* Reading Authentication-Results strictly. Only in tests. */
#include "t/authres.h"

enum { LINE_MAX = 998 };

struct reader {
	struct str rest;
	struct buf *out;
	struct buf comments;
	bool bad;
};

static char peek(const struct reader *r)
{
	return r->rest.n ? r->rest.p[0] : '\0';
}

static char take(struct reader *r)
{
	char c = peek(r);
	r->bad |= r->rest.n == 0;
	r->rest = str_skip(r->rest, 1);
	return c;
}

static bool accept(struct reader *r, char c)
{
	if (!r->rest.n || peek(r) != c) { return false; }
	take(r);
	return true;
}

static void expect(struct reader *r, char c)
{
	if (!accept(r, c)) { r->bad = true; }
}

/* Lines: CRLF only, each continuation begins with a blank and holds more than blanks. */
static int unfold(struct str field, struct buf *out)
{
	size_t column = 0;
	if (!str_ends(field, STR("\r\n"))) { return ERR_SYNTAX; }
	field.n -= 2;
	for (size_t i = 0; i < field.n; i++, column++) {
		unsigned char c = (unsigned char)field.p[i];
		if (c == '\r') {
			struct str next = str_sub(field, i + 1, 2), line, more;
			if (!str_eq(next, STR("\n\t")) && !str_eq(next, STR("\n "))) {
				return ERR_SYNTAX;
			}
			more = str_skip(field, i + 2);
			str_cut(&more, '\r', &line);
			if (str_trim(line).n == 0) { return ERR_SYNTAX; }
			i++;
			column = 0;
			continue;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f || column >= LINE_MAX) {
			return ERR_SYNTAX;
		}
		buf_chr(out, (char)c);
	}
	return 0;
}

static void comment(struct reader *r)
{
	unsigned depth = 0;
	buf_str(&r->comments, STR(" ("));
	do {
		char c = take(r);
		if (c == '(') {
			depth++;
		} else if (c == ')') {
			depth--;
		}
		bool edge = (c == '(' && depth == 1) || (c == ')' && depth == 0);
		if (c == '\\') { c = take(r); }
		if (!edge) { buf_chr(&r->comments, c); }
	} while (depth && !r->bad);
	buf_chr(&r->comments, ')');
}

static bool cfws(struct reader *r)
{
	size_t before = r->rest.n;
	while (!r->bad && (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '(')) {
		if (peek(r) == '(') {
			comment(r);
		} else {
			take(r);
		}
	}
	return r->rest.n != before;
}

static bool keyword_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-';
}

static void keyword(struct reader *r, struct buf *out)
{
	if (!keyword_char(peek(r))) { r->bad = true; }
	while (keyword_char(peek(r))) { buf_chr(out, take(r)); }
}

static bool token_char(char c)
{
	static const char specials[] = "()<>@,;:\\\"/[]?=";
	return c > ' ' && c <= '~' && !strchr(specials, c);
}

static void quoted_string(struct reader *r, struct buf *out)
{
	expect(r, '"');
	while (!r->bad && peek(r) != '"') {
		char c = take(r);
		buf_chr(out, c == '\\' ? take(r) : c);
	}
	expect(r, '"');
}

static void value(struct reader *r, struct buf *out)
{
	if (peek(r) == '"') {
		quoted_string(r, out);
		return;
	}
	if (!token_char(peek(r))) { r->bad = true; }
	while (token_char(peek(r))) { buf_chr(out, take(r)); }
}

static bool all(struct str s, const char *allowed)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !strchr(allowed, s.p[i])) {
			return false;
		}
	}
	return s.n > 0;
}

/* Two labels or more, each beginning and ending with a letter or digit. */
static bool domain_name(struct str s)
{
	struct str label;
	bool more = str_cut(&s, '.', &label), dots = more;
	for (;; more = str_cut(&s, '.', &label)) {
		if (!all(label, "-") || label.p[0] == '-' || label.p[label.n - 1] == '-') {
			return false;
		}
		if (!more) { return dots; }
	}
}

static bool dot_atom(struct str s)
{
	return all(s, "!#$%&'*+-/=?^_`{|}~.") && s.p[0] != '.' && s.p[s.n - 1] != '.' &&
	       str_find(s, STR("..")) < 0;
}

/* value / [ [ local-part ] "@" ] domain-name */
static void pvalue(struct reader *r, struct buf *out)
{
	size_t n = 0;
	while (n < r->rest.n && !strchr(" \t(;\"", r->rest.p[n])) { n++; }
	struct str run = str_sub(r->rest, 0, n);
	ptrdiff_t at = str_rchr(run, '@');
	if (at < 0) {
		value(r, out);
		return;
	}
	if ((at > 0 && !dot_atom(str_sub(run, 0, (size_t)at))) ||
		!domain_name(str_skip(run, (size_t)at + 1))) {
		r->bad = true;
	}
	buf_str(out, run);
	r->rest = str_skip(r->rest, n);
}

static void flush_comments(struct reader *r)
{
	buf_str(r->out, buf_view(&r->comments));
	buf_reset(&r->comments);
}

/* [CFWS] ";" was read; methodspec [CFWS reasonspec] [CFWS 1*propspec] */
static void resinfo(struct reader *r)
{
	cfws(r);
	buf_str(r->out, STR(" ;"));
	keyword(r, r->out);
	cfws(r);
	expect(r, '=');
	buf_chr(r->out, '=');
	cfws(r);
	keyword(r, r->out);
	while (!r->bad) {
		bool gap = cfws(r);
		flush_comments(r);
		if (!r->rest.n || peek(r) == ';') { return; }
		r->bad |= !gap;
		buf_chr(r->out, ' ');
		keyword(r, r->out);
		cfws(r);
		expect(r, '.');
		buf_chr(r->out, '.');
		cfws(r);
		keyword(r, r->out);
		cfws(r);
		expect(r, '=');
		buf_chr(r->out, '=');
		cfws(r);
		pvalue(r, r->out);
	}
}

static bool no_result(struct reader *r)
{
	struct str rest = str_trim(r->rest);
	if (!str_eq(rest, STR("none"))) { return false; }
	buf_str(r->out, STR(" ;none"));
	r->rest = str_make("", 0);
	return true;
}

static void payload(struct reader *r)
{
	cfws(r);
	value(r, r->out);
	cfws(r);
	while (ascii_digit(peek(r))) { take(r); } /* the version */
	cfws(r);
	expect(r, ';');
	if (no_result(r)) { return; }
	do {
		resinfo(r);
	} while (!r->bad && accept(r, ';'));
	r->bad |= r->rest.n > 0;
}

int authres_read(struct str field, struct buf *out)
{
	static const struct str name = STR("Authentication-Results:");
	struct buf text = {0};
	int rc = unfold(field, &text);
	struct reader r = {.rest = buf_view(&text), .out = out};
	r.bad = rc < 0 || !str_istarts(r.rest, name);
	r.rest = str_skip(r.rest, name.n);
	if (!r.bad) { payload(&r); }
	buf_fini(&r.comments);
	buf_fini(&text);
	return r.bad ? ERR_SYNTAX : 0;
}
