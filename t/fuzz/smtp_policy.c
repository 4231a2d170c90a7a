/* Lists of the policy: exceptions and DNS lists, one a line, read as both. What is taken
   reads the same again; an exception that is taken meets at most whom it names; a list's names can
   be asked for, and every answer means something. */
#include "smtp/policy_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_except(struct str line)
{
	struct policy_except x, again;
	struct policy_rules rules = {.excepts = &x, .excepts_n = 1};
	struct err e = {{0}};
	struct net_addr client = {0};
	int rc = policy_except_parse(line, &x, &e);
	assert((rc < 0) == (e.text[0] != '\0'));
	if (rc < 0) { return; }
	assert(policy_except_parse(line, &again, &e) == 0 && again.kind == x.kind);
	struct policy_who who = {.client = &client};
	assert(!policy_except_find(&rules, x.id, &who)); /* nobody */
	who.local = x.local;
	who.domain = x.domain;
	who.list_id = x.list_id;
	if (x.kind == EXCEPT_NETWORK) { client = x.net.addr; }
	assert(policy_except_find(&rules, x.id, &who) == &x);
	bool other = policy_except_find(&rules, (x.id + 1) % POLICY_N, &who) != NULL;
	assert(other == x.all);
}

static void try_list(struct str line)
{
	static const char *const ips[] = {"192.0.2.1", "2001:db8::1"};
	struct dnsl l;
	struct arena a = {0};
	struct net_addr client;
	uint8_t code[4];
	if (dnsl_parse(line, &l) < 0) { return; }
	assert(l.zone.n <= DNSL_ZONE_MAX && l.codes_n <= DNSL_CODES_MAX);
	for (size_t i = 0; i < COUNT(ips); i++) {
		int rc = net_addr_parse(str_of(ips[i]), 0, &client);
		assert(rc == 0);
		assert(dnsl_name(&client, l.zone, &a).n <= 253);
		assert(dnsl_test_name(&client, l.zone, &a).n <= 253);
	}
	for (size_t i = 0; i < l.codes_n; i++) {
		struct dns_rr rr = {str_make(l.codes[i].lo, 4)};
		struct dns_answer answer = {.status = DNS_OK, .rr = &rr, .n = 1};
		assert(dnsl_read(&l, &answer, code) != DNSL_NO);
		rr.data = str_sub(line, 0, 4);
		dnsl_read(&l, &answer, code);
	}
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, MIN(size, (size_t)4096)), line;
	while (in.n) {
		str_cut(&in, '\n', &line);
		try_except(str_trim(line));
		try_list(str_trim(line));
	}
	return 0;
}
