/* Whole SPF checks, libspf2 included, over a zone that the input makes. First line: the local-part.
   Every other line is a record: a digit or letter (the name, digits are names of the client, too),
   its type (T A 6 M P F), and for T the text, else a digit or letter for an address or a name. */
#include "auth/spf_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_OCTETS = 16 * 1024, MEMORY_MAX = 1 << 20 };

static const char reverse4[] = "1.2.0.192.in-addr.arpa",
		  reverse6[] = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
			       ".ip6.arpa";

static void add_text(struct str text, struct buf *zone)
{
	buf_str(zone, STR("TXT \""));
	for (size_t i = 0; i < text.n; i++) {
		buf_fmt(zone, "\\%03u", (unsigned)(unsigned char)text.p[i]);
	}
	buf_str(zone, STR("\"\n"));
}

static void add_record(struct str line, struct buf *zone)
{
	if (line.n < 3 || (!ascii_digit(line.p[0]) && !ascii_alpha(line.p[0]))) { return; }
	char value = ascii_alpha(line.p[2]) || ascii_digit(line.p[2]) ? line.p[2] : 'x';
	if (line.p[1] == 'P') {
		buf_fmt(zone, "%s PTR %c.test\n%s PTR %c.test\n", reverse4, value, reverse6, value);
		return;
	}
	buf_fmt(zone, "%c.test ", line.p[0]);
	switch (line.p[1]) {
	case 'T': add_text(str_skip(line, 2), zone); break;
	case 'A': buf_fmt(zone, "A 192.0.2.%d\n", value & 15); break;
	case '6': buf_fmt(zone, "AAAA 2001:db8::%x\n", value & 15); break;
	case 'M': buf_fmt(zone, "MX 1 %c.test\n", value); break;
	default: buf_str(zone, STR("SERVFAIL\n")); break;
	}
}

struct eval {
	struct task task;
	struct dns_budget budget;
	struct arena arena;
	struct spf_check c;
	bool ended;
};

static void on_ended(struct task *t)
{
	task_of(t, struct eval, task)->ended = true;
}

static enum step on_step(struct task *t)
{
	return spf_check_step(&task_of(t, struct eval, task)->c) ? STEP_DONE : STEP_WAIT;
}

static void check(struct loop *l, struct dns *d, struct str local, struct str ip)
{
	struct buf field = {0};
	struct eval e = {.c = {.dns = d,
				 .local = local,
				 .helo = local,
				 .domain = STR("a.test"),
				 .receiver = STR("mx.test")}};
	e.c.budget = &e.budget;
	e.c.task = &e.task;
	e.c.arena = &e.arena;
	dns_budget_start(&e.budget, l, DNS_BUDGET_QUESTIONS, SECOND_US);
	net_addr_parse(ip, 0, &e.c.client);
	spf_check_start(&e.c);
	task_start(l, &e.task, NULL, on_step, on_ended);
	while (loop_turn(l)) {}
	assert(e.ended && e.c.why.n && e.arena.used < MEMORY_MAX);
	assert(e.c.terms <= SPFMAX_TERMS + 1 && e.c.lookups_n <= SPFMAX_LOOKUPS);
	/* what our front-end lets through, libspf2 understands */
	assert(!str_starts(e.c.why, STR("libspf2 ")));
	spf_received(&e.c, &field);
	assert(str_ends(buf_view(&field), STR(";\r\n")));
	buf_fini(&field);
	spf_check_fini(&e.c);
	arena_fini(&e.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > SIZE_MAX_OCTETS) { return 0; }
	struct str rest = str_make(data, size), local, line;
	struct buf zone = {0};
	struct err e;
	bool more = str_cut(&rest, '\n', &local);
	buf_chr(&zone, '\n');
	while (more) {
		more = str_cut(&rest, '\n', &line);
		add_record(line, &zone);
	}
	struct loop *l = loop_new_fake(0);
	struct dns_conf conf = {.zone_text = buf_view(&zone)};
	struct dns *d = dns_new(l, &conf, &e);
	assert(d);
	check(l, d, local, STR("192.0.2.1"));
	check(l, d, local, STR("2001:db8::1"));
	dns_free(d);
	loop_free(l);
	buf_fini(&zone);
	return 0;
}
