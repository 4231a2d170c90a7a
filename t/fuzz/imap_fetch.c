/* FETCH: arguments up to the first NUL, then a message; with a second NUL, a packed parse record
   that need not fit it. */
#include "imap/fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(struct str args, struct arena *a, struct fetch_request *req)
{
	struct lex l = {.in = args, .arena = a};
	bool ok = fetch_parse(&l, false, req);
	assert(ok || l.error);
	return ok;
}

/* What the answer calls it asks for the same again. */
static void check_label(const struct fetch_item *it, struct arena *a)
{
	struct fetch_request again;
	if (it->partial) { return; }
	bool ok = parse(arena_fmt(a, "1 %.*s", STR_ARG(it->label)), a, &again);
	assert(ok && again.items->kind == it->kind && str_eq(again.items->label, it->label));
}

static void check_section(
	const struct fetch_item *it, const struct mimerec *rec, struct str message)
{
	struct extent e, part;
	struct buf fields = {0};
	if (!section_extent(rec, it->section, 0, message.n, &e)) { return; }
	assert(e.off <= message.n && e.len <= message.n - e.off);
	part = extent_partial(e, it);
	assert(part.off >= e.off && part.len <= e.len && part.off + part.len <= e.off + e.len);
	section_filter(it->section, str_sub(message, e.off, e.len), &fields);
	assert(fields.n <= e.len);
	buf_fini(&fields);
}

static void parsed_record(struct str message, struct arena *a, struct mimerec *rec)
{
	struct buf packed = {0};
	struct mime *m = mime_new();
	mime_add(m, message);
	mime_end(m);
	mimerec_build(m, &packed);
	mime_free(m);
	int rc = mimerec_read(arena_dup(a, buf_view(&packed)), a, rec);
	assert(rc == 0);
	buf_fini(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), args, message;
	struct arena a = {0};
	struct fetch_request req;
	struct mimerec rec, other;
	str_cut(&rest, '\0', &args);
	bool more = str_cut(&rest, '\0', &message);
	parsed_record(message, &a, &rec);
	bool damaged = more && mimerec_read(rest, &a, &other) == 0;
	bool ok = parse(args, &a, &req);
	for (const struct fetch_item *it = ok ? req.items : NULL; it; it = it->next) {
		check_label(it, &a);
		if (!it->section) { continue; }
		check_section(it, &rec, message);
		if (damaged) { check_section(it, &other, message); }
	}
	arena_fini(&a);
	return 0;
}
