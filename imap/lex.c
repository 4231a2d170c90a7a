/* Reads IMAP's grammar. Pure functions over one whole command, the imap role; nothing here knows a
   session. Every reader takes its place back when what it wanted is not there. */
#include "imap/lex.h"

#include "lib/charset.h"
#include "lib/codec.h"

enum { NUMBER_DIGITS_MAX = 20 };

static bool fail(struct lex *l, size_t back, const char *why)
{
	l->at = back;
	l->error = why;
	return false;
}

static struct str rest(const struct lex *l)
{
	return str_skip(l->in, l->at);
}

/* RFC 9051 9: ATOM-CHAR, any CHAR but atom-specials. */
static bool atom_char(char c)
{
	return c > ' ' && c < 0x7f && !memchr("(){%*\"\\]", c, 8);
}

static bool astring_char(char c)
{
	return atom_char(c) || c == ']';
}

static bool list_char(char c)
{
	return astring_char(c) || c == '%' || c == '*';
}

/* The longest run of such octets, taken. */
static struct str take_run(struct lex *l, bool (*is)(char c))
{
	size_t from = l->at;
	while (l->at < l->in.n && is(l->in.p[l->at])) { l->at++; }
	return str_sub(l->in, from, l->at - from);
}

/* --- single octets, words --- */

bool lex_end(const struct lex *l)
{
	return l->at == l->in.n;
}

char lex_peek(const struct lex *l)
{
	return lex_end(l) ? '\0' : l->in.p[l->at];
}

static bool take(struct lex *l, char c)
{
	if (lex_end(l) || l->in.p[l->at] != c) { return false; }
	l->at++;
	return true;
}

bool lex_space(struct lex *l)
{
	return take(l, ' ') ? true : fail(l, l->at, "expected a space");
}

bool lex_chr(struct lex *l, char c)
{
	return take(l, c) ? true : fail(l, l->at, "unexpected character");
}

bool lex_word(struct lex *l, const char *word)
{
	size_t from = l->at;
	if (str_ieq(take_run(l, atom_char), str_of(word))) { return true; }
	return fail(l, from, "unexpected word");
}

bool lex_atom(struct lex *l, struct str *out)
{
	*out = take_run(l, atom_char);
	return out->n ? true : fail(l, l->at, "expected an atom");
}

/* --- strings --- */

/* What stands between the quotes, with its backslashes. */
static bool quoted_extent(const struct lex *l, struct str *out, size_t *escapes)
{
	*escapes = 0;
	for (size_t i = l->at + 1; i < l->in.n; i++) {
		char c = l->in.p[i];
		if (c == '"') {
			*out = str_sub(l->in, l->at + 1, i - l->at - 1);
			return true;
		}
		if (c == '\r' || c == '\n' || c == '\0') { return false; }
		if (c != '\\') { continue; }
		if (++i >= l->in.n || (l->in.p[i] != '"' && l->in.p[i] != '\\')) { return false; }
		++*escapes;
	}
	return false;
}

static bool lex_quoted(struct lex *l, struct str *out)
{
	size_t escapes, n = 0;
	struct str raw;
	if (!quoted_extent(l, &raw, &escapes)) { return fail(l, l->at, "bad quoted string"); }
	l->at += raw.n + 2;
	*out = raw;
	if (!escapes) { return true; }
	char *p = arena_alloc(l->arena, raw.n - escapes);
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\') { i++; }
		p[n++] = raw.p[i];
	}
	*out = str_make(p, n);
	return true;
}

static bool lex_literal(struct lex *l, struct str *out)
{
	size_t from = l->at;
	uint64_t n;
	(void)take(l, '~'); /* literal8 reads like any other */
	if (!take(l, '{') || !lex_number64(l, &n)) { return fail(l, from, "bad literal"); }
	(void)take(l, '+'); /* RFC 7888; the server has read it already */
	if (!take(l, '}') || !take(l, '\r') || !take(l, '\n') || n > l->in.n - l->at) {
		return fail(l, from, "bad literal");
	}
	*out = str_sub(l->in, l->at, (size_t)n);
	l->at += (size_t)n;
	return true;
}

bool lex_string(struct lex *l, struct str *out)
{
	switch (lex_peek(l)) {
	case '"': return lex_quoted(l, out);
	case '~':
	case '{': return lex_literal(l, out);
	default: return fail(l, l->at, "expected a string");
	}
}

/* "~{" begins a literal, but '~' is an ATOM-CHAR too. */
static bool at_string(const struct lex *l)
{
	char c = lex_peek(l);
	return c == '"' || c == '{' || (c == '~' && str_starts(rest(l), STR("~{")));
}

static bool run_or_string(struct lex *l, bool (*is)(char c), struct str *out)
{
	if (at_string(l)) { return lex_string(l, out); }
	*out = take_run(l, is);
	return out->n ? true : fail(l, l->at, "expected a string");
}

bool lex_astring(struct lex *l, struct str *out)
{
	return run_or_string(l, astring_char, out);
}

bool lex_nstring(struct lex *l, struct str *out)
{
	if (at_string(l)) { return lex_string(l, out); }
	*out = (struct str){0};
	return lex_word(l, "NIL") ? true : fail(l, l->at, "expected a string or NIL");
}

/* --- numbers --- */

static bool digit(char c)
{
	return ascii_digit(c);
}

static bool number(struct lex *l, uint64_t min, uint64_t max, uint64_t *out)
{
	size_t from = l->at;
	struct str digits = take_run(l, digit);
	if (digits.n > NUMBER_DIGITS_MAX || !str_u64(digits, max, out) || *out < min) {
		return fail(l, from, "expected a number");
	}
	return true;
}

bool lex_number64(struct lex *l, uint64_t *out)
{
	return number(l, 0, INT64_MAX, out);
}

bool lex_number(struct lex *l, uint32_t *out)
{
	uint64_t v;
	if (!number(l, 0, UINT32_MAX, &v)) { return false; }
	*out = (uint32_t)v;
	return true;
}

bool lex_nz_number(struct lex *l, uint32_t *out)
{
	uint64_t v;
	if (!number(l, 1, UINT32_MAX, &v)) { return false; }
	*out = (uint32_t)v;
	return true;
}

/* --- mailbox names, flags --- */

/* As the store writes names: UTF-8 in NFC, INBOX in upper case. */
static struct str normal_name(struct arena *a, struct str name)
{
	struct buf b = {0};
	utf8_nfc(name, &b);
	if (str_istarts(name, STR("INBOX")) && (name.n == 5 || name.p[5] == '/')) {
		memcpy(b.p, "INBOX", 5);
	}
	struct str normal = arena_dup(a, buf_view(&b));
	buf_fini(&b);
	return normal;
}

static bool decode_name(struct lex *l, size_t from, struct str raw, struct str *out)
{
	struct buf b = {0};
	bool ok = true;
	if (l->utf8) {
		buf_str(&b, raw);
	} else {
		ok = mutf7_decode(raw, &b) == 0;
	}
	ok = ok && utf8_valid(buf_view(&b));
	if (ok) {
		l->mailbox = *out = normal_name(l->arena, buf_view(&b));
		l->oldname =
			str_eq(*out, buf_view(&b)) ? STR("") : arena_dup(l->arena, buf_view(&b));
	}
	buf_fini(&b);
	return ok ? true : fail(l, from, "bad mailbox name");
}

bool lex_mailbox(struct lex *l, struct str *out)
{
	size_t from = l->at;
	struct str raw;
	return lex_astring(l, &raw) && decode_name(l, from, raw, out);
}

bool lex_list_mailbox(struct lex *l, struct str *out)
{
	size_t from = l->at;
	struct str raw;
	return run_or_string(l, list_char, &raw) && decode_name(l, from, raw, out);
}

bool lex_flag(struct lex *l, struct str *out)
{
	size_t from = l->at;
	struct str name;
	(void)take(l, '\\');
	if (!lex_atom(l, &name)) { return fail(l, from, "expected a flag"); }
	*out = str_sub(l->in, from, l->at - from);
	return true;
}

/* --- sequence sets --- */

static bool seq_number(struct lex *l, uint32_t *out)
{
	*out = UINT32_MAX;
	if (take(l, '*')) { return true; }
	if (!lex_nz_number(l, out)) { return false; }
	if (*out == UINT32_MAX) { --*out; } /* which no message has either: it is not `*` */
	return true;
}

static bool seq_range(struct lex *l, struct uid_range *out)
{
	uint32_t a, b;
	if (!seq_number(l, &a)) { return false; }
	b = a;
	if (take(l, ':') && !seq_number(l, &b)) { return false; }
	*out = (struct uid_range){MIN(a, b), MAX(a, b)};
	return true;
}

static bool seqset_char(char c)
{
	return ascii_digit(c) || c == ':' || c == '*' || c == ',';
}

/* How many ranges the set at hand may have, by its commas. */
static size_t count_ranges(const struct lex *l)
{
	struct lex ahead = *l;
	struct str set = take_run(&ahead, seqset_char);
	size_t n = 1;
	for (size_t i = 0; i < set.n; i++) { n += set.p[i] == ','; }
	return n;
}

bool lex_seqset(struct lex *l, struct seqset *out)
{
	size_t from = l->at, n = count_ranges(l);
	*out = (struct seqset){0};
	if (take(l, '$')) {
		out->saved = true;
		return true;
	}
	if (n > LEX_SEQ_RANGES_MAX) { return fail(l, from, "too many ranges"); }
	out->ranges = arena_array(l->arena, n, sizeof *out->ranges);
	do {
		if (!seq_range(l, &out->ranges[out->n++])) {
			return fail(l, from, "bad sequence set");
		}
	} while (take(l, ','));
	return true;
}
