/* IMAP's grammar, one reader a go: the first octet says which and whether mailbox names are UTF-8.
   A reader that says no has not moved. Names that were read match themselves. */
#include "imap/lex.h"
#include "imap/list_match.h"
#include "lib/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mailbox(struct lex *l)
{
	struct str name;
	if (!lex_mailbox(l, &name)) { return; }
	assert(utf8_valid(name));
	if (str_find(name, STR("*")) < 0 && str_find(name, STR("%")) < 0) {
		assert(list_match(name, name));
	}
	assert(list_match(STR("*"), name));
	assert(list_match(STR("%"), name) == (str_find(name, STR("/")) < 0));
}

static void check_pattern(struct lex *l)
{
	struct str pattern, name;
	if (!lex_list_mailbox(l, &pattern) || !lex_space(l) || !lex_mailbox(l, &name)) { return; }
	(void)list_match(pattern, name); /* it ends */
}

static void check_seqset(struct lex *l)
{
	struct seqset set = {0};
	if (!lex_seqset(l, &set)) { return; }
	assert(set.saved || set.n > 0);
	assert(set.n <= LEX_SEQ_RANGES_MAX);
	for (uint32_t i = 0; i < set.n; i++) {
		const struct uid_range *r = &set.ranges[i];
		assert(r->lo > 0 && (r->lo <= r->hi || r->lo == UINT32_MAX));
	}
}

static void check_string(struct lex *l, unsigned which)
{
	struct str s;
	bool got = which == 3   ? lex_astring(l, &s)
		   : which == 4 ? lex_string(l, &s)
		   : which == 5 ? lex_nstring(l, &s)
		   : which == 6 ? lex_flag(l, &s)
				: lex_atom(l, &s);
	if (got) { assert(s.n <= l->in.n); }
}

static void check_number(struct lex *l)
{
	uint32_t n;
	uint64_t n64;
	if (lex_nz_number(l, &n)) { assert(n > 0); }
	if (lex_space(l) && lex_number64(l, &n64)) { assert(n64 <= INT64_MAX); }
	if (lex_space(l)) { (void)lex_number(l, &n); }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	if (size < 1 || size > 65536) { return 0; }
	struct lex l = {
		.in = str_make(data + 1, size - 1), .arena = &a, .utf8 = (data[0] & 0x80) != 0};
	unsigned which = (data[0] & 0x7f) % 9;
	switch (which) {
	case 0: check_mailbox(&l); break;
	case 1: check_pattern(&l); break;
	case 2: check_seqset(&l); break;
	case 8: check_number(&l); break;
	default: check_string(&l, which); break;
	}
	assert(l.at <= l.in.n && (l.error || l.at > 0));
	arena_fini(&a);
	return 0;
}
