/* Taking out Authentication-Results that claim to be ours (RFC 8601 5). Pure functions; runs in mx.
   Whatever a lenient reader of mail could hold for our result must not come from outside, so this
   reads more loosely than any reader should. Linear in the length of the header. */
#include "auth/results.h"
#include "lib/head.h"
#include "lib/idn.h"

enum { LOOKED_AT = 1000 }; /* octets of a value that may hide the name in some encoding */

struct claim {
	struct str id, ascii_id; /* as configured, and as A-labels */
	bool utf8;               /* the two differ */
};

static bool name_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

/* What some readers overlook within a name: blanks and folds, controls, quotes, backslashes. */
static bool overlooked(char c)
{
	return (unsigned char)c <= 0x20 || c == 0x7f || c == '"' || c == '\\';
}

/* Behind the name: does it end here? One final dot is as good as none; a reader of ASCII stops
   before any other octet. */
static bool ends_here(struct str rest)
{
	if (str_starts(rest, STR("."))) { rest = str_skip(rest, 1); }
	if (rest.n == 0 || (unsigned char)rest.p[0] >= 0x80) { return true; }
	return !(name_char(rest.p[0]) || rest.p[0] == '.');
}

/* How comments are read: as the grammar has it, or as simple readers do, to the first ")". */
enum reading { NESTED, SIMPLE };

/* Comments are skipped; an open bracket that is never closed is just an octet. */
static bool skip_comment(struct str *rest, enum reading how, bool *comments)
{
	if (!*comments || rest->p[0] != '(') { return false; }
	ptrdiff_t end = str_chr(*rest, ')');
	*comments = how == SIMPLE ? end >= 0 : head_comment_closed(*rest);
	if (!*comments) { return false; }
	*rest = str_skip(*rest, how == SIMPLE ? (size_t)end + 1 : head_comment_length(*rest));
	return true;
}

static bool reads_as(struct str rest, struct str id, enum reading how)
{
	bool comments = true;
	size_t at = 0;
	while (rest.n && at < id.n) {
		char c = rest.p[0];
		if (skip_comment(&rest, how, &comments)) { continue; }
		if (ascii_lower(c) == ascii_lower(id.p[at])) {
			at++;
		} else if (at == 0 ? name_char(c) : !overlooked(c)) {
			return false;
		}
		rest = str_skip(rest, 1);
	}
	return at == id.n && ends_here(rest);
}

/* Is `id` the first name in the value? */
static bool names(struct str value, struct str id)
{
	return reads_as(value, id, NESTED) || reads_as(value, id, SIMPLE);
}

/* The first word as a domain in its one form. */
static bool names_encoded(struct str value, const struct claim *c)
{
	struct arena a = {0};
	struct str name;
	size_t n = 0;
	head_skip_cfws(&value);
	if (value.n && value.p[0] == '"') {
		value = head_unquote(str_sub(value, 0, head_quoted_length(value)), &a);
		n = value.n;
	}
	while (n < value.n && n < LOOKED_AT && (name_char(value.p[n]) || value.p[n] == '.')) {
		n++;
	}
	bool same = idn_domain(str_sub(value, 0, n), &a, &name) == 0 && str_eq(name, c->ascii_id);
	arena_fini(&a);
	return same;
}

/* Some decode encoded-words before they look at the structure. */
static bool names_decoded(struct str value, const struct claim *c)
{
	struct buf text = {0};
	head_decode(str_sub(value, 0, LOOKED_AT), &text);
	bool same = names(buf_view(&text), c->id) || names_encoded(buf_view(&text), c);
	buf_fini(&text);
	return same;
}

static bool claims(struct str value, const struct claim *c)
{
	struct str front = str_sub(value, 0, LOOKED_AT);
	if (names(value, c->id) || (c->utf8 && names(value, c->ascii_id))) { return true; }
	if (!str_ascii(front) && names_encoded(value, c)) { return true; }
	return str_find(front, STR("=?")) >= 0 && names_decoded(value, c);
}

size_t results_strip(struct str header, struct str authserv_id, struct buf *out)
{
	static const struct str name = STR("Authentication-Results");
	struct arena a = {0};
	struct claim c = {.id = authserv_id, .ascii_id = authserv_id};
	struct head_field f;
	size_t removed = 0;
	(void)idn_domain(authserv_id, &a, &c.ascii_id); /* what is no domain stays as it is */
	c.utf8 = !str_ieq(c.id, c.ascii_id);
	struct str rest = header, at = header;
	while (head_next(&rest, &f)) {
		at = rest;
		ptrdiff_t colon = str_chr(f.whole, ':');
		if (head_name_like(&f, name) && claims(str_skip(f.whole, (size_t)colon + 1), &c)) {
			removed++;
		} else {
			buf_str(out, f.whole);
		}
	}
	buf_str(out, at); /* the empty line and what follows */
	arena_fini(&a);
	return removed;
}
