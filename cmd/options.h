/* Long options of a command, from a table. */
#pragma once

#include "lib/lib.h"

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_STR,  /* const char * */
	OPTION_PORT, /* uint16_t, 1..65535 */
	OPTION_LIST  /* struct option_list: may be repeated */
};

struct option_list {
	const char **v;
	size_t n;
};

struct option_row {
	const char *name; /* without "--" */
	enum option_kind kind;
	size_t offset;     /* in the struct to fill */
	const char *value; /* name of the value in the help, NULL for flags */
	const char *help;
};

struct command {
	const char *name;
	const char *arguments; /* as in the synopsis: "add ADDRESS | list" */
	const char *summary;   /* one sentence */
	int (*run)(
		const struct command *c, int argc, char **argv); /* argv[0]: the first argument */
	const struct option_row *options;
	size_t options_n;
	bool hidden;
};

enum { ARGS_MAX = 1024 };

/* Read argv (without the command's name) into `out`, a struct that the rows describe; what is no
   option goes to `args` (ARGS_MAX pointers). "--" ends the options. Answers how many arguments, or
   ERR_SYNTAX after having told the user what is wrong. */
int options_read(const struct command *c, int argc, char **argv, void *out, const char **args);
/* Free what options_read allocated in lists. */
void options_free(const struct command *c, void *out);
void command_usage(const struct command *c, bool with_options);
/* Tell the user (stderr): "posthouse NAME: text". Answers `status`, an exit code of sysexits(3). */
int command_fail(const struct command *c, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Exit code for an ERR_*. */
int command_status(int rc);
