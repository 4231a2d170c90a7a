/* Writing Authentication-Results (RFC 8601 2.2). Pure functions; runs in mx. Values come from
   hostile messages: nothing may end a line, a comment or a quoted string but what is written here.
 */
#include "auth/results.h"

#include "lib/charset.h"

enum { COLUMNS = 78, TAB = 8 };

struct writer {
	struct buf *out;
	size_t column;
	bool utf8;
};

/* A piece behind a blank, or on a line of its own. */
static void put(struct writer *w, struct str piece, bool new_line)
{
	if (new_line || w->column + 1 + piece.n > COLUMNS) {
		buf_str(w->out, STR("\r\n\t"));
		w->column = TAB;
	} else {
		buf_chr(w->out, ' ');
		w->column++;
	}
	buf_str(w->out, piece);
	w->column += piece.n;
}

/* --- which form a value takes --- */

static bool token_char(char c)
{
	return c > 0x20 && c < 0x7f && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

/* RFC 2045 5.1. */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!token_char(s.p[i])) { return false; }
	}
	return s.n > 0;
}

static bool atext(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* RFC 5322 3.2.3 */
static bool is_dot_atom(struct str s)
{
	bool more = true;
	while (more) {
		struct str atom;
		more = str_cut(&s, '.', &atom);
		for (size_t i = 0; i < atom.n; i++) {
			if (!atext(atom.p[i])) { return false; }
		}
		if (atom.n == 0) { return false; }
	}
	return true;
}

/* domain-name of RFC 6376 3.5: two labels or more. */
static bool is_domain_name(struct str s)
{
	unsigned labels = 0;
	for (bool more = true; more; labels++) {
		struct str label;
		more = str_cut(&s, '.', &label);
		for (size_t i = 0; i < label.n; i++) {
			bool hyphen = label.p[i] == '-' && i > 0 && i + 1 < label.n;
			if (!hyphen && !ascii_alpha(label.p[i]) && !ascii_digit(label.p[i])) {
				return false;
			}
		}
		if (label.n == 0) { return false; }
	}
	return labels > 1;
}

/* [[local-part] "@"] domain-name */
static bool is_address(struct str s)
{
	ptrdiff_t at = str_rchr(s, '@');
	struct str local = str_sub(s, 0, at < 0 ? 0 : (size_t)at);
	return at >= 0 && (at == 0 || is_dot_atom(local)) &&
	       is_domain_name(str_skip(s, (size_t)at + 1));
}

/* --- octets --- */

/* Copy with `special` ones behind a backslash; what may not pass becomes "?". */
static void escape(struct writer *w, struct str s, const char *special, struct buf *out)
{
	while (s.n) {
		char c = s.p[0];
		size_t n = utf8_len(s);
		if (n > 1 && w->utf8 && plain_len(s)) {
			buf_add(out, s.p, n);
		} else if (n != 1 || plain_len(s) == 0) {
			buf_chr(out, '?');
		} else {
			if (strchr(special, c)) { buf_chr(out, '\\'); }
			buf_chr(out, c);
		}
		s = str_skip(s, MAX(n, (size_t)1));
	}
}

/* value of RFC 2045: a token or a quoted-string. */
static void put_value(struct writer *w, struct str value, struct buf *out)
{
	if (is_token(value)) {
		buf_str(out, value);
		return;
	}
	buf_chr(out, '"');
	escape(w, value, "\"\\", out);
	buf_chr(out, '"');
}

static bool is_keyword(const char *s)
{
	for (const char *p = s; *p; p++) {
		if (!ascii_alpha(*p) && !ascii_digit(*p) && *p != '-') { return false; }
	}
	return *s && strlen(s) < 32;
}

static void put_prop(struct writer *w, const struct results_prop *p)
{
	struct buf piece = {0};
	assert(is_keyword(p->type) && is_keyword(p->name));
	if (p->value.n == 0 || p->value.n > RESULTS_VALUE_MAX) { return; }
	buf_fmt(&piece, "%s.%s=", p->type, p->name);
	if (is_address(p->value)) {
		buf_str(&piece, p->value);
	} else {
		put_value(w, p->value, &piece);
	}
	put(w, buf_view(&piece), false);
	buf_fini(&piece);
}

/* --- comments --- */

/* At most RESULTS_REASON_MAX octets, not within a character. */
static struct str shortened(struct str s)
{
	size_t n = 0;
	while (n < s.n) {
		size_t more = MAX(utf8_len(str_skip(s, n)), (size_t)1);
		if (n + more > RESULTS_REASON_MAX) { break; }
		n += more;
	}
	return str_sub(s, 0, n);
}

/* Word by word, so that it can be folded. */
static void put_comment(struct writer *w, struct str text)
{
	struct buf piece = {0};
	struct str left = shortened(text);
	bool cut = left.n < text.n, any = false;
	while (left.n) {
		size_t n = 0;
		while (n < left.n && !ascii_white(left.p[n])) { n++; }
		struct str word = str_sub(left, 0, n);
		left = str_skip(left, n + 1);
		if (n == 0) { continue; }
		if (piece.n) { put(w, buf_view(&piece), false); }
		buf_reset(&piece);
		if (!any) { buf_chr(&piece, '('); }
		any = true;
		escape(w, word, "()\\", &piece);
	}
	if (any) {
		buf_str(&piece, cut ? STR("...)") : STR(")"));
		put(w, buf_view(&piece), false);
	}
	buf_fini(&piece);
}

/* --- the field --- */

static void put_method(struct writer *w, const struct results_method *m)
{
	struct buf piece = {0};
	assert(is_keyword(m->name) && is_keyword(m->result));
	buf_fmt(&piece, "%s=%s", m->name, m->result);
	put(w, buf_view(&piece), true);
	put_comment(w, m->reason);
	for (size_t i = 0; i < m->props_n; i++) { put_prop(w, &m->props[i]); }
	buf_fini(&piece);
}

void results_write(struct str authserv_id, const struct results_method *methods, size_t n,
	bool utf8, struct buf *out)
{
	static const struct str name = STR("Authentication-Results:");
	struct writer w = {.out = out, .column = name.n, .utf8 = utf8};
	struct buf id = {0};
	assert(authserv_id.n && authserv_id.n <= RESULTS_VALUE_MAX);
	buf_str(out, name);
	put_value(&w, authserv_id, &id);
	put(&w, buf_view(&id), false);
	buf_fini(&id);
	for (size_t i = 0; i < n; i++) {
		buf_chr(out, ';');
		put_method(&w, &methods[i]);
	}
	if (n == 0) {
		buf_chr(out, ';');
		put(&w, STR("none"), false);
	}
	buf_str(out, STR("\r\n"));
}
