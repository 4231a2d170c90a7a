/* The configuration: sections of rows, text lines for roles. The supervisor and commands load files
   (conf_file.c), roles unpack; nobody changes values in place. */
#include "lib/conf.h"

#include <stdio.h>

#include "lib/conf_private.h"

enum { WORDS_MAX = 200 };

/* --- life --- */

static void set_defaults(struct conf *c, size_t s)
{
	const struct conf_section *sec = c->sections[s];
	for (size_t i = 0; i < sec->n; i++) {
		struct err e;
		struct conf_row row = sec->rows[i];
		if (row.def[0] == '\0') { row.min = 0; } /* unset, even where a value has bounds */
		if (conf_value_set(&row, str_of(row.def), &c->arena, c->values[s], &e) < 0) {
			fprintf(stderr, "default of %s.%s: %s\n", sec->name, row.name, e.text);
			abort();
		}
	}
}

struct conf *conf_new(const struct conf_section *const *sections, size_t n)
{
	struct conf *c = xnew(struct conf);
	c->sections = xcalloc(n, sizeof *c->sections);
	c->values = xcalloc(n, sizeof *c->values);
	c->set = xcalloc(n, sizeof *c->set);
	c->n = n;
	for (size_t s = 0; s < n; s++) {
		c->sections[s] = sections[s];
		c->values[s] = xcalloc(1, sections[s]->size);
		c->set[s] = xcalloc(sections[s]->n, sizeof **c->set);
		set_defaults(c, s);
	}
	return c;
}

void conf_free(struct conf *c)
{
	if (!c) { return; }
	for (size_t s = 0; s < c->n; s++) {
		free(c->values[s]);
		free(c->set[s]);
	}
	arena_fini(&c->arena);
	free(c->set);
	free(c->sections);
	free(c->values);
	free(c);
}

void conf_adopt(struct conf *to, struct conf *from)
{
	struct arena old = to->arena;
	for (size_t s = 0; s < to->n; s++) {
		memcpy(to->values[s], from->values[s], to->sections[s]->size);
		memcpy(to->set[s], from->set[s], to->sections[s]->n * sizeof **to->set);
	}
	to->arena = from->arena;
	from->arena = old;
	conf_free(from);
}

const void *conf_get(const struct conf *c, const struct conf_section *sec)
{
	for (size_t s = 0; s < c->n; s++) {
		if (c->sections[s] == sec) { return c->values[s]; }
	}
	abort(); /* our own bug: a section that was not registered */
}

/* --- names --- */

const struct conf_row *conf_find_row(const struct conf_section *sec, struct str name)
{
	for (size_t i = 0; i < sec->n; i++) {
		if (str_eq(name, str_of(sec->rows[i].name))) { return &sec->rows[i]; }
	}
	return NULL;
}

size_t conf_find_section(const struct conf *c, struct str name)
{
	size_t s = 0;
	while (s < c->n && !str_eq(name, str_of(c->sections[s]->name))) { s++; }
	return s;
}

/* Edits that turn `a` into `b` (Levenshtein); anything long is far away. */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[CONF_NAME_SHOWN + 1];
	if (a.n > CONF_NAME_SHOWN || b.n > CONF_NAME_SHOWN) { return CONF_NAME_SHOWN; }
	for (unsigned j = 0; j <= b.n; j++) { row[j] = j; }
	for (size_t i = 0; i < a.n; i++) {
		unsigned corner = row[0];
		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < b.n; j++) {
			unsigned differs = ascii_lower(a.p[i]) != ascii_lower(b.p[j]);
			unsigned best = MIN(corner + differs, MIN(row[j], row[j + 1]) + 1);
			corner = row[j + 1];
			row[j + 1] = best;
		}
	}
	return row[b.n];
}

/* Collects the nearest of the names it is shown, and all of them for the case that none is near. */
struct guess {
	struct str wrong;
	const char *best;
	unsigned best_distance;
	struct buf all;
};

static void guess_show(struct guess *g, const char *name)
{
	unsigned d = distance(g->wrong, str_of(name));
	if (d < g->best_distance) {
		g->best = name;
		g->best_distance = d;
	}
	buf_fmt(&g->all, "%s%s", g->all.n ? ", " : "", name);
}

int conf_unknown_key(const struct conf *c, size_t s, struct str name, struct err *e)
{
	const char *in = s < c->n ? c->sections[s]->name : "";
	struct guess g = {.wrong = name, .best_distance = (unsigned)MIN(name.n / 2 + 1, 4)};
	for (size_t i = 0; s < c->n && i < c->sections[s]->n; i++) {
		guess_show(&g, c->sections[s]->rows[i].name);
	}
	for (size_t i = 0; !*in && i < c->n; i++) {
		if (*c->sections[i]->name) { guess_show(&g, c->sections[i]->name); }
	}
	const char *home = NULL;
	for (size_t i = 0; i < c->n && !home; i++) {
		if (conf_find_row(c->sections[i], name)) { home = c->sections[i]->name; }
	}
	int rc;
	struct str shown = str_sub(name, 0, CONF_NAME_SHOWN);
	if (home && *home) {
		rc = err_set(e, ERR_SYNTAX, "unknown here; %.*s belongs inside %s { }",
			STR_ARG(shown), home);
	} else if (home) {
		rc = err_set(e, ERR_SYNTAX, "unknown here; %.*s belongs outside of all sections",
			STR_ARG(shown));
	} else if (g.best) {
		rc = err_set(e, ERR_SYNTAX, "unknown; did you mean %s?", g.best);
	} else {
		struct str known = buf_view(&g.all);
		bool cut = known.n > WORDS_MAX;
		if (cut) { known = str_sub(known, 0, WORDS_MAX); }
		if (cut) { known = str_sub(known, 0, (size_t)str_rchr(known, ',')); }
		rc = err_set(e, ERR_SYNTAX, "unknown; known here: %.*s%s%s", STR_ARG(known),
			cut ? ", ...; posthouse help " : "",
			!cut  ? ""
			: *in ? in
			      : "--keys");
	}
	buf_fini(&g.all);
	return rc;
}

/* --- single values --- */

/* Prefix what went wrong with the key. */
static int about(struct err *e, int rc, struct str key)
{
	struct err inner = *e;
	return err_set(e, rc, "%.*s: %.*s", STR_ARG(str_sub(key, 0, 2 * CONF_NAME_SHOWN)), 300,
		inner.text);
}

void conf_mark(struct conf *c, size_t s, const struct conf_row *row)
{
	c->set[s][row - c->sections[s]->rows] = true;
}

/* "section.name", or a name of the top: its section, c->n when there is none. */
static size_t find_key(
	const struct conf *c, struct str key, struct str *section_out, struct str *name_out)
{
	*section_out = STR("");
	*name_out = key;
	if (str_chr(key, '.') >= 0) { str_cut(name_out, '.', section_out); }
	return conf_find_section(c, *section_out);
}

int conf_show(const struct conf *c, struct str key, struct buf *out, bool *set_out)
{
	struct str section, name;
	size_t s = find_key(c, key, &section, &name);
	const struct conf_row *row = s < c->n ? conf_find_row(c->sections[s], name) : NULL;
	if (!row) { return ERR_GONE; }
	conf_value_put(row, c->values[s], out);
	*set_out = c->set[s][row - c->sections[s]->rows];
	return 0;
}

int conf_set(struct conf *c, struct str key, struct str value, struct err *e)
{
	struct err own;
	struct str name, section;
	e = e ? e : &own;
	size_t s = find_key(c, key, &section, &name);
	const struct conf_row *row = s < c->n ? conf_find_row(c->sections[s], name) : NULL;
	int rc;
	if (row) {
		rc = conf_value_set(row, value, &c->arena, c->values[s], e);
		if (rc == 0) { conf_mark(c, s, row); }
	} else {
		rc = s < c->n ? conf_unknown_key(c, s, name, e)
			      : conf_unknown_key(c, c->n, section, e);
	}
	return rc < 0 ? about(e, rc, key) : 0;
}

/* --- lines for roles: key=value, with \n and \\ in values --- */

static void put_escaped(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\\') {
			buf_chr(out, '\\');
			buf_chr(out, s.p[i] == '\n' ? 'n' : '\\');
		} else {
			buf_chr(out, s.p[i]);
		}
	}
}

static void unescape(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		bool escaped = s.p[i] == '\\' && i + 1 < s.n;
		char c = s.p[i += escaped];
		buf_chr(out, escaped && c == 'n' ? '\n' : c);
	}
}

static void pack_row(const struct conf *c, size_t s, size_t i, struct buf *out)
{
	struct buf value = {0};
	const struct conf_section *sec = c->sections[s];
	buf_fmt(out, "%s%s%s=", sec->name, *sec->name ? "." : "", sec->rows[i].name);
	conf_value_put(&sec->rows[i], c->values[s], &value);
	put_escaped(buf_view(&value), out);
	buf_chr(out, '\n');
	buf_fini(&value);
}

void conf_pack(const struct conf *c, struct str owner, struct buf *out)
{
	for (size_t s = 0; s < c->n; s++) {
		const struct conf_section *sec = c->sections[s];
		bool owned = owner.n && str_eq(owner, str_of(sec->name));
		for (size_t i = 0; i < sec->n; i++) {
			if (!sec->rows[i].secret || owned) { pack_row(c, s, i, out); }
		}
	}
}

void conf_pack_at_start(const struct conf *c, struct buf *out)
{
	for (size_t s = 0; s < c->n; s++) {
		for (size_t i = 0; i < c->sections[s]->n; i++) {
			if (c->sections[s]->rows[i].at_start) { pack_row(c, s, i, out); }
		}
	}
}

int conf_unpack(struct conf *c, struct str in, struct err *e)
{
	struct conf *fresh = conf_new(c->sections, c->n);
	struct buf value = {0};
	struct str line, key;
	int rc = 0;
	while (rc == 0 && in.n) {
		bool ended = str_cut(&in, '\n', &line);
		buf_reset(&value);
		if (!ended || !str_cut(&line, '=', &key)) {
			rc = err_set(e, ERR_SYNTAX, "a packed configuration is cut off");
		} else {
			unescape(line, &value);
			rc = conf_set(fresh, key, buf_view(&value), e);
		}
	}
	buf_fini(&value);
	if (rc < 0) {
		conf_free(fresh);
		return rc;
	}
	conf_adopt(c, fresh);
	return 0;
}
