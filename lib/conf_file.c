/* A file of the configuration. libconfuse only cuts it into strings, as far as conf_text.c lets
   them through; what they mean is decided by the rows. */
#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf_private.h"

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

/* Stands behind the last line of every file: a section that is not closed swallows it, which
   libconfuse would let pass. */
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
	char key[CONF_NAME_SHOWN + 1] = "";
	static const char unknown[] = "no such option '";
	vsnprintf(e.text, sizeof e.text, fmt, ap);
	if (str_find(str_of(e.text), STR(END_MARK)) >= 0) {
		err_set(&e, ERR_SYNTAX, "the section is not closed: } is missing");
	} else if (strncmp(e.text, unknown, sizeof unknown - 1) == 0) {
		struct str name = str_of(e.text + sizeof unknown - 1);
		name = str_sub(name, 0, MIN(name.n - 1, CONF_NAME_SHOWN));
		memcpy(key, name.p, name.n);
		conf_unknown_key(loading->conf,
			conf_find_section(loading->conf, str_of(section_name(cfg))), str_of(key),
			&e);
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
	size_t s = conf_find_section(c, str_of(section_name(cfg)));
	const struct conf_row *row =
		s < c->n ? conf_find_row(c->sections[s], str_of(opt->name)) : NULL;
	struct err e = {0};
	int rc = 0;
	if (!row) { /* "section|key", as libconfuse would have it */
		rc = conf_unknown_key(c, s, str_of(opt->name), &e);
		complain(cfg, rc, opt->name, &e);
		return rc;
	}
	for (size_t i = 0; i < loading->seen_n; i++) {
		if (loading->seen[i] == row) { rc = err_set(&e, ERR_SYNTAX, "is set twice"); }
	}
	if (row->type != CONF_LIST) { loading->seen[loading->seen_n++] = row; }
	struct str text = str_of(opt->nvalues ? opt->values[opt->nvalues - 1]->string : "");
	if (rc == 0 && row->type == CONF_LIST) {
		rc = conf_value_check_item(row, str_trim(text), opt->nvalues, &e);
	} else if (rc == 0) {
		rc = conf_value_set(row, text, &c->arena, c->values[s], &e);
	}
	if (rc < 0) { complain(cfg, rc, row->name, &e); }
	conf_mark(c, s, row);
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
static void set_lists(cfg_t *in, struct conf *c, size_t s)
{
	const struct conf_section *sec = c->sections[s];
	for (size_t i = 0; i < sec->n; i++) {
		if (sec->rows[i].type != CONF_LIST) { continue; }
		const cfg_opt_t *opt = cfg_getopt(in, sec->rows[i].name);
		struct conf_list list = {.n = opt->nvalues};
		if (opt->nvalues == 0 && !(opt->flags & CFGF_RESET)) { continue; }
		list.v = arena_array(&c->arena, list.n, sizeof *list.v);
		for (size_t k = 0; k < list.n; k++) {
			struct str item = str_trim(str_of(opt->values[k]->string));
			list.v[k] = arena_dup(&c->arena, item);
		}
		memcpy((char *)c->values[s] + sec->rows[i].offset, &list, sizeof list);
		conf_mark(c, s, &sec->rows[i]);
	}
}

/* The } of a section. Where it stands a second time, libconfuse forgets the first. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)cfg;
	struct conf *c = loading->conf;
	set_lists(cfg_opt_getnsec(opt, 0), c, conf_find_section(c, str_of(opt->name)));
	return 0;
}

/* Where libconfuse stopped: it counts on in the innermost section. */
static int last_line(cfg_t *cfg, const struct conf *c)
{
	int line = cfg->line;
	for (size_t s = 0; s < c->n; s++) {
		const cfg_t *in =
			*c->sections[s]->name ? cfg_getsec(cfg, c->sections[s]->name) : NULL;
		line = in ? MAX(line, in->line) : line;
	}
	return MIN(line, loading->lines);
}

/* The only thing that libconfuse refuses without a word is an empty name. */
static void parse(struct conf *c, const char *text)
{
	static const struct conf_section none = {.name = ""};
	size_t top_at = conf_find_section(c, STR("")), rows = 0;
	const struct conf_section *top = top_at < c->n ? c->sections[top_at] : &none;
	cfg_opt_t *opts = options_of(top, c->n + 1), **subs = xcalloc(c->n, sizeof(cfg_opt_t *));
	size_t at = top->n;
	for (size_t s = 0; s < c->n; s++) {
		rows += c->sections[s]->n;
		if (s == top_at) { continue; }
		subs[s] = options_of(c->sections[s], 0);
		opts[at] = (cfg_opt_t)CFG_SEC(c->sections[s]->name, subs[s], CFGF_NONE);
		opts[at++].validcb = on_section;
	}
	opts[at] = (cfg_opt_t)CFG_STR(END_MARK, NULL, CFGF_NODEFAULT);
	opts[at++].validcb = on_end;
	opts[at] = (cfg_opt_t)CFG_END();
	loading->seen = xcalloc(rows + 1, sizeof *loading->seen);
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	cfg_set_error_function(cfg, on_error);
	bool ok = cfg_parse_buf(cfg, text) == CFG_SUCCESS && loading->ended;
	if (!ok && !loading->rc) {
		loading->rc = err_set(loading->e, ERR_SYNTAX, "%s:%d: \"\" is no name",
			loading->path, last_line(cfg, c));
	}
	if (ok && top_at < c->n) { set_lists(cfg, c, top_at); }
	cfg_free(cfg);
	free(loading->seen);
	for (size_t s = 0; s < c->n; s++) { free(subs[s]); }
	free(subs);
	free(opts);
}

static int too_large(const char *path, struct err *e)
{
	return err_set(e, ERR_LIMIT, "%s: larger than %d KB; is it the right file?", path,
		CONF_FILE_MAX / 1024);
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
		 : st.st_size > CONF_FILE_MAX ? too_large(path, e)
					      : 0;
	while (rc == 0) { /* a pipe has no size */
		ssize_t got = read(fd, buf_reserve(out, 16384), 16384);
		if (got < 0) { rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno)); }
		if (got <= 0) { break; }
		buf_grow(out, (size_t)got);
		if (out->n > CONF_FILE_MAX) { rc = too_large(path, e); }
	}
	close(fd);
	return rc;
}

int conf_read(struct conf *c, const char *path, struct str octets, struct err *e)
{
	struct buf text = {0};
	struct err own;
	struct load load = {.path = path, .e = e ? e : &own};
	load.conf = conf_new(c->sections, c->n);
	if (octets.n > CONF_FILE_MAX) {
		load.rc = too_large(path, load.e);
	} else {
		buf_str(&text, octets);
		load.rc = conf_text_prepare(path, &text, load.e);
	}
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
		conf_adopt(c, load.conf);
	} else {
		conf_free(load.conf);
	}
	return load.rc;
}

int conf_load(struct conf *c, const char *path, struct err *e)
{
	struct buf text = {0};
	struct err own;
	e = e ? e : &own;
	int rc = read_file(path, &text, e);
	if (rc == 0) { rc = conf_read(c, path, buf_view(&text), e); }
	buf_fini(&text);
	return rc;
}
