/* The DMARC verdict about one message: RFC 9989 4.10.1, 4.11, 5.3. Runs in mx and in commands. */
#include "auth/dmarc.h"

void dmarc_check_start(struct dmarc_check *c, struct dns *dns, struct task *t, struct arena *a)
{
	*c = (struct dmarc_check){.dns = dns, .task = t, .arena = a, .spf_domain = STR("")};
}

int dmarc_check_add(struct dmarc_check *c, struct str domain)
{
	for (size_t i = 0; i < c->authors_n; i++) {
		if (str_ieq(c->authors[i].domain, domain)) { return 0; }
	}
	if (c->authors_n == DMARC_AUTHORS_MAX) { return ERR_LIMIT; }
	c->authors[c->authors_n++].domain = domain;
	return 0;
}

static struct dmarc_walk *walk_of(struct dmarc_check *c, struct str domain)
{
	if (domain.n && domain.p[domain.n - 1] == '.') { domain.n--; }
	for (size_t i = 0; i < c->walks_n; i++) {
		if (str_ieq(c->walks[i].start, domain)) { return &c->walks[i]; }
	}
	return NULL;
}

static void add_walk(struct dmarc_check *c, struct str domain)
{
	if (domain.n == 0 || walk_of(c, domain)) { return; }
	dmarc_walk_start(&c->walks[c->walks_n++], c->dns, c->task, c->arena, domain);
}

static void prepare(struct dmarc_check *c)
{
	c->walks = arena_array(c->arena, DMARC_AUTHORS_MAX + DMARC_DKIM_MAX + 1, sizeof *c->walks);
	for (size_t i = 0; i < c->authors_n; i++) { add_walk(c, c->authors[i].domain); }
	add_walk(c, c->spf_domain);
	for (size_t i = 0; i < c->dkim_n; i++) { add_walk(c, c->dkim_domains[i]); }
}

/* np counts only for a name that does not exist at all: ask, when a parent's record has another np
 * than sp. */
static bool needs_existence(struct dmarc_check *c, size_t author)
{
	bool inherited;
	const struct dmarc_step *s =
		dmarc_governing(walk_of(c, c->authors[author].domain), &inherited);
	return s && inherited && s->record.np != s->record.sp;
}

static int ask_existence(struct dmarc_check *c)
{
	for (; c->exists_at < c->authors_n; c->exists_at++) {
		size_t i = c->exists_at;
		c->author_exists[i] = true;
		if (!needs_existence(c, i)) { continue; }
		if (!c->exists_asked) {
			c->exists_asked = true;
			dns_ask(c->dns, &c->exists, c->task, c->authors[i].domain, DNS_A);
			return 0;
		}
		if (!c->exists.answer) { return 0; }
		c->author_exists[i] = c->exists.answer->status != DNS_NXDOMAIN;
		dns_query_fini(&c->exists);
		c->exists_asked = false;
	}
	return 1;
}

static bool aligned(
	struct dmarc_check *c, struct dmarc_walk *author, bool strict, struct str domain)
{
	if (domain.n == 0) { return false; }
	struct dmarc_walk *w = walk_of(c, domain);
	if (str_ieq(author->start, w->start)) { return true; }
	return !strict && str_eq(dmarc_organisation(author), dmarc_organisation(w));
}

static enum dmarc_policy one_less(enum dmarc_policy p)
{
	return p == DMARC_NONE ? DMARC_NONE : (enum dmarc_policy)(p - 1);
}

/* A failing name server may hide a policy, or the alignment of an identifier that would pass. */
static bool unsure(struct dmarc_check *c, const struct dmarc_walk *author)
{
	bool any = author->temperror;
	for (size_t i = 0; i < c->walks_n; i++) { any |= c->walks[i].temperror; }
	return any;
}

static void judge(struct dmarc_check *c, size_t i)
{
	struct dmarc_author *a = &c->authors[i];
	struct dmarc_walk *w = walk_of(c, a->domain);
	bool inherited;
	const struct dmarc_step *s = dmarc_governing(w, &inherited);
	a->organisation = dmarc_organisation(w);
	a->aligned_by = a->record_at = STR("");
	if (!s) {
		a->result = w->temperror ? DMARC_RESULT_TEMPERROR : DMARC_RESULT_NONE;
		return;
	}
	a->record_at = s->name;
	a->testing = s->record.testing;
	a->policy = !inherited ? s->record.p : c->author_exists[i] ? s->record.sp : s->record.np;
	if (a->testing) { a->policy = one_less(a->policy); }
	for (size_t k = 0; k < c->dkim_n && a->aligned_by.n == 0; k++) {
		if (aligned(c, w, s->record.strict_dkim, c->dkim_domains[k])) {
			a->aligned_by =
				arena_fmt(c->arena, "dkim=%.*s", STR_ARG(c->dkim_domains[k]));
		}
	}
	if (a->aligned_by.n == 0 && aligned(c, w, s->record.strict_spf, c->spf_domain)) {
		a->aligned_by = arena_fmt(c->arena, "spf=%.*s", STR_ARG(c->spf_domain));
	}
	a->result = a->aligned_by.n ? DMARC_RESULT_PASS
		    : unsure(c, w)  ? DMARC_RESULT_TEMPERROR
				    : DMARC_RESULT_FAIL;
}

/* A failure with the hardest policy before an uncertainty before a pass before nothing. */
static unsigned severity(const struct dmarc_author *a)
{
	switch (a->result) {
	case DMARC_RESULT_FAIL: return 4 + (unsigned)a->policy;
	case DMARC_RESULT_TEMPERROR: return 3;
	case DMARC_RESULT_PERMERROR: return 2;
	case DMARC_RESULT_NONE: return 1;
	default: return 0;
	}
}

int dmarc_check_step(struct dmarc_check *c)
{
	if (c->authors_n == 0) { return 1; }
	if (!c->walks) { prepare(c); }
	for (; c->at < c->walks_n; c->at++) {
		if (dmarc_walk_step(&c->walks[c->at]) == 0) { return 0; }
	}
	if (ask_existence(c) == 0) { return 0; }
	for (size_t i = 0; i < c->authors_n; i++) {
		judge(c, i);
		if (i == 0 || severity(&c->authors[i]) > severity(&c->authors[c->strictest])) {
			c->strictest = i;
		}
	}
	c->result = c->authors[c->strictest].result;
	return 1;
}

void dmarc_check_fini(struct dmarc_check *c)
{
	for (size_t i = 0; c->walks && i < c->walks_n; i++) { dmarc_walk_fini(&c->walks[i]); }
	dns_query_fini(&c->exists);
}
