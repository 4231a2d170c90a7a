/* DMARC. First octet 0: the rest is one record. Else: lines of records, published at the names that
   a message's author and identifiers lead to, and the verdict. */
#include "auth/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_OCTETS = 8192, QUESTIONS = 200 };

/* --- one record --- */

static void write_record(const struct dmarc_record *r, struct buf *out)
{
	buf_fmt(out, "v=DMARC1;p=%s;sp=%s;np=%s;adkim=%c;aspf=%c;t=%c;psd=%c",
		dmarc_policy_name(r->p), dmarc_policy_name(r->sp), dmarc_policy_name(r->np),
		r->strict_dkim ? 's' : 'r', r->strict_spf ? 's' : 'r', r->testing ? 'y' : 'n',
		r->psd);
	if (r->has_rua) {
		buf_str(out, STR(";rua="));
		buf_str(out, r->rua); /* there may be NULs in it */
	}
}

static void one_record(struct str text)
{
	struct dmarc_record r, again;
	struct dmarc_warnings w = {.n = 0};
	struct buf written = {0};
	int rc = dmarc_parse(text, &r, &w);
	assert(rc == 0 || rc == ERR_GONE || rc == ERR_SYNTAX);
	assert(dmarc_parse(text, &again, NULL) == rc && w.n <= DMARC_WARNINGS_MAX);
	for (size_t i = 0; i < w.n; i++) { assert(w.list[i].says && w.list[i].says[0]); }
	assert(rc != ERR_SYNTAX || (!r.has_rua && r.p == DMARC_NONE && r.np == DMARC_NONE));
	if (rc != ERR_GONE) {
		write_record(&r, &written);
		w.n = 0;
		rc = dmarc_parse(buf_view(&written), &again, &w);
		assert(rc == 0 && again.p == r.p && again.sp == r.sp && again.np == r.np);
		assert(again.strict_dkim == r.strict_dkim && again.strict_spf == r.strict_spf);
		assert(again.testing == r.testing && again.psd == r.psd);
		assert(again.has_rua == r.has_rua);
	}
	buf_fini(&written);
}

/* --- a verdict --- */

static const struct str places[] = {STR("a.b.example.com"), STR("b.example.com"),
	STR("example.com"), STR("com"), STR("c.b.example.com"), STR("d.example.com"),
	STR("example.net"), STR("net")};

static void add_text(struct str line, struct buf *zone)
{
	buf_str(zone, STR(" TXT \""));
	for (size_t i = 0; i < line.n; i++) { buf_fmt(zone, "\\%03u", (unsigned char)line.p[i]); }
	buf_str(zone, STR("\"\n"));
}

/* A line that begins with "!" lets the place fail, "+" adds a record to the place before. */
static void write_zone(struct str text, struct buf *zone)
{
	struct str line;
	size_t place = 0;
	buf_str(zone, STR("\n"));
	for (size_t i = 0; text.n && i < 32; i++) {
		str_cut(&text, '\n', &line);
		bool more = str_starts(line, STR("+"));
		place += i > 0 && !more;
		if (line.n == 0) { continue; }
		buf_fmt(zone, "_dmarc.%.*s.", STR_ARG(places[place % COUNT(places)]));
		if (str_starts(line, STR("!"))) {
			buf_str(zone, STR(" SERVFAIL\n"));
		} else {
			add_text(str_skip(line, more), zone);
		}
	}
}

struct run {
	struct task task;
	struct dmarc_check check;
	bool finished;
};

static enum step run_step(struct task *t)
{
	struct run *r = task_of(t, struct run, task);
	r->finished = dmarc_check_step(&r->check) == 1;
	return r->finished ? STEP_DONE : STEP_WAIT;
}

static void on_ended(struct task *t)
{
	(void)t; /* lives on the stack */
}

static void check_author(const struct dmarc_check *c, size_t i)
{
	const struct dmarc_author *a = &c->authors[i];
	assert(a->result != DMARC_RESULT_PASS || (a->record && a->aligned_by.n));
	assert(a->result != DMARC_RESULT_FAIL || (a->record && a->aligned_by.n == 0));
	assert(a->result != DMARC_RESULT_PERMERROR || (a->record && a->record->unusable));
	assert(a->result != DMARC_RESULT_NONE || !a->record);
	assert(a->policy <= a->published || a->result == DMARC_RESULT_TEMPERROR);
	/* whoever is not failed cannot be harder than who is */
	const struct dmarc_author *s = &c->authors[c->strictest];
	assert(a->result != DMARC_RESULT_FAIL || s->result == DMARC_RESULT_FAIL ||
		(s->result == DMARC_RESULT_TEMPERROR && s->policy > a->policy));
}

static void verdict(unsigned which, struct str text)
{
	struct run r = {.finished = false};
	struct arena a = {0};
	struct buf zone = {0};
	struct err e = {{0}};
	struct loop *l = loop_new_fake(0);
	struct authors authors = {.n = 1 + (which & 1)};
	struct dns_budget budget;
	write_zone(text, &zone);
	struct dns_conf conf = {.zone_text = buf_view(&zone)};
	struct dns *d = dns_new(l, &conf, &e);
	assert(d);
	dns_budget_start(&budget, l, which & 2 ? QUESTIONS : which >> 4, SECOND_US);
	authors.domains[0] = places[0];
	authors.domains[1] = places[2];
	dmarc_check_start(&r.check, d, &budget, &r.task, &a);
	dmarc_check_authors(&r.check, &authors);
	for (size_t i = 2; i < COUNT(places); i++) {
		if (which >> i & 1) { dmarc_check_dkim(&r.check, places[i], false); }
	}
	if (which & 4) { dmarc_check_spf(&r.check, places[4], true); }
	task_start(l, &r.task, NULL, run_step, on_ended);
	while (loop_turn(l)) {}
	assert(r.finished);
	for (size_t i = 0; i < authors.n; i++) { check_author(&r.check, i); }
	dmarc_check_fini(&r.check);
	dns_free(d);
	loop_free(l);
	buf_fini(&zone);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > SIZE_MAX_OCTETS) { return 0; }
	struct str rest = str_make(data + 1, size - 1);
	if (data[0] == 0 || data[0] == '0') {
		one_record(rest);
	} else {
		verdict(data[0], rest);
	}
	return 0;
}
