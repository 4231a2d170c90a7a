/* posthouse fsck: check the store, and mend it. */
#include <stdio.h>
#include <sysexits.h>

#include "cmd/admin.h"
#include "cmd/commands.h"

struct fsck_options {
	struct admin_options admin;
	bool repair;
};
static const struct option_row options[] = {
	ADMIN_OPTIONS(fsck_options),
	{"repair", OPTION_FLAG, offsetof(struct fsck_options, repair), NULL,
		"mend what is found; the server must not run"},
};

static void report(void *ctx, struct str finding)
{
	(void)ctx;
	printf("%.*s\n", STR_ARG(finding));
}

static int check(struct admin *a, bool repair)
{
	if (repair && a->link) {
		return command_fail(a->command, EX_TEMPFAIL,
			"the server runs on this store; stop it, then mend");
	}
	int found = store_fsck(a->store, repair, report, NULL);
	if (found < 0) {
		return command_fail(a->command, command_status(found),
			"the database itself cannot be read (%s); restore a backup",
			err_name(found));
	}
	if (found == 0) {
		printf("The store is sound.\n");
		return EX_OK;
	}
	printf("%d findings%s\n", found,
		repair ? ", mended" : "; posthouse fsck --repair mends them");
	return repair ? EX_OK : EX_DATAERR;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct fsck_options o = {0};
	struct admin a;
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n != 0) { return n < 0 ? EX_USAGE : command_fail(c, EX_USAGE, "takes no arguments"); }
	int status = admin_open(&a, c, &o.admin, false);
	if (status == 0) { status = check(&a, o.repair); }
	admin_close(&a);
	return status;
}

const struct command command_fsck = {.name = "fsck",
	.arguments = "[--repair]",
	.summary = "Check every counter, reference, index and octet of the store.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
