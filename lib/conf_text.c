/* What may stand in a file of the configuration before libconfuse sees it: cut here into comments,
   strings, words and marks exactly as its lexer does, so that whatever that one would misread meets
   an error with its line. Pure. */
#include "lib/conf_private.h"

struct scan {
	const char *path;
	struct buf *text;
	size_t at;
	int line;
	struct err *e;
};

/* The octet `ahead` of the next one; NUL behind the end, where none stands within. */
static char peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->text->n ? s->text->p[s->at + ahead] : '\0';
}

static int fail(struct scan *s, int line, const char *what)
{
	return err_set(s->e, ERR_SYNTAX, "%s:%d: %s", s->path, line, what);
}

static int check_length(struct scan *s, size_t from)
{
	return s->at - from <= CONF_TOKEN_MAX
		       ? 0
		       : err_set(s->e, ERR_LIMIT, "%s:%d: a value is longer than %d octets",
				 s->path, s->line, CONF_TOKEN_MAX);
}

static int odd_octet(struct scan *s, char c)
{
	return err_set(s->e, ERR_SYNTAX, "%s:%d: a control character (octet %d)", s->path, s->line,
		(unsigned char)c);
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* --- comments --- */

static void blank_line(struct scan *s)
{
	for (; s->at < s->text->n && peek(s, 0) != '\n'; s->at++) { s->text->p[s->at] = ' '; }
}

static int blank_comment(struct scan *s)
{
	int begun = s->line;
	ptrdiff_t end = str_find(str_skip(buf_view(s->text), s->at + 2), STR("*/"));
	if (end < 0) { return fail(s, begun, "the comment is not closed: */ is missing"); }
	for (size_t stop = s->at + 2 + (size_t)end + 2; s->at < stop; s->at++) {
		if (peek(s, 0) == '\n') {
			s->line++;
		} else {
			s->text->p[s->at] = ' ';
		}
	}
	return 0;
}

/* --- strings and words --- */

/* ${NAME} or ${NAME:-instead}: libconfuse looks for the } beyond quotes and lines. */
static int skip_variable(struct scan *s)
{
	for (s->at += 2; peek(s, 0) != '}'; s->at++) {
		char c = peek(s, 0);
		if (c == '\0' || c == '"' || c == '\'' || c == '\\' || is_control(c)) {
			return fail(s, s->line,
				"${ is not closed by }; for a $ write \\$ in double quotes");
		}
	}
	s->at++;
	return 0;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static bool is_hex(char c)
{
	return ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

/* \ooo and \xhh of one octet that is not NUL, \ before anything else but a digit. */
static int skip_escape(struct scan *s)
{
	unsigned value = 0;
	size_t digits = 0;
	char c = peek(s, 1);
	if (is_control(c)) { return c ? odd_octet(s, c) : 0; }
	s->at += 2;
	if (c == 'x' && is_hex(peek(s, 0))) {
		for (; digits < 2 && is_hex(peek(s, 0)); digits++, s->at++) {
			value |= peek(s, 0) != '0';
		}
	} else if (ascii_digit(c)) {
		for (s->at--; ascii_digit(peek(s, 0)); digits++, s->at++) {
			value = is_octal(peek(s, 0)) && digits < 3
					? value * 8 + (unsigned)(peek(s, 0) - '0')
					: 256;
		}
	} else {
		return 0;
	}
	return value >= 1 && value <= 255
		       ? 0
		       : fail(s, s->line,
				 "an escape in a string is no octet; a backslash is written \\\\");
}

static int skip_string(struct scan *s, char quote)
{
	size_t from = s->at++;
	int rc = 0;
	while (rc == 0) {
		char c = peek(s, 0);
		size_t end = s->at + (c == '\\'); /* where libconfuse would join lines */
		if (end >= s->text->n || s->text->p[end] == '\n') {
			return fail(s, s->line, "the string is not closed on its line");
		}
		if (c == quote) { break; }
		if (c == '\\' && quote == '"') {
			rc = skip_escape(s);
		} else if (c == '$' && peek(s, 1) == '{' && quote == '"') {
			rc = skip_variable(s);
		} else if (is_control(c)) {
			rc = odd_octet(s, c);
		} else { /* in single quotes a backslash protects a quote and a backslash only */
			s->at += c == '\\' && (peek(s, 1) == '\'' || peek(s, 1) == '\\') ? 2 : 1;
		}
	}
	s->at++;
	return rc < 0 ? rc : check_length(s, from);
}

static int skip_word(struct scan *s)
{
	size_t from = s->at;
	while (s->at < s->text->n && !strchr(" #\"'\t\n\r={}()+,*", peek(s, 0))) {
		if (is_control(peek(s, 0))) { return odd_octet(s, peek(s, 0)); }
		s->at++;
	}
	return check_length(s, from);
}

/* --- the file --- */

static int next(struct scan *s)
{
	char c = peek(s, 0), after = peek(s, 1);
	if (c == '#' || (c == '/' && after == '/')) {
		blank_line(s);
		return 0;
	}
	if (c == '/' && after == '*') { return blank_comment(s); }
	if (c == '"' || c == '\'') { return skip_string(s, c); }
	if (c == '$' && after == '{') { return skip_variable(s); }
	if (c == '*' || (c == '+' && after != '=')) {
		return fail(s, s->line,
			c == '*' ? "a value with * stands in quotes"
				 : "a value with + stands in quotes");
	}
	if (c == '\r' && after != '\n') { return odd_octet(s, c); }
	if (!strchr(" \t\r\n={}(),+", c)) { return skip_word(s); }
	s->line += c == '\n';
	s->at++;
	return 0;
}

int conf_text_prepare(const char *path, struct buf *text, struct err *e)
{
	struct scan s = {.path = path, .text = text, .line = 1, .e = e};
	ptrdiff_t nul = str_chr(buf_view(text), '\0');
	int rc = nul < 0 ? 0
			 : err_set(e, ERR_SYNTAX, "%s: has a NUL octet at offset %td", path, nul);
	while (rc == 0 && s.at < text->n) { rc = next(&s); }
	return rc;
}
