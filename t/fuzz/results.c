/* Authentication-Results: the first line is our name, the second values to be written, the rest a
   header to be cleaned. */
#include "auth/results.h"
#include "lib/head.h"
#include "t/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_OCTETS = 16384 };

static const struct str field_name = STR("Authentication-Results");

static void write_and_read(struct str id, struct str values)
{
	struct str parts[4] = {STR(""), STR(""), STR(""), STR("")};
	struct buf field = {0}, read = {0}, left = {0};
	for (size_t i = 0; i < COUNT(parts); i++) { str_cut(&values, '|', &parts[i]); }
	struct results_prop p[] = {{"header", "d", parts[0]}, {"header", "i", parts[1]}};
	struct results_method m[] = {
		{"dkim", "pass", parts[2], p, 2}, {"spf", "softfail", parts[3], p, 1}};
	for (unsigned utf8 = 0; utf8 < 2; utf8++) {
		buf_reset(&field);
		buf_reset(&read);
		results_write(id, m, 2, utf8, &field);
		int rc = authres_read(buf_view(&field), &read);
		assert(rc == 0);
		struct str rest = buf_view(&field);
		struct head_field f;
		assert(head_next(&rest, &f) && rest.n == 0);
	}
	buf_fini(&field);
	buf_fini(&read);
	buf_fini(&left);
}

/* As a reader by the book finds the name. */
static bool is_ours(const struct head_field *f, struct str id)
{
	struct str value = f->value;
	struct arena a = {0};
	head_skip_cfws(&value);
	struct str name = value.n && value.p[0] == '"'
				  ? head_unquote(str_sub(value, 0, head_quoted_length(value)), &a)
				  : head_token(&value);
	bool ours = str_ieq(f->name, field_name) && str_ieq(name, id);
	arena_fini(&a);
	return ours;
}

/* Each field is either there, whole and in its order, or could be taken for one of results. */
static void compare(struct str in, struct str out, struct str id, size_t removed)
{
	struct head_field f;
	struct str at = in;
	size_t gone = 0;
	while (head_next(&in, &f)) {
		at = in;
		bool like = head_name_like(&f, field_name);
		if (gone < removed && like && !str_starts(out, f.whole)) {
			gone++;
			continue;
		}
		assert(str_starts(out, f.whole) && !is_ours(&f, id));
		out = str_skip(out, f.whole.n);
	}
	assert(str_eq(out, at));
}

static void clean(struct str id, struct str header)
{
	struct buf once = {0}, twice = {0};
	size_t removed = results_strip(header, id, &once);
	size_t again = results_strip(buf_view(&once), id, &twice);
	assert(again == 0 && str_eq(buf_view(&once), buf_view(&twice)));
	if (removed == 0) { assert(str_eq(buf_view(&once), header)); }
	compare(header, buf_view(&once), id, removed);
	buf_fini(&once);
	buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), id, values;
	if (size > SIZE_MAX_OCTETS) { return 0; }
	str_cut(&rest, '\n', &id);
	str_cut(&rest, '\n', &values);
	if (id.n == 0 || id.n > RESULTS_VALUE_MAX) { id = STR("mx.example.org"); }
	write_and_read(id, values);
	clean(id, rest);
	return 0;
}
