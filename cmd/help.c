/* posthouse help: commands with their options, keys of the configuration with what they take. */
#include <stdio.h>
#include <sysexits.h>

#include "cmd/commands.h"
#include "cmd/roles.h"
#include "lib/wire.h"

struct help {
	bool json, keys;
};

static const struct option_row options[] = {
	{"keys", OPTION_FLAG, offsetof(struct help, keys), NULL,
		"all keys of the configuration instead"},
	{"json", OPTION_FLAG, offsetof(struct help, json), NULL, "all commands and keys as JSON"},
};

/* --- commands --- */

const struct command *command_by_name(const char *name)
{
	for (size_t i = 0; i < commands_n; i++) {
		if (strcmp(commands[i]->name, name) == 0) { return commands[i]; }
	}
	return NULL;
}

/* The command whose name shares the longest start with what was typed. */
static const char *nearest(const char *typed)
{
	const char *best = NULL;
	size_t most = 0;
	for (size_t i = 0; i < commands_n; i++) {
		size_t n = 0;
		while (typed[n] && typed[n] == commands[i]->name[n]) { n++; }
		if (!commands[i]->hidden && n > most) {
			most = n;
			best = commands[i]->name;
		}
	}
	return best;
}

int command_unknown(const char *name)
{
	const char *near = nearest(name);
	fprintf(stderr, "posthouse: there is no command '%s'", name);
	if (near) { fprintf(stderr, "; did you mean '%s'?", near); }
	fprintf(stderr, "\nposthouse help lists them all.\n");
	return EX_USAGE;
}

static int all_commands(void)
{
	printf("posthouse - an all-in-one mail server\n\n");
	for (size_t i = 0; i < commands_n; i++) {
		if (!commands[i]->hidden) {
			printf("  posthouse %-8s %s\n", commands[i]->name, commands[i]->summary);
		}
	}
	printf("\nposthouse help COMMAND tells its options, posthouse help KEY what a key of the "
	       "configuration\ntakes. Manual: posthouse(8), posthouse.conf(5).\n");
	return EX_OK;
}

/* --- keys --- */

static void print_key(const struct conf_section *s, const struct conf_row *row)
{
	struct buf takes = {0};
	conf_row_takes(row, &takes);
	printf("%s%s%s = %s\n    (%.*s)\n    %s%s\n", s->name, *s->name ? "." : "", row->name,
		*row->def ? row->def : "\"\"", STR_ARG(buf_view(&takes)), row->help,
		row->at_start ? " A change needs a restart." : "");
	buf_fini(&takes);
}

/* The keys whose name is `about`, "section" or "section.key"; all for NULL. Answers how many. */
static int print_keys(const char *about)
{
	struct str name = str_of(about ? about : ""), section;
	bool dotted = str_chr(name, '.') >= 0;
	int n = 0;
	if (!dotted || !str_cut(&name, '.', &section)) { section = STR(""); }
	for (size_t s = 0; s < conf_sections_n; s++) {
		const struct conf_section *sec = conf_sections[s];
		bool here = !about || (!dotted && str_eq(name, str_of(sec->name)));
		for (size_t i = 0; i < sec->n; i++) {
			bool same = str_eq(section, str_of(sec->name)) &&
				    str_eq(name, str_of(sec->rows[i].name));
			if (!here && !same) { continue; }
			print_key(sec, &sec->rows[i]);
			n++;
		}
	}
	return n;
}

/* Told with the key that may have been meant. */
static int key_unknown(const struct command *c, const char *key)
{
	struct conf *conf = roles_conf_new();
	struct err e = {0};
	int rc = conf_set(conf, str_of(key), STR(""), &e);
	assert(rc < 0);
	conf_free(conf);
	return command_fail(c, rc < 0 ? EX_USAGE : EX_SOFTWARE, "%s", e.text);
}

/* --- JSON, from which etc/manual makes the manual pages --- */

static void json_command(const struct command *c, struct buf *out)
{
	buf_str(out, STR("{"));
	json_member("name", str_of(c->name), out);
	json_member("arguments", str_of(c->arguments), out);
	json_member("summary", str_of(c->summary), out);
	buf_str(out, STR(",\"options\":["));
	for (size_t i = 0; i < c->options_n; i++) {
		const struct option_row *o = &c->options[i];
		buf_str(out, i ? STR(",{") : STR("{"));
		json_member("name", str_of(o->name), out);
		json_member("value", str_of(o->value ? o->value : ""), out);
		json_member("help", str_of(o->help), out);
		buf_fmt(out, ",\"repeatable\":%s}", o->kind == OPTION_LIST ? "true" : "false");
	}
	buf_str(out, STR("]}"));
}

static void json_key(const struct conf_section *s, const struct conf_row *row, struct buf *out)
{
	struct buf takes = {0};
	conf_row_takes(row, &takes);
	buf_str(out, STR("{"));
	json_member("section", str_of(s->name), out);
	json_member("name", str_of(row->name), out);
	json_member("takes", buf_view(&takes), out);
	json_member("default", str_of(row->def), out);
	json_member("help", str_of(row->help), out);
	buf_fmt(out, ",\"at_start\":%s,\"secret\":%s}", row->at_start ? "true" : "false",
		row->secret ? "true" : "false");
	buf_fini(&takes);
}

static int print_json(void)
{
	struct buf out = {0};
	bool first = true;
	buf_str(&out, STR("{\"commands\":["));
	for (size_t i = 0; i < commands_n; i++) {
		if (commands[i]->hidden) { continue; }
		buf_str(&out, first ? STR("\n") : STR(",\n"));
		json_command(commands[i], &out);
		first = false;
	}
	buf_str(&out, STR("],\n\"keys\":["));
	first = true;
	for (size_t s = 0; s < conf_sections_n; s++) {
		for (size_t i = 0; i < conf_sections[s]->n; i++) {
			buf_str(&out, first ? STR("\n") : STR(",\n"));
			json_key(conf_sections[s], &conf_sections[s]->rows[i], &out);
			first = false;
		}
	}
	printf("%.*s]}\n", STR_ARG(buf_view(&out)));
	buf_fini(&out);
	return EX_OK;
}

/* --- the command --- */

static int run(const struct command *c, int argc, char **argv)
{
	struct help h = {0};
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &h, args);
	if (n < 0) { return EX_USAGE; }
	if (h.json) { return print_json(); }
	if (h.keys) { return print_keys(NULL) ? EX_OK : EX_SOFTWARE; }
	if (n == 0) { return all_commands(); }
	const struct command *about = command_by_name(args[0]);
	if (about && !about->hidden) { command_usage(about, true); }
	if (print_keys(args[0]) || (about && !about->hidden)) { return EX_OK; }
	return strchr(args[0], '.') ? key_unknown(c, args[0]) : command_unknown(args[0]);
}

const struct command command_help = {.name = "help",
	.arguments = "[COMMAND | SECTION | KEY]",
	.summary = "These lines, the options of one command, or what a key takes.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
