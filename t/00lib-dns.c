/* lib: the resolver: zone text, cache, coalescing, timeouts, libunbound against a small server. */
#include "t/tap.h"

#include <arpa/inet.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/dns_private.h"
#include "lib/net.h"

struct asker {
	struct task task;
	struct dns_query query;
	int woken, ended;
};

static struct loop *l;
static struct dns *d;

static void on_ended(struct task *t)
{
	struct asker *a = task_of(t, struct asker, task);
	a->ended++;
	dns_query_fini(&a->query);
}

static enum step woken(struct task *t)
{
	struct asker *a = task_of(t, struct asker, task);
	CHECK_INT(t->rc, 0);
	CHECK(a->query.answer != NULL);
	a->woken++;
	return STEP_WAIT;
}

static enum step begin(struct task *t)
{
	t->step = woken;
	return STEP_WAIT;
}

static void settle(void)
{
	while (loop_turn(l)) {}
}

static void asker_init(struct asker *a)
{
	*a = (struct asker){0};
	task_start(l, &a->task, NULL, begin, on_ended);
	settle();
}

static void ask(struct asker *a, struct str name, enum dns_type type)
{
	asker_init(a);
	dns_ask(d, &a->query, &a->task, name, type);
}

static void finish(struct asker *a)
{
	task_kill(&a->task);
	settle();
	CHECK_INT(a->ended, 1);
	dns_query_fini(&a->query); /* again: harmless */
}

/* Status and data as text: "ok 192.0.2.1 192.0.2.2". */
static struct str told(const struct dns_answer *a, enum dns_type type)
{
	static struct buf out;
	static const char *const names[] = {"ok", "nodata", "nxdomain", "servfail", "bad"};
	struct arena arena = {0};
	struct str s;
	uint16_t pref;
	char ip[64];
	buf_reset(&out);
	if (!a) { return STR("no answer"); }
	buf_str(&out, str_of(names[a->status]));
	if (a->secure) { buf_str(&out, STR(" secure")); }
	if (a->bogus) { buf_str(&out, STR(" bogus")); }
	for (size_t i = 0; i < a->n; i++) {
		struct str r = a->rr[i].data;
		if (type == DNS_A && r.n == 4) {
			buf_fmt(&out, " %s", inet_ntop(AF_INET, r.p, ip, sizeof ip));
		} else if (type == DNS_AAAA && r.n == 16) {
			buf_fmt(&out, " %s", inet_ntop(AF_INET6, r.p, ip, sizeof ip));
		} else if (type == DNS_MX && dns_rdata_mx(r, &arena, &pref, &s) == 0) {
			buf_fmt(&out, " %u:%.*s", pref, STR_ARG(s));
		} else if (type == DNS_TXT && dns_rdata_txt(r, &arena, &s) == 0) {
			buf_fmt(&out, " %.*s", STR_ARG(s));
		} else if (dns_rdata_name(r, 0, &arena, &s) == 0) {
			buf_fmt(&out, " %.*s", STR_ARG(s));
		} else {
			buf_chr(&out, ' ');
			for (size_t k = 0; k < r.n; k++) {
				buf_fmt(&out, "%02x", (unsigned char)r.p[k]);
			}
		}
	}
	if (a->n && !str_eq(a->canonical, STR(""))) {
		buf_fmt(&out, " @%.*s", STR_ARG(a->canonical));
	}
	arena_fini(&arena);
	return buf_view(&out);
}

/* --- a zone --- */

static const char zone_text[] = "; comment\n"
				"$ORIGIN example.org.\n"
				"$TTL 300\n"
				"@\tIN SOA ns host 1 2 3 4 5\n"
				"\tMX 10 mx1\n"
				"  60 IN MX 20 mx2.example.net. ; behind\n"
				"mx1 A 192.0.2.1\n"
				"    A 192.0.2.2\n"
				"    AAAA 2001:db8::1\n"
				"www CNAME web\n"
				"web CNAME mx1.example.org.\n"
				"loop CNAME loop\n"
				"dangling CNAME nowhere\n"
				"deep.down.below IN 30 TXT ( \"a;b \" ; comment in parentheses\n"
				"   \"c\\\"d\\101\" )\n"
				"*.wild A 192.0.2.9\n"
				"there.wild TXT x\n"
				"broken SERVFAIL\n"
				"forged BOGUS\n"
				"$SECURE yes\n"
				"safe A 192.0.2.3\n"
				"_25._tcp.safe TLSA 3 1 1 0aFF\n"
				"halfsafe CNAME mx1\n"
				"$SECURE no\n"
				"$ORIGIN .\n"
				"2.2.0.192.in-addr.arpa PTR mx1.example.org\n"
				"localhost.test. A 127.0.0.1";

static struct dns *zone(const char *text, struct err *e)
{
	struct dns_conf conf = {.zone_text = str_of(text)};
	return dns_new(l, &conf, e);
}

static void test_zone(void)
{
	static const struct {
		const char *name;
		enum dns_type type;
		const char *want;
	} cases[] = {
		{"example.org", DNS_MX, "ok 10:mx1.example.org 20:mx2.example.net @example.org"},
		{"EXAMPLE.org.", DNS_MX, "ok 10:mx1.example.org 20:mx2.example.net @example.org"},
		{"mx1.example.org", DNS_A, "ok 192.0.2.1 192.0.2.2 @mx1.example.org"},
		{"mx1.example.org", DNS_AAAA, "ok 2001:db8::1 @mx1.example.org"},
		{"mx1.example.org", DNS_TXT, "nodata"},
		{"www.example.org", DNS_A, "ok 192.0.2.1 192.0.2.2 @mx1.example.org"},
		{"www.example.org", DNS_CNAME, "ok web.example.org @www.example.org"},
		{"www.example.org", DNS_TXT, "nodata"},
		{"loop.example.org", DNS_A, "servfail"},
		{"dangling.example.org", DNS_A, "nxdomain"},
		{"deep.down.below.example.org", DNS_TXT,
			"ok a;b c\"de @deep.down.below.example.org"},
		{"down.below.example.org", DNS_TXT, "nodata"},
		{"up.below.example.org", DNS_TXT, "nxdomain"},
		{"any.wild.example.org", DNS_A, "ok 192.0.2.9 @any.wild.example.org"},
		{"very.any.wild.example.org", DNS_A, "ok 192.0.2.9 @very.any.wild.example.org"},
		{"there.wild.example.org", DNS_A, "nodata"},
		{"x.there.wild.example.org", DNS_A, "nxdomain"},
		{"wild.example.org", DNS_A, "nodata"},
		{"broken.example.org", DNS_A, "servfail"},
		{"forged.example.org", DNS_A, "servfail bogus"},
		{"safe.example.org", DNS_A, "ok secure 192.0.2.3 @safe.example.org"},
		{"_25._tcp.safe.example.org", DNS_TLSA,
			"ok secure 0301010aff @_25._tcp.safe.example.org"},
		{"halfsafe.example.org", DNS_A, "ok 192.0.2.1 192.0.2.2 @mx1.example.org"},
		{"2.2.0.192.in-addr.arpa", DNS_PTR, "ok mx1.example.org @2.2.0.192.in-addr.arpa"},
		{"localhost.test", DNS_A, "ok 127.0.0.1 @localhost.test"},
		{"org", DNS_A, "nodata"},
		{"elsewhere.com", DNS_A, "nxdomain"},
		{"", DNS_A, "bad"},
		{".", DNS_A, "bad"},
		{"a..b", DNS_A, "bad"},
		{".a", DNS_A, "bad"},
		{"a..", DNS_A, "bad"},
		{"x23456789012345678901234567890123456789012345678901234567890123.org", DNS_A,
			"nxdomain"},
		{"x234567890123456789012345678901234567890123456789012345678901234.org", DNS_A,
			"bad"},
	};
	struct err e = {0};
	l = loop_new_fake(0);
	d = zone(zone_text, &e);
	CHECK(d != NULL);
	if (!d) { tap_fail(__FILE__, __LINE__, "%s", e.text); }
	CHECK_INT(dns_prepare(d, &e), 0);
	for (int round = 0; round < 2; round++) { /* the second out of the cache */
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct asker a;
			ask(&a, str_of(cases[i].name), cases[i].type);
			settle();
			CHECK_INT(a.woken, 1);
			struct str got = told(a.query.answer, cases[i].type);
			if (!str_eq(got, str_of(cases[i].want))) {
				tap_fail(__FILE__, __LINE__, "%s: %.*s", cases[i].name,
					STR_ARG(got));
			}
			finish(&a);
		}
	}
	struct asker a;
	ask(&a, STR("example.org"), DNS_MX);
	CHECK_INT(a.query.answer->ttl, 60);
	finish(&a);
	char long_name[256];
	memset(long_name, 'a', sizeof long_name);
	for (size_t i = 50; i < sizeof long_name; i += 51) { long_name[i] = '.'; }
	ask(&a, str_make(long_name, 253), DNS_A);
	CHECK_STR(told(a.query.answer, DNS_A), STR("nxdomain"));
	finish(&a);
	ask(&a, str_make(long_name, 254), DNS_A);
	CHECK_STR(told(a.query.answer, DNS_A), STR("bad"));
	finish(&a);
	dns_free(d);
	loop_free(l);
}

static void test_bad_zones(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"a A 192.0.2.256\n", "dns.zone:1: not understood: \"192.0.2.256\""},
		{"\n\na.b A\n", "dns.zone:3: a field is missing"},
		{"a A 192.0.2.1 x\n", "dns.zone:1: one field too many: \"x\""},
		{"a HINFO x y\n", "unknown type: \"HINFO\""},
		{"a\n", "a type is missing"},
		{" A 192.0.2.1\n", "needs a name"},
		{"a..b A 192.0.2.1\n", "not a name: \"a..b\""},
		{"a MX 65536 b\n", "not understood: \"65536\""},
		{"a TXT \"open\n", "quote is not closed"},
		{"a TXT ( x\n", "( without )"},
		{"a TXT x )\n", ") without ("},
		{"$INCLUDE x\n", "not understood: \"$INCLUDE\""},
		{"$TTL soon\n", "not understood"},
		{"$ORIGIN\n", "a field is missing"},
		{"a TLSA 3 1 1 0x\n", "not understood: \"0x\""},
		{"a TLSA 3 1 1 012\n", "not understood: \"012\""},
	};
	l = loop_new_fake(0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = {0};
		d = zone(bad[i].text, &e);
		if (d || str_find(str_of(e.text), str_of(bad[i].says)) < 0) {
			tap_fail(__FILE__, __LINE__, "%s: %s", bad[i].text, e.text);
		}
		dns_free(d);
	}
	loop_free(l);
}

/* --- the cache alone --- */

static void test_cache(void)
{
	struct dns_cache c;
	dns_cache_init(&c, 3);
	struct dns_entry *e[4];
	e[0] = dns_cache_add(&c, STR("a"), DNS_A);
	e[1] = dns_cache_add(&c, STR("a"), DNS_MX);
	e[2] = dns_cache_add(&c, STR("b"), DNS_A);
	CHECK(!dns_cache_add(&c, STR("c"), DNS_A)); /* all pending */
	CHECK(dns_cache_find(&c, STR("a"), DNS_MX, 0) == e[1]);
	CHECK(!dns_cache_find(&c, STR("c"), DNS_A, 0));
	for (int i = 0; i < 3; i++) { e[i]->done = true, e[i]->expires_us = 100; }
	CHECK(dns_cache_find(&c, STR("a"), DNS_A, 99) == e[0]); /* used: the youngest now */
	e[3] = dns_cache_add(&c, STR("c"), DNS_A);
	CHECK(e[3] != NULL);
	CHECK(!dns_cache_find(&c, STR("b"), DNS_A, 99)); /* the one not used longest went */
	CHECK(dns_cache_find(&c, STR("a"), DNS_A, 99) == e[0]);
	CHECK(!dns_cache_find(&c, STR("a"), DNS_A, 100)); /* expired */
	CHECK_INT(c.map.n, 2);
	for (int i = 0; i < 4; i++) { dns_entry_put(e[i]); }
	dns_cache_fini(&c);
}

/* --- a name server in the test --- */

static struct {
	struct watch watch;
	int fd, queries;
	bool silent;
	char port[40];
} server;

static void put16(struct buf *b, unsigned v)
{
	buf_chr(b, (char)(v >> 8));
	buf_chr(b, (char)v);
}

static void put_rr(struct buf *b, unsigned type, uint32_t ttl, struct str data)
{
	put16(b, 0xc00c); /* the name of the question */
	put16(b, type);
	put16(b, 1);
	put16(b, ttl >> 16);
	put16(b, ttl & 0xffff);
	put16(b, (unsigned)data.n);
	buf_str(b, data);
}

/* First label: keepN = answer with TTL 300, zero = TTL 0, no = NXDOMAIN, empty = no data, fail =
   SERVFAIL. */
static void on_query(struct watch *w, int events)
{
	char in[600];
	struct sockaddr_in from;
	socklen_t n = sizeof from;
	(void)events;
	ssize_t got = recvfrom(w->fd, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&from, &n);
	if (got < 17) { return; }
	size_t end = 12;
	while (in[end]) { end += (unsigned char)in[end] + 1U; }
	unsigned type = (unsigned)in[end + 1] << 8 | (unsigned char)in[end + 2];
	struct str label = str_make(in + 13, (unsigned char)in[12]);
	server.queries++;
	if (server.silent) { return; }
	bool no = str_ieq(label, STR("no")), empty = str_ieq(label, STR("empty")) || type != DNS_A;
	struct buf out = {0};
	buf_add(&out, in, 2);
	put16(&out, str_ieq(label, STR("fail")) ? 0x8182 : no ? 0x8183 : 0x8180);
	put16(&out, 1);
	put16(&out, no || empty ? 0 : 2);
	put16(&out, no || empty ? 1 : 0);
	put16(&out, 0);
	buf_add(&out, in + 12, end + 5 - 12);
	if (no || empty) {
		put_rr(&out, DNS_SOA, 200, STR("\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\200"));
	} else {
		uint32_t ttl = str_ieq(label, STR("zero")) ? 0 : 300;
		put_rr(&out, DNS_A, ttl, STR("\300\0\2\1"));
		put_rr(&out, DNS_A, ttl, STR("\300\0\2\2"));
	}
	sendto(w->fd, out.p, out.n, 0, (struct sockaddr *)&from, n);
	buf_fini(&out);
}

static bool validating;

static void setup(size_t cache_max)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t n = sizeof in;
	struct err e = {0};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l = loop_new_fake(0);
	memset(&server, 0, sizeof server);
	server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK_INT(bind(server.fd, (struct sockaddr *)&in, n), 0);
	CHECK_INT(getsockname(server.fd, (struct sockaddr *)&in, &n), 0);
	snprintf(server.port, sizeof server.port, "127.0.0.1:%u", ntohs(in.sin_port));
	watch_set(l, &server.watch, server.fd, WATCH_READ, on_query);
	struct dns_conf conf = {
		.forward = str_of(server.port), .cache_max = cache_max, .dnssec = validating};
	d = dns_new(l, &conf, &e);
	CHECK(d != NULL);
	CHECK_INT(dns_prepare(d, &e), 0);
	CHECK_STR(str_of(e.text), STR(""));
}

static void teardown(void)
{
	dns_free(d);
	watch_stop(&server.watch);
	close(server.fd);
	settle();
	loop_free(l);
}

static bool wait_for(const struct asker *a)
{
	for (int i = 0; i < 10000 && !a->woken; i++) {
		if (!loop_turn(l)) { usleep(1000); }
	}
	return a->woken == 1;
}

static void check(struct str name, enum dns_type type, struct str want)
{
	struct asker a;
	ask(&a, name, type);
	CHECK(wait_for(&a));
	CHECK_STR(told(a.query.answer, type), want);
	finish(&a);
}

static bool at_once(struct str name, enum dns_type type)
{
	struct asker a;
	ask(&a, name, type);
	bool had = a.query.answer != NULL;
	CHECK(wait_for(&a));
	finish(&a);
	return had;
}

static void test_unbound(void)
{
	setup(0);
	check(STR("keep1.test"), DNS_A, STR("ok 192.0.2.1 192.0.2.2 @keep1.test"));
	CHECK_INT(server.queries, 1);
	CHECK(at_once(STR("KEEP1.test."), DNS_A));
	check(STR("keep1.test"), DNS_TXT, STR("nodata"));
	check(STR("no.test"), DNS_A, STR("nxdomain"));
	CHECK(at_once(STR("no.test"), DNS_A)); /* negative answers are kept, too */
	check(STR("empty.test"), DNS_A, STR("nodata"));
	CHECK(at_once(STR("empty.test"), DNS_A));
	check(STR("fail.test"), DNS_A, STR("servfail"));
	check(STR("bad..name"), DNS_A, STR("bad"));
	CHECK(at_once(STR("fail.test"), DNS_A)); /* failures for a few seconds */
	loop_advance(l, 6 * SECOND_US);
	CHECK(!at_once(STR("fail.test"), DNS_A));
	int before = server.queries;
	check(STR("zero.test"), DNS_A, STR("ok 192.0.2.1 192.0.2.2 @zero.test"));
	CHECK(!at_once(STR("zero.test"), DNS_A));
	CHECK(server.queries >= before + 2);
	check(STR("1.2.0.10.in-addr.arpa"), DNS_PTR, STR("nodata")); /* private, yet asked */
	loop_advance(l, 293 * SECOND_US);
	CHECK(at_once(STR("keep1.test"), DNS_A));
	loop_advance(l, 2 * SECOND_US);
	CHECK(!at_once(STR("keep1.test"), DNS_A));
	teardown();
}

/* A server that knows nothing of DNSSEC, where it is required. */
static void test_bogus(void)
{
	validating = true;
	setup(0);
	validating = false;
	struct asker a;
	ask(&a, STR("keep3.test"), DNS_A);
	CHECK(wait_for(&a));
	CHECK_INT(a.query.answer->status, DNS_SERVFAIL);
	CHECK(!a.query.answer->secure);
	finish(&a);
	teardown();
}

static void test_coalescing(void)
{
	struct asker many[50];
	setup(0);
	for (size_t i = 0; i < COUNT(many); i++) { asker_init(&many[i]); }
	for (size_t i = 0; i < COUNT(many); i++) {
		dns_ask(d, &many[i].query, &many[i].task, STR("keep2.test"), DNS_A);
		CHECK(!many[i].query.answer);
	}
	CHECK(wait_for(&many[0]));
	settle();
	CHECK_INT(server.queries, 1);
	const struct dns_answer *shared = many[0].query.answer;
	for (size_t i = 0; i < COUNT(many); i++) {
		CHECK_INT(many[i].woken, 1);
		CHECK(many[i].query.answer == shared);
		finish(&many[i]);
	}
	teardown();
}

static void test_timeout(void)
{
	struct asker a, b, c;
	setup(16);
	server.silent = true;
	ask(&a, STR("slow.test"), DNS_A);
	ask(&b, STR("slow.test"), DNS_A);
	ask(&c, STR("slow.test"), DNS_A);
	settle();
	finish(&c); /* given up while it is out */
	loop_advance(l, 9 * SECOND_US);
	CHECK_INT(a.woken, 0);
	loop_advance(l, SECOND_US);
	CHECK_INT(a.woken, 1);
	CHECK_INT(b.woken, 1);
	CHECK_STR(told(a.query.answer, DNS_A), STR("servfail"));
	finish(&a);
	finish(&b);
	struct asker many[20]; /* more than may be out at a time */
	int refused = 0;
	for (size_t i = 0; i < COUNT(many); i++) {
		char name[20];
		snprintf(name, sizeof name, "n%zu.test", i);
		ask(&many[i], str_of(name), DNS_A);
		refused += many[i].query.answer != NULL;
	}
	CHECK_INT(refused, 5);
	settle();
	dns_free(d); /* with questions out: they fail */
	d = NULL;
	settle();
	for (size_t i = 0; i < COUNT(many); i++) {
		CHECK_INT(many[i].woken, 1);
		CHECK_STR(told(many[i].query.answer, DNS_A), STR("servfail"));
		finish(&many[i]);
	}
	teardown();
}

/* Questions of one message: so many that no cached answer settles, and so much time. */
static void test_budget(void)
{
	struct dns_budget b;
	struct asker a, late;
	setup(0);
	dns_budget_start(&b, l, 2, 3 * SECOND_US);
	static const char *const names[] = {"keep3.test", "no.test", "keep3.test"};
	for (size_t i = 0; i < COUNT(names); i++) {
		asker_init(&a);
		dns_ask_within(d, &a.query, &a.task, &b, str_of(names[i]), DNS_A);
		CHECK(wait_for(&a));
		CHECK(a.query.answer->status != DNS_SERVFAIL);
		finish(&a);
	}
	CHECK_INT(b.left, 0);
	CHECK(!b.over);
	asker_init(&a);
	dns_ask_within(d, &a.query, &a.task, &b, STR("keep1.test"), DNS_A);
	CHECK(wait_for(&a));
	CHECK_STR(told(a.query.answer, DNS_A), STR("servfail"));
	CHECK(b.over);
	finish(&a);
	server.silent = true;
	dns_budget_start(&b, l, 2, 3 * SECOND_US);
	asker_init(&late);
	dns_ask_within(d, &late.query, &late.task, &b, STR("slow.test"), DNS_A);
	loop_advance(l, 2 * SECOND_US);
	CHECK_INT(late.woken, 0);
	loop_advance(l, SECOND_US); /* sooner than the 10 s of one question */
	CHECK_INT(late.woken, 1);
	CHECK(b.over);
	finish(&late);
	asker_init(&a);
	dns_ask_within(d, &a.query, &a.task, &b, STR("slow2.test"), DNS_A);
	CHECK_STR(told(a.query.answer, DNS_A), STR("servfail"));
	finish(&a);
	teardown();
}

static void test_off(void)
{
	struct err e = {0};
	struct asker a;
	l = loop_new_fake(0);
	d = dns_new(l, &(struct dns_conf){.forward = STR("none")}, &e);
	CHECK(d && dns_is_off(d));
	CHECK_INT(dns_prepare(d, &e), 0);
	ask(&a, STR("keep1.test"), DNS_A);
	CHECK_STR(told(a.query.answer, DNS_A), STR("servfail"));
	finish(&a);
	dns_free(d);
	loop_free(l);
}

/* After dns_prepare a role needs no file, socket or process of its own. */
static bool close_sandbox(void)
{
	static const char *const calls[] = {"open", "openat", "socket", "connect", "bind", "clone",
		"clone3", "fork", "vfork", "execve", "mmap2", "setsockopt", "socketpair", "unlink"};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	bool ok = f != NULL;
	for (size_t i = 0; ok && i < COUNT(calls); i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);
		ok = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, nr, 0) == 0;
	}
	ok = ok && seccomp_load(f) == 0;
	seccomp_release(f);
	return ok;
}

static void in_sandbox(void)
{
	setup(0);
	if (!close_sandbox()) { _exit(3); }
	struct asker a;
	ask(&a, STR("keep9.test"), DNS_A);
	bool good = wait_for(&a) && a.query.answer->status == DNS_OK;
	finish(&a);
	ask(&a, STR("fail.test"), DNS_A);
	good = good && wait_for(&a) && a.query.answer->status == DNS_SERVFAIL;
	finish(&a);
	teardown();
	_exit(good ? 0 : 1);
}

static void test_sandbox(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) { in_sandbox(); }
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

static void test_bad_conf(void)
{
	struct err e = {0};
	l = loop_new_fake(0);
	struct dns_conf conf = {.forward = STR("nowhere")};
	CHECK(!dns_new(l, &conf, &e));
	CHECK(str_find(str_of(e.text), STR("dns.forward: \"nowhere\"")) >= 0);
	const struct str servers[] = {STR("roots"), STR(""), STR("[::1]:53"), STR("192.0.2.1")};
	for (size_t i = 0; i < COUNT(servers);
		i++) { /* nothing is asked: it starts, with its key */
		conf = (struct dns_conf){.forward = servers[i], .dnssec = true};
		d = dns_new(l, &conf, &e);
		CHECK(d != NULL);
		CHECK_INT(dns_prepare(d, &e), 0);
		dns_free(d);
	}
	loop_free(l);
}

/* --- rdata --- */

static void test_rdata(void)
{
	struct arena a = {0};
	struct str s;
	uint16_t pref;
	CHECK_INT(dns_rdata_name(STR("\3WwW\7example\0"), 0, &a, &s), 0);
	CHECK_STR(s, STR("www.example"));
	CHECK_INT(dns_rdata_name(STR("\0"), 0, &a, &s), 0);
	CHECK_STR(s, STR(""));
	CHECK_INT(dns_rdata_name(STR("\3www"), 0, &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_name(STR("\4www\0"), 0, &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_name(STR(""), 0, &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_name(STR("\300\0"), 0, &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_name(STR("\3a.b\0"), 0, &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_name(STR("x"), 5, &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_mx(STR("\1\2\2mx\0"), &a, &pref, &s), 0);
	CHECK_INT(pref, 258);
	CHECK_STR(s, STR("mx"));
	CHECK_INT(dns_rdata_mx(STR("\0\0\0"), &a, &pref, &s), 0); /* null MX, RFC 7505 */
	CHECK_STR(s, STR(""));
	CHECK_INT(dns_rdata_mx(STR("\0\0"), &a, &pref, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_txt(STR("\2ab\0\3c d"), &a, &s), 0);
	CHECK_STR(s, STR("abc d"));
	CHECK_INT(dns_rdata_txt(STR("\3ab"), &a, &s), ERR_SYNTAX);
	CHECK_INT(dns_rdata_txt(STR(""), &a, &s), ERR_SYNTAX);
	struct net_addr addr;
	net_addr_parse(STR("192.0.2.10"), 0, &addr);
	CHECK_STR(dns_reverse_name(&addr.sa, &a), STR("10.2.0.192.in-addr.arpa"));
	net_addr_parse(STR("2001:db8::ab"), 0, &addr);
	CHECK_STR(dns_reverse_name(&addr.sa, &a),
		STR("b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"RDATA and reverse names", test_rdata},
		{"a zone in memory", test_zone},
		{"zones that are wrong", test_bad_zones},
		{"the cache: bound, age, lifetime", test_cache},
		{"libunbound: answers, negative answers, lifetimes", test_unbound},
		{"an unsigned root is refused when answers are validated", test_bogus},
		{"the same question is asked once", test_coalescing},
		{"time-outs, too many questions, the end with questions out", test_timeout},
		{"the budget of a message", test_budget},
		{"a resolver that is switched off", test_off},
		{"a resolver in a closed sandbox", test_sandbox},
		{"bad settings; validation from the roots starts", test_bad_conf},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
