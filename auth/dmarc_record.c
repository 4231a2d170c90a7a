/* DMARC records. Pure functions; mx and commands. RFC 9989 4.7, 4.8. */
#include "auth/dmarc.h"

const char *dmarc_policy_name(enum dmarc_policy p)
{
	static const char *const names[] = {"none", "quarantine", "reject"};
	return names[p];
}

const char *dmarc_result_name(enum dmarc_result r)
{
	static const char *const names[] = {"none", "pass", "fail", "temperror", "permerror"};
	return names[r];
}

/* --- tags --- */

struct reading {
	struct dmarc_record *record;
	struct dmarc_warnings *warnings; /* NULL = nobody wants them */
	uint32_t seen;                   /* bits by row of `tags` */
	bool bad_policy;
};

static void warn(struct reading *r, struct str tag, struct str value, const char *says)
{
	struct dmarc_warnings *w = r->warnings;
	if (!w || w->n == DMARC_WARNINGS_MAX) { return; }
	w->list[w->n++] = (struct dmarc_warning){.tag = tag, .value = value, .says = says};
}

static bool read_policy(struct str v, enum dmarc_policy *out)
{
	for (enum dmarc_policy p = DMARC_NONE; p <= DMARC_REJECT; p++) {
		if (str_ieq(v, str_of(dmarc_policy_name(p)))) {
			*out = p;
			return true;
		}
	}
	return false;
}

static bool take_p(struct reading *r, struct str v)
{
	return read_policy(v, &r->record->p);
}

static bool take_sp(struct reading *r, struct str v)
{
	return read_policy(v, &r->record->sp);
}

static bool take_np(struct reading *r, struct str v)
{
	return read_policy(v, &r->record->np);
}

/* One of two letters; the other is the default. */
static bool read_letter(struct str v, char yes, char no, bool *out)
{
	char c = v.n == 1 ? ascii_lower(v.p[0]) : '\0';
	*out = c == yes;
	return c == yes || c == no;
}

static bool take_adkim(struct reading *r, struct str v)
{
	return read_letter(v, 's', 'r', &r->record->strict_dkim);
}

static bool take_aspf(struct reading *r, struct str v)
{
	return read_letter(v, 's', 'r', &r->record->strict_spf);
}

static bool take_t(struct reading *r, struct str v)
{
	return read_letter(v, 'y', 'n', &r->record->testing);
}

static bool take_psd(struct reading *r, struct str v)
{
	char c = v.n == 1 ? ascii_lower(v.p[0]) : '\0';
	if (c != 'y' && c != 'n' && c != 'u') { return false; }
	r->record->psd = c;
	return true;
}

static bool scheme_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '+' || c == '-' || c == '.';
}

/* scheme ":" and octets that a URI may hold (RFC 3986); mailto: needs an address. */
static bool is_uri(struct str s)
{
	struct str scheme, path = s;
	if (!str_cut(&path, ':', &scheme) || scheme.n == 0 || path.n == 0) { return false; }
	for (size_t i = 0; i < scheme.n; i++) {
		if (!scheme_char(scheme.p[i])) { return false; }
	}
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];
		if (c <= ' ' || c > '~' || strchr("\"<>\\^`{|}", c)) { return false; }
	}
	ptrdiff_t at = str_chr(path, '@');
	bool mailto = str_ieq(scheme, STR("mailto"));
	return ascii_alpha(scheme.p[0]) && (!mailto || (at > 0 && (size_t)at + 1 < path.n));
}

/* Answers whether there is one that is written correctly. */
static bool read_uris(struct reading *r, struct str tag, struct str v)
{
	bool any = false;
	for (bool more = true; more;) {
		struct str one;
		more = str_cut(&v, ',', &one);
		one = str_trim(one);
		if (!is_uri(one)) {
			warn(r, tag, one, "is no URI: nothing will be sent there");
			continue;
		}
		any = true;
		if (!str_istarts(one, STR("mailto:"))) {
			warn(r, tag, one, "is no mailto: URI: hardly anybody will send there");
		}
	}
	return any;
}

static bool take_rua(struct reading *r, struct str v)
{
	r->record->rua = v;
	r->record->has_rua = read_uris(r, STR("rua"), v);
	return true;
}

static bool take_ruf(struct reading *r, struct str v)
{
	r->record->ruf = v;
	(void)read_uris(r, STR("ruf"), v); /* for its warnings; nobody sends these reports */
	return true;
}

/* When to send failure reports: not our business, as we send none. */
static bool take_fo(struct reading *r, struct str v)
{
	struct str one;
	(void)r; /* nothing of it is kept */
	for (bool more = true; more;) {
		more = str_cut(&v, ':', &one);
		one = str_trim(one);
		if (one.n != 1 || !strchr("01dsDS", one.p[0])) { return false; }
	}
	return true;
}

static bool take_nothing(struct reading *r, struct str v)
{
	(void)r, (void)v; /* of old */
	return true;
}

#define OF_NO_USE ": with a valid rua the record counts as p=none, without it is not used"
#define NO_POLICY "is none of none, quarantine and reject" OF_NO_USE
#define OF_OLD "belongs to the DMARC of 2015 (RFC 7489) and has no effect any more"

enum tag_id {
	TAG_P,
	TAG_SP,
	TAG_NP,
	TAG_ADKIM,
	TAG_ASPF,
	TAG_T,
	TAG_PSD,
	TAG_RUA,
	TAG_RUF,
	TAG_FO
};

static const struct tag {
	struct str name;
	bool (*take)(struct reading *r, struct str v); /* false = not valid */
	const char *invalid;
	const char *always; /* said of the tag in any case */
} tags[] = {
	[TAG_P] = {STR("p"), take_p, NO_POLICY},
	[TAG_SP] = {STR("sp"), take_sp, NO_POLICY},
	[TAG_NP] = {STR("np"), take_np, NO_POLICY},
	[TAG_ADKIM] = {STR("adkim"), take_adkim, "is neither r nor s: it counts as r"},
	[TAG_ASPF] = {STR("aspf"), take_aspf, "is neither r nor s: it counts as r"},
	[TAG_T] = {STR("t"), take_t, "is neither y nor n: it counts as n"},
	[TAG_PSD] = {STR("psd"), take_psd, "is none of y, n and u: it counts as u"},
	[TAG_RUA] = {STR("rua"), take_rua},
	[TAG_RUF] = {STR("ruf"), take_ruf},
	[TAG_FO] = {STR("fo"), take_fo, "is no list of 0, 1, d and s: it counts as 0"},
	{STR("pct"), take_nothing, NULL, OF_OLD "; t=y takes its place"},
	{STR("rf"), take_nothing, NULL, OF_OLD},
	{STR("ri"), take_nothing, NULL, OF_OLD},
};

static bool seen(const struct reading *r, enum tag_id id)
{
	return r->seen >> id & 1;
}

static void take_tag(struct reading *r, struct str name, struct str value)
{
	size_t i = 0;
	while (i < COUNT(tags) && !str_ieq(name, tags[i].name)) { i++; }
	if (i == COUNT(tags)) {
		warn(r, name, value, "is no tag of DMARC and has no effect");
		return;
	}
	const struct tag *tag = &tags[i];
	bool again = r->seen >> i & 1, policy = i <= TAG_NP;
	r->seen |= UINT32_C(1) << i;
	if (tag->always) { warn(r, name, value, tag->always); }
	if (again) {
		/* which of two policies is meant nobody knows (RFC 6376 3.2) */
		warn(r, name, value,
			policy ? "is there twice" OF_NO_USE : "is there twice: the first counts");
		r->bad_policy |= policy;
	} else if (!tag->take(r, value)) {
		warn(r, name, value, tag->invalid);
		r->bad_policy |= policy;
	}
}

/* --- records --- */

static struct str trim(struct str s)
{
	while (s.n && s.p[0] && strchr(" \t\r\n", s.p[0])) { s = str_skip(s, 1); }
	while (s.n && s.p[s.n - 1] && strchr(" \t\r\n", s.p[s.n - 1])) { s.n--; }
	return s;
}

static bool is_version(struct str tag)
{
	struct str name;
	return str_cut(&tag, '=', &name) && str_ieq(trim(name), STR("v")) &&
	       str_eq(trim(tag), STR("DMARC1"));
}

static void warn_of_missing(struct reading *r)
{
	struct str none = STR("");
	if (!seen(r, TAG_P)) { warn(r, STR("p"), none, "is missing: it counts as none"); }
	if (!seen(r, TAG_RUA)) {
		warn(r, STR("rua"), none, "is missing: nobody will send reports");
	}
	if (seen(r, TAG_FO) && !seen(r, TAG_RUF)) {
		warn(r, STR("fo"), none, "has no effect without ruf");
	}
}

int dmarc_parse(struct str text, struct dmarc_record *out, struct dmarc_warnings *warnings)
{
	struct str tag, name;
	struct reading r = {.record = out, .warnings = warnings};
	bool more = str_cut(&text, ';', &tag);
	*out = (struct dmarc_record){.psd = 'u', .rua = STR(""), .ruf = STR("")};
	if (!is_version(tag)) { return ERR_GONE; }
	while (more) {
		more = str_cut(&text, ';', &tag);
		tag = trim(tag);
		if (tag.n == 0) { continue; }
		struct str value = tag;
		if (str_cut(&value, '=', &name)) {
			take_tag(&r, trim(name), trim(value));
		} else {
			warn(&r, tag, STR(""), "is no tag=value and has no effect");
		}
	}
	warn_of_missing(&r);
	if (!r.bad_policy) {
		if (!seen(&r, TAG_SP)) { out->sp = out->p; }
		if (!seen(&r, TAG_NP)) { out->np = out->sp; }
		return 0;
	}
	/* 4.10.1: act as if it said p=none when somebody wants reports */
	out->p = out->sp = out->np = DMARC_NONE;
	return out->has_rua ? 0 : ERR_SYNTAX;
}
