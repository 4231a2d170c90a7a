/* auth: iprev: an address, its names, and back. */
#include "t/authres.h"
#include "t/tap.h"

#include "auth/iprev.h"

static struct loop *l;
static struct dns *d;

struct runner {
	struct task task;
	struct iprev iprev;
	bool finished;
};

static enum step run_step(struct task *t)
{
	struct runner *r = task_of(t, struct runner, task);
	r->finished = iprev_step(&r->iprev) == 1;
	return r->finished ? STEP_DONE : STEP_WAIT;
}

static void on_ended(struct task *t)
{
	(void)t; /* lives on the stack */
}

/* "result name questions", and what is told of it. */
static void run(struct str zone, const char *ip, unsigned questions, struct buf *out)
{
	struct runner r = {.finished = false};
	struct arena a = {0};
	struct err e = {{0}};
	struct dns_conf conf = {.zone_text = zone};
	struct dns_budget budget;
	struct net_addr addr = {.sa.sa_family = AF_UNSPEC};
	struct results_method m;
	struct buf field = {0}, read = {0};
	l = loop_new_fake(0);
	d = dns_new(l, &conf, &e);
	if (!d) { tap_fail(__FILE__, __LINE__, "%s", e.text); }
	dns_budget_start(&budget, l, questions, SECOND_US);
	if (*ip) { CHECK_INT(net_addr_parse(str_of(ip), 0, &addr), 0); }
	iprev_start(&r.iprev, d, &budget, &r.task, &a, &addr);
	task_start(l, &r.task, NULL, run_step, on_ended);
	while (loop_turn(l)) {}
	CHECK(r.finished);
	buf_fmt(out, "%s %.*s %u", iprev_result_name(r.iprev.result), STR_ARG(r.iprev.name),
		questions - budget.left);
	iprev_results(&r.iprev, &a, &m);
	results_write(STR("mx"), &m, 1, false, &field);
	CHECK_INT(authres_read(buf_view(&field), &read), 0);
	CHECK((str_find(buf_view(&read), str_of(ip)) > 0) == (*ip != '\0'));
	iprev_fini(&r.iprev);
	buf_fini(&field);
	buf_fini(&read);
	arena_fini(&a);
	dns_free(d);
	loop_free(l);
}

#define PTR4 "1.2.0.192.in-addr.arpa. PTR "
#define PTR6 "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR "

static void test_results(void)
{
	static const struct {
		const char *zone, *ip, *want;
	} rows[] = {
		{PTR4 "mail.example.\nmail.example. A 192.0.2.1\n", "192.0.2.1",
			"pass mail.example 2"},
		{PTR4 "Mail.Example.\nmail.example. A 192.0.2.9\nmail.example. A 192.0.2.1\n",
			"192.0.2.1", "pass mail.example 2"},
		{PTR4 "mail.example.\nmail.example. CNAME m.example.\nm.example. A 192.0.2.1\n",
			"192.0.2.1", "pass mail.example 2"},
		{PTR4 "a.example.\n" PTR4 "b.example.\nb.example. A 192.0.2.1\n", "192.0.2.1",
			"pass b.example 3"},
		{PTR6 "mail.example.\nmail.example. AAAA 2001:db8::1\n", "2001:db8::1",
			"pass mail.example 2"},
		{PTR4 "mail.example.\nmail.example. A 192.0.2.9\n", "192.0.2.1",
			"fail mail.example 2"},
		{PTR4 "mail.example.\nmail.example. AAAA 2001:db8::1\n", "192.0.2.1",
			"fail mail.example 2"},
		{PTR4 "nowhere.example.\n", "192.0.2.1", "fail nowhere.example 2"},
		{"\n", "192.0.2.1", "permerror  1"},
		{"1.2.0.192.in-addr.arpa. TXT x\n", "192.0.2.1", "permerror  1"},
		{PTR4 "a/b.example.\na/b.example. A 192.0.2.1\n", "192.0.2.1", "permerror  1"},
		{"1.2.0.192.in-addr.arpa. SERVFAIL\n", "192.0.2.1", "temperror  1"},
		{PTR4 "mail.example.\nmail.example. SERVFAIL\n", "192.0.2.1",
			"temperror mail.example 2"},
		{PTR4 "a.example.\n" PTR4
		      "b.example.\na.example. SERVFAIL\nb.example. A 192.0.2.1\n",
			"192.0.2.1", "pass b.example 3"},
		{PTR4 "a.example.\n" PTR4 "b.example.\na.example. SERVFAIL\n", "192.0.2.1",
			"temperror a.example 3"},
		{"\n", "", "permerror  0"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got = {0};
		run(str_of(rows[i].zone), rows[i].ip, 40, &got);
		CHECK_STR(buf_view(&got), str_of(rows[i].want));
		buf_fini(&got);
	}
}

static void test_bounds(void)
{
	struct buf zone = {0}, got = {0};
	for (int i = 0; i < 50; i++) { buf_fmt(&zone, PTR4 "n%d.example.\n", i); }
	buf_str(&zone, STR("n9.example. A 192.0.2.1\n"));
	run(buf_view(&zone), "192.0.2.1", 40, &got);
	CHECK_STR(buf_view(&got), STR("pass n9.example 11"));
	buf_reset(&got);
	run(buf_view(&zone), "192.0.2.1", 5, &got);
	CHECK_STR(buf_view(&got), STR("temperror n0.example 5"));
	buf_reset(&zone);
	buf_reset(&got);
	for (int i = 0; i < 50; i++) { buf_fmt(&zone, PTR4 "n%d.example.\n", i); }
	buf_str(&zone, STR("n10.example. A 192.0.2.1\n"));
	run(buf_view(&zone), "192.0.2.1", 40, &got);
	CHECK_STR(buf_view(&got), STR("fail n0.example 11"));
	buf_fini(&zone);
	buf_fini(&got);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"results", test_results},
		{"many names, and a budget", test_bounds},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
