/* The authors of a header: what any other reading of the field finds is among them. */
#include "auth/authors.h"
#include "lib/addr.h"
#include "lib/head.h"
#include "lib/idn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_OCTETS = 16384 };

static bool has(const struct authors *authors, struct str domain)
{
	for (size_t i = 0; i < authors->n; i++) {
		if (str_eq(authors->domains[i], domain)) { return true; }
	}
	return false;
}

/* The project's other reading, that of ENVELOPE. */
static void check_addresses(const struct authors *authors, struct str value, struct arena *a)
{
	struct addr *list;
	size_t n;
	int rc = addr_parse(value, a, &list, &n);
	assert(rc == 0);
	for (size_t i = 0; i < n; i++) {
		struct str domain;
		if (list[i].kind != ADDR_MAILBOX) { continue; }
		rc = idn_domain(list[i].domain, a, &domain);
		assert(rc == 0 && has(authors, domain));
	}
}

/* A crude reader: whatever stands behind a "<" and its "@" up to ">", outside of quotes and
   comments, is an address. */
static void check_brackets(const struct authors *authors, struct str value, struct arena *a)
{
	struct buf plain = {0};
	bool quoted = false;
	head_strip_comments(value, &plain);
	ptrdiff_t open = -1, at = -1;
	for (size_t i = 0; i < plain.n; i++) {
		char c = plain.p[i];
		if (quoted && c == '\\') {
			i++;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (!quoted && c == '<') {
			open = (ptrdiff_t)i;
			at = -1;
		} else if (!quoted && c == '@' && open >= 0) {
			at = (ptrdiff_t)i;
		} else if (!quoted && c == '>' && open >= 0 && at > open) {
			struct str text =
				str_sub(buf_view(&plain), (size_t)at + 1, i - (size_t)at - 1);
			struct str domain;
			if (idn_domain(str_trim(text), a, &domain) == 0) {
				assert(has(authors, domain));
			}
			open = -1;
		}
	}
	buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str header = str_make(data, size), value, domain;
	struct arena a = {0};
	struct authors authors;
	if (size > SIZE_MAX_OCTETS) { return 0; }
	enum authors_fault fault = authors_find(header, &a, &authors);
	assert(authors_fault_text(fault).n && authors.n <= AUTHORS_MAX);
	if (fault == AUTHORS_OK) {
		assert(authors.n && head_find(header, STR("From"), 0, &value));
		assert(!head_find(header, STR("From"), 1, &domain));
		for (size_t i = 0; i < authors.n; i++) {
			int rc = idn_domain(authors.domains[i], &a, &domain);
			assert(rc == 0 && str_eq(domain, authors.domains[i]));
		}
		check_addresses(&authors, value, &a);
		check_brackets(&authors, value, &a);
	}
	arena_fini(&a);
	return 0;
}
