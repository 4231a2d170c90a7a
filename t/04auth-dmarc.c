/* auth: DMARC: records, the tree walk, verdicts, against zones. */
#include "t/authres.h"
#include "t/tap.h"

#include "auth/dmarc.h"

/* --- records --- */

/* "p/sp/np" then what differs from the defaults. */
static void describe_record(int rc, const struct dmarc_record *r, struct buf *out)
{
	if (rc == ERR_GONE) {
		buf_str(out, STR("none"));
		return;
	}
	buf_fmt(out, "%s%s/%s/%s", rc < 0 ? "unusable " : "", dmarc_policy_name(r->p),
		dmarc_policy_name(r->sp), dmarc_policy_name(r->np));
	if (r->strict_dkim) { buf_str(out, STR(" adkim=s")); }
	if (r->strict_spf) { buf_str(out, STR(" aspf=s")); }
	if (r->testing) { buf_str(out, STR(" t=y")); }
	if (r->psd != 'u') { buf_fmt(out, " psd=%c", r->psd); }
	if (r->has_rua) { buf_str(out, STR(" rua")); }
}

static void test_records(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"v=DMARC1; p=none", "none/none/none"},
		{"v=DMARC1;p=reject", "reject/reject/reject"},
		{"v=DMARC1; p=reject;", "reject/reject/reject"},
		{"v=DMARC1 ; p = reject ; ", "reject/reject/reject"},
		{"v = DMARC1; p=quarantine", "quarantine/quarantine/quarantine"},
		{"V=DMARC1; P=Reject", "reject/reject/reject"},
		{"v=DMARC1; sp=none; p=reject", "reject/none/none"},
		{"v=DMARC1; rua=mailto:a@b; p=reject", "reject/reject/reject rua"},
		{"v=DMARC1; p=none; sp=quarantine; np=reject", "none/quarantine/reject"},
		{"v=DMARC1; p=none; np=reject", "none/none/reject"},
		{"v=DMARC1; p=reject; sp=none", "reject/none/none"},
		{"v=DMARC1; p=none; adkim=s; aspf=s", "none/none/none adkim=s aspf=s"},
		{"v=DMARC1; p=none; adkim=r; aspf=x", "none/none/none"},
		{"v=DMARC1; p=none; adkim=S", "none/none/none adkim=s"},
		{"v=DMARC1; p=reject; t=y", "reject/reject/reject t=y"},
		{"v=DMARC1; p=reject; t=n", "reject/reject/reject"},
		{"v=DMARC1; p=reject; t=yes", "reject/reject/reject"},
		{"v=DMARC1; p=reject; psd=y", "reject/reject/reject psd=y"},
		{"v=DMARC1; p=reject; psd=n", "reject/reject/reject psd=n"},
		{"v=DMARC1; p=reject; psd=u", "reject/reject/reject"},
		{"v=DMARC1; p=reject; psd=maybe", "reject/reject/reject"},
		{"v=DMARC1; p=reject; pct=0; rf=afrf; ri=1; fo=1:d:s; new=tag",
			"reject/reject/reject"},
		{"v=DMARC1; p=reject; junk; =x; ;; adkim=s", "reject/reject/reject adkim=s"},
		{"v=DMARC1; p=reject\r\n", "reject/reject/reject"},
		/* no p is none; a bad one spoils the record unless reports are wanted (4.10.1) */
		{"v=DMARC1", "none/none/none"},
		{"v=DMARC1;", "none/none/none"},
		{"v=DMARC1; sp=reject", "none/reject/reject"},
		{"v=DMARC1; rua=mailto:a@b", "none/none/none rua"},
		{"v=DMARC1; p=bogus", "unusable none/none/none"},
		{"v=DMARC1; p=", "unusable none/none/none"},
		{"v=DMARC1; p=bogus; rua=mailto:a@b", "none/none/none rua"},
		{"v=DMARC1; p=bogus; rua=mailto:", "unusable none/none/none"},
		{"v=DMARC1; p=bogus; rua=a@b", "unusable none/none/none"},
		{"v=DMARC1; p=bogus; rua=mailto:@b", "unusable none/none/none"},
		{"v=DMARC1; p=bogus; rua=mailto:a@", "unusable none/none/none"},
		{"v=DMARC1; p=bogus; rua=mailto:a b@c", "unusable none/none/none"},
		{"v=DMARC1; p=bogus; rua=x, mailto:a@b!10m", "none/none/none rua"},
		{"v=DMARC1; p=bogus; rua=https://example.com/x", "none/none/none rua"},
		{"v=DMARC1; p=reject; sp=bogus", "unusable none/none/none"},
		{"v=DMARC1; p=reject; np=bogus", "unusable none/none/none"},
		{"v=DMARC1; p=reject; sp=bogus; rua=mailto:a@b", "none/none/none rua"},
		{"v=DMARC1; p=reject; p=none", "unusable none/none/none"},
		{"v=DMARC1; p=reject; psd=n; np=", "unusable none/none/none psd=n"},
		{"v=DMARC1; p=reject; adkim=s; adkim=r", "reject/reject/reject adkim=s"},
		{"v=DMARC1; p=\"reject\"", "unusable none/none/none"},
		/* no records at all */
		{"", "none"},
		{";", "none"},
		{"v=DMARC", "none"},
		{"v=DMARC11; p=reject", "none"},
		{"v=DMARC2; p=reject", "none"},
		{"v=dmarc1; p=reject", "none"},
		{"p=reject; v=DMARC1", "none"},
		{"; v=DMARC1; p=reject", "none"},
		{"v=DMARC1 p=reject", "none"},
		{"v DMARC1; p=reject", "none"},
		{"\"v=DMARC1; p=reject\"", "none"},
		{"v=spf1 -all", "none"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dmarc_record r;
		struct buf got = {0};
		describe_record(dmarc_parse(str_of(rows[i].in), &r, NULL), &r, &got);
		if (!str_eq(buf_view(&got), str_of(rows[i].out))) {
			tap_fail(__FILE__, __LINE__, "%s: %.*s", rows[i].in,
				STR_ARG(buf_view(&got)));
		}
		buf_fini(&got);
	}
}

static void test_warnings(void)
{
	static const struct {
		const char *in, *out; /* tags that are warned of */
	} rows[] = {
		{"v=DMARC1; p=reject; rua=mailto:a@b", ""},
		{"v=DMARC1; p=none; sp=none; np=none; adkim=r; aspf=s; fo=0:d; t=y; psd=n; "
		 "rua=mailto:a@b,mailto:c@d; ruf=mailto:e@f",
			""},
		{"v=DMARC1", "p rua"},
		{"v=DMARC1; p=nones; rua=mailto:a@b", "p"},
		{"v=DMARC1; p=none; sp=x; np=y; adkim=1; aspf=2; t=3; psd=4; rua=mailto:a@b",
			"sp np adkim aspf t psd"},
		{"v=DMARC1; p=none; pct=100; rf=afrf; ri=86400; rua=mailto:a@b", "pct rf ri"},
		{"v=DMARC1; p=none; rua=a@b, https://c/d; ruf=x", "rua rua ruf"},
		{"v=DMARC1; p=none; fo=1; rua=mailto:a@b", "fo"},
		{"v=DMARC1; p=none; fo=2; rua=mailto:a@b; ruf=mailto:a@b", "fo"},
		{"v=DMARC1; p=none; fo=; rua=mailto:a@b; ruf=mailto:a@b", "fo"},
		{"v=DMARC1; p=none; p=none; t=n; t=n; rua=mailto:a@b", "p t"},
		{"v=DMARC1; p=none; policy=x; rua=mailto:a@b; half", "policy half"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dmarc_warnings w = {.n = 0};
		struct dmarc_record r;
		struct buf got = {0};
		(void)dmarc_parse(str_of(rows[i].in), &r, &w); /* told by the other test */
		for (size_t k = 0; k < w.n; k++) {
			buf_fmt(&got, "%s%.*s", k ? " " : "", STR_ARG(w.list[k].tag));
			CHECK(w.list[k].says && w.list[k].says[0]);
		}
		CHECK_STR(buf_view(&got), str_of(rows[i].out));
		buf_fini(&got);
	}
	struct buf many = {0};
	struct dmarc_warnings w = {.n = 0};
	struct dmarc_record r;
	buf_str(&many, STR("v=DMARC1"));
	for (int i = 0; i < 1000; i++) { buf_fmt(&many, ";x%d=y", i); }
	CHECK_INT(dmarc_parse(buf_view(&many), &r, &w), 0);
	CHECK_INT(w.n, DMARC_WARNINGS_MAX);
	buf_fini(&many);
}

/* --- a resolver and a task --- */

static struct loop *l;
static struct dns *d;
static struct dns_budget budget;

static void open_zone(const char *text)
{
	struct err e = {{0}};
	struct dns_conf conf = {.zone_text = str_of(text)};
	l = loop_new_fake(0);
	d = dns_new(l, &conf, &e);
	if (!d) { tap_fail(__FILE__, __LINE__, "%s", e.text); }
	dns_budget_start(&budget, l, 40, 20 * SECOND_US);
}

static void close_zone(void)
{
	dns_free(d);
	loop_free(l);
}

struct runner {
	struct task task;
	struct dmarc_walk walk;
	struct dmarc_check check;
	bool walks;
	bool finished;
};

static enum step run_step(struct task *t)
{
	struct runner *r = task_of(t, struct runner, task);
	int rc = r->walks ? dmarc_walk_step(&r->walk) : dmarc_check_step(&r->check);
	r->finished = rc == 1;
	return rc ? STEP_DONE : STEP_WAIT;
}

static void on_ended(struct task *t)
{
	(void)t; /* lives on the stack */
}

static void run(struct runner *r)
{
	task_start(l, &r->task, NULL, run_step, on_ended);
	while (loop_turn(l)) {}
	CHECK(r->finished);
}

/* --- the walk --- */

static void check_walk(const char *zone, struct str start, const char *want, int line)
{
	struct runner r = {.walks = true};
	struct arena a = {0};
	struct buf got = {0};
	open_zone(zone);
	dmarc_walk_start(&r.walk, d, &budget, &r.task, &a, start);
	run(&r);
	for (size_t i = 0; i < r.walk.n; i++) {
		const struct dmarc_step *s = &r.walk.steps[i];
		buf_fmt(&got, "%.*s%s ", STR_ARG(s->name),
			s->found                    ? "+"
			: s->records                ? "!"
			: s->status == DNS_SERVFAIL ? "?"
						    : "");
	}
	const struct dmarc_step *g = dmarc_governing(&r.walk);
	buf_fmt(&got, "org=%.*s by=%.*s", STR_ARG(dmarc_organisation(&r.walk)),
		STR_ARG(g ? g->name : STR("none")));
	tap_check_str(__FILE__, line, "walk", buf_view(&got), str_of(want));
	dmarc_walk_fini(&r.walk);
	buf_fini(&got);
	arena_fini(&a);
	close_zone();
}

#define REC(domain, rest) "_dmarc." domain ". TXT \"v=DMARC1; " rest "\"\n"

static void test_walk(void)
{
	/* the examples of RFC 9989 4.10 */
	check_walk("\n", STR("a.b.c.d.e.f.g.h.i.j.mail.example.com"),
		"a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com "
		"h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com mail.example.com "
		"example.com com org=a.b.c.d.e.f.g.h.i.j.mail.example.com by=none",
		__LINE__);
	check_walk(REC("mail.example.com", "p=none") REC("example.com", "p=reject"),
		STR("a.mail.example.com"),
		"a.mail.example.com mail.example.com+ example.com+ com org=example.com "
		"by=example.com",
		__LINE__);
	check_walk(REC("mail.example.com", "p=none; psd=n") REC("example.com", "p=reject"),
		STR("a.mail.example.com"),
		"a.mail.example.com mail.example.com+ org=mail.example.com by=mail.example.com",
		__LINE__);
	check_walk(REC("com", "p=none; psd=y"), STR("a.mail.example.com"),
		"a.mail.example.com mail.example.com example.com com+ org=example.com by=com",
		__LINE__);
	check_walk(REC("example.com", "p=none; psd=y"), STR("mail.example.com"),
		"mail.example.com example.com+ org=mail.example.com by=example.com", __LINE__);
	/* lengths around eight labels */
	check_walk("\n", STR("b.c.d.e.f.g.h"),
		"b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h "
		"h org=b.c.d.e.f.g.h by=none",
		__LINE__);
	check_walk("\n", STR("a.b.c.d.e.f.g.h"),
		"a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h "
		"org=a.b.c.d.e.f.g.h by=none",
		__LINE__);
	check_walk("\n", STR("z.a.b.c.d.e.f.g.h"),
		"z.a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h "
		"org=z.a.b.c.d.e.f.g.h by=none",
		__LINE__);
	/* a record at a name that is skipped does not count */
	check_walk(REC("a.b.c.d.e.f.g.h", "p=reject"), STR("z.a.b.c.d.e.f.g.h"),
		"z.a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h "
		"org=z.a.b.c.d.e.f.g.h by=none",
		__LINE__);
	check_walk("\n", STR("localhost"), "localhost org=localhost by=none", __LINE__);
}

static void test_walk_records(void)
{
	/* its own record governs, whatever is the organisation */
	check_walk(REC("a.example.com", "p=none") REC("example.com", "p=reject"),
		STR("a.example.com"),
		"a.example.com+ example.com+ com org=example.com by=a.example.com", __LINE__);
	check_walk(REC("a.example.com", "p=none; psd=n") REC("example.com", "p=reject"),
		STR("a.example.com"), "a.example.com+ org=a.example.com by=a.example.com",
		__LINE__);
	/* psd=y where the walk starts: it is its own organisation */
	check_walk(REC("co.example", "p=none; psd=y"), STR("co.example"),
		"co.example+ org=co.example by=co.example", __LINE__);
	/* the record of the organisation comes before that of the public suffix */
	check_walk(REC("example.com", "p=none") REC("com", "p=reject; psd=y"), STR("a.example.com"),
		"a.example.com example.com+ com+ org=example.com by=example.com", __LINE__);
	/* one between the author and the organisation does not govern */
	check_walk(REC("b.example.com", "p=none") REC("com", "p=reject; psd=y"),
		STR("a.b.example.com"),
		"a.b.example.com b.example.com+ example.com com+ org=example.com by=com", __LINE__);
	/* two records at a name are none, with others beside them they are records */
	check_walk(REC("example.com", "p=none") REC("example.com", "p=reject"), STR("example.com"),
		"example.com! com org=example.com by=none", __LINE__);
	check_walk(REC("example.com", "p=none; psd=n") REC("example.com", "p=bad")
			   REC("com", "p=none"),
		STR("example.com"), "example.com! com+ org=com by=com", __LINE__);
	check_walk("_dmarc.example.com. TXT \"v=spf1 -all\"\n_dmarc.example.com. TXT \"\"\n" REC(
			   "example.com", "p=none"),
		STR("example.com"), "example.com+ com org=example.com by=example.com", __LINE__);
	/* strings are joined; aliases are followed; wildcards answer */
	check_walk("_dmarc.example.com. TXT \"v=DMA\" \"RC1; p=none\"\n", STR("example.com"),
		"example.com+ com org=example.com by=example.com", __LINE__);
	check_walk("_dmarc.example.com. CNAME r.example.net.\nr.example.net. TXT \"v=DMARC1;\"\n",
		STR("example.com"), "example.com+ com org=example.com by=example.com", __LINE__);
	check_walk("*.example.com. TXT \"v=DMARC1; p=none\"\n", STR("a.example.com"),
		"a.example.com+ example.com+ com org=example.com by=a.example.com", __LINE__);
	/* a record that cannot be used still marks the place */
	check_walk(REC("example.com", "p=bad"), STR("a.example.com"),
		"a.example.com example.com+ com org=example.com by=example.com", __LINE__);
	check_walk(REC("example.com", "p=bad; psd=n") REC("com", "p=none"), STR("a.example.com"),
		"a.example.com example.com+ org=example.com by=example.com", __LINE__);
	/* failures are noted, the walk goes on */
	check_walk("_dmarc.example.com. SERVFAIL\n" REC("com", "p=none"), STR("a.example.com"),
		"a.example.com example.com? com+ org=com by=com", __LINE__);
}

static void test_walk_bounds(void)
{
	struct buf zone = {0}, name = {0};
	/* 4096 octets are a record, more are one that cannot be used */
	for (int more = 0; more < 2; more++) {
		struct runner r = {.walks = true};
		struct arena a = {0};
		buf_reset(&zone);
		buf_str(&zone, STR("_dmarc.example. TXT \"v=DMARC1;p=reject;x="));
		for (int i = 0; i < 4096 - 20 + more; i++) { buf_chr(&zone, 'y'); }
		buf_str(&zone, STR("\"\n"));
		open_zone(buf_cstr(&zone));
		dmarc_walk_start(&r.walk, d, &budget, &r.task, &a, STR("example"));
		run(&r);
		CHECK(r.walk.steps[0].found);
		CHECK_INT(r.walk.steps[0].unusable, more);
		CHECK_INT(r.walk.steps[0].text.n, 4096);
		dmarc_walk_fini(&r.walk);
		arena_fini(&a);
		close_zone();
	}
	/* "_dmarc." does not fit before a name of 253 octets: there can be no record */
	for (int i = 0; i < 126; i++) { buf_str(&name, STR("a.")); }
	buf_chr(&name, 'a');
	struct buf want = {0};
	buf_fmt(&want,
		"%.*s a.a.a.a.a.a.a+ a.a.a.a.a.a a.a.a.a.a a.a.a.a a.a.a a.a a org=a.a.a.a.a.a.a "
		"by=a.a.a.a.a.a.a",
		STR_ARG(buf_view(&name)));
	check_walk(REC("a.a.a.a.a.a.a", "p=none"), buf_view(&name), buf_cstr(&want), __LINE__);
	buf_fini(&zone);
	buf_fini(&name);
	buf_fini(&want);
}

/* --- verdicts --- */

struct verdict {
	const char *about, *zone, *from, *spf, *dkim, *want;
};

static struct str next_word(struct str *list)
{
	struct str word;
	str_cut(list, ' ', &word);
	return word;
}

/* A trailing ? says that it is not known whether it passed. */
static bool cut_unsure(struct str *domain)
{
	bool unsure = str_ends(*domain, STR("?"));
	domain->n -= unsure;
	return unsure;
}

static void start_check(struct runner *r, struct arena *a, const struct verdict *v)
{
	struct authors authors = {0};
	struct str from = str_of(v->from), dkim = str_of(v->dkim);
	while (from.n) { authors.domains[authors.n++] = next_word(&from); }
	dmarc_check_start(&r->check, d, &budget, &r->task, a);
	dmarc_check_authors(&r->check, &authors);
	while (dkim.n) {
		struct str domain = next_word(&dkim);
		bool unsure = cut_unsure(&domain);
		dmarc_check_dkim(&r->check, domain, unsure);
	}
	if (v->spf) {
		struct str domain = str_of(v->spf);
		bool unsure = cut_unsure(&domain);
		dmarc_check_spf(&r->check, domain, unsure);
	}
}

/* "result policy tag=published@where aligned", of the strictest author (named when several). */
static void describe_check(const struct dmarc_check *c, struct buf *out)
{
	const struct dmarc_author *a = &c->authors[c->strictest];
	if (c->authors_n > 1) { buf_fmt(out, "%.*s: ", STR_ARG(a->domain)); }
	buf_fmt(out, "%s %s", dmarc_result_name(c->result), dmarc_policy_name(a->policy));
	if (a->record && !a->record->unusable) {
		buf_fmt(out, " %s=%s@%.*s", a->tag, dmarc_policy_name(a->published),
			STR_ARG(a->record->name));
	}
	if (a->aligned_by.n) { buf_fmt(out, " %.*s", STR_ARG(a->aligned_by)); }
}

/* What is told of a verdict is right in form. */
static void check_told(const struct dmarc_check *c, struct arena *a)
{
	struct results_method m[AUTHORS_MAX];
	struct buf field = {0}, read = {0};
	size_t n = dmarc_results(c, a, m);
	CHECK_INT(n, c->authors_n);
	results_write(STR("mx"), m, n, false, &field);
	CHECK_INT(authres_read(buf_view(&field), &read), 0);
	buf_fini(&field);
	buf_fini(&read);
}

static void check_verdict(const struct verdict *v)
{
	struct runner r = {0};
	struct arena a = {0};
	struct buf got = {0};
	open_zone(v->zone);
	start_check(&r, &a, v);
	run(&r);
	describe_check(&r.check, &got);
	check_told(&r.check, &a);
	if (!str_eq(buf_view(&got), str_of(v->want))) {
		tap_fail(__FILE__, __LINE__, "%s: %.*s\n#   want %s", v->about,
			STR_ARG(buf_view(&got)), v->want);
	}
	dmarc_check_fini(&r.check);
	buf_fini(&got);
	arena_fini(&a);
	close_zone();
}

#define CHECK_ALL(rows) \
	for (size_t row = 0; row < COUNT(rows); row++) { check_verdict(&(rows)[row]); }

#define EXAMPLE REC("example.com", "p=reject")

static void test_unsure(void)
{
	static const struct verdict rows[] = {
		{"SPF may have passed", EXAMPLE, "example.com", "example.com?", "",
			"temperror reject p=reject@example.com"},
		{"of a name below", EXAMPLE, "example.com", "m.example.com?", "",
			"temperror reject p=reject@example.com"},
		{"of somebody else: nobody hides behind his own servers", EXAMPLE, "example.com",
			"example.net?", "", "fail reject p=reject@example.com"},
		{"a signature may have passed", EXAMPLE, "example.com", NULL,
			"example.net example.com?", "temperror reject p=reject@example.com"},
		{"another has", EXAMPLE, "example.com", "example.com?", "example.com",
			"pass reject p=reject@example.com dkim=example.com"},
		{"another of the same domain has", EXAMPLE, "example.com", NULL,
			"example.com? example.com",
			"pass reject p=reject@example.com dkim=example.com"},
	};
	CHECK_ALL(rows);
}

static void test_alignment(void)
{
	static const struct verdict rows[] = {
		{"SPF, identical", EXAMPLE, "example.com", "example.com", NULL,
			"pass reject p=reject@example.com spf=example.com"},
		{"SPF, child of the author", EXAMPLE, "example.com", "child.example.com", NULL,
			"pass reject p=reject@example.com spf=child.example.com"},
		{"SPF, unrelated", EXAMPLE, "child.example.com", "example.net", NULL,
			"fail reject sp=reject@example.com"},
		{"DKIM, identical", EXAMPLE, "example.com", NULL, "example.com",
			"pass reject p=reject@example.com dkim=example.com"},
		{"DKIM, parent of the author", EXAMPLE, "child.example.com", NULL, "example.com",
			"pass reject sp=reject@example.com dkim=example.com"},
		{"DKIM, unrelated", EXAMPLE, "child.example.com", NULL, "example.net",
			"fail reject sp=reject@example.com"},
		{"siblings", EXAMPLE, "a.example.com", "b.c.example.com", NULL,
			"pass reject sp=reject@example.com spf=b.c.example.com"},
		{"no identifier", EXAMPLE, "example.com", NULL, NULL,
			"fail reject p=reject@example.com"},
		{"case does not matter", EXAMPLE, "example.com", "EXAMPLE.Com.", NULL,
			"pass reject p=reject@example.com spf=example.com"},
		{"U-labels do not matter", REC("xn--bcher-kva.example", "p=reject"),
			"xn--bcher-kva.example", NULL,
			"b\xc3\xbc"
			"cher.example",
			"pass reject p=reject@xn--bcher-kva.example dkim=xn--bcher-kva.example"},
		{"any signature may align", EXAMPLE, "example.com", "x.net",
			"a.net example.org b.example.com c.com",
			"pass reject p=reject@example.com dkim=b.example.com"},
		{"what is no domain aligns with nothing", EXAMPLE, "example.com", "a b@example.com",
			"", "fail reject p=reject@example.com"},
		{"the end of a name is not its parent", EXAMPLE, "example.com", "notexample.com",
			"badexample.com", "fail reject p=reject@example.com"},
		{"a public suffix signs for nobody", EXAMPLE REC("com", "p=none; psd=y"),
			"example.com", NULL, "com", "fail reject p=reject@example.com"},
		{"nor without a record of its own", EXAMPLE, "example.com", NULL, "com",
			"fail reject p=reject@example.com"},
		{"strict SPF, child", REC("example.com", "p=reject; aspf=s"), "example.com",
			"child.example.com", NULL, "fail reject p=reject@example.com"},
		{"strict SPF, identical", REC("example.com", "p=reject; aspf=s"), "example.com",
			"example.com", NULL, "pass reject p=reject@example.com spf=example.com"},
		{"strict SPF does not bind DKIM", REC("example.com", "p=reject; aspf=s"),
			"example.com", "a.example.com", "a.example.com",
			"pass reject p=reject@example.com dkim=a.example.com"},
		{"strict DKIM, child", REC("example.com", "p=reject; adkim=s"), "example.com", NULL,
			"child.example.com", "fail reject p=reject@example.com"},
		{"strict DKIM, parent", REC("example.com", "p=reject; adkim=s"), "a.example.com",
			NULL, "example.com", "fail reject sp=reject@example.com"},
		{"strict DKIM, identical", REC("example.com", "p=reject; adkim=s"), "example.com",
			NULL, "example.com", "pass reject p=reject@example.com dkim=example.com"},
		{"strict DKIM does not bind SPF", REC("example.com", "p=reject; adkim=s"),
			"example.com", "a.example.com", "a.example.com",
			"pass reject p=reject@example.com spf=a.example.com"},
		{"strict of a parent binds a child", REC("example.com", "p=reject; adkim=s"),
			"a.example.com", NULL, "a.example.com",
			"pass reject sp=reject@example.com dkim=a.example.com"},
		{"the author's psd=n parts it from its parent",
			EXAMPLE REC("a.example.com", "p=reject; psd=n"), "a.example.com", NULL,
			"example.com", "fail reject p=reject@a.example.com"},
		{"and a signer's psd=n from the author",
			EXAMPLE REC("a.example.com", "p=reject; psd=n"), "example.com", NULL,
			"a.example.com", "fail reject p=reject@example.com"},
		{"psd=n between them", EXAMPLE REC("b.example.com", "p=none; psd=n"),
			"a.example.com", NULL, "x.b.example.com",
			"fail reject sp=reject@example.com"},
		{"psd=y between them: customers of a suffix",
			REC("co.example", "p=none; psd=y") REC("a.co.example", "p=reject"),
			"a.co.example", NULL, "b.co.example", "fail reject p=reject@a.co.example"},
		{"psd=y above both: one customer", REC("co.example", "p=reject; psd=y"),
			"x.a.co.example", NULL, "y.a.co.example",
			"pass reject sp=reject@co.example dkim=y.a.co.example"},
		{"a name longer than eight labels", EXAMPLE, "1.2.3.4.5.6.7.8.9.example.com", NULL,
			"a.b.c.d.e.f.g.h.i.example.com",
			"pass reject sp=reject@example.com dkim=a.b.c.d.e.f.g.h.i.example.com"},
		{"a record of the identifier alone is none", REC("mail.example.com", "p=none"),
			"example.com", NULL, "mail.example.com", "none none"},
	};
	CHECK_ALL(rows);
}

static void test_policy(void)
{
	static const struct verdict rows[] = {
		{"no record", "\n", "example.com", "example.com", "example.com", "none none"},
		{"p=none", REC("example.com", "p=none"), "example.com", NULL, NULL,
			"fail none p=none@example.com"},
		{"p=quarantine", REC("example.com", "p=quarantine"), "example.com", NULL, NULL,
			"fail quarantine p=quarantine@example.com"},
		{"p missing", REC("example.com", "rua=mailto:a@b"), "example.com", NULL, NULL,
			"fail none p=none@example.com"},
		{"sp", REC("example.com", "p=reject; sp=quarantine") "a.example.com. A 192.0.2.1\n",
			"a.example.com", NULL, NULL, "fail quarantine sp=quarantine@example.com"},
		{"sp is not for the domain itself", REC("example.com", "p=reject; sp=none"),
			"example.com", NULL, NULL, "fail reject p=reject@example.com"},
		{"np: no such name", REC("example.com", "p=none; sp=quarantine; np=reject"),
			"a.example.com", NULL, NULL, "fail reject np=reject@example.com"},
		{"np: the name exists",
			REC("example.com",
				"p=none; sp=quarantine; np=reject") "a.example.com. A 192.0.2.1\n",
			"a.example.com", NULL, NULL, "fail quarantine sp=quarantine@example.com"},
		{"np: a name below it exists",
			REC("example.com", "p=none; sp=quarantine; np=reject") "b.a.example.com. A "
									       "192.0.2.1\n",
			"a.example.com", NULL, NULL, "fail quarantine sp=quarantine@example.com"},
		{"np: an alias that leads nowhere exists",
			REC("example.com",
				"p=none; sp=quarantine; np=reject") "a.example.com. CNAME "
								    "nowhere.example.net.\n",
			"a.example.com", NULL, NULL, "fail quarantine sp=quarantine@example.com"},
		{"np without sp", REC("example.com", "p=reject; np=none"), "a.example.com", NULL,
			NULL, "fail none np=none@example.com"},
		{"np falls back on sp", REC("example.com", "p=reject; sp=none"), "a.example.com",
			NULL, NULL, "fail none sp=none@example.com"},
		{"np of a public suffix", REC("com", "p=none; np=reject; psd=y"), "no.example.com",
			NULL, NULL, "fail reject np=reject@com"},
		{"np: is it there, nobody knows",
			REC("example.com",
				"p=none; sp=none; np=reject") "a.example.com. SERVFAIL\n",
			"a.example.com", NULL, NULL, "temperror reject np=reject@example.com"},
		{"t: reject becomes quarantine", REC("example.com", "p=reject; t=y"), "example.com",
			NULL, NULL, "fail quarantine p=reject@example.com"},
		{"t: quarantine becomes none", REC("example.com", "p=quarantine; t=y"),
			"example.com", NULL, NULL, "fail none p=quarantine@example.com"},
		{"t: none stays", REC("example.com", "p=none; t=y"), "example.com", NULL, NULL,
			"fail none p=none@example.com"},
		{"t counts for sp", REC("example.com", "p=none; sp=reject; t=y"), "a.example.com",
			NULL, NULL, "fail quarantine sp=reject@example.com"},
		{"pct has gone", REC("example.com", "p=reject; pct=0"), "example.com", NULL, NULL,
			"fail reject p=reject@example.com"},
		{"a bad p, no reports: DMARC does not apply", REC("example.com", "p=bad"),
			"example.com", NULL, NULL, "permerror none"},
		{"and the parent does not stand in", REC("a.example.com", "p=bad") EXAMPLE,
			"a.example.com", NULL, NULL, "permerror none"},
		{"a bad parent for a child", REC("example.com", "p=reject; np=bad"),
			"a.example.com", NULL, NULL, "permerror none"},
		{"a bad p with reports is p=none", REC("example.com", "p=bad; rua=mailto:a@b"),
			"example.com", NULL, NULL, "fail none p=none@example.com"},
		{"two records are none", EXAMPLE EXAMPLE, "example.com", NULL, NULL, "none none"},
		{"two records: the parent's governs",
			EXAMPLE REC("a.example.com", "p=none") REC("a.example.com", "p=none"),
			"a.example.com", NULL, NULL, "fail reject sp=reject@example.com"},
		{"what is no record beside one", EXAMPLE "_dmarc.example.com. TXT \"v=DMARC2\"\n",
			"example.com", NULL, NULL, "fail reject p=reject@example.com"},
		{"the nearest record of several does not govern a child",
			EXAMPLE REC("b.example.com", "p=none"), "a.b.example.com", NULL, NULL,
			"fail reject sp=reject@example.com"},
	};
	CHECK_ALL(rows);
}

static void test_failing_servers(void)
{
	static const struct verdict rows[] = {
		{"the author's own record", "_dmarc.example.com. SERVFAIL\n", "example.com", NULL,
			NULL, "temperror reject"},
		{"forged", "_dmarc.example.com. BOGUS\n", "example.com", NULL, NULL,
			"temperror reject"},
		{"its own, and its name is authenticated", "_dmarc.example.com. SERVFAIL\n",
			"example.com", "example.com", NULL, "temperror none"},
		{"its own, below a parent's p=none",
			"_dmarc.a.example.com. SERVFAIL\n" REC("example.com", "p=none"),
			"a.example.com", NULL, NULL, "temperror reject sp=none@example.com"},
		{"its own, identical, a parent's record is there",
			"_dmarc.a.example.com. SERVFAIL\n" EXAMPLE, "a.example.com", NULL,
			"a.example.com", "pass reject sp=reject@example.com dkim=a.example.com"},
		{"its own, may be strict", "_dmarc.a.example.com. SERVFAIL\n" EXAMPLE,
			"a.example.com", NULL, "example.com",
			"temperror reject sp=reject@example.com"},
		{"the parent, nothing seen", "_dmarc.example.com. SERVFAIL\n", "a.example.com",
			NULL, NULL, "temperror reject"},
		{"the parent, own record, no identifier",
			REC("a.example.com", "p=quarantine") "_dmarc.example.com. SERVFAIL\n",
			"a.example.com", NULL, NULL, "fail quarantine p=quarantine@a.example.com"},
		{"the parent, own record, unrelated identifiers",
			REC("a.example.com", "p=reject") "_dmarc.example.com. SERVFAIL\n",
			"a.example.com", "b.net", "c.org", "fail reject p=reject@a.example.com"},
		{"the parent, own record, the parent signs",
			REC("a.example.com", "p=quarantine") "_dmarc.example.com. SERVFAIL\n",
			"a.example.com", NULL, "example.com",
			"temperror quarantine p=quarantine@a.example.com"},
		{"the parent, own strict record",
			REC("a.example.com", "p=reject; adkim=s") "_dmarc.example.com. SERVFAIL\n",
			"a.example.com", NULL, "example.com", "fail reject p=reject@a.example.com"},
		{"the parent, own psd=n",
			REC("a.example.com", "p=reject; psd=n") "_dmarc.example.com. SERVFAIL\n",
			"a.example.com", NULL, "example.com", "fail reject p=reject@a.example.com"},
		{"the suffix, a child signs", EXAMPLE "_dmarc.com. SERVFAIL\n", "example.com", NULL,
			"a.example.com", "pass reject p=reject@example.com dkim=a.example.com"},
		{"the suffix, nothing seen", "_dmarc.com. SERVFAIL\n", "example.com", NULL, NULL,
			"temperror reject"},
		{"the suffix, a relative of the same suffix signs",
			EXAMPLE "_dmarc.com. SERVFAIL\n", "example.com", NULL, "evil.com",
			"temperror reject p=reject@example.com"},
		{"the signer's own, a child of the author",
			EXAMPLE "_dmarc.a.example.com. SERVFAIL\n", "example.com", NULL,
			"a.example.com", "temperror reject p=reject@example.com"},
		{"that, but another signature aligns", EXAMPLE "_dmarc.a.example.com. SERVFAIL\n",
			"example.com", NULL, "a.example.com b.example.com",
			"pass reject p=reject@example.com dkim=b.example.com"},
		{"a stranger's servers cannot hide a failure",
			EXAMPLE "_dmarc.evil.com. SERVFAIL\n_dmarc.a.evil.net. SERVFAIL\n",
			"example.com", "a.evil.net", "evil.com",
			"fail reject p=reject@example.com"},
		{"np not known, sp is softer",
			REC("example.com",
				"p=none; np=reject") "_dmarc.a.example.com. CNAME "
						     "no.example.net.\na.example.com. SERVFAIL\n",
			"a.example.com", NULL, NULL, "temperror reject np=reject@example.com"},
		{"np not known, sp is harder",
			REC("example.com",
				"p=none; sp=reject; np=none") "_dmarc.a.example.com. CNAME "
							      "no.example.net.\na.example.com. "
							      "SERVFAIL\n",
			"a.example.com", NULL, NULL, "temperror reject sp=reject@example.com"},
	};
	CHECK_ALL(rows);
}

static void test_several_authors(void)
{
	static const struct verdict rows[] = {
		{"the one that fails", EXAMPLE REC("example.net", "p=reject"),
			"example.com example.net", NULL, "example.com",
			"example.net: fail reject p=reject@example.net"},
		{"whatever the order", EXAMPLE REC("example.net", "p=reject"),
			"example.net example.com", NULL, "example.com",
			"example.net: fail reject p=reject@example.net"},
		{"both fail: the harder policy",
			REC("example.net", "p=quarantine") EXAMPLE REC("example.org", "p=none"),
			"example.net example.com example.org", NULL, NULL,
			"example.com: fail reject p=reject@example.com"},
		{"both pass", EXAMPLE REC("example.net", "p=reject"), "example.com example.net",
			"example.net", "example.com",
			"example.com: pass reject p=reject@example.com dkim=example.com"},
		{"a pass does not speak for who has no record", EXAMPLE,
			"example.com nothing.example", NULL, "example.com",
			"nothing.example: none none"},
		{"what may be reject is harder than quarantine",
			REC("example.net", "p=quarantine") "_dmarc.example.com. SERVFAIL\n",
			"example.net example.com", NULL, NULL, "example.com: temperror reject"},
		{"a sure reject comes first", EXAMPLE "_dmarc.example.net. SERVFAIL\n",
			"example.net example.com", NULL, NULL,
			"example.com: fail reject p=reject@example.com"},
		{"a record of no use before none", REC("example.net", "p=bad"),
			"example.com example.net", NULL, NULL, "example.net: permerror none"},
		{"one organisation", EXAMPLE, "a.example.com b.example.com", NULL, "example.com",
			"a.example.com: pass reject sp=reject@example.com dkim=example.com"},
	};
	CHECK_ALL(rows);
	struct dmarc_check nobody;
	dmarc_check_start(&nobody, NULL, NULL, NULL, NULL);
	CHECK_INT(dmarc_check_step(&nobody), 1);
	CHECK_INT(nobody.result, DMARC_RESULT_NONE);
	dmarc_check_fini(&nobody);
}

/* --- what it costs --- */

static void check_cost(const struct verdict *v, unsigned left, unsigned questions, int line)
{
	struct runner r = {0};
	struct arena a = {0};
	struct buf got = {0};
	open_zone(v->zone);
	budget.left = left;
	start_check(&r, &a, v);
	run(&r);
	describe_check(&r.check, &got);
	tap_check_str(__FILE__, line, v->about, buf_view(&got), str_of(v->want));
	tap_check_int(__FILE__, line, "questions", left - budget.left, questions);
	dmarc_check_fini(&r.check);
	buf_fini(&got);
	arena_fini(&a);
	close_zone();
}

static void test_cost(void)
{
	struct verdict v = {"identical: one question", EXAMPLE, "example.com", "x.example.com",
		"example.com", "pass reject p=reject@example.com dkim=example.com"};
	check_cost(&v, 40, 1, __LINE__);
	v = (struct verdict){"unrelated: one question", EXAMPLE, "example.com", "a.b.c.net",
		"d.e.f.org", "fail reject p=reject@example.com"};
	check_cost(&v, 40, 1, __LINE__);
	v = (struct verdict){"two walks", EXAMPLE, "a.example.com", NULL, "b.example.com",
		"pass reject sp=reject@example.com dkim=b.example.com"};
	check_cost(&v, 40, 6, __LINE__); /* the zone's TTL is 0: nothing is cached */
	v = (struct verdict){"same suffix: no walk of the signer's", EXAMPLE, "example.com", NULL,
		"a.b.c.evil.com", "fail reject p=reject@example.com"};
	check_cost(&v, 40, 2, __LINE__);
	v = (struct verdict){"the budget ends", EXAMPLE, "a.example.com", NULL, "b.example.com",
		"temperror reject sp=reject@example.com"};
	check_cost(&v, 3, 3, __LINE__);
	v = (struct verdict){
		"no budget at all", EXAMPLE, "a.example.com", NULL, NULL, "temperror reject"};
	check_cost(&v, 0, 0, __LINE__);
	v = (struct verdict){"signatures beyond eight", EXAMPLE, "example.com", NULL,
		"a.com b.com c.com d.com e.com f.com g.com h.com example.com",
		"fail reject p=reject@example.com"};
	check_cost(&v, 40, 2, __LINE__);
	v.spf = "example.com";
	v.want = "pass reject p=reject@example.com spf=example.com";
	check_cost(&v, 40, 1, __LINE__); /* SPF has a place of its own */
}

/* Ended while questions are out. */
static void test_cancel(void)
{
	struct runner r = {0};
	struct arena a = {0};
	struct err e = {{0}};
	struct dns_conf conf = {.forward = STR("192.0.2.1:53")};
	struct verdict v = {.from = "a.b.example.com", .dkim = "example.com"};
	l = loop_new_fake(0);
	d = dns_new(l, &conf, &e);
	dns_budget_start(&budget, l, 40, 20 * SECOND_US);
	start_check(&r, &a, &v);
	task_start(l, &r.task, NULL, run_step, on_ended);
	while (loop_turn(l)) {}
	CHECK(!r.finished);
	task_kill(&r.task);
	dmarc_check_fini(&r.check);
	while (loop_turn(l)) {}
	arena_fini(&a);
	close_zone();
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"records", test_records},
		{"warnings", test_warnings},
		{"walks: names", test_walk},
		{"walks: records", test_walk_records},
		{"walks: bounds", test_walk_bounds},
		{"identifiers of which nobody knows whether they passed", test_unsure},
		{"alignment", test_alignment},
		{"policy", test_policy},
		{"failing name servers", test_failing_servers},
		{"several authors", test_several_authors},
		{"what a verdict costs", test_cost},
		{"cancelled", test_cancel},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
