/* The DNS tree walk of RFC 9989 4.10. Runs in mx and in commands. */
#include "auth/dmarc.h"

static unsigned labels(struct str name)
{
	unsigned n = name.n ? 1 : 0;
	for (size_t i = 0; i < name.n; i++) { n += name.p[i] == '.'; }
	return n;
}

static struct str parent(struct str name)
{
	ptrdiff_t dot = str_chr(name, '.');
	return dot < 0 ? STR("") : str_skip(name, (size_t)dot + 1);
}

/* From 8 labels on, straight to 7; else one up. */
static struct str next_target(struct str name)
{
	unsigned n = labels(name);
	name = parent(name);
	for (; n > 8; n--) { name = parent(name); }
	return name;
}

void dmarc_walk_start(
	struct dmarc_walk *w, struct dns *dns, struct task *t, struct arena *a, struct str domain)
{
	char *p = arena_alloc(a, domain.n + 1);
	for (size_t i = 0; i < domain.n; i++) { p[i] = ascii_lower(domain.p[i]); }
	if (domain.n && p[domain.n - 1] == '.') { domain.n--; }
	*w = (struct dmarc_walk){.dns = dns, .task = t, .arena = a, .start = str_make(p, domain.n)};
	w->next = w->start;
	w->done = domain.n == 0;
}

/* Exactly one record that begins with v=DMARC1 counts; with two there is none (4.10 step 2). */
static void take_answer(struct dmarc_walk *w, struct dmarc_step *s, const struct dns_answer *answer)
{
	unsigned kept = 0;
	s->status = answer->status;
	w->temperror |= answer->status == DNS_SERVFAIL;
	for (size_t i = 0; answer->status == DNS_OK && i < answer->n; i++) {
		struct str text;
		struct dmarc_record record;
		if (answer->rr[i].data.n > DMARC_RECORD_MAX ||
			dns_rdata_txt(answer->rr[i].data, w->arena, &text) < 0) {
			continue;
		}
		int rc = dmarc_parse(text, &record);
		if (rc == ERR_GONE || ++kept > 1) { continue; }
		s->found = rc == 0;
		s->text = text;
		s->record = record;
	}
	s->found &= kept == 1;
}

static void advance(struct dmarc_walk *w)
{
	const struct dmarc_step *s = &w->steps[w->n - 1];
	bool stop = s->found && s->record.psd != 'u';
	w->next = next_target(s->name);
	w->done = stop || w->next.n == 0 || w->n == DMARC_WALK_MAX;
}

int dmarc_walk_step(struct dmarc_walk *w)
{
	while (!w->done) {
		struct dmarc_step *s = &w->steps[w->n];
		if (!w->asked) {
			w->asked = true;
			s->name = w->next;
			dns_ask(w->dns, &w->query, w->task,
				arena_fmt(w->arena, "_dmarc.%.*s", STR_ARG(s->name)), DNS_TXT);
			return 0;
		}
		if (!w->query.answer) { return 0; }
		take_answer(w, s, w->query.answer);
		dns_query_fini(&w->query);
		w->asked = false;
		w->n++;
		advance(w);
	}
	return 1;
}

void dmarc_walk_fini(struct dmarc_walk *w)
{
	dns_query_fini(&w->query);
}

/* The name one label below `above` on the way to the walk's start. */
static struct str below(const struct dmarc_walk *w, struct str above)
{
	struct str name = w->start;
	while (labels(name) > labels(above) + 1) { name = parent(name); }
	return name;
}

struct str dmarc_organisation(const struct dmarc_walk *w)
{
	struct str fewest = w->start;
	for (size_t i = 0; i < w->n; i++) {
		const struct dmarc_step *s = &w->steps[i];
		if (!s->found) { continue; }
		if (s->record.psd == 'n') { return s->name; }
		if (s->record.psd == 'y' && i > 0) { return below(w, s->name); }
		fewest = s->name;
	}
	return fewest;
}

const struct dmarc_step *dmarc_governing(const struct dmarc_walk *w, bool *inherited_out)
{
	struct str organisation = dmarc_organisation(w);
	const struct dmarc_step *at_psd = NULL;
	*inherited_out = true;
	if (w->n && w->steps[0].found) {
		*inherited_out = false;
		return &w->steps[0];
	}
	for (size_t i = 1; i < w->n; i++) {
		const struct dmarc_step *s = &w->steps[i];
		if (s->found && str_eq(s->name, organisation)) { return s; }
		if (s->found && s->record.psd == 'y') { at_psd = s; }
	}
	return at_psd;
}
