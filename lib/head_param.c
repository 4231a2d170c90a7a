/* Content-Type and Content-Disposition: a token or two and parameters, those of RFC 2231 put
   together. Lenient: values that should have been quoted and stray text between parameters are met
   in the wild. Pure functions, every role. */
#include "lib/head.h"

#include "lib/charset.h"
#include "lib/codec.h"
#include "lib/codec_private.h"
#include "lib/head_private.h"

/* A parameter as it stands in the header: name["*"section]["*"]. */
struct raw_param {
	struct str name, base, value;
	int section; /* -1 = none */
	bool star;   /* the value is percent-encoded */
};

/* "name*3*" in its parts (RFC 2231 3, 4). A section that is no number is part of the name. */
static void split_name(struct raw_param *p)
{
	struct str s = p->name, section;
	uint64_t number;
	p->section = -1;
	p->base = s;
	p->star = str_ends(s, STR("*")) && s.n > 1;
	if (p->star) { s.n--; }
	ptrdiff_t star = str_rchr(s, '*');
	if (star > 0) {
		section = str_skip(s, (size_t)star + 1);
		if (str_u64(section, HEAD_PARAMS_MAX - 1, &number)) {
			p->section = (int)number;
			s.n = (size_t)star;
		}
	}
	p->base = s;
}

static struct str lower_dup(struct str s, struct arena *a)
{
	char *to = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) { to[i] = ascii_lower(s.p[i]); }
	return str_make(to, s.n);
}

/* A quoted string, or all up to a blank, a comment or the next ";". */
static struct str take_value(struct str *s, struct arena *a)
{
	size_t n = 0;
	if (s->n && s->p[0] == '"') {
		struct str quoted = str_sub(*s, 0, head_quoted_length(*s));
		*s = str_skip(*s, quoted.n);
		return head_unquote(quoted, a);
	}
	while (n < s->n && !memchr(" \t\r\n;(", s->p[n], 6)) { n++; }
	struct str value = str_sub(*s, 0, n);
	*s = str_skip(*s, n);
	return value;
}

/* Go behind the next ";" that stands in no quoted string and no comment. */
static bool skip_to_param(struct str *s)
{
	for (;;) {
		head_skip_cfws(s);
		if (!s->n) { return false; }
		char c = s->p[0];
		*s = str_skip(*s, c == '"' ? head_quoted_length(*s) : 1);
		if (c == ';') { return true; }
	}
}

/* The next parameter that has a name and "="; false at the end. */
static bool next_param(struct str *s, struct arena *a, struct raw_param *out)
{
	while (skip_to_param(s)) {
		head_skip_cfws(s);
		struct str name = head_token(s);
		head_skip_cfws(s);
		if (!name.n || !s->n || s->p[0] != '=') { continue; }
		*s = str_skip(*s, 1);
		head_skip_cfws(s);
		out->name = lower_dup(name, a);
		out->value = take_value(s, a);
		split_name(out);
		return true;
	}
	return false;
}

static const struct raw_param *find_section(
	const struct raw_param *raw, size_t n, struct str base, int section)
{
	for (size_t i = 0; i < n; i++) {
		if (raw[i].section == section && str_eq(raw[i].base, base)) { return &raw[i]; }
	}
	return NULL;
}

static void percent_encode(struct str s, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c > 0x20 && c < 0x7f && c != '%' && c != '\'') {
			buf_chr(out, c);
		} else {
			char triple[] = {'%', digits[(unsigned char)c >> 4], digits[c & 15]};
			buf_add(out, triple, sizeof triple);
		}
	}
}

/* Sections 0, 1, ... of one parameter as one value. When one of them is percent-encoded all must
   be; without a charset in section 0 it begins with an empty one. */
static void join_sections(const struct raw_param *raw, size_t n, struct str base, struct arena *a,
	struct head_param *out)
{
	struct buf b = {0};
	const struct raw_param *p;
	for (int i = 0; (p = find_section(raw, n, base, i)); i++) { out->extended |= p->star; }
	for (int i = 0; (p = find_section(raw, n, base, i)); i++) {
		if (i == 0 && out->extended && !p->star) { buf_str(&b, STR("''")); }
		if (out->extended && !p->star) {
			percent_encode(p->value, &b);
		} else {
			buf_str(&b, p->value);
		}
	}
	out->name = base;
	out->value = arena_dup(a, buf_view(&b));
	buf_fini(&b);
}

/* Into the list of the caller: first sections bring the others, which drop out of the order. */
static void keep_params(
	const struct raw_param *raw, size_t n, struct arena *a, struct head_typed *out)
{
	out->params = n ? arena_array(a, n, sizeof *out->params) : NULL;
	for (size_t i = 0; i < n; i++) {
		const struct raw_param *p = &raw[i];
		const struct raw_param *first = find_section(raw, n, p->base, 0);
		if (p->section >= 0 && first && first != p) { continue; }
		struct head_param *to = &out->params[out->params_n++];
		if (p->section == 0) {
			join_sections(raw, n, p->base, a, to);
		} else {
			bool orphan = p->section > 0;
			to->name = orphan ? p->name : p->base;
			to->value = p->value;
			to->extended = p->star && !orphan;
		}
	}
}

int head_typed(struct str value, struct arena *a, struct head_typed *out)
{
	struct raw_param raw[HEAD_PARAMS_MAX];
	size_t n = 0;
	*out = (struct head_typed){0};
	head_skip_cfws(&value);
	out->type = head_token(&value);
	if (!out->type.n) { return ERR_SYNTAX; }
	head_skip_cfws(&value);
	if (value.n && value.p[0] == '/') {
		value = str_skip(value, 1);
		head_skip_cfws(&value);
		out->subtype = head_token(&value);
	}
	while (n < HEAD_PARAMS_MAX && next_param(&value, a, &raw[n])) { n++; }
	keep_params(raw, n, a, out);
	return 0;
}

static void percent_decode(struct str s, struct buf *out)
{
	while (s.n) {
		int octet = s.p[0] == '%' ? hex_escape(s) : -1;
		buf_chr(out, octet < 0 ? s.p[0] : (char)octet);
		s = str_skip(s, octet < 0 ? 1 : 3);
	}
}

/* charset'language'percent-encoded; text without the quotes is taken as UTF-8. */
static struct str decode_extended(struct str value, struct arena *a)
{
	struct buf octets = {0}, text = {0};
	struct str rest = value, charset = STR(""), language;
	if (!str_cut(&rest, '\'', &charset) || !str_cut(&rest, '\'', &language)) {
		rest = value;
		charset = STR("");
	}
	percent_decode(rest, &octets);
	(void)charset_to_utf8(charset, buf_view(&octets), &text); /* the text is there anyway */
	struct str out = arena_dup(a, buf_view(&text));
	buf_fini(&octets);
	buf_fini(&text);
	return out;
}

bool head_typed_param(const struct head_typed *t, struct str name, struct arena *a, struct str *out)
{
	const struct head_param *found = NULL;
	for (size_t i = 0; i < t->params_n; i++) {
		const struct head_param *p = &t->params[i];
		if (!str_ieq(p->name, name)) { continue; }
		if (!found || (p->extended && !found->extended)) { found = p; }
	}
	if (!found) { return false; }
	*out = found->extended ? decode_extended(found->value, a) : found->value;
	return true;
}
