/* The DMARC verdict about one message: RFC 9989 4.10, 5.3. Runs in mx. Nothing is asked that cannot
   change the verdict, so that a sender can hide no failure behind name servers of his own; and what
   a failing name server could change is never guessed at. */
#include "auth/dmarc.h"

#include "lib/idn.h"

void dmarc_check_start(struct dmarc_check *c, struct dns *dns, struct dns_budget *budget,
	struct task *t, struct arena *a)
{
	*c = (struct dmarc_check){.dns = dns, .budget = budget, .task = t, .arena = a};
}

void dmarc_check_authors(struct dmarc_check *c, const struct authors *authors)
{
	c->authors_n = authors->n;
	for (size_t i = 0; i < authors->n; i++) {
		c->authors[i] = (struct dmarc_author){.domain = authors->domains[i],
			.tag = "p",
			.organisation = STR(""),
			.aligned_by = STR("")};
	}
}

static void add_identifier(struct dmarc_check *c, struct str domain, bool spf, bool unsure)
{
	struct dmarc_identifier id = {.spf = spf, .unsure = unsure};
	if (idn_domain(domain, c->arena, &id.domain) < 0) { return; }
	for (size_t i = 0; i < c->ids_n; i++) {
		struct dmarc_identifier *old = &c->ids[i];
		if (old->spf != spf || !str_eq(old->domain, id.domain)) { continue; }
		old->unsure &= unsure; /* one signature that passes is enough */
		return;
	}
	size_t spf_too = spf ? 1 : 0; /* the place that is kept for SPF */
	if (c->ids_n < DMARC_DKIM_MAX + spf_too) { c->ids[c->ids_n++] = id; }
}

void dmarc_check_spf(struct dmarc_check *c, struct str domain, bool unsure)
{
	add_identifier(c, domain, true, unsure);
}

void dmarc_check_dkim(struct dmarc_check *c, struct str domain, bool unsure)
{
	add_identifier(c, domain, false, unsure);
}

static struct dmarc_walk *walk_of(struct dmarc_check *c, struct str domain)
{
	for (size_t i = 0; i < c->walks_n; i++) {
		if (str_eq(c->walks[i]->start, domain)) { return c->walks[i]; }
	}
	struct dmarc_walk *w = arena_new(c->arena, struct dmarc_walk);
	dmarc_walk_start(w, c->dns, c->budget, c->task, c->arena, domain);
	c->walks[c->walks_n++] = w;
	return w;
}

/* --- alignment (4.10.2) --- */

/* Do two names end with the same label, so that they may be of one organisation? */
static bool related(struct str a, struct str b)
{
	return idn_within(b, str_skip(a, (size_t)(str_rchr(a, '.') + 1)));
}

static bool is_strict(const struct dmarc_step *s, const struct dmarc_identifier *id)
{
	return id->spf ? s->record.strict_spf : s->record.strict_dkim;
}

static bool any_identical(const struct dmarc_check *c, struct str domain)
{
	for (size_t i = 0; i < c->ids_n; i++) {
		if (!c->ids[i].unsure && str_eq(c->ids[i].domain, domain)) { return true; }
	}
	return false;
}

/* Above an author's own record nothing matters, unless an identifier could be of the same
   organisation (4.10.2). */
static bool needs_walk(const struct dmarc_check *c, const struct dmarc_walk *w)
{
	const struct dmarc_step *own = &w->steps[0];
	if (!own->found) { return true; }
	if (own->unusable || any_identical(c, w->start)) { return false; }
	for (size_t i = 0; i < c->ids_n; i++) {
		if (!is_strict(own, &c->ids[i]) && related(w->start, c->ids[i].domain)) {
			return true;
		}
	}
	return false;
}

/* Could a record that a failing server hides have made another domain than `organisation` that of
   the walk's start? Above of it, whatever is there is seen alike by all names below. */
static bool may_hide(const struct dmarc_walk *w, struct str organisation)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct dmarc_step *s = &w->steps[i];
		if (s->status == DNS_SERVFAIL && idn_within(s->name, organisation)) { return true; }
	}
	return false;
}

enum alignment { ALIGNED, NOT_ALIGNED, MAY_BE_ALIGNED, WAIT };

static enum alignment align(struct dmarc_check *c, struct dmarc_walk *author,
	const struct dmarc_step *governing, const struct dmarc_identifier *id)
{
	if (str_eq(author->start, id->domain)) { return ALIGNED; }
	if (is_strict(governing, id) || !author->done) { return NOT_ALIGNED; }
	struct str organisation = dmarc_organisation(author);
	if (!idn_within(id->domain, organisation)) { return NOT_ALIGNED; }
	struct dmarc_walk *w = walk_of(c, id->domain);
	if (dmarc_walk_step(w) == 0) { return WAIT; }
	if (!str_eq(dmarc_organisation(w), organisation)) {
		return w->temperror ? MAY_BE_ALIGNED : NOT_ALIGNED;
	}
	return may_hide(author, organisation) || may_hide(w, organisation) ? MAY_BE_ALIGNED
									   : ALIGNED;
}

/* Go through the identifiers until one is aligned: 1 done, 0 wait. */
static int align_any(struct dmarc_check *c, struct dmarc_author *a, struct dmarc_walk *w)
{
	for (; c->at_id < c->ids_n && a->aligned_by.n == 0; c->at_id++) {
		const struct dmarc_identifier *id = &c->ids[c->at_id];
		switch (align(c, w, a->record, id)) {
		case WAIT: return 0;
		case ALIGNED:
			if (id->unsure) {
				c->unsure = true;
				break;
			}
			a->aligned_by = arena_fmt(
				c->arena, "%s=%.*s", id->spf ? "spf" : "dkim", STR_ARG(id->domain));
			break;
		case MAY_BE_ALIGNED: c->unsure = true; break;
		case NOT_ALIGNED: break;
		}
	}
	return 1;
}

/* --- policy (4.10.1) --- */

static enum dmarc_policy one_less(enum dmarc_policy p)
{
	return p == DMARC_NONE ? DMARC_NONE : (enum dmarc_policy)(p - 1);
}

static void set_policy(struct dmarc_author *a, const char *tag, enum dmarc_policy p)
{
	a->tag = tag;
	a->published = p;
	a->policy = a->record->record.testing ? one_less(p) : p;
}

/* Which policy of a parent's record counts: np for a name that does not exist (RFC 8020), and below
   which nothing does: then "_dmarc." below it does not exist either. A CNAME is asked for, because
   an alias that leads nowhere exists. */
static int inherit_policy(struct dmarc_check *c, struct dmarc_author *a, const struct dmarc_walk *w)
{
	const struct dmarc_record *r = &a->record->record;
	enum dns_status first = w->steps[0].status;
	bool may_be_np = r->sp != r->np && (first == DNS_NXDOMAIN || first == DNS_BAD);
	if (a->aligned_by.n || !may_be_np) {
		set_policy(a, "sp", r->sp);
		return 1;
	}
	if (!c->exists.dns) {
		dns_ask_within(c->dns, &c->exists, c->task, c->budget, a->domain, DNS_CNAME);
	}
	if (!c->exists.answer) { return 0; }
	enum dns_status status = c->exists.answer->status;
	dns_query_fini(&c->exists);
	bool np = status == DNS_NXDOMAIN || (status == DNS_SERVFAIL && r->np > r->sp);
	c->unsure |= status == DNS_SERVFAIL;
	set_policy(a, np ? "np" : "sp", np ? r->np : r->sp);
	return 1;
}

/* No record is seen, or not surely the one that governs. */
static void judge_without(struct dmarc_check *c, struct dmarc_author *a, const struct dmarc_walk *w)
{
	if (w->temperror) {
		/* with its own name authenticated an author can only pass, or need not */
		a->result = DMARC_RESULT_TEMPERROR;
		a->policy = any_identical(c, a->domain) ? DMARC_NONE : DMARC_REJECT;
	} else {
		a->result = a->record ? DMARC_RESULT_PERMERROR : DMARC_RESULT_NONE;
	}
}

/* --- the verdict --- */

static void judge(struct dmarc_check *c, struct dmarc_author *a, const struct dmarc_walk *w)
{
	bool own = a->record == &w->steps[0];
	if (a->aligned_by.n) {
		a->result = DMARC_RESULT_PASS;
	} else if (c->unsure || w->temperror) {
		a->result = DMARC_RESULT_TEMPERROR;
		if (w->temperror && !own) { a->policy = DMARC_REJECT; } /* of a hidden record */
	} else {
		a->result = DMARC_RESULT_FAIL;
	}
}

/* 1 judged, 0 wait. */
static int judge_author(struct dmarc_check *c, struct dmarc_author *a)
{
	struct dmarc_walk *w = walk_of(c, a->domain);
	if (dmarc_walk_first(w) == 0) { return 0; }
	if (needs_walk(c, w) && dmarc_walk_step(w) == 0) { return 0; }
	a->record = dmarc_governing(w);
	if (w->done) { a->organisation = dmarc_organisation(w); }
	if (!a->record || a->record->unusable) {
		judge_without(c, a, w);
		return 1;
	}
	if (align_any(c, a, w) == 0) { return 0; }
	if (a->record == &w->steps[0]) {
		set_policy(a, "p", a->record->record.p);
	} else if (inherit_policy(c, a, w) == 0) {
		return 0;
	}
	judge(c, a, w);
	return 1;
}

/* Several authors: the hardest policy to be applied, a certain failure before a possible one; then
   what is not known, and a pass only when all of them pass (RFC 9989 11.5). */
static unsigned severity(const struct dmarc_author *a)
{
	switch (a->result) {
	case DMARC_RESULT_FAIL: return 4 + 2 * (unsigned)a->policy;
	case DMARC_RESULT_TEMPERROR: return 3 + 2 * (unsigned)a->policy;
	case DMARC_RESULT_PERMERROR: return 2;
	case DMARC_RESULT_NONE: return 1;
	default: return 0;
	}
}

int dmarc_check_step(struct dmarc_check *c)
{
	for (; c->at < c->authors_n; c->at++) {
		struct dmarc_author *a = &c->authors[c->at];
		if (judge_author(c, a) == 0) { return 0; }
		if (severity(a) > severity(&c->authors[c->strictest])) { c->strictest = c->at; }
		c->at_id = 0;
		c->unsure = false;
	}
	if (c->authors_n) { c->result = c->authors[c->strictest].result; }
	return 1;
}

void dmarc_check_fini(struct dmarc_check *c)
{
	for (size_t i = 0; i < c->walks_n; i++) { dmarc_walk_fini(c->walks[i]); }
	dns_query_fini(&c->exists);
}
