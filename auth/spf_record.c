/* SPF records: terms and their syntax. Pure. RFC 7208 4.5, 4.6.1, 5, 6, 12. */
#include "auth/spf_private.h"

#include <arpa/inet.h>

const char *spf_result_name(enum spf_result r)
{
	static const char *const names[] = {
		"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"};
	return names[r];
}

static const struct str version = {"v=spf1", 6};

bool spf_is_record(struct str txt)
{
	return str_istarts(txt, version) && (txt.n == version.n || txt.p[version.n] == ' ');
}

struct str spf_terms(struct str record)
{
	return str_skip(record, version.n);
}

bool spf_next_term(struct str *rest, struct str *term_out)
{
	while (rest->n && rest->p[0] == ' ') { *rest = str_skip(*rest, 1); }
	if (rest->n == 0) { return false; }
	str_cut(rest, ' ', term_out);
	return true;
}

bool spf_is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~') { return false; }
	}
	return true;
}

/* What a term's name takes behind it. */
enum {
	SPEC = 1,      /* ":" domain-spec is possible */
	SPEC_MUST = 2, /* and required */
	CIDR = 4,      /* dual-cidr-length is possible */
	NET = 8        /* ":" and a network */
};

static const struct {
	const char *name;
	enum spf_kind kind;
	unsigned takes;
} mechanisms[] = {
	{"all", SPFTERM_ALL, 0},
	{"include", SPFTERM_INCLUDE, SPEC | SPEC_MUST},
	{"a", SPFTERM_A, SPEC | CIDR},
	{"mx", SPFTERM_MX, SPEC | CIDR},
	{"ptr", SPFTERM_PTR, SPEC},
	{"ip4", SPFTERM_IP4, NET},
	{"ip6", SPFTERM_IP6, NET},
	{"exists", SPFTERM_EXISTS, SPEC | SPEC_MUST},
};

bool spf_asks(enum spf_kind k)
{
	return k == SPFTERM_INCLUDE || k == SPFTERM_A || k == SPFTERM_MX || k == SPFTERM_PTR ||
	       k == SPFTERM_EXISTS || k == SPFTERM_REDIRECT;
}

/* As much of a term as a sentence can bear. */
#define SHOWN(s) (int)MIN((s).n, 80), (s).p

static int wrong(struct err *e, struct str text, const char *what)
{
	struct err clean = {.text = ""};
	err_set(&clean, 0, "%s in \"%.*s\"", what, SHOWN(text));
	for (char *p = clean.text; *p; p++) {
		if (*p < ' ' || *p > '~') { *p = '?'; }
	}
	return err_set(e, ERR_SYNTAX, "%s", clean.text);
}

/* Cut "/" and a number without leading zeros off the end. false when there is none. */
static bool cut_bits(struct str *s, uint64_t *bits_out)
{
	size_t digits = 0;
	while (digits < s->n && ascii_digit(s->p[s->n - 1 - digits])) { digits++; }
	if (digits == 0 || digits == s->n || s->p[s->n - 1 - digits] != '/') { return false; }
	struct str number = str_skip(*s, s->n - digits);
	if (digits > 3 || (digits > 1 && number.p[0] == '0')) { return false; }
	str_u64(number, 999, bits_out);
	s->n -= digits + 1;
	return true;
}

/* [ "/" ip4 bits ] [ "//" ip6 bits ] off the end. */
static int cut_dual_cidr(struct str *s, struct spf_term *t)
{
	uint64_t bits;
	struct str left = *s;
	if (cut_bits(&left, &bits) && str_ends(left, STR("/"))) {
		if (bits > 128) { return ERR_SYNTAX; }
		t->bits6 = (unsigned)bits;
		left.n--;
		*s = left;
	}
	left = *s;
	if (cut_bits(&left, &bits)) {
		if (bits > 32) { return ERR_SYNTAX; }
		t->bits4 = (unsigned)bits;
		*s = left;
	}
	return 0;
}

static int parse_net(struct str s, struct spf_term *t)
{
	char ip[INET6_ADDRSTRLEN];
	bool four = t->kind == SPFTERM_IP4;
	uint64_t bits = four ? 32 : 128;
	uint64_t max = bits;
	if (s.n == 0 || s.p[0] != ':') { return ERR_SYNTAX; }
	s = str_skip(s, 1);
	cut_bits(&s, &bits);
	if (bits > max || s.n >= sizeof ip || str_chr(s, '\0') >= 0) { return ERR_SYNTAX; }
	memcpy(ip, s.p, s.n);
	ip[s.n] = '\0';
	*(four ? &t->bits4 : &t->bits6) = (unsigned)bits;
	return inet_pton(four ? AF_INET : AF_INET6, ip, t->net) == 1 ? 0 : ERR_SYNTAX;
}

static int parse_mechanism(struct spf_term *t, struct str name, struct str args, struct err *e)
{
	unsigned takes = 0;
	bool known = false;
	for (size_t i = 0; i < COUNT(mechanisms) && !known; i++) {
		known = str_ieq(name, str_of(mechanisms[i].name));
		if (!known) { continue; }
		t->kind = mechanisms[i].kind;
		takes = mechanisms[i].takes;
	}
	if (!known) { return wrong(e, t->text, "an unknown mechanism"); }
	if (takes & NET) {
		return parse_net(args, t) < 0 ? wrong(e, t->text, "not an address or network") : 0;
	}
	if ((takes & CIDR) && cut_dual_cidr(&args, t) < 0) {
		return wrong(e, t->text, "a prefix length that is too long");
	}
	if (args.n && args.p[0] == ':' && (takes & SPEC)) {
		t->spec = str_skip(args, 1);
		return spf_macro_check(t->spec, SPFUSE_DOMAIN, e) < 0 ? wrong(e, t->text, e->text)
								      : 0;
	}
	if (args.n) { return wrong(e, t->text, "something that does not belong there"); }
	return takes & SPEC_MUST ? wrong(e, t->text, "no domain") : 0;
}

static int parse_modifier(struct spf_term *t, struct str name, struct str value, struct err *e)
{
	enum spf_macro_use use = SPFUSE_DOMAIN;
	t->spec = value;
	if (str_ieq(name, STR("redirect"))) {
		t->kind = SPFTERM_REDIRECT;
	} else if (str_ieq(name, STR("exp"))) {
		t->kind = SPFTERM_EXP;
	} else {
		t->kind = SPFTERM_OTHER;
		use = SPFUSE_VALUE;
	}
	return spf_macro_check(value, use, e) < 0 ? wrong(e, t->text, e->text) : 0;
}

static bool name_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_' || c == '.';
}

int spf_term_parse(struct str text, struct spf_term *out, struct err *e)
{
	struct str s = text;
	size_t n = 0;
	struct err own;
	if (!e) { e = &own; }
	*out = (struct spf_term){.qualifier = '+', .text = text, .bits4 = 32, .bits6 = 128};
	out->spec = STR("");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '!' || text.p[i] > '~') {
			return wrong(e, text, "an octet that is no visible US-ASCII");
		}
	}
	while (n < s.n && name_char(s.p[n])) { n++; }
	if (n && n < s.n && s.p[n] == '=' && ascii_alpha(s.p[0])) {
		return parse_modifier(out, str_sub(s, 0, n), str_skip(s, n + 1), e);
	}
	if (s.n && strchr("+-~?", s.p[0])) {
		out->qualifier = s.p[0];
		s = str_skip(s, 1);
	}
	for (n = 0; n < s.n && name_char(s.p[n]); n++) {}
	return parse_mechanism(out, str_sub(s, 0, n), str_skip(s, n), e);
}

int spf_record_check(struct str record, struct err *e)
{
	struct str rest = spf_terms(record), text;
	struct spf_term t;
	unsigned redirects = 0, exps = 0;
	while (spf_next_term(&rest, &text)) {
		int rc = spf_term_parse(text, &t, e);
		if (rc < 0) { return rc; }
		redirects += t.kind == SPFTERM_REDIRECT;
		exps += t.kind == SPFTERM_EXP;
		if (redirects > 1 || exps > 1) {
			return wrong(e, text, "a modifier that may stand there once only");
		}
	}
	return 0;
}
