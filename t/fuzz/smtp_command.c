/* Command lines of SMTP: what is accepted is bounded, printable, and reads the same again. */
#include "smtp/command.h"
#include "smtp/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const struct path *p)
{
	struct arena a = {0};
	struct path again;
	assert(p->text.n <= PATH_MAX_LEN && p->domain.n <= PATH_DOMAIN_MAX);
	for (size_t i = 0; i < p->text.n; i++) {
		assert((unsigned char)p->text.p[i] >= 0x20 && p->text.p[i] != 0x7f);
	}
	if (p->kind == PATH_MAILBOX) {
		int rc = path_parse_mailbox(p->text, &a, &again);
		assert(rc == 0 && str_eq(again.text, p->text) && str_eq(again.local, p->local));
	}
	arena_fini(&a);
}

static void header(struct str text)
{
	struct header_facts facts;
	struct buf out = {0};
	size_t scanned = 0, n = trace_header_end(text, &scanned);
	header_look(str_sub(text, 0, n), &facts);
	if (n) {
		header_complete(str_sub(text, 0, n), &facts, 0, STR("id"), STR("host"), &out);
		header_look(buf_view(&out), &facts);
		assert(!facts.bcc && facts.date && facts.msgid);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = str_make(data, size), verb, args;
	struct arena a = {0};
	struct mail_args m;
	struct rcpt_args r;
	uint64_t n;
	bool last;
	header(line);
	if (size <= 4096 && command_cut(line, &verb, &args) == 0) {
		assert(verb.n && verb.n <= COMMAND_VERB_MAX);
		if (mail_args_parse(args, size % 2, &a, &m) == COMMAND_OK) { check_path(&m.from); }
		if (rcpt_args_parse(args, size % 3 == 0, &a, &r) == COMMAND_OK) {
			check_path(&r.to);
			assert(r.to.kind != PATH_NULL);
		}
		if (bdat_args_parse(args, &n, &last) == 0) { assert(n <= INT64_MAX); }
		assert(!helo_valid(args) || args.n <= COMMAND_HELO_MAX);
	}
	arena_fini(&a);
	return 0;
}
