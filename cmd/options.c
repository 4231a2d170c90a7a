/* Reading the command line. */
#include "cmd/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int command_fail(const struct command *c, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "posthouse %s: ", c->name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return status;
}

int command_status(int rc)
{
	switch (rc) {
	case 0: return EX_OK;
	case ERR_SYNTAX:
	case ERR_LIMIT: return EX_USAGE;
	case ERR_GONE:
	case ERR_EXISTS: return EX_DATAERR;
	case ERR_DENIED: return EX_NOPERM;
	case ERR_AGAIN:
	case ERR_INUSE: return EX_TEMPFAIL;
	case ERR_IO:
	case ERR_FULL: return EX_IOERR;
	default: return EX_SOFTWARE;
	}
}

void command_usage(const struct command *c, bool with_options)
{
	printf("posthouse %s%s%s\n    %s\n", c->name, *c->arguments ? " " : "", c->arguments,
		c->summary);
	for (size_t i = 0; with_options && i < c->options_n; i++) {
		const struct option_row *o = &c->options[i];
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		printf("      %-22s %s\n", left, o->help);
	}
}

static const struct option_row *find(const struct command *c, struct str name)
{
	for (size_t i = 0; i < c->options_n; i++) {
		if (str_eq(name, str_of(c->options[i].name))) { return &c->options[i]; }
	}
	return NULL;
}

static int take_value(
	const struct command *c, const struct option_row *o, const char *value, void *out)
{
	char *at = (char *)out + o->offset;
	uint64_t port;
	switch (o->kind) {
	case OPTION_STR: memcpy(at, &value, sizeof value); return 0;
	case OPTION_PORT:
		if (!str_u64(str_of(value), 65535, &port) || port == 0) {
			command_fail(c, 0, "--%s: '%s' is not a port (1 to 65535)", o->name, value);
			return ERR_SYNTAX;
		}
		memcpy(at, &(uint16_t){(uint16_t)port}, sizeof(uint16_t));
		return 0;
	default: {
		struct option_list *l = (void *)at;
		const char **more = realloc(l->v, (l->n + 1) * sizeof *more);
		if (!more) { abort(); }
		more[l->n++] = value;
		l->v = more;
		return 0;
	}
	}
}

/* One option at argv[i]; the index behind it, or ERR_SYNTAX. */
static int take_option(const struct command *c, int argc, char **argv, int i, void *out)
{
	struct str value = str_of(argv[i] + 2), name;
	bool glued = str_cut(&value, '=', &name);
	const struct option_row *o = find(c, name);
	if (!o) {
		command_fail(c, 0, "there is no option --%.*s; see: posthouse help %s",
			STR_ARG(name), c->name);
		return ERR_SYNTAX;
	}
	if (o->kind == OPTION_FLAG) {
		if (glued) {
			command_fail(c, 0, "--%s takes no value", o->name);
			return ERR_SYNTAX;
		}
		*((char *)out + o->offset) = 1;
		return i + 1;
	}
	if (!glued && i + 1 == argc) {
		command_fail(c, 0, "--%s needs a value: %s", o->name, o->value);
		return ERR_SYNTAX;
	}
	int rc = take_value(c, o, glued ? value.p : argv[i + 1], out);
	return rc < 0 ? rc : i + (glued ? 1 : 2);
}

int options_read(const struct command *c, int argc, char **argv, void *out, const char **args)
{
	int n = 0;
	bool ended = false;
	for (int i = 0; i < argc;) {
		if (!ended && strcmp(argv[i], "--") == 0) {
			ended = true;
			i++;
		} else if (!ended && argv[i][0] == '-' && argv[i][1] == '-') {
			i = take_option(c, argc, argv, i, out);
			if (i < 0) { return i; }
		} else if (!ended && argv[i][0] == '-' && argv[i][1]) {
			command_fail(c, 0, "options are written --name; what is '%s'?", argv[i]);
			return ERR_SYNTAX;
		} else if (n == ARGS_MAX) {
			command_fail(c, 0, "too many arguments");
			return ERR_SYNTAX;
		} else {
			args[n++] = argv[i++];
		}
	}
	return n;
}

void options_free(const struct command *c, void *out)
{
	for (size_t i = 0; i < c->options_n; i++) {
		if (c->options[i].kind != OPTION_LIST) { continue; }
		struct option_list *l = (void *)((char *)out + c->options[i].offset);
		free(l->v);
		*l = (struct option_list){0};
	}
}
