/* The configuration: sections of rows, a file in libconfuse's grammar, text lines for roles. The
   supervisor and commands load files, roles unpack; nobody changes values in place. libconfuse only
   cuts the file into strings; what they mean is decided by the rows. */
#include "lib/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf_private.h"

enum { FILE_MAX = 1024 * 1024, NAME_MAX_OCTETS = 40, WORDS_MAX = 200 };

struct conf {
	const struct conf_section **sections;
	void **values; /* the C struct of each section */
	bool **set;    /* per section and row: not left at its default */
	size_t n;
	struct arena arena; /* strings and lists */
};

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

/* Values of `from` into `to`, whose structs keep their addresses; frees `from`. */
static void adopt(struct conf *to, struct conf *from)
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

static const struct conf_row *find_row(const struct conf_section *sec, struct str name)
{
	for (size_t i = 0; i < sec->n; i++) {
		if (str_eq(name, str_of(sec->rows[i].name))) { return &sec->rows[i]; }
	}
	return NULL;
}

/* The index of a section, or c->n. */
static size_t find_section(const struct conf *c, struct str name)
{
	size_t s = 0;
	while (s < c->n && !str_eq(name, str_of(c->sections[s]->name))) { s++; }
	return s;
}

/* Edits that turn `a` into `b` (Levenshtein); anything long is far away. */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[NAME_MAX_OCTETS + 1];
	if (a.n > NAME_MAX_OCTETS || b.n > NAME_MAX_OCTETS) { return NAME_MAX_OCTETS; }
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

static int unknown_key(const struct conf *c, size_t s, struct str name, struct err *e)
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
		if (find_row(c->sections[i], name)) { home = c->sections[i]->name; }
	}
	int rc;
	struct str shown = str_sub(name, 0, NAME_MAX_OCTETS);
	if (home && *home) {
		rc = err_set(e, ERR_SYNTAX, "unknown here; %.*s belongs inside %s { }",
			STR_ARG(shown), home);
	} else if (home) {
		rc = err_set(e, ERR_SYNTAX, "unknown here; %.*s belongs outside of all sections",
			STR_ARG(shown));
	} else if (g.best) {
		rc = err_set(e, ERR_SYNTAX, "unknown; did you mean %s?", g.best);
	} else {
		rc = err_set(e, ERR_SYNTAX, "unknown; known here: %.*s",
			STR_ARG(str_sub(buf_view(&g.all), 0, WORDS_MAX)));
	}
	buf_fini(&g.all);
	return rc;
}

/* --- single values --- */

/* Prefix what went wrong with the key. */
static int about(struct err *e, int rc, struct str key)
{
	struct err inner = *e;
	return err_set(e, rc, "%.*s: %.*s", STR_ARG(str_sub(key, 0, 2 * NAME_MAX_OCTETS)), 300,
		inner.text);
}

static void mark(struct conf *c, size_t s, const struct conf_row *row)
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
	return find_section(c, *section_out);
}

int conf_show(const struct conf *c, struct str key, struct buf *out, bool *set_out)
{
	struct str section, name;
	size_t s = find_key(c, key, &section, &name);
	const struct conf_row *row = s < c->n ? find_row(c->sections[s], name) : NULL;
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
	const struct conf_row *row = s < c->n ? find_row(c->sections[s], name) : NULL;
	int rc;
	if (row) {
		rc = conf_value_set(row, value, &c->arena, c->values[s], e);
		if (rc == 0) { mark(c, s, row); }
	} else {
		rc = s < c->n ? unknown_key(c, s, name, e) : unknown_key(c, c->n, section, e);
	}
	return rc < 0 ? about(e, rc, key) : 0;
}

/* --- files --- */

/* libconfuse calls back without a context of ours. A process loads one file at a time. */
struct load {
	struct conf *conf; /* the fresh one */
	const char *path;
	struct err *e;
	int rc;
	const struct conf_row **seen; /* to refuse a second time */
	size_t seen_n;
	int lines;
	bool ended; /* the last line was read where it should be */
};

static _Thread_local struct load *loading;

/* Stands behind the last line of every file: a section, comment or string that is not closed
   swallows it, which libconfuse would let pass. */
#define END_MARK "__end"

static const char *section_name(const cfg_t *cfg)
{
	return strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
}

/* The first complaint stands, with its place in front. */
static void complain(cfg_t *cfg, int rc, const char *key, const struct err *what)
{
	if (loading->rc) { return; }
	loading->rc = rc;
	const char *section = section_name(cfg);
	err_set(loading->e, rc, "%s:%d: %s%s%s%s%.*s", loading->path,
		MIN(cfg->line, loading->lines), section, *section && *key ? "." : "", key,
		*section || *key ? ": " : "", 300, what->text);
}

/* libconfuse's own errors: syntax and unknown names. */
static __attribute__((format(printf, 2, 0))) void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct err e;
	char key[NAME_MAX_OCTETS + 1] = "";
	static const char unknown[] = "no such option '";
	vsnprintf(e.text, sizeof e.text, fmt, ap);
	if (str_find(str_of(e.text), STR(END_MARK)) >= 0) {
		err_set(&e, ERR_SYNTAX, "the section is not closed: } is missing");
	} else if (strncmp(e.text, unknown, sizeof unknown - 1) == 0) {
		struct str name = str_of(e.text + sizeof unknown - 1);
		name = str_sub(name, 0, MIN(name.n - 1, NAME_MAX_OCTETS));
		memcpy(key, name.p, name.n);
		unknown_key(loading->conf, find_section(loading->conf, str_of(section_name(cfg))),
			str_of(key), &e);
	}
	complain(cfg, ERR_SYNTAX, key, &e);
}

static int on_end(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)cfg, (void)opt; /* that it came is all */
	loading->ended = true;
	return 0;
}

/* A key has its value: check it while the line is known. Lists come here with each new
   item, may be set again (+= appends) and are taken over by set_lists. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct conf *c = loading->conf;
	size_t s = find_section(c, str_of(section_name(cfg)));
	const struct conf_row *row = find_row(c->sections[s], str_of(opt->name));
	struct err e = {0};
	int rc = 0;
	for (size_t i = 0; i < loading->seen_n; i++) {
		if (loading->seen[i] == row) { rc = err_set(&e, ERR_SYNTAX, "is set twice"); }
	}
	if (row->type != CONF_LIST) { loading->seen[loading->seen_n++] = row; }
	struct str text = str_of(opt->nvalues ? opt->values[opt->nvalues - 1]->string : "");
	if (rc == 0 && row->type == CONF_LIST) {
		rc = conf_value_check_item(row, text, opt->nvalues, &e);
	} else if (rc == 0) {
		rc = conf_value_set(row, text, &c->arena, c->values[s], &e);
	}
	if (rc < 0) { complain(cfg, rc, row->name, &e); }
	mark(c, s, row);
	return rc;
}

/* libconfuse's tables, made from the rows: options of the top first, then one section each. */
static cfg_opt_t *options_of(const struct conf_section *sec, size_t more)
{
	cfg_opt_t *opts = xcalloc(sec->n + more + 1, sizeof *opts);
	for (size_t i = 0; i < sec->n; i++) {
		bool list = sec->rows[i].type == CONF_LIST;
		opts[i] = list ? (cfg_opt_t)CFG_STR_LIST(sec->rows[i].name, NULL, CFGF_NODEFAULT)
			       : (cfg_opt_t)CFG_STR(sec->rows[i].name, NULL, CFGF_NODEFAULT);
		opts[i].validcb = on_value;
	}
	opts[sec->n + more] = (cfg_opt_t)CFG_END();
	return opts;
}

/* Lists as a whole, checked already. `key = {}` passes on_value by, but libconfuse leaves a mark:
   to be reset, and no value followed. */
static void set_lists(cfg_t *cfg, struct conf *c, size_t s)
{
	const struct conf_section *sec = c->sections[s];
	cfg_t *in = *sec->name ? cfg_getsec(cfg, sec->name) : cfg;
	for (size_t i = 0; in && i < sec->n; i++) {
		if (sec->rows[i].type != CONF_LIST) { continue; }
		const cfg_opt_t *opt = cfg_getopt(in, sec->rows[i].name);
		struct conf_list list = {.n = opt->nvalues};
		if (opt->nvalues == 0 && !(opt->flags & CFGF_RESET)) { continue; }
		list.v = arena_array(&c->arena, list.n, sizeof *list.v);
		for (size_t k = 0; k < list.n; k++) {
			list.v[k] = arena_dup(&c->arena, str_of(opt->values[k]->string));
		}
		memcpy((char *)c->values[s] + sec->rows[i].offset, &list, sizeof list);
		mark(c, s, &sec->rows[i]);
	}
}

static void parse(struct conf *c, const char *text)
{
	static const struct conf_section none = {.name = ""};
	size_t top_at = find_section(c, STR("")), rows = 0;
	const struct conf_section *top = top_at < c->n ? c->sections[top_at] : &none;
	cfg_opt_t *opts = options_of(top, c->n + 1), **subs = xcalloc(c->n, sizeof(cfg_opt_t *));
	size_t at = top->n;
	for (size_t s = 0; s < c->n; s++) {
		rows += c->sections[s]->n;
		if (s == top_at) { continue; }
		subs[s] = options_of(c->sections[s], 0);
		opts[at++] = (cfg_opt_t)CFG_SEC(c->sections[s]->name, subs[s], CFGF_NONE);
	}
	opts[at] = (cfg_opt_t)CFG_STR(END_MARK, NULL, CFGF_NODEFAULT);
	opts[at++].validcb = on_end;
	opts[at] = (cfg_opt_t)CFG_END();
	loading->seen = xcalloc(rows + 1, sizeof *loading->seen);
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	cfg_set_error_function(cfg, on_error);
	bool ok = cfg_parse_buf(cfg, text) == CFG_SUCCESS && loading->ended;
	if (!ok && !loading->rc) {
		loading->rc = err_set(loading->e, ERR_SYNTAX,
			"%s: a comment or a string is not closed", loading->path);
	}
	for (size_t s = 0; ok && s < c->n; s++) { set_lists(cfg, c, s); }
	cfg_free(cfg);
	free(loading->seen);
	for (size_t s = 0; s < c->n; s++) { free(subs[s]); }
	free(subs);
	free(opts);
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int rc = errno == ENOENT ? ERR_GONE : ERR_IO;
		if (fd >= 0) { close(fd); }
		return err_set(e, rc, "%s: %s", path, strerror(errno));
	}
	int rc = S_ISDIR(st.st_mode) ? err_set(e, ERR_IO, "%s: is a directory, not a file", path)
				     : 0;
	while (rc == 0) {
		ssize_t got = read(fd, buf_reserve(out, 16384), 16384);
		if (got < 0) { rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno)); }
		if (got <= 0) { break; }
		buf_grow(out, (size_t)got);
		if (out->n > FILE_MAX) {
			rc = err_set(
				e, ERR_LIMIT, "%s: larger than 1 MB; is it the right file?", path);
		}
	}
	close(fd);
	ptrdiff_t nul = rc == 0 ? str_chr(buf_view(out), '\0') : -1;
	return nul < 0 ? rc
		       : err_set(e, ERR_SYNTAX, "%s: has a NUL octet at offset %td", path, nul);
}

int conf_load(struct conf *c, const char *path, struct err *e)
{
	struct buf text = {0};
	struct err own;
	struct load load = {.path = path, .e = e ? e : &own};
	load.rc = read_file(path, &text, load.e);
	load.conf = conf_new(c->sections, c->n);
	if (load.rc == 0) {
		for (size_t i = 0; i < text.n; i++) {
			load.lines += text.p[i] == '\n' || i + 1 == text.n;
		}
		buf_str(&text, STR("\n" END_MARK " = yes\n"));
		loading = &load;
		parse(load.conf, buf_cstr(&text));
		loading = NULL;
	}
	buf_fini(&text);
	if (load.rc == 0) {
		adopt(c, load.conf);
	} else {
		conf_free(load.conf);
	}
	return load.rc;
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
	adopt(c, fresh);
	return 0;
}
