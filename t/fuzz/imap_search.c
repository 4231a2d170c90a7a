/* SEARCH: arguments up to the first NUL, then a message that they are asked about. However the
   octets come and however often the work is interrupted, the answer is the same. */
#include "imap/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	struct str octets;
	struct mimerec rec;
	size_t most; /* octets given at once */
};

static const struct mimerec *give_record(void *ctx)
{
	return &((struct source *)ctx)->rec;
}

static int give_bytes(void *ctx, uint64_t off, struct str *out)
{
	const struct source *src = ctx;
	*out = str_sub(src->octets, off, src->most);
	return 0;
}

static enum match match(struct search_request *req, struct source *src, size_t most, int64_t budget)
{
	struct matcher m = {.req = req};
	struct msg msg = {.flags = FLAG_SEEN, .size = src->octets.n, .modseq = 1};
	struct search_message sm = {
		.msg = &msg, .record = give_record, .bytes = give_bytes, .ctx = src};
	enum match got = MATCH_UNKNOWN;
	src->most = most;
	matcher_reset(&m);
	while (got == MATCH_UNKNOWN) {
		m.cost = 0;
		got = matcher_run(&m, &sm, budget);
	}
	matcher_fini(&m);
	return got;
}

static void source_build(struct source *src, struct str message, struct arena *a)
{
	struct buf packed = {0};
	struct mime *m = mime_new();
	mime_add(m, message);
	mime_end(m);
	mimerec_build(m, &packed);
	mime_free(m);
	int rc = mimerec_read(arena_dup(a, buf_view(&packed)), a, &src->rec);
	assert(rc == 0);
	buf_fini(&packed);
	src->octets = message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), args;
	struct arena a = {0};
	struct search_request req;
	struct source src;
	str_cut(&rest, '\0', &args);
	struct lex l = {.in = args, .arena = &a};
	bool ok = search_parse(&l, &req);
	assert(ok || l.error);
	if (ok) {
		source_build(&src, rest, &a);
		enum match got = match(&req, &src, SIZE_MAX, INT64_MAX);
		assert(match(&req, &src, 3, 0) == got);
	}
	arena_fini(&a);
	return 0;
}
