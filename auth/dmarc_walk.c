/* The DNS tree walk of RFC 9989 4.10. Runs in mx and in commands. */
#include "auth/dmarc.h"

/* --- names --- */

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
	for (; n > DMARC_WALK_MAX; n--) { name = parent(name); }
	return name;
}

void dmarc_walk_start(struct dmarc_walk *w, struct dns *dns, struct dns_budget *budget,
	struct task *t, struct arena *a, struct str domain)
{
	*w = (struct dmarc_walk){
		.dns = dns, .budget = budget, .task = t, .arena = a, .start = arena_dup(a, domain)};
	struct str name = w->start;
	for (; name.n; name = next_target(name)) {
		assert(w->names < DMARC_WALK_MAX);
		w->steps[w->names++].name = name;
	}
	w->done = w->names == 0;
}

/* --- answers --- */

/* Octets of one record more than are read: it is there, but nobody can say what it means. */
static int read_text(struct str text, struct dmarc_record *out)
{
	int rc = dmarc_parse(str_sub(text, 0, DMARC_RECORD_MAX), out, NULL);
	return rc == 0 && text.n > DMARC_RECORD_MAX ? ERR_SYNTAX : rc;
}

static void take_record(struct dmarc_walk *w, struct dmarc_step *s, struct str rdata)
{
	struct arena scratch = {0};
	struct dmarc_record record;
	struct str text;
	int rc = dns_rdata_txt(rdata, &scratch, &text);
	if (rc == 0) { rc = read_text(text, &record); }
	if (rc == 0 || rc == ERR_SYNTAX) {
		if (s->records++ == 0) { /* read again, to borrow from what stays */
			s->text = arena_dup(w->arena, str_sub(text, 0, DMARC_RECORD_MAX));
			s->unusable = read_text(text, &record) < 0;
			(void)dmarc_parse(s->text, &s->record, NULL); /* as above */
		}
	} else {
		s->others++;
	}
	arena_fini(&scratch);
}

/* Exactly one record that begins with v=DMARC1 counts; with two there is none (4.10 step 2). */
static void take_answer(struct dmarc_walk *w, struct dmarc_step *s, const struct dns_answer *answer)
{
	s->status = answer->status;
	w->temperror |= answer->status == DNS_SERVFAIL;
	for (size_t i = 0; answer->status == DNS_OK && i < answer->n; i++) {
		take_record(w, s, answer->rr[i].data);
	}
	s->found = s->records == 1;
	s->unusable &= s->found;
}

static void ask(struct dmarc_walk *w, size_t i)
{
	struct str name = arena_fmt(w->arena, "_dmarc.%.*s", STR_ARG(w->steps[i].name));
	dns_ask_within(w->dns, &w->queries[i], w->task, w->budget, name, DNS_TXT);
}

/* Until `upto` steps are taken or the walk is over. */
static int go(struct dmarc_walk *w, size_t upto)
{
	while (!w->done && w->asked < upto) { ask(w, w->asked++); }
	while (!w->done && w->n < upto) {
		struct dmarc_step *s = &w->steps[w->n];
		struct dns_query *q = &w->queries[w->n];
		if (!q->answer) { return 0; }
		take_answer(w, s, q->answer);
		dns_query_fini(q);
		w->n++;
		w->done = w->n == w->names || (s->found && s->record.psd != 'u');
	}
	if (w->done) { dmarc_walk_fini(w); }
	return 1;
}

int dmarc_walk_first(struct dmarc_walk *w)
{
	return go(w, MIN(w->names, (size_t)1));
}

int dmarc_walk_step(struct dmarc_walk *w)
{
	return go(w, w->names);
}

void dmarc_walk_fini(struct dmarc_walk *w)
{
	for (size_t i = 0; i < w->asked; i++) { dns_query_fini(&w->queries[i]); }
}

/* --- what the walk shows --- */

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

const struct dmarc_step *dmarc_governing(const struct dmarc_walk *w)
{
	struct str organisation = dmarc_organisation(w);
	const struct dmarc_step *at_psd = NULL;
	if (w->n && w->steps[0].found) { return &w->steps[0]; }
	for (size_t i = 1; i < w->n; i++) {
		const struct dmarc_step *s = &w->steps[i];
		if (s->found && str_eq(s->name, organisation)) { return s; }
		if (s->found && s->record.psd == 'y') { at_psd = s; }
	}
	return at_psd;
}
