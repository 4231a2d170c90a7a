/* The author domains of a message. Pure functions; runs in mx and in commands. */
#include "auth/authors.h"

#include "lib/addr.h"
#include "lib/head.h"
#include "lib/idn.h"

struct str authors_fault_text(enum authors_fault f)
{
	static const struct str texts[] = {
		[AUTHORS_OK] = STR("the From field is in order"),
		[AUTHORS_NO_FIELD] = STR("there is no From field"),
		[AUTHORS_FIELDS] = STR("there is more than one From field"),
		[AUTHORS_NOBODY] = STR("the From field names nobody"),
		[AUTHORS_UNCLEAR] = STR("the From field can be read in several ways"),
		[AUTHORS_NO_DOMAIN] = STR("the From field has an address without a domain name"),
		[AUTHORS_MANY] = STR("the From field names too many authors"),
	};
	return texts[f];
}

/* "=?charset?q?...?=": not allowed within an address (RFC 2047 5), but some readers decode it
   there, and see another address. */
static bool has_encoded_word(struct str s)
{
	ptrdiff_t start = str_find(s, STR("=?"));
	return start >= 0 && str_find(str_skip(s, (size_t)start + 2), STR("?=")) >= 0;
}

static enum authors_fault add(struct authors *out, struct str domain)
{
	for (size_t i = 0; i < out->n; i++) {
		if (str_eq(out->domains[i], domain)) { return AUTHORS_OK; }
	}
	if (out->n == AUTHORS_MAX) { return AUTHORS_MANY; }
	out->domains[out->n++] = domain;
	return AUTHORS_OK;
}

/* Ten thousand addresses mostly name few domains: those already seen cost no memory. */
static enum authors_fault take(
	const struct addr *one, struct arena *scratch, struct arena *a, struct authors *out)
{
	struct str domain;
	if (has_encoded_word(one->local)) { return AUTHORS_UNCLEAR; }
	arena_reset(scratch);
	if (idn_domain(one->domain, scratch, &domain) < 0) { return AUTHORS_NO_DOMAIN; }
	size_t had = out->n;
	enum authors_fault fault = add(out, domain);
	if (out->n > had) { out->domains[had] = arena_dup(a, domain); }
	return fault;
}

static enum authors_fault read_value(struct str value, struct arena *a, struct authors *out)
{
	struct arena list_arena = {0}, scratch = {0};
	struct addr *list;
	size_t n;
	bool clear, any = false;
	enum authors_fault fault = AUTHORS_OK;
	if (addr_parse_wary(value, &list_arena, &list, &n, &clear) < 0) { fault = AUTHORS_MANY; }
	if (fault == AUTHORS_OK && !clear) { fault = AUTHORS_UNCLEAR; }
	for (size_t i = 0; i < n && fault == AUTHORS_OK; i++) {
		if (list[i].kind != ADDR_MAILBOX) { continue; }
		any = true;
		fault = take(&list[i], &scratch, a, out);
	}
	arena_fini(&scratch);
	arena_fini(&list_arena);
	return fault == AUTHORS_OK && !any ? AUTHORS_NOBODY : fault;
}

enum authors_fault authors_find(struct str header, struct arena *a, struct authors *out)
{
	struct head_field f;
	struct str value = {0};
	unsigned fields = 0;
	*out = (struct authors){0};
	while (head_next(&header, &f)) {
		if (!head_name_like(&f, STR("From"))) { continue; }
		fields++;
		/* a line that only passes for the field is one too many */
		if (!str_ieq(f.name, STR("From"))) { fields++; }
		value = f.value;
	}
	if (fields == 0) { return AUTHORS_NO_FIELD; }
	if (fields > 1) { return AUTHORS_FIELDS; }
	return read_value(value, a, out);
}
