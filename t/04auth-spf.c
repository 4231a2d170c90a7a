/* auth: SPF: terms, macros, whole evaluations over a zone in memory, and what hostile records cost.
 */
#include "t/tap.h"

#include "auth/spf_private.h"

/* --- terms --- */

static void test_terms(void)
{
	static const struct {
		const char *text, *says; /* "" = fine */
	} cases[] = {
		{"all", ""},
		{"-ALL", ""},
		{"+all", ""},
		{"all:x", "does not belong"},
		{"all/8", "does not belong"},
		{"all.", "unknown mechanism"},
		{"--all", "unknown mechanism"},
		{"", "unknown mechanism"},
		{"+", "unknown mechanism"},
		{"allx", "unknown mechanism"},
		{"include:example.org", ""},
		{"InClude:example.org.", ""},
		{"include", "no domain"},
		{"include:", "no domain"},
		{"include:org", "top-level label"},
		{"include:example.org/24", "top-level label"},
		{"include=example.org", ""}, /* a modifier that nobody knows */
		{"redirect:example.org", "unknown mechanism"},
		{"a", ""},
		{"a:", "no domain"},
		{"a/24", ""},
		{"a/0", ""},
		{"a/32", ""},
		{"a/33", "too long"},
		{"a/024", "does not belong"},
		{"a/00", "does not belong"},
		{"a/", "does not belong"},
		{"a//64", ""},
		{"a//128", ""},
		{"a//129", "too long"},
		{"a//064", "does not belong"},
		{"a/24//64", ""},
		{"a//64/24", "does not belong"},
		{"a/24/64", "too long"},
		{"a/24//", "does not belong"},
		{"a:b/c.example.org/24//64", ""},
		{"a:example.org:25", "top-level label"},
		{"a:192.0.2.1", "top-level label"},
		{"a:x.1a", ""},
		{"a:x.a-1", ""},
		{"a:x.a-", "top-level label"},
		{"a:x.-a", "top-level label"},
		{"a:x._a", "top-level label"},
		{"a:x..", "top-level label"},
		{"a:%{d}", ""},
		{"a:%{d}.", "top-level label"},
		{"a:%%", ""},
		{"a:%{d}/24", ""},
		{"a:%{ir/}.x.org", ""},
		{"mx:example.org//0", ""},
		{"ptr", ""},
		{"ptr/24", "does not belong"},
		{"ptr:example.org", ""},
		{"exists:%{i}.example.org", ""},
		{"exists", "no domain"},
		{"exists:%{c}.example.org", "wrong macro"},
		{"exists:%{r}.example.org", "wrong macro"},
		{"exists:%{t}.example.org", "wrong macro"},
		{"exists:%{z}.example.org", "wrong macro"},
		{"exists:%{d0}.example.org", "wrong macro"},
		{"exists:%{d00}.example.org", "wrong macro"},
		{"exists:%{d01}.example.org", ""},
		{"exists:%{d99999999999999999999r.-+,/_=}.example.org", ""},
		{"exists:%{dr2}.example.org", "wrong macro"},
		{"exists:%{d;}.example.org", "wrong macro"},
		{"exists:%{d.example.org", "wrong macro"},
		{"exists:%{.example.org", "wrong macro"},
		{"exists:%(d).example.org", "wrong macro"},
		{"exists:example.org%", "wrong macro"},
		{"ip4:192.0.2.0/24", ""},
		{"ip4:192.0.2.0/0", ""},
		{"ip4:192.0.2.0/33", "not an address"},
		{"ip4:192.0.2.0/024", "not an address"},
		{"ip4:192.0.2", "not an address"},
		{"ip4:192.0.2.01", "not an address"},
		{"ip4:192.0.2.256", "not an address"},
		{"ip4:192.0.2.0//24", "not an address"},
		{"ip4:192.0.2.0:25", "not an address"},
		{"ip4:", "not an address"},
		{"ip4", "not an address"},
		{"ip4:2001:db8::", "not an address"},
		{"ip4:%{i}", "not an address"},
		{"ip6:2001:db8::/32", ""},
		{"ip6:::/0", ""},
		{"ip6:::ffff:192.0.2.1", ""},
		{"ip6:2001:db8::/129", "not an address"},
		{"ip6:2001:db8", "not an address"},
		{"ip6:2001:db8::1%eth0", "not an address"},
		{"ip6:192.0.2.1", "not an address"},
		{"redirect=example.org", ""},
		{"REDIRECT=%{d2}", ""},
		{"redirect=", "no domain"},
		{"redirect=org", "top-level label"},
		{"-redirect=example.org", "unknown mechanism"},
		{"exp=example.org", ""},
		{"exp=", "no domain"},
		{"exp=%{c}.example.org", "wrong macro"},
		{"unknown=", ""},
		{"un-kn_ow.n2=%{c}any:/=thing", ""},
		{"unknown=%x", "wrong macro"},
		{"2unknown=x", "unknown mechanism"},
		{"_unknown=x", "unknown mechanism"},
		{"=x", "unknown mechanism"},
		{"a\tmx", "US-ASCII"},
		{"\xc3\xa4", "US-ASCII"},
		{"a:b\x7f.org", "US-ASCII"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct spf_term t;
		struct err e = {.text = ""};
		int rc = spf_term_parse(str_of(cases[i].text), &t, &e);
		bool good = cases[i].says[0] == '\0';
		if ((rc == 0) != good || str_find(str_of(e.text), str_of(cases[i].says)) < 0) {
			tap_fail(__FILE__, __LINE__, "%s: %d %s", cases[i].text, rc, e.text);
		}
		CHECK_INT(spf_term_parse(str_of(cases[i].text), &t, NULL), rc);
	}
}

static void test_records(void)
{
	static const struct {
		const char *text;
		bool record, good;
	} cases[] = {
		{"v=spf1", true, true},
		{"V=SPF1 ", true, true},
		{"v=spf1   a   -all  ", true, true},
		{"v=spf10", false, true},
		{"v=spf", false, true},
		{" v=spf1", false, true},
		{"v=spf1\ta", false, true},
		{"", false, true},
		{"v=spf1 redirect=a.org", true, true},
		{"v=spf1 redirect=a.org REDIRECT=b.org", true, false},
		{"v=spf1 exp=a.org -all exp=a.org", true, false},
		{"v=spf1 x=1 x=1 redirect=a.org exp=b.org", true, true},
		{"v=spf1 -all moo", true, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str s = str_of(cases[i].text);
		struct err e = {.text = ""};
		CHECK(spf_is_record(s) == cases[i].record);
		if (cases[i].record) { CHECK((spf_record_check(s, &e) == 0) == cases[i].good); }
	}
}

static void test_term_fields(void)
{
	struct spf_term t;
	CHECK_INT(spf_term_parse(STR("~mx:foo:bar/baz.example.com/24//64"), &t, NULL), 0);
	CHECK_INT(t.kind, SPFTERM_MX);
	CHECK_INT(t.qualifier, '~');
	CHECK_STR(t.spec, STR("foo:bar/baz.example.com"));
	CHECK_INT(t.bits4, 24);
	CHECK_INT(t.bits6, 64);
	CHECK_INT(spf_term_parse(STR("ip6:2001:db8::/33"), &t, NULL), 0);
	CHECK_INT(t.bits6, 33);
	CHECK(memcmp(t.net, "\x20\x01\x0d\xb8", 4) == 0);
	CHECK_INT(spf_term_parse(STR("exp=%{d}"), &t, NULL), 0);
	CHECK_INT(t.kind, SPFTERM_EXP);
	CHECK_STR(t.spec, STR("%{d}"));
}

/* --- macros --- */

static struct spf_vars vars_of(const char *ip)
{
	struct spf_vars v = {.sender = STR("strong-bad@email.example.com"),
		.local = STR("strong-bad"),
		.sender_domain = STR("email.example.com"),
		.domain = STR("email.example.com"),
		.validated = STR("mx.example.org"),
		.helo = STR("Helo.example"),
		.receiver = STR("mx.example.net"),
		.now_us = 1234567890 * SECOND_US + 999999};
	net_addr_parse(str_of(ip), 0, &v.client);
	return v;
}

static void test_macros(void)
{
	static const struct {
		const char *macro, *want;
	} cases[] = {
		/* RFC 7208 7.4 */
		{"%{s}", "strong-bad@email.example.com"}, {"%{o}", "email.example.com"},
		{"%{d}", "email.example.com"}, {"%{d4}", "email.example.com"},
		{"%{d3}", "email.example.com"}, {"%{d2}", "example.com"}, {"%{d1}", "com"},
		{"%{dr}", "com.example.email"}, {"%{d2r}", "example.email"}, {"%{l}", "strong-bad"},
		{"%{l-}", "strong.bad"}, {"%{lr}", "strong-bad"}, {"%{lr-}", "bad.strong"},
		{"%{l1r-}", "strong"},
		{"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
		{"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
			"bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
			"3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
		/* ours */
		{"%{i}", "192.0.2.3"}, {"%{i1}", "3"}, {"%{c} %{v}", "192.0.2.3 in-addr"},
		{"%{h}/%{hr}", "Helo.example/example.Helo"},
		{"%{r} %{t}", "mx.example.net 1234567890"},
		{"%{p} %{p1} %{P}", "mx.example.org org mx.example.org"}, {"%%%_%-", "% %20"},
		{"%{S}", "strong-bad%40email.example.com"},
		{"%{S1R@-}",
			"strong-bad%40email.example.com"}, /* @ is no delimiter: left as it is */
		{"%{d127}", "email.example.com"}, {"%{d99999999999}", "email.example.com"},
		{"%{l1e}", ""}, {"%{d.m}", ""}, {"", ""},
		{"100% sure", "100"}, /* spf_macro_check refuses it before */
	};
	struct spf_vars v = vars_of("192.0.2.3");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = {0};
		bool checked = spf_macro_check(str_of(cases[i].macro), SPFUSE_TEXT, NULL) == 0;
		spf_macro_expand(str_of(cases[i].macro), SPFUSE_TEXT, &v, 1000, &out);
		if (checked) { CHECK_STR(buf_view(&out), str_of(cases[i].want)); }
		buf_fini(&out);
	}
	struct buf out = {0};
	v = vars_of("2001:db8::cb01");
	spf_macro_expand(STR("%{ir}.%{v}._spf.%{d2}"), SPFUSE_DOMAIN, &v, 0, &out);
	CHECK_STR(buf_view(&out), STR("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1."
				      "0.0.2.ip6._spf.example.com"));
	buf_reset(&out);
	spf_macro_expand(STR("%{c}"), SPFUSE_TEXT, &v, 1000, &out);
	CHECK_STR(buf_view(&out), STR("2001:db8::cb01"));
	buf_fini(&out);
}

static void test_delimiters(void)
{
	static const struct {
		const char *local, *macro, *want;
	} cases[] = {
		{"a.b-c+d,e/f_g=h", "%{l.-+,/_=}", "a.b.c.d.e.f.g.h"},
		{"a.b-c+d,e/f_g=h", "%{lr=}", "h.a.b-c+d,e/f_g"},
		{"-a--b-", "%{l-}", ".a..b."},
		{"-a--b-", "%{l2-}", "b."},
		{"-a--b-", "%{l3r-}", ".a."},
		{"ab", "%{l1r+}", "ab"},
		{"A b\"c%d", "%{L}", "A%20b%22c%25d"},
		{"~x-._y", "%{L}", "~x-._y"},
	};
	struct spf_vars v = vars_of("192.0.2.3");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = {0};
		v.local = str_of(cases[i].local);
		spf_macro_expand(str_of(cases[i].macro), SPFUSE_TEXT, &v, 1000, &out);
		CHECK_STR(buf_view(&out), str_of(cases[i].want));
		buf_fini(&out);
	}
}

/* 7.3: 253 octets, cut at labels; whatever is repeated, memory stays where it is. */
static void test_long_names(void)
{
	struct spf_vars v = vars_of("192.0.2.3");
	struct buf spec = {0}, out = {0};
	char domain[254];
	for (size_t i = 0; i < 253; i++) { domain[i] = i % 64 == 63 ? '.' : 'a'; }
	v.domain = str_make(domain, 253);
	spf_macro_expand(STR("%{d}"), SPFUSE_DOMAIN, &v, 0, &out);
	CHECK_INT(out.n, 253);
	buf_reset(&out);
	spf_macro_expand(STR("x.%{d}"), SPFUSE_DOMAIN, &v, 0, &out);
	CHECK_STR(buf_view(&out), v.domain);
	buf_reset(&out);
	spf_macro_expand(STR("%{d}.b.org."), SPFUSE_DOMAIN, &v, 0, &out);
	CHECK_INT(out.n, 253 - 64 + 6);
	buf_reset(&out);
	for (int i = 0; i < 10000; i++) { buf_str(&spec, STR("%{s}%{d}")); }
	spf_macro_expand(buf_view(&spec), SPFUSE_DOMAIN, &v, 0, &out);
	CHECK(out.n <= 253);
	CHECK(out.cap < 10000);
	buf_reset(&out);
	spf_macro_expand(buf_view(&spec), SPFUSE_TEXT, &v, 450, &out);
	CHECK_INT(out.n, 450);
	CHECK(out.cap < 10000);
	buf_reset(&spec);
	for (int i = 0; i < 3000; i++) { buf_chr(&spec, 'x'); } /* no label ends */
	buf_reset(&out);
	spf_macro_expand(buf_view(&spec), SPFUSE_DOMAIN, &v, 0, &out);
	CHECK(out.n > 253);
	buf_fini(&spec);
	buf_fini(&out);
}

/* --- evaluations --- */

struct eval {
	struct task task;
	struct dns_budget budget;
	struct arena arena;
	struct spf_check c;
	int steps, finished;
	size_t memory; /* of the arena */
};

static struct loop *l;

static void on_ended(struct task *t)
{
	task_of(t, struct eval, task)->finished++;
}

static enum step on_step(struct task *t)
{
	struct eval *e = task_of(t, struct eval, task);
	e->steps++;
	return spf_check_step(&e->c) ? STEP_DONE : STEP_WAIT;
}

static struct dns *zone_of(struct str text)
{
	struct err e = {.text = ""};
	struct dns_conf conf = {.zone_text = text};
	struct dns *d = dns_new(l, &conf, &e);
	if (!d) { tap_fail(__FILE__, __LINE__, "%s", e.text); }
	return d;
}

/* Evaluate and keep; free with eval_fini. */
static void eval(
	struct eval *e, struct dns *d, const char *ip, const char *local, const char *domain)
{
	*e = (struct eval){.c = {.dns = d,
				   .budget = &e->budget,
				   .task = &e->task,
				   .arena = &e->arena,
				   .helo = STR("helo.example.org"),
				   .local = str_of(local),
				   .domain = str_of(domain),
				   .receiver = STR("mx.example.net")}};
	dns_budget_start(&e->budget, l, DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
	net_addr_parse(str_of(ip), 0, &e->c.client);
	spf_check_start(&e->c);
	task_start(l, &e->task, NULL, on_step, on_ended);
	while (loop_turn(l)) {}
	CHECK_INT(e->finished, 1);
	e->memory = e->arena.used;
}

static void eval_fini(struct eval *e)
{
	spf_check_fini(&e->c);
	spf_check_fini(&e->c); /* again: harmless */
	arena_fini(&e->arena);
}

static const char eval_zone[] =
	"$ORIGIN example.org.\n"
	"plain TXT \"v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.7 ip6:2001:db8::/32 ?all\"\n"
	"nothing TXT \"v=spf1\"\n"
	"two TXT \"v=spf1 -all\"\n"
	"    TXT \"v=spf1 -all\"\n"
	"pieces TXT \"v=s\" \"pf1 ip4:192.0.2.\" \"5\" \" -all\"\n"
	"others TXT \"v=spf2.0/pra -all\"\n"
	"    TXT \"\"\n"
	"    TXT \"v=spf1 -all\"\n"
	"fails SERVFAIL\n"
	"wrong TXT \"v=spf1 ip4:192.0.2.5 bogus:thing -all\"\n"
	"inc TXT \"v=spf1 -include:inner.example.org ~all\"\n"
	"inner TXT \"v=spf1 redirect=inmost.example.org\"\n"
	"inmost TXT \"v=spf1 mx:plain2.example.org ?all\"\n"
	"plain2 MX 5 h1\n"
	"    MX 10 h2\n"
	"h1 A 192.0.2.10\n"
	"h2 A 192.0.2.20\n"
	"h2 AAAA 2001:db8::20\n"
	"red TXT \"v=spf1 redirect=red2.example.org exp=wrong.example.org ip4:192.0.2.77\"\n"
	"red2 TXT \"v=spf1 -ip4:192.0.2.1 exp=why.example.org\"\n"
	"why TXT \"%{c} at %{d}%_for %{s}, by %{r}\"\n"
	"incfails TXT \"v=spf1 include:fails.example.org -all\"\n"
	"incnone TXT \"v=spf1 include:h1.example.org -all\"\n"
	"incbad TXT \"v=spf1 include:wrong.example.org -all\"\n"
	"rednone TXT \"v=spf1 redirect=missing.example.org\"\n"
	"any4 TXT \"v=spf1 a:h1.example.org/0 -all\"\n"
	"any4b TXT \"v=spf1 ip4:1.2.3.4/0 -all\"\n"
	"any6 TXT \"v=spf1 mx:plain2.example.org//0 -all\"\n"
	"any6b TXT \"v=spf1 ip6:2001:db8::/0 -all\"\n"
	"nulls TXT \"v=spf1 mx:nullmx.example.org -all\"\n"
	"nullmx MX 0 .\n"
	"macro TXT \"v=spf1 exists:%{l}.ok.example.org include:%{l}.inc.example.org -all\"\n"
	"joe.ok A 127.0.0.2\n"
	"ann.inc TXT \"v=spf1 +all\"\n"
	"ptr TXT \"v=spf1 ptr:example.org -all\"\n"
	"ptrp TXT \"v=spf1 exists:%{p}.seen.example.org -all\"\n"
	"h1.example.org.seen A 127.0.0.2\n"
	"ptrfails TXT \"v=spf1 ptr:example.org ~all\"\n"
	"longterm TXT \"v=spf1 a:%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}.example.org -all\"\n"
	"twice TXT \"v=spf1 include:plain.example.org include:plain.example.org -all\"\n"
	"expodd TXT \"v=spf1 -all exp=odd.example.org\"\n"
	"odd TXT \"a\\009b\"\n"
	"explocal TXT \"v=spf1 -all exp=%{l}.example.org\"\n"
	"xn--bcher-kva TXT \"v=spf1 ip4:192.0.2.5 -all\"\n"
	"helo TXT \"v=spf1 a -all\"\n"
	"    A 192.0.2.99\n"
	"$ORIGIN 2.0.192.in-addr.arpa.\n"
	"10 PTR h1.example.org.\n"
	"20 PTR h1.example.org.\n" /* a lie */
	"   PTR notexample.org.\n"
	"30 SERVFAIL\n"
	"40 PTR fails.example.org.\n"
	"   PTR h40.example.org.\n"
	"$ORIGIN example.org.\n"
	"h40 A 192.0.2.40\n";

static void test_results(void)
{
	static const struct {
		const char *ip, *local, *domain;
		enum spf_result want;
		const char *term, *term_at, *explanation;
	} cases[] = {
		{"192.0.2.5", "joe", "plain.example.org", SPFRES_PASS, "ip4:192.0.2.0/24",
			"plain.example.org", ""},
		{"198.51.100.7", "joe", "PLAIN.example.org.", SPFRES_PASS, "ip4:198.51.100.7",
			"plain.example.org", ""},
		{"::ffff:198.51.100.7", "joe", "plain.example.org", SPFRES_PASS, "ip4:198.51.100.7",
			"plain.example.org", ""},
		{"2001:db8::1", "joe", "plain.example.org", SPFRES_PASS, "ip6:2001:db8::/32",
			"plain.example.org", ""},
		{"2001:db9::1", "joe", "plain.example.org", SPFRES_NEUTRAL, "?all",
			"plain.example.org", ""},
		{"192.0.2.5", "joe", "nothing.example.org", SPFRES_NEUTRAL, "", "", ""},
		{"192.0.2.5", "joe", "two.example.org", SPFRES_PERMERROR, "", "", ""},
		{"192.0.2.5", "joe", "pieces.example.org", SPFRES_PASS, "ip4:192.0.2.5",
			"pieces.example.org", ""},
		{"192.0.2.5", "joe", "others.example.org", SPFRES_FAIL, "-all",
			"others.example.org", ""},
		{"192.0.2.5", "joe", "fails.example.org", SPFRES_TEMPERROR, "", "", ""},
		{"192.0.2.5", "joe", "missing.example.org", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "h1.example.org", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "org", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "a..example.org", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "[192.0.2.5]", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "192.0.2.5", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "\xff.org", SPFRES_NONE, "", "", ""},
		{"192.0.2.5", "joe", "wrong.example.org", SPFRES_PERMERROR, "", "", ""},
		{"127.0.0.1", "joe", "plain.example.org", SPFRES_NONE, "", "", ""},
		{"::1", "joe", "plain.example.org", SPFRES_NONE, "", "", ""},
		{"::ffff:127.0.0.1", "joe", "plain.example.org", SPFRES_NONE, "", "", ""},
		{"0.0.0.0", "joe", "plain.example.org", SPFRES_NONE, "", "", ""},
		{"::", "joe", "plain.example.org", SPFRES_NONE, "", "", ""},
		{"192.0.2.20", "joe", "inc.example.org", SPFRES_FAIL, "-include:inner.example.org",
			"inc.example.org", ""},
		{"2001:db8::20", "joe", "inc.example.org", SPFRES_FAIL,
			"-include:inner.example.org", "inc.example.org", ""},
		{"192.0.2.21", "joe", "inc.example.org", SPFRES_SOFTFAIL, "~all", "inc.example.org",
			""},
		{"192.0.2.1", "joe", "red.example.org", SPFRES_FAIL, "-ip4:192.0.2.1",
			"red2.example.org",
			"192.0.2.1 at red2.example.org for joe@red.example.org, by mx.example.net"},
		{"192.0.2.77", "joe", "red.example.org", SPFRES_PASS, "ip4:192.0.2.77",
			"red.example.org", ""},
		{"192.0.2.2", "joe", "red.example.org", SPFRES_NEUTRAL, "", "", ""},
		{"192.0.2.1", "joe", "incfails.example.org", SPFRES_TEMPERROR,
			"include:fails.example.org", "incfails.example.org", ""},
		{"192.0.2.1", "joe", "incnone.example.org", SPFRES_PERMERROR,
			"include:h1.example.org", "incnone.example.org", ""},
		{"192.0.2.1", "joe", "incbad.example.org", SPFRES_PERMERROR,
			"include:wrong.example.org", "incbad.example.org", ""},
		{"192.0.2.1", "joe", "rednone.example.org", SPFRES_PERMERROR,
			"redirect=missing.example.org", "rednone.example.org", ""},
		{"203.0.113.1", "joe", "any4.example.org", SPFRES_PASS, "a:h1.example.org/0",
			"any4.example.org", ""},
		{"2001:db8::1", "joe", "any4.example.org", SPFRES_FAIL, "-all", "any4.example.org",
			""},
		{"203.0.113.1", "joe", "any4b.example.org", SPFRES_PASS, "ip4:1.2.3.4/0",
			"any4b.example.org", ""},
		{"20.0.113.1", "joe", "any4b.example.org", SPFRES_PASS, "ip4:1.2.3.4/0",
			"any4b.example.org", ""},
		{"2001:db9::1", "joe", "any6.example.org", SPFRES_PASS, "mx:plain2.example.org//0",
			"any6.example.org", ""},
		{"192.0.2.1", "joe", "any6.example.org", SPFRES_FAIL, "-all", "any6.example.org",
			""},
		{"9001:db9::1", "joe", "any6b.example.org", SPFRES_PASS, "ip6:2001:db8::/0",
			"any6b.example.org", ""},
		{"1001:db9::1", "joe", "any6b.example.org", SPFRES_PASS, "ip6:2001:db8::/0",
			"any6b.example.org", ""},
		{"192.0.2.1", "joe", "nulls.example.org", SPFRES_FAIL, "-all", "nulls.example.org",
			""},
		{"192.0.2.1", "joe", "macro.example.org", SPFRES_PASS, "exists:%{l}.ok.example.org",
			"macro.example.org", ""},
		{"192.0.2.1", "ann", "macro.example.org", SPFRES_PASS,
			"include:%{l}.inc.example.org", "macro.example.org", ""},
		{"192.0.2.1", "bob", "macro.example.org", SPFRES_PERMERROR,
			"include:%{l}.inc.example.org", "macro.example.org", ""},
		{"192.0.2.1", "j\xc3\xb6", "macro.example.org", SPFRES_FAIL, "-all",
			"macro.example.org", ""},
		{"192.0.2.10", "joe", "ptr.example.org", SPFRES_PASS, "ptr:example.org",
			"ptr.example.org", ""},
		{"192.0.2.20", "joe", "ptr.example.org", SPFRES_FAIL, "-all", "ptr.example.org",
			""},
		{"192.0.2.50", "joe", "ptr.example.org", SPFRES_FAIL, "-all", "ptr.example.org",
			""},
		{"192.0.2.30", "joe", "ptrfails.example.org", SPFRES_SOFTFAIL, "~all",
			"ptrfails.example.org", ""},
		{"192.0.2.40", "joe", "ptr.example.org", SPFRES_PASS, "ptr:example.org",
			"ptr.example.org", ""},
		{"192.0.2.10", "joe", "ptrp.example.org", SPFRES_PASS,
			"exists:%{p}.seen.example.org", "ptrp.example.org", ""},
		{"192.0.2.20", "joe", "ptrp.example.org", SPFRES_FAIL, "-all", "ptrp.example.org",
			""},
		{"192.0.2.1", "joe", "longterm.example.org", SPFRES_FAIL, "-all",
			"longterm.example.org", ""},
		{"203.0.113.1", "joe", "twice.example.org", SPFRES_FAIL, "-all",
			"twice.example.org", ""},
		{"192.0.2.1", "joe", "expodd.example.org", SPFRES_FAIL, "-all",
			"expodd.example.org", ""},
		{"192.0.2.1", "why", "explocal.example.org", SPFRES_FAIL, "-all",
			"explocal.example.org",
			"192.0.2.1 at explocal.example.org for why@explocal.example.org, by "
			"mx.example.net"},
		{"192.0.2.1", "w\xc3\xbc", "explocal.example.org", SPFRES_FAIL, "-all",
			"explocal.example.org", ""},
		{"192.0.2.5", "joe",
			"b\xc3\xbc"
			"cher.example.org",
			SPFRES_PASS, "ip4:192.0.2.5", "xn--bcher-kva.example.org", ""},
		{"192.0.2.99", "", "", SPFRES_PASS, "a", "helo.example.org", ""},
		{"192.0.2.98", "", "", SPFRES_FAIL, "-all", "helo.example.org", ""},
	};
	l = loop_new_fake(0);
	struct dns *d = zone_of(str_of(eval_zone));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eval e;
		eval(&e, d, cases[i].ip, cases[i].local, cases[i].domain);
		if (e.c.result != cases[i].want) {
			tap_fail(__FILE__, __LINE__, "%s %s: %s: %.*s", cases[i].ip,
				cases[i].domain, spf_result_name(e.c.result), STR_ARG(e.c.why));
		}
		CHECK_STR(e.c.term, str_of(cases[i].term));
		CHECK_STR(e.c.term_at, str_of(cases[i].term_at));
		CHECK_STR(e.c.explanation, str_of(cases[i].explanation));
		CHECK(e.c.why.n > 0);
		eval_fini(&e);
	}
	dns_free(d);
	loop_free(l);
}

/* The sentence names who matched, and where an include ended. */
static void test_sentences(void)
{
	static const struct {
		const char *ip, *domain, *why;
	} cases[] = {
		{"192.0.2.5", "plain.example.org",
			"192.0.2.5 matches \"ip4:192.0.2.0/24\" in the SPF record of "
			"plain.example.org"},
		{"192.0.2.20", "inc.example.org",
			"192.0.2.20 matches \"-include:inner.example.org\" in the SPF record of "
			"inc.example.org by \"mx:plain2.example.org\" in that of "
			"inmost.example.org"},
		{"192.0.2.21", "inc.example.org",
			"192.0.2.21 matches no term before \"~all\" in the SPF record of "
			"inc.example.org"},
		{"192.0.2.2", "red.example.org",
			"192.0.2.2 matches no term in the SPF record of red2.example.org"},
		{"192.0.2.2", "h1.example.org", "h1.example.org has no SPF record"},
		{"192.0.2.2", "missing.example.org", "missing.example.org does not exist"},
		{"192.0.2.2", "org", "org is no domain name that can have an SPF record"},
		{"192.0.2.2", "wrong.example.org",
			"the SPF record of wrong.example.org has an unknown mechanism in "
			"\"bogus:thing\""},
		{"192.0.2.2", "two.example.org",
			"two.example.org has 2 SPF records where one may be"},
		{"192.0.2.2", "fails.example.org",
			"looking up the SPF record of fails.example.org failed"},
		{"192.0.2.2", "incnone.example.org", "h1.example.org has no SPF record"},
		{"127.0.0.1", "plain.example.org",
			"the client has no address that a record could name"},
	};
	l = loop_new_fake(0);
	struct dns *d = zone_of(str_of(eval_zone));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eval e;
		eval(&e, d, cases[i].ip, "joe", cases[i].domain);
		CHECK_STR(e.c.why, str_of(cases[i].why));
		eval_fini(&e);
	}
	dns_free(d);
	loop_free(l);
}

/* --- limits over the whole evaluation --- */

enum { ARENA_BOUND = 1 << 20 };

/* Evaluate a.test with 192.0.2.1 against a zone made for it. */
static void eval_zone_text(struct eval *e, struct buf *zone)
{
	l = loop_new_fake(0);
	struct dns *d = zone_of(buf_view(zone));
	eval(e, d, "192.0.2.1", "joe", "a.test");
	CHECK(e->memory < ARENA_BOUND);
	CHECK(e->c.lookups_n <= SPFMAX_LOOKUPS);
	spf_check_fini(&e->c);
	dns_free(d);
	loop_free(l);
	buf_fini(zone);
}

static void limits(const char *zone, enum spf_result want, const char *says, size_t lookups)
{
	struct eval e;
	struct buf text = {0};
	buf_str(&text, str_of(zone));
	eval_zone_text(&e, &text);
	CHECK_STR(str_of(spf_result_name(e.c.result)), str_of(spf_result_name(want)));
	if (str_find(e.c.why, str_of(says)) < 0) {
		tap_fail(__FILE__, __LINE__, "%s: %.*s", says, STR_ARG(e.c.why));
	}
	CHECK_INT(e.c.lookups_n, lookups);
	eval_fini(&e);
}

static void test_limits(void)
{
	const char *terms = "more than 10 terms", *voids = "more than 2 terms";
	limits("a.test TXT \"v=spf1 include:a.test -all\"\n", SPFRES_PERMERROR, terms, 1);
	limits("a.test TXT \"v=spf1 redirect=a.test\"\n", SPFRES_PERMERROR, terms, 1);
	/* names that grow with each turn are cut (7.3) */
	limits("a.test TXT \"v=spf1 redirect=%{d}%{d}%{d}%{d}\"\n*.test TXT \"v=spf1 "
	       "redirect=%{d}%{d}%{d}%{d}\"\n",
		SPFRES_PERMERROR, terms, 11);
	limits("a.test TXT \"v=spf1 redirect=x.%{d}\"\n*.a.test TXT \"v=spf1 redirect=x.%{d}\"\n",
		SPFRES_PERMERROR, terms, 11);
	/* 9-ary tree: 10 includes are entered, no more */
	limits("a.test TXT \"v=spf1 include:1.%{d} include:2.%{d} include:3.%{d} include:4.%{d} "
	       "include:5.%{d} include:6.%{d} include:7.%{d} include:8.%{d} include:9.%{d} -all\"\n"
	       "*.a.test TXT \"v=spf1 include:1.%{d} include:2.%{d} include:3.%{d} include:4.%{d} "
	       "include:5.%{d} include:6.%{d} include:7.%{d} include:8.%{d} include:9.%{d} "
	       "?all\"\n",
		SPFRES_PERMERROR, terms, 11);
	limits("a.test TXT \"v=spf1 a a a a a a a a a a ip4:192.0.2.1 a -all\"\n A 192.0.2.9\n",
		SPFRES_PASS, "ip4:192.0.2.1", 2);
	limits("a.test TXT \"v=spf1 a a a a a a a a a a a ip4:192.0.2.1 -all\"\n A 192.0.2.1\n",
		SPFRES_PASS, "\"a\"", 2);
	limits("a.test TXT \"v=spf1 a a a a a a a a a a a ip4:192.0.2.1 -all\"\n A 192.0.2.9\n",
		SPFRES_PERMERROR, terms, 2);
	limits("a.test TXT \"v=spf1 a a a a a a a a a a redirect=b.test\"\n A 192.0.2.9\n",
		SPFRES_PERMERROR, terms, 2);
	limits("a.test TXT \"v=spf1 a:b.test exists:c.test mx -all\"\n", SPFRES_PERMERROR, voids,
		4);
	limits("a.test TXT \"v=spf1 a:b.test exists:c.test -all\"\n", SPFRES_FAIL, "-all", 3);
	limits("a.test TXT \"v=spf1 a:b.test include:c.test -all\"\nc.test TXT \"v=spf1 mx "
	       "a:d.test\"\n",
		SPFRES_PERMERROR, voids, 5);
	/* a host without an address, of ten, is no void term; eleven hosts are too many */
	limits("a.test TXT \"v=spf1 mx -all\"\n MX 1 1\n MX 1 2\n MX 1 3\n MX 1 4\n", SPFRES_FAIL,
		"-all", 6);
	limits("a.test TXT \"v=spf1 mx -all\"\n MX 1 1\n MX 1 2\n MX 1 3\n MX 1 4\n MX 1 5\n"
	       " MX 1 6\n MX 1 7\n MX 1 8\n MX 1 9\n MX 1 10\n MX 1 11\n1 A 192.0.2.1\n",
		SPFRES_PERMERROR, "more than 10 MX records", 2);
	limits("a.test TXT \"v=spf1 mx -all\"\n MX 1 b.test\nb.test SERVFAIL\n", SPFRES_TEMPERROR,
		"looking up b.test failed", 3);
	/* an eleventh name of the client is not looked at */
	limits("a.test TXT \"v=spf1 ptr:k -all\"\n$ORIGIN 1.2.0.192.in-addr.arpa.\n@ PTR 1.k.\n"
	       " PTR 2.k.\n PTR 3.k.\n PTR 4.k.\n PTR 5.k.\n PTR 6.k.\n PTR 7.k.\n PTR 8.k.\n"
	       " PTR 9.k.\n PTR 10.k.\n PTR 11.k.\n11.k. A 192.0.2.1\n",
		SPFRES_PERMERROR, "top-level", 1);
	limits("a.test TXT \"v=spf1 ptr:k.org -all\"\n$ORIGIN 1.2.0.192.in-addr.arpa.\n@ PTR "
	       "1.k.org.\n"
	       " PTR 2.k.org.\n PTR 3.k.org.\n PTR 4.k.org.\n PTR 5.k.org.\n PTR 6.k.org.\n"
	       " PTR 7.k.org.\n PTR 8.k.org.\n PTR 9.k.org.\n PTR 10.k.org.\n PTR 11.k.org.\n"
	       "11.k.org. A 192.0.2.1\n",
		SPFRES_FAIL, "-all", 12);
}

/* Forty questions are what a message may ask; then it is nobody's failure (and never a guess). */
static void test_budget(void)
{
	struct eval e;
	struct buf zone = {0};
	buf_str(&zone,
		STR("a.test TXT \"v=spf1 mx mx:b.test mx:c.test mx:d.test mx:e.test -all\"\n"));
	for (char z = 'a'; z <= 'e'; z++) {
		for (int i = 0; i < 10; i++) { buf_fmt(&zone, "%c.test MX 1 h%d.%c\n", z, i, z); }
	}
	eval_zone_text(&e, &zone);
	CHECK_STR(str_of(spf_result_name(e.c.result)), STR("temperror"));
	CHECK(str_find(e.c.why, STR("more time or questions")) > 0);
	CHECK_INT(e.c.lookups_n, DNS_BUDGET_QUESTIONS + 1);
	eval_fini(&e);
	/* the same when it is a PTR that cannot be asked for any more, which as an error means
	   "no match" */
	l = loop_new_fake(0);
	struct dns *d = zone_of(STR("a.test TXT \"v=spf1 ptr -all\"\n"));
	eval(&e, d, "192.0.2.1", "joe", "b.test");
	eval_fini(&e);
	e = (struct eval){.c = {.dns = d,
				  .budget = &e.budget,
				  .task = &e.task,
				  .arena = &e.arena,
				  .helo = STR("h"),
				  .domain = STR("a.test")}};
	dns_budget_start(&e.budget, l, 1, SECOND_US);
	net_addr_parse(STR("192.0.2.1"), 0, &e.c.client);
	spf_check_start(&e.c);
	task_start(l, &e.task, NULL, on_step, on_ended);
	while (loop_turn(l)) {}
	CHECK_INT(e.c.result, SPFRES_TEMPERROR);
	eval_fini(&e);
	dns_free(d);
	loop_free(l);
}

/* --- records of all sizes --- */

static void big_record(
	struct buf *zone, const char *name, const char *term, size_t n, const char *end)
{
	buf_fmt(zone, "%s TXT \"v=spf1", name);
	for (size_t i = 0; i < n; i++) {
		buf_chr(zone, ' ');
		buf_fmt(zone, "%s", term);
	}
	buf_fmt(zone, " %s\"\n", end);
}

/* libspf2 takes 511 octets of compiled terms. */
static void test_big_records(void)
{
	static const struct {
		const char *term;
		size_t n;
		const char *end, *want, *term_want;
	} cases[] = {
		{"ip4:198.51.100.1", 30, "ip4:192.0.2.1 -all", "pass", "ip4:192.0.2.1"},
		{"ip4:198.51.100.1", 62, "ip4:192.0.2.1 -all", "pass", "ip4:192.0.2.1"},
		{"ip4:198.51.100.1", 63, "ip4:192.0.2.1 -all", "pass", "ip4:192.0.2.1"},
		{"ip4:198.51.100.1", 300, "~ip4:192.0.2.0/30 -all", "softfail",
			"~ip4:192.0.2.0/30"},
		{"ip4:198.51.100.1", 300, "-all", "fail", "-all"},
		{"-ip4:198.51.100.1", 300, "redirect=b.test", "pass", "+all"},
		{"ip6:2001:db8::1", 300, "?all", "neutral", "?all"},
		{"x=y", 3000, "?all", "neutral", "?all"},
		{"ip4:198.51.100.1", 3850, "ip4:192.0.2.1 -all", "pass",
			"ip4:192.0.2.1"}, /* 64 KB */
		{"a", 32000, "-all", "permerror", "a"},
		{"exists:b.test", 4000, "-all", "permerror", "exists:b.test"},
		{"ip4:198.51.100.1", 9000, "-all", "permerror",
			""}, /* no DNS answer can be so long */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eval e;
		struct buf zone = {0};
		big_record(&zone, "a.test", cases[i].term, cases[i].n, cases[i].end);
		buf_str(&zone,
			STR("a.test A 192.0.2.9\nb.test TXT \"v=spf1 +all\"\nb.test MX 1 x\n"));
		eval_zone_text(&e, &zone);
		CHECK_STR(str_of(spf_result_name(e.c.result)), str_of(cases[i].want));
		CHECK_STR(e.c.term, str_of(cases[i].term_want));
		eval_fini(&e);
	}
}

/* Around the size that libspf2 takes, with other terms in between or not. */
static void test_record_sizes(void)
{
	static const char *const terms[] = {"ip4:198.51.100.1", "ip6:2001:db9::1",
		"ip4:198.51.100.1 ip6:2001:db9::1", "ip4:198.51.100.1/31 ip4:198.51.100.2"};
	static const char *const between[] = {"", " a:x.test ptr:y.test"};
	l = loop_new_fake(0);
	for (size_t i = 0; i < 70 * COUNT(terms); i++) {
		struct eval e;
		struct buf zone = {0};
		size_t n = i / COUNT(terms);
		big_record(&zone, "a.test", terms[i % COUNT(terms)], n, "");
		zone.n -= 2; /* the quote */
		buf_str(&zone, str_of(between[n % 2]));
		for (size_t k = 0; k < n % 7; k++) {
			buf_fmt(&zone, " %s", terms[i % COUNT(terms)]);
		}
		buf_str(&zone,
			STR(" ~ip4:192.0.2.0/24 ?ip6:2001:db8::/32 -all\"\nx.test A 192.0.2.9\n"));
		struct dns *d = zone_of(buf_view(&zone));
		eval(&e, d, "192.0.2.1", "joe", "a.test");
		CHECK_STR(e.c.term, STR("~ip4:192.0.2.0/24"));
		eval_fini(&e);
		eval(&e, d, "2001:db8::1", "joe", "a.test");
		CHECK_STR(e.c.term, STR("?ip6:2001:db8::/32"));
		eval_fini(&e);
		eval(&e, d, "203.0.113.1", "joe", "a.test");
		CHECK_STR(e.c.term, STR("-all"));
		eval_fini(&e);
		dns_free(d);
		buf_fini(&zone);
	}
	loop_free(l);
}

/* Eleven terms that take most room in libspf2, before the largest network. */
static void test_fullest_record(void)
{
	struct eval e;
	l = loop_new_fake(0);
	struct dns *d = zone_of(STR(
		"a.test TXT \"v=spf1 include:b.test include:b.test include:b.test include:b.test "
		"include:b.test include:b.test include:b.test ptr:x.y ptr:x.y ptr:x.y ip6:::/0 "
		"mx -all\"\nb.test TXT \"v=spf1\"\n"
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "
		"a.b\n"));
	eval(&e, d, "2001:db8::1", "joe", "a.test");
	CHECK_INT(e.c.result, SPFRES_PASS);
	CHECK_STR(e.c.term, STR("ip6:::/0"));
	eval_fini(&e);
	dns_free(d);
	d = zone_of(STR("a.test TXT \"v=spf1 ptr:x.y ptr:x.y ptr:x.y ptr:x.y ptr:x.y ptr:x.y "
			"ptr:x.y ptr:x.y ptr:x.y ptr:x.y ~ip6:::/0 ptr:x.y\"\n"
			"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa "
			"PTR a.b\n"));
	eval(&e, d, "2001:db8::1", "joe", "a.test");
	CHECK_INT(e.c.result, SPFRES_SOFTFAIL);
	CHECK_INT(e.c.terms, 10);
	eval_fini(&e);
	dns_free(d);
	loop_free(l);
}

/* Chains of records of 64 KB: what they cost together is bounded. */
static void test_big_chain(void)
{
	struct eval e;
	struct buf zone = {0};
	big_record(&zone, "a.test", "x=%{d}", 9000, "include:b.test -all");
	big_record(&zone, "b.test", "x=%{d}", 9000, "include:c.test -all");
	big_record(&zone, "c.test", "x=%{d}", 9000, "-all");
	eval_zone_text(&e, &zone);
	CHECK_INT(e.c.result, SPFRES_PERMERROR);
	CHECK(str_find(e.c.why, STR("octets in all")) > 0);
	eval_fini(&e);
}

/* --- Received-SPF --- */

static void received(const struct spf_check *c, const char *want)
{
	struct buf out = {0};
	spf_received(c, &out);
	CHECK_STR(buf_view(&out), str_of(want));
	buf_fini(&out);
}

static void test_received(void)
{
	struct spf_check c = {.result = SPFRES_PASS,
		.receiver = STR("mx.example.net"),
		.helo = STR("h.example.org"),
		.local = STR("joe"),
		.domain = STR("example.org"),
		.term = STR("ip4:192.0.2.1"),
		.why = STR("it is (so) good")};
	net_addr_parse(STR("192.0.2.1"), 0, &c.client);
	received(&c, "Received-SPF: pass (mx.example.net: it is \\(so\\) good)\r\n"
		     "\treceiver=\"mx.example.net\"; client-ip=\"192.0.2.1\";\r\n"
		     "\thelo=\"h.example.org\"; identity=\"mailfrom\";\r\n"
		     "\tenvelope-from=\"joe@example.org\"; mechanism=\"ip4:192.0.2.1\";\r\n");
	c.result = SPFRES_PERMERROR;
	c.helo = STR("a\"b\\c\r\nX: y\x01\xff");
	c.local = STR("j\xc3\xb6\"e");
	c.receiver = STR("");
	c.why = STR("bad)\r\n");
	net_addr_parse(STR("2001:db8::1"), 0, &c.client);
	received(&c, "Received-SPF: permerror (unknown: bad\\)?\?) receiver=\"unknown\";\r\n"
		     "\tclient-ip=\"2001:db8::1\"; helo=\"a\\\"b\\\\c??X: y??\";\r\n"
		     "\tidentity=\"mailfrom\"; envelope-from=\"j\xc3\xb6\\\"e@example.org\";\r\n"
		     "\tproblem=\"bad)?\?\";\r\n");
	c.identity = SPFID_HELO;
	c.result = SPFRES_NEUTRAL;
	c.term = STR("");
	c.helo = STR("h");
	c.why = STR("so");
	received(&c, "Received-SPF: neutral (unknown: so) receiver=\"unknown\";\r\n"
		     "\tclient-ip=\"2001:db8::1\"; helo=\"h\"; identity=\"helo\";\r\n"
		     "\tmechanism=\"default\";\r\n");
	c.identity = SPFID_MAIL_FROM;
	c.result = SPFRES_NONE;
	c.local = c.domain = STR("");
	received(&c, "Received-SPF: none (unknown: so) receiver=\"unknown\";\r\n"
		     "\tclient-ip=\"2001:db8::1\"; helo=\"h\"; identity=\"mailfrom\";\r\n"
		     "\tenvelope-from=\"\";\r\n");
	char wide[5000];
	struct buf out = {0};
	struct str rest, line;
	memset(wide, '"', sizeof wide);
	c.helo = c.why = str_make(wide, sizeof wide);
	spf_received(&c, &out);
	rest = buf_view(&out);
	while (str_cut(&rest, '\n', &line)) { CHECK(line.n < 998); }
	buf_fini(&out);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"terms", test_terms},
		{"records", test_records},
		{"what a term says", test_term_fields},
		{"macros: RFC 7208 7.4 and more", test_macros},
		{"delimiters and escapes", test_delimiters},
		{"long names", test_long_names},
		{"results", test_results},
		{"sentences", test_sentences},
		{"limits over all records", test_limits},
		{"the budget of a message", test_budget},
		{"records larger than libspf2 takes", test_big_records},
		{"records of every size around what libspf2 takes", test_record_sizes},
		{"the fullest record", test_fullest_record},
		{"a chain of large records", test_big_chain},
		{"Received-SPF", test_received},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
