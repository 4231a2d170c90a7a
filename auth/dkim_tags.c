/* DKIM tag lists and the DKIM-Signature field. Pure; the octets are a stranger's. RFC
   6376 3.2, 3.5, 6.1.1; RFC 8301; RFC 8463; RFC 8616. Keys are read in dkim_key.c. */
#include "auth/dkim_tags.h"

#include "lib/codec.h"
#include "lib/idn.h"

const char *dkim_result_name(enum dkim_result r)
{
	static const char *const names[] = {
		"pass", "fail", "neutral", "policy", "temperror", "permerror"};
	return names[r];
}

/* --- tag lists --- */

struct str dkim_trim(struct str s)
{
	while (s.n && ascii_white(s.p[0])) { s = str_skip(s, 1); }
	while (s.n && ascii_white(s.p[s.n - 1])) { s.n--; }
	return s;
}

static bool tag_name_ok(struct str name)
{
	if (name.n == 0 || !ascii_alpha(name.p[0])) { return false; }
	for (size_t i = 1; i < name.n; i++) {
		char c = name.p[i];
		if (!ascii_alpha(c) && !ascii_digit(c) && c != '_') { return false; }
	}
	return true;
}

/* VALCHAR and folding white space: a CR only before LF, an LF only before a blank. */
static bool tag_value_ok(struct str v, bool utf8)
{
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		char next = i + 1 < v.n ? v.p[i + 1] : '\0';
		if (c == '\r'       ? next != '\n'
			: c == '\n' ? next != ' ' && next != '\t'
				    : c == 0x7f || (c < 0x20 && c != '\t')) {
			return false;
		}
		if (c >= 0x80) {
			size_t n = utf8 ? utf8_len(str_skip(v, i)) : 0;
			if (n == 0) { return false; }
			i += n - 1;
		}
	}
	return true;
}

static int tag_add(struct dkim_tags *tags, struct str spec, bool utf8)
{
	struct str name;
	if (!str_cut(&spec, '=', &name)) { return ERR_SYNTAX; }
	struct dkim_tag t = {.name = dkim_trim(name), .value = dkim_trim(spec)};
	t.spaced = name.n && ascii_white(name.p[name.n - 1]);
	if (!tag_name_ok(t.name) || !tag_value_ok(t.value, utf8)) { return ERR_SYNTAX; }
	for (size_t i = 0; i < tags->n; i++) {
		if (str_ieq(tags->tag[i].name, t.name)) { return ERR_EXISTS; }
	}
	if (tags->n == DKIM_TAGS_MAX) { return ERR_LIMIT; }
	tags->tag[tags->n++] = t;
	return 0;
}

int dkim_tags_parse(struct str text, bool utf8, struct dkim_tags *out)
{
	struct str spec;
	out->n = 0;
	for (bool more = true; more;) {
		more = str_cut(&text, ';', &spec);
		if (!more && out->n && dkim_trim(spec).n == 0) { break; } /* the list ended in ; */
		int rc = tag_add(out, spec, utf8);
		if (rc < 0) { return rc; }
	}
	return 0;
}

bool dkim_tag_find(const struct dkim_tags *tags, struct str name, struct str *value_out)
{
	for (size_t i = 0; i < tags->n; i++) {
		if (str_eq(tags->tag[i].name, name)) {
			*value_out = tags->tag[i].value;
			return true;
		}
	}
	return false;
}

/* --- values --- */

struct str dkim_without_white(struct str v, struct arena *a)
{
	char *p = arena_alloc(a, v.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (!ascii_white(v.p[i])) { p[n++] = v.p[i]; }
	}
	return str_make(p, n);
}

static bool take_base64(struct str v, struct arena *a, struct str *text_out, struct str *out)
{
	struct buf octets = {0};
	*text_out = dkim_without_white(v, a);
	int rc = base64_decode(*text_out, &octets);
	*out = arena_dup(a, buf_view(&octets));
	buf_fini(&octets);
	return rc == 0 && out->n > 0;
}

/* sub-domains as in RFC 5321, or U-labels; underscores are seen in both d= and s=. */
static bool take_name(struct str name, size_t labels_min, struct arena *a, struct str *out)
{
	struct str ascii;
	size_t labels = 1;
	if (str_ends(name, STR(".")) || idn_domain(name, a, &ascii) < 0) { return false; }
	for (size_t i = 0; i < ascii.n; i++) { labels += ascii.p[i] == '.'; }
	if (labels < labels_min) { return false; }
	*out = ascii;
	return true;
}

static bool take_digits(struct str v, size_t digits_max, uint64_t *out)
{
	if (v.n == 0 || v.n > digits_max) { return false; }
	for (size_t i = 0; i < v.n; i++) {
		if (!ascii_digit(v.p[i])) { return false; }
	}
	if (!str_u64(v, INT64_MAX, out)) { *out = UINT64_MAX; }
	return true;
}

/* dkim-quoted-printable (2.11): "=XX" in capitals is an octet. */
static bool take_quoted(struct str v, struct arena *a, struct str *out)
{
	static const char digits[] = "0123456789ABCDEF";
	v = dkim_without_white(v, a);
	char *p = arena_alloc(a, v.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] != '=') {
			p[n++] = v.p[i];
			continue;
		}
		const char *high = i + 2 < v.n ? memchr(digits, v.p[i + 1], 16) : NULL;
		const char *low = i + 2 < v.n ? memchr(digits, v.p[i + 2], 16) : NULL;
		if (!high || !low) { return false; }
		p[n++] = (char)((high - digits) << 4 | (low - digits));
		i += 2;
	}
	*out = str_make(p, n);
	return true;
}

/* --- the tags of a signature --- */

static bool take_v(struct dkim_signature *s, struct str v, struct arena *a)
{
	(void)s, (void)a; /* one version, nothing to keep */
	return str_eq(v, STR("1"));
}

static bool take_a(struct dkim_signature *s, struct str v, struct arena *a)
{
	static const char *const names[] = {"", "rsa-sha1", "rsa-sha256", "ed25519-sha256"};
	(void)a; /* borrowed */
	for (size_t i = 1; i < COUNT(names); i++) {
		if (str_ieq(v, str_of(names[i]))) {
			s->a = v;
			s->algorithm = (enum dkim_algorithm)i;
		}
	}
	return s->algorithm != DKIM_ALGORITHM_NONE;
}

static bool take_b(struct dkim_signature *s, struct str v, struct arena *a)
{
	return take_base64(v, a, &s->b, &s->signature);
}

static bool take_bh(struct dkim_signature *s, struct str v, struct arena *a)
{
	struct str text;
	return take_base64(v, a, &text, &s->body_hash) &&
	       s->body_hash.n == (s->algorithm == DKIM_RSA_SHA1 ? 20 : 32);
}

static bool take_canon(struct str name, bool *relaxed_out)
{
	*relaxed_out = str_ieq(name, STR("relaxed"));
	return *relaxed_out || str_ieq(name, STR("simple"));
}

static bool take_c(struct dkim_signature *s, struct str v, struct arena *a)
{
	struct str header;
	v = dkim_without_white(v, a);
	bool both = str_cut(&v, '/', &header);
	return take_canon(header, &s->header_relaxed) && (!both || take_canon(v, &s->body_relaxed));
}

static bool take_d(struct dkim_signature *s, struct str v, struct arena *a)
{
	s->d = v;
	return take_name(v, 2, a, &s->domain);
}

static bool field_name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		if ((unsigned char)name.p[i] <= 0x20 || (unsigned char)name.p[i] >= 0x7f) {
			return false;
		}
	}
	return name.n > 0 && name.n <= 255;
}

static bool take_h(struct dkim_signature *s, struct str v, struct arena *a)
{
	struct str name, rest = v;
	size_t n = 1;
	for (size_t i = 0; i < v.n; i++) { n += v.p[i] == ':'; }
	s->fields = arena_array(a, n, sizeof *s->fields);
	for (bool more = true; more;) {
		more = str_cut(&rest, ':', &name);
		name = dkim_trim(name);
		if (!field_name_ok(name)) { return false; }
		s->fields[s->fields_n++] = name;
	}
	return true;
}

static bool take_i(struct dkim_signature *s, struct str v, struct arena *a)
{
	struct str address;
	if (!take_quoted(v, a, &address)) { return false; }
	ptrdiff_t at = str_rchr(address, '@');
	if (at < 0 || !take_name(str_skip(address, (size_t)at + 1), 2, a, &s->identity_domain)) {
		return false;
	}
	s->identity = address;
	return true;
}

static bool take_l(struct dkim_signature *s, struct str v, struct arena *a)
{
	(void)a; /* a number */
	s->has_l = take_digits(v, 76, &s->l);
	return s->has_l;
}

/* Of several methods only dns/txt exists; one that is known must be among them. */
static bool take_q(struct dkim_signature *s, struct str v, struct arena *a)
{
	struct str one;
	bool known = false;
	(void)s; /* nothing to keep */
	v = dkim_without_white(v, a);
	for (bool more = true; more;) {
		more = str_cut(&v, ':', &one);
		known |= str_ieq(one, STR("dns/txt"));
	}
	return known;
}

static bool take_s(struct dkim_signature *s, struct str v, struct arena *a)
{
	s->s = v;
	return take_name(v, 1, a, &s->selector);
}

static bool take_t(struct dkim_signature *s, struct str v, struct arena *a)
{
	(void)a; /* a number */
	s->has_t = take_digits(v, 76, &s->t_s);
	return s->has_t;
}

static bool take_x(struct dkim_signature *s, struct str v, struct arena *a)
{
	(void)a; /* a number */
	s->has_x = take_digits(v, 76, &s->x_s);
	return s->has_x;
}

struct tag_row {
	const char *name;
	bool (*take)(struct dkim_signature *s, struct str v, struct arena *a);
	const char *missing; /* NULL: may be missing */
	const char *wrong;
};
/* In the order in which they are looked at: bh= needs to know a=. */
static const struct tag_row tag_rows[] = {
	{"v", take_v, "v= is missing", "v= is not 1"},
	{"a", take_a, "a= is missing", "the algorithm (a=) is unknown"},
	{"d", take_d, "d= is missing", "d= is not a domain"},
	{"s", take_s, "s= is missing", "s= is not a selector"},
	{"b", take_b, "b= is missing", "b= is not base64"},
	{"bh", take_bh, "bh= is missing", "bh= is not a hash in base64"},
	{"h", take_h, "h= is missing", "h= is not a list of field names"},
	{"c", take_c, NULL, "the canonicalisation (c=) is unknown"},
	{"i", take_i, NULL, "i= is not an address"},
	{"l", take_l, NULL, "l= is not a number"},
	{"q", take_q, NULL, "no way to the key (q=) is known"},
	{"t", take_t, NULL, "t= is not a time"},
	{"x", take_x, NULL, "x= is not a time"},
};

/* All are taken, whatever is wrong with the first: what can be read is reported. */
static struct dkim_flaw take_tags(
	const struct dkim_tags *tags, struct arena *a, struct dkim_signature *s)
{
	struct dkim_flaw flaw = {DKIM_RESULT_NEUTRAL, NULL};
	for (size_t i = 0; i < COUNT(tag_rows); i++) {
		const struct tag_row *row = &tag_rows[i];
		struct str v;
		const char *why = NULL;
		if (!dkim_tag_find(tags, str_of(row->name), &v)) {
			why = row->missing;
		} else if (row->take == take_h && v.n > DKIM_H_MAX) {
			why = "h= is too long";
		} else if (!row->take(s, v, a)) {
			why = row->wrong;
		}
		if (!flaw.why) { flaw.why = why; }
	}
	return flaw;
}

bool dkim_signature_covers(const struct dkim_signature *s, struct str name)
{
	for (size_t i = 0; i < s->fields_n; i++) {
		if (str_ieq(s->fields[i], name)) { return true; }
	}
	return false;
}

/* libopendkim reads ASCII and 64 bits only, and finds b= by the octet before the first "=" of a
   tag; a signature over others would need them fed to it, whatever they are; and it canonicalises
   the body anew for each l=. */
static bool beyond_lib(
	const struct dkim_signature *s, const struct dkim_tags *tags, struct str value)
{
	if (dkim_signature_covers(s, STR("DKIM-Signature"))) { return true; }
	if (s->has_l || MAX(s->t_s, s->x_s) == UINT64_MAX) { return true; }
	if (s->has_t && s->t_s < DKIM_SKEW_S) { return true; } /* it subtracts */
	if (!str_ascii(value)) { return true; }
	for (size_t i = 0; i < tags->n; i++) {
		struct str name = tags->tag[i].name;
		if (str_eq(name, STR("b")) ? tags->tag[i].spaced
					   : str_ends(name, STR("b")) && !tags->tag[i].spaced) {
			return true;
		}
	}
	return false;
}

/* Well formed; is it one that we accept? 6.1.1, RFC 8301 3.1. */
static struct dkim_flaw judge(const struct dkim_signature *s, int64_t now_us)
{
	uint64_t now_s = (uint64_t)MAX(now_us, 0) / SECOND_US;
	if (s->has_t && s->has_x && s->x_s <= s->t_s) {
		return (struct dkim_flaw){DKIM_RESULT_NEUTRAL, "x= is not after t="};
	}
	if (!dkim_signature_covers(s, STR("From"))) {
		return (struct dkim_flaw){DKIM_RESULT_PERMERROR, "the From field is not signed"};
	}
	if (!idn_within(s->identity_domain, s->domain)) {
		return (struct dkim_flaw){DKIM_RESULT_PERMERROR, "i= is not inside d="};
	}
	if (s->fields_n > DKIM_FIELDS_MAX) {
		return (struct dkim_flaw){DKIM_RESULT_POLICY, "h= names too many fields"};
	}
	if (s->algorithm == DKIM_RSA_SHA1) {
		return (struct dkim_flaw){
			DKIM_RESULT_POLICY, "SHA-1 proves nothing any more (RFC 8301)"};
	}
	if (s->has_x && s->x_s < now_s) {
		return (struct dkim_flaw){DKIM_RESULT_POLICY, "the signature has expired (x=)"};
	}
	if (s->has_t && s->t_s > now_s + DKIM_SKEW_S) {
		return (struct dkim_flaw){
			DKIM_RESULT_POLICY, "the signature is dated in the future (t=)"};
	}
	return (struct dkim_flaw){0};
}

struct dkim_flaw dkim_signature_parse(
	struct str value, int64_t now_us, struct arena *a, struct dkim_signature *out)
{
	struct dkim_tags tags;
	*out = (struct dkim_signature){0};
	if (value.n > DKIM_SIGNATURE_MAX) {
		return (struct dkim_flaw){DKIM_RESULT_POLICY, "the signature is too long"};
	}
	int rc = dkim_tags_parse(value, true, &tags);
	struct dkim_flaw flaw = take_tags(&tags, a, out); /* those before what is wrong */
	if (out->identity.n == 0 && out->domain.n) {
		out->identity = arena_fmt(a, "@%.*s", STR_ARG(out->domain));
		out->identity_domain = out->domain;
	}
	out->beyond_lib = beyond_lib(out, &tags, value);
	if (rc < 0) {
		flaw.why = rc == ERR_EXISTS  ? "a tag stands twice"
			   : rc == ERR_LIMIT ? "too many tags"
					     : "not a list of tags";
		return flaw;
	}
	return flaw.why ? flaw : judge(out, now_us);
}
