/* Values of the configuration as text and back. The supervisor and commands read files; roles only
   what was packed for them. Pure functions. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/conf_private.h"

enum { LIST_ITEMS_MAX = 4096, SHOWN_MAX = 60, WORDS_MAX = 200 };

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"", 1}, {"K", UINT64_C(1) << 10}, {"M", UINT64_C(1) << 20}, {"G", UINT64_C(1) << 30}};
static const struct unit durations[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000},
	{"h", 3600 * 1000}, {"d", 86400 * 1000}}; /* milliseconds */

/* --- numbers --- */

static bool scaled(struct str text, const struct unit *units, size_t n, uint64_t *out)
{
	size_t digits = 0;
	while (digits < text.n && ascii_digit(text.p[digits])) { digits++; }
	struct str suffix = str_trim(str_skip(text, digits));
	for (size_t i = 0; i < n; i++) {
		if (str_ieq(suffix, str_of(units[i].name))) {
			return str_u64(str_sub(text, 0, digits), UINT64_MAX, out) &&
			       !__builtin_mul_overflow(*out, units[i].factor, out);
		}
	}
	return false;
}

/* `v` with the largest unit that divides it. */
static void put_scaled(uint64_t v, const struct unit *units, size_t n, struct buf *out)
{
	size_t best = 0;
	if (v == 0) {
		buf_chr(out, '0');
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (v % units[i].factor == 0 && units[i].factor > units[best].factor) { best = i; }
	}
	buf_u64(out, v / units[best].factor);
	buf_str(out, str_of(units[best].name));
}

static void put_size(uint64_t v, struct buf *out)
{
	put_scaled(v, sizes, COUNT(sizes), out);
}

static void put_duration(uint64_t ms, struct buf *out)
{
	put_scaled(ms, durations + 1, COUNT(durations) - 1, out);
}

static void put_plain(uint64_t v, struct buf *out)
{
	buf_u64(out, v);
}

/* --- complaints --- */

/* "from 1K to 4G", in words of the row's type. */
static void put_range(const struct conf_row *row, uint64_t scale,
	void (*put)(uint64_t, struct buf *), struct buf *out)
{
	buf_str(out, row->max ? STR("from ") : STR("at least "));
	put(row->min * scale, out);
	if (row->max) {
		buf_str(out, STR(" to "));
		put(row->max * scale, out);
	}
	if (row->unit) { buf_fmt(out, " %s", row->unit); }
}

static void put_choices(const struct conf_row *row, struct buf *out)
{
	for (int i = 0; row->choices[i]; i++) {
		const char *between = row->choices[i + 1] ? ", " : " or ";
		buf_fmt(out, "%s%s", i ? between : "", row->choices[i]);
	}
}

void conf_row_takes(const struct conf_row *row, struct buf *out)
{
	bool list = row->type == CONF_LIST;
	switch (row->type) {
	case CONF_BOOL: buf_str(out, STR("yes or no")); break;
	case CONF_INT:
		buf_str(out, STR("number "));
		put_range(row, 1, put_plain, out);
		break;
	case CONF_SIZE:
		buf_str(out, STR("size "));
		put_range(row, 1, put_size, out);
		break;
	case CONF_DURATION:
		buf_str(out, STR("time "));
		put_range(row, 1000, put_duration, out);
		break;
	case CONF_CHOICE:
		buf_str(out, STR("one of "));
		put_choices(row, out);
		break;
	case CONF_STR:
	case CONF_LIST:
		buf_str(out, list ? STR("list of texts, each ") : STR("text "));
		if (row->min) { buf_fmt(out, "of %" PRIu64 " ", row->min); }
		buf_fmt(out, "%s %" PRIu64 " octets", row->min ? "to" : "up to", row->max);
		break;
	}
}

static int refuse(int code, struct str text, const char *why, struct buf *allowed, struct err *e)
{
	bool cut = text.n > SHOWN_MAX;
	int rc = err_set(e, code, "\"%.*s%s\" %s: %.*s", STR_ARG(str_sub(text, 0, SHOWN_MAX)),
		cut ? "..." : "", why, STR_ARG(str_sub(buf_view(allowed), 0, WORDS_MAX)));
	buf_fini(allowed);
	return rc;
}

/* `v` in the unit of `scale` to one of the row's bounds. */
static int check_number(const struct conf_row *row, bool parsed, uint64_t v, uint64_t scale,
	struct str text, const char *form, void (*put)(uint64_t, struct buf *), struct err *e)
{
	struct buf allowed = {0};
	if (parsed && v >= row->min * scale && (!row->max || v <= row->max * scale)) { return 0; }
	if (!parsed) { buf_fmt(&allowed, "%s, ", form); }
	put_range(row, scale, put, &allowed);
	return parsed ? refuse(ERR_LIMIT, text, "is out of range; allowed", &allowed, e)
		      : refuse(ERR_SYNTAX, text, "is not understood; allowed", &allowed, e);
}

/* --- one kind each --- */

static int set_bool(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
	struct buf allowed = {0};
	(void)row, (void)a; /* nothing to bound or to keep */
	for (size_t i = 0; i < COUNT(words); i++) {
		if (str_ieq(text, str_of(words[i]))) {
			*(bool *)at = i & 1;
			return 0;
		}
	}
	buf_str(&allowed, STR("yes or no"));
	return refuse(ERR_SYNTAX, text, "is not understood; allowed", &allowed, e);
}

static int set_int(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	uint64_t v = 0;
	bool ok = str_u64(text, UINT64_MAX, &v);
	(void)a; /* nothing to keep */
	int rc = check_number(row, ok, v, 1, text, "a number", put_plain, e);
	if (rc == 0) { memcpy(at, &v, sizeof v); }
	return rc;
}

static int set_size(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	uint64_t v = 0;
	bool ok = scaled(text, sizes, COUNT(sizes), &v);
	(void)a; /* nothing to keep */
	int rc = check_number(
		row, ok, v, 1, text, "octets, or a number with K, M or G", put_size, e);
	if (rc == 0) { memcpy(at, &v, sizeof v); }
	return rc;
}

static int set_duration(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	uint64_t ms = 0;
	bool ok = scaled(text, durations, COUNT(durations), &ms) && ms < INT64_MAX / 1000;
	(void)a; /* nothing to keep */
	int rc = check_number(
		row, ok, ms, 1000, text, "seconds, or a number with s, m, h or d", put_duration, e);
	if (rc < 0) { return rc; }
	int64_t us = (int64_t)ms * 1000;
	memcpy(at, &us, sizeof us);
	return 0;
}

static int check_str(const struct conf_row *row, struct str text, struct err *e)
{
	struct buf allowed = {0};
	if (memchr(text.p, '\0', text.n)) {
		return err_set(e, ERR_SYNTAX, "a NUL octet is not allowed");
	}
	if (text.n >= row->min && (!row->max || text.n <= row->max)) {
		if (text.n == 0 || !row->valid || row->valid(text)) { return 0; }
		buf_str(&allowed, str_of(row->form));
		return refuse(ERR_SYNTAX, text, "is not understood; allowed", &allowed, e);
	}
	put_range(row, 1, put_plain, &allowed);
	buf_str(&allowed, STR(" octets"));
	return refuse(
		ERR_LIMIT, text, text.n < row->min ? "is too short" : "is too long", &allowed, e);
}

static int set_str(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	int rc = check_str(row, text, e);
	if (rc < 0) { return rc; }
	struct str own = arena_dup(a, text);
	memcpy(at, &own, sizeof own);
	return 0;
}

static int set_choice(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	struct buf allowed = {0};
	(void)a; /* nothing to keep */
	for (int i = 0; row->choices[i]; i++) {
		if (str_ieq(text, str_of(row->choices[i]))) {
			memcpy(at, &i, sizeof i);
			buf_fini(&allowed);
			return 0;
		}
		buf_fmt(&allowed, "%s%s", i ? ", " : "", row->choices[i]);
	}
	return refuse(ERR_SYNTAX, text, "is not understood; allowed", &allowed, e);
}

/* --- lists: items by commas, a backslash protects the next octet --- */

/* Cut the next item off *text; false at the end. */
static bool next_item(struct str *text, struct arena *a, struct str *out)
{
	struct buf item = {0};
	if (text->n == 0) { return false; }
	size_t i = 0;
	for (; i < text->n && text->p[i] != ','; i++) {
		if (text->p[i] == '\\' && i + 1 < text->n) { i++; }
		buf_chr(&item, text->p[i]);
	}
	*text = str_skip(*text, i + 1);
	*out = arena_dup(a, str_trim(buf_view(&item)));
	buf_fini(&item);
	return true;
}

int conf_value_check_item(const struct conf_row *row, struct str item, size_t n, struct err *e)
{
	if (n > LIST_ITEMS_MAX) {
		return err_set(
			e, ERR_LIMIT, "is too long; at most %d items are allowed", LIST_ITEMS_MAX);
	}
	return item.n ? check_str(row, item, e) : err_set(e, ERR_SYNTAX, "has an empty item");
}

static int set_list(
	const struct conf_row *row, struct str text, struct arena *a, void *at, struct err *e)
{
	struct str left = text, one;
	struct conf_list list = {0};
	for (; next_item(&left, a, &one); list.n++) {
		int rc = conf_value_check_item(row, one, list.n + 1, e);
		if (rc < 0) { return rc; }
	}
	list.v = arena_array(a, list.n, sizeof *list.v);
	for (size_t i = 0; i < list.n; i++) { next_item(&text, a, &list.v[i]); }
	memcpy(at, &list, sizeof list);
	return 0;
}

int conf_value_set(
	const struct conf_row *row, struct str text, struct arena *a, void *base, struct err *e)
{
	static int (*const setters[])(
		const struct conf_row *, struct str, struct arena *, void *, struct err *) = {
		[CONF_BOOL] = set_bool,
		[CONF_INT] = set_int,
		[CONF_SIZE] = set_size,
		[CONF_DURATION] = set_duration,
		[CONF_STR] = set_str,
		[CONF_CHOICE] = set_choice,
		[CONF_LIST] = set_list,
	};
	return setters[row->type](row, text, a, (char *)base + row->offset, e);
}

/* --- back to text --- */

static void put_list(const struct conf_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->n; i++) {
		if (i) { buf_chr(out, ','); }
		for (size_t k = 0; k < list->v[i].n; k++) {
			char c = list->v[i].p[k];
			if (c == ',' || c == '\\') { buf_chr(out, '\\'); }
			buf_chr(out, c);
		}
	}
}

void conf_value_put(const struct conf_row *row, const void *base, struct buf *out)
{
	const char *at = (const char *)base + row->offset;
	uint64_t v;
	int i;
	struct str s;
	struct conf_list list;
	switch (row->type) {
	case CONF_BOOL: buf_str(out, *(const bool *)at ? STR("yes") : STR("no")); break;
	case CONF_INT:
		memcpy(&v, at, sizeof v);
		buf_u64(out, v);
		break;
	case CONF_SIZE:
		memcpy(&v, at, sizeof v);
		put_size(v, out);
		break;
	case CONF_DURATION:
		memcpy(&v, at, sizeof v);
		put_duration(v / 1000, out);
		break;
	case CONF_STR:
		memcpy(&s, at, sizeof s);
		buf_str(out, s);
		break;
	case CONF_CHOICE:
		memcpy(&i, at, sizeof i);
		buf_str(out, str_of(row->choices[i]));
		break;
	case CONF_LIST:
		memcpy(&list, at, sizeof list);
		put_list(&list, out);
		break;
	}
}
