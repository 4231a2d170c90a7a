/* DMARC records. Pure, every role. RFC 9989 4.7. */
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

static struct str trim(struct str s)
{
	while (s.n && strchr(" \t\r\n", s.p[0]) && s.p[0]) { s = str_skip(s, 1); }
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1]) { s.n--; }
	return s;
}

static bool parse_policy(struct str v, enum dmarc_policy *out)
{
	for (enum dmarc_policy p = DMARC_NONE; p <= DMARC_REJECT; p++) {
		if (str_ieq(v, str_of(dmarc_policy_name(p)))) {
			*out = p;
			return true;
		}
	}
	return false;
}

/* A URI list of which at least one is a mailto: with an address. */
static bool usable_rua(struct str v)
{
	struct str one;
	for (bool more = true; more;) {
		more = str_cut(&v, ',', &one);
		one = trim(one);
		if (str_istarts(one, STR("mailto:")) && str_chr(one, '@') > 7) { return true; }
	}
	return false;
}

/* What the tags said, before the fall-backs. */
struct tags {
	bool p_seen, p_bad, sp_seen, sp_bad, np_seen, np_bad;
};

static void take_tag(struct dmarc_record *r, struct tags *t, struct str name, struct str v)
{
	if (str_ieq(name, STR("p"))) {
		t->p_seen = true;
		t->p_bad = !parse_policy(v, &r->p);
	} else if (str_ieq(name, STR("sp"))) {
		t->sp_seen = true;
		t->sp_bad = !parse_policy(v, &r->sp);
	} else if (str_ieq(name, STR("np"))) {
		t->np_seen = true;
		t->np_bad = !parse_policy(v, &r->np);
	} else if (str_ieq(name, STR("adkim"))) {
		r->strict_dkim = str_ieq(v, STR("s"));
	} else if (str_ieq(name, STR("aspf"))) {
		r->strict_spf = str_ieq(v, STR("s"));
	} else if (str_ieq(name, STR("t"))) {
		r->testing = str_ieq(v, STR("y"));
	} else if (str_ieq(name, STR("psd")) && v.n == 1 && strchr("yYnNuU", v.p[0])) {
		r->psd = ascii_lower(v.p[0]);
	} else if (str_ieq(name, STR("rua"))) {
		r->rua = v;
		r->has_rua = usable_rua(v);
	} else if (str_ieq(name, STR("ruf"))) {
		r->ruf = v;
	} /* unknown tags, and pct, rf, ri of old, are ignored */
}

static bool is_version(struct str tag)
{
	struct str name;
	return str_cut(&tag, '=', &name) && str_eq(trim(name), STR("v")) &&
	       str_eq(trim(tag), STR("DMARC1"));
}

int dmarc_parse(struct str text, struct dmarc_record *out)
{
	struct str tag, name;
	struct tags t = {0};
	bool more = str_cut(&text, ';', &tag);
	*out = (struct dmarc_record){.psd = 'u', .rua = STR(""), .ruf = STR("")};
	if (!is_version(tag)) { return ERR_GONE; }
	while (more) {
		more = str_cut(&text, ';', &tag);
		if (str_cut(&tag, '=', &name)) { take_tag(out, &t, trim(name), trim(tag)); }
	}
	if (t.p_bad || t.sp_bad ||
		t.np_bad) { /* act as p=none when somebody wants reports, else ignore it */
		if (!out->has_rua) { return ERR_SYNTAX; }
		out->p = out->sp = out->np = DMARC_NONE;
		return 0;
	}
	if (!t.sp_seen) { out->sp = out->p; }
	if (!t.np_seen) { out->np = out->sp; }
	return 0;
}
