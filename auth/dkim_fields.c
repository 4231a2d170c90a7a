/* Which header fields are hashed for a DKIM signature: from the bottom of the header upward, each
   once (RFC 6376 5.4.2). Only these come near libopendkim, so ten thousand others cost nothing
   there. */
#include "auth/dkim_private.h"
#include "lib/head.h"

enum { NAME_MAX_OCTETS = 255 }; /* the longest that h= can name */

static struct dkim_named *find(const struct dkim_verify *v, struct str name)
{
	char lower[NAME_MAX_OCTETS];
	if (name.n == 0 || name.n > sizeof lower) { return NULL; }
	for (size_t i = 0; i < name.n; i++) { lower[i] = ascii_lower(name.p[i]); }
	return map_get(&v->named, str_make(lower, name.n));
}

static struct dkim_named *add(struct dkim_verify *v, struct str name)
{
	struct dkim_named *f = find(v, name);
	if (f) { return f; }
	f = arena_new(&v->arena, struct dkim_named);
	char *lower = arena_alloc(&v->arena, name.n);
	for (size_t i = 0; i < name.n; i++) { lower[i] = ascii_lower(name.p[i]); }
	f->name = str_make(lower, name.n);
	map_put(&v->named, f->name, f);
	return f;
}

static void forget_use(struct dkim_verify *v, const struct dkim_signature *s)
{
	for (size_t i = 0; i < s->fields_n; i++) { find(v, s->fields[i])->used = 0; }
}

static void want(struct dkim_verify *v, const struct dkim_signature *s)
{
	for (size_t i = 0; i < s->fields_n; i++) {
		struct dkim_named *f = add(v, s->fields[i]);
		size_t more = str_eq(f->name, STR("dkim-signature")); /* its own is left out */
		f->want = MAX(f->want, ++f->used + more);
	}
	forget_use(v, s);
}

/* libopendkim stops at a NUL and takes more than blanks for white space; a CR or LF that folds
   nothing means something else to everybody. */
static bool damaged(struct str field)
{
	for (size_t i = 0; i < field.n; i++) {
		char c = field.p[i];
		if (c == '\0' || c == '\v' || c == '\f') { return true; }
		if (c == '\r' && (i + 1 == field.n || field.p[i + 1] != '\n')) { return true; }
		if (c == '\n' && (i == 0 || field.p[i - 1] != '\r')) { return true; }
	}
	return false;
}

static void keep(struct dkim_verify *v, struct dkim_named *f, struct str field)
{
	if (!f->field) { f->field = arena_array(&v->arena, f->want, sizeof *f->field); }
	bool whole = str_ends(field, STR("\r\n"));
	field.n -= whole ? 2 : 0;
	f->damaged |= !whole || damaged(field);
	f->field[f->have++ % f->want] = field;
}

static void reverse(struct str *field, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct str s = field[i];
		field[i] = field[n - 1 - i];
		field[n - 1 - i] = s;
	}
}

/* A ring that was filled `have` times becomes a list, the oldest first. */
static void settle(struct dkim_named *f)
{
	if (f->have > f->want) {
		size_t oldest = f->have % f->want;
		reverse(f->field, oldest);
		reverse(f->field + oldest, f->want - oldest);
		reverse(f->field, f->want);
		f->have = f->want;
	}
}

static void refuse_damaged(struct dkim_verify *v, struct dkim_work *w)
{
	const struct dkim_signature *s = &w->signature;
	for (size_t i = 0; i < s->fields_n && w->open; i++) {
		const struct dkim_named *f = find(v, s->fields[i]);
		if (f->damaged) {
			dkim_decide(w, DKIM_RESULT_NEUTRAL,
				arena_fmt(&v->arena,
					"the signed field %.*s holds octets that no field may hold",
					STR_ARG(f->name)));
		}
	}
}

void dkim_fields_gather(struct dkim_verify *v, struct str header)
{
	struct head_field field;
	struct dkim_named *f;
	size_t at = 0;
	for (size_t i = 0; i < v->work_n; i++) {
		if (v->work[i].open) { want(v, &v->work[i].signature); }
	}
	while (v->named.n && head_next(&header, &field)) {
		f = find(v, field.name);
		if (f) { keep(v, f, field.whole); }
	}
	while ((f = map_next(&v->named, &at, NULL))) { settle(f); }
	for (size_t i = 0; i < v->work_n; i++) {
		if (v->work[i].open) { refuse_damaged(v, &v->work[i]); }
	}
}

bool dkim_fields_next(struct dkim_verify *v, const struct dkim_work *w, size_t *at, struct str *out)
{
	const struct dkim_signature *s = &w->signature;
	if (*at == 0) { forget_use(v, s); }
	while (*at < s->fields_n) {
		struct dkim_named *f = find(v, s->fields[(*at)++]);
		while (f->used < f->have) {
			*out = f->field[f->have - ++f->used];
			if (out->p != w->field.p) { return true; }
		}
	}
	return false;
}
