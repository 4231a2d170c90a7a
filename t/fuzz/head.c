/* A header: every field through every reader of values. */
#include "lib/addr.h"
#include "lib/charset.h"
#include "lib/date.h"
#include "lib/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void typed(struct str value, struct arena *a)
{
	struct head_typed t;
	struct str text;
	if (head_typed(value, a, &t) < 0) { return; }
	assert(t.type.n && t.params_n <= HEAD_PARAMS_MAX);
	for (size_t i = 0; i < t.params_n; i++) {
		bool found = head_typed_param(&t, t.params[i].name, a, &text);
		assert(found && t.params[i].name.n);
	}
}

static void addresses(struct str value, struct arena *a)
{
	struct addr *list;
	size_t n;
	bool in_group = false;
	struct addr *wary;
	size_t wary_n;
	bool clear;
	int rc = addr_parse_wary(value, a, &wary, &wary_n, &clear);
	int lenient_rc = addr_parse(value, a, &list, &n);
	/* in a clear value the wary one finds all that the other finds; ERR_LIMIT is fine */
	assert(rc < 0 || !clear || (lenient_rc == 0 && wary_n >= n));
	for (size_t i = 0; i < n; i++) {
		if (list[i].kind == ADDR_MAILBOX) { continue; }
		assert(in_group == (list[i].kind == ADDR_GROUP_END));
		in_group = !in_group;
	}
}

static void dates(struct str value)
{
	int64_t us, day, again;
	int zone;
	struct buf b = {0};
	(void)date_internal_parse(value, &us); /* either answer is fine */
	(void)date_day_parse(value, &day);     /* either answer is fine */
	if (date_rfc5322_parse(value, &us, &zone) == 0) {
		date_rfc5322(us, &b);
		int rc = date_rfc5322_parse(buf_view(&b), &again, NULL);
		/* a zone may lead out of the years that can be written */
		assert(rc < 0 || again == us || us < -61000000000 * SECOND_US);
	}
	buf_fini(&b);
}

static void texts(struct str value)
{
	struct buf b = {0};
	struct str id;
	head_unfold(value, &b);
	assert(b.n <= value.n);
	buf_reset(&b);
	head_strip_comments(value, &b);
	assert(b.n <= value.n);
	buf_reset(&b);
	head_decode(value, &b);
	assert(utf8_valid(buf_view(&b)));
	buf_fini(&b);
	while (head_msgid_next(&value, &id)) { assert(id.n > 2); }
}

static void value_of_any_field(struct str value)
{
	struct arena a = {0};
	typed(value, &a);
	addresses(value, &a);
	dates(value);
	texts(value);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size);
	struct head_field f;
	value_of_any_field(rest);
	while (head_next(&rest, &f)) {
		assert(f.whole.n >= f.name.n + f.value.n);
		value_of_any_field(f.value);
	}
	return 0;
}
