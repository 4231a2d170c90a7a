/* posthouse fsck: check the store, and mend it. */
#include <stdio.h>
#include <unistd.h>
#include <sysexits.h>

#include "cmd/admin.h"
#include "cmd/commands.h"
#include "lib/wire.h"

struct fsck_options {
	struct admin_options admin;
	bool repair;
	const char *schema;
};
static const struct option_row options[] = {
	ADMIN_OPTIONS(fsck_options),
	{"repair", OPTION_FLAG, offsetof(struct fsck_options, repair), NULL,
		"mend what is found; the server must not run"},
	{"schema", OPTION_STR, offsetof(struct fsck_options, schema), "N",
		"with --repair: the store has this schema, where it does not know it itself"},
	JSON_OPTION(fsck_options),
};

static void report(void *ctx, struct str finding)
{
	(void)ctx;
	printf("%.*s\n", STR_ARG(finding));
}

static void collect(void *ctx, struct str finding)
{
	struct buf *list = ctx;
	buf_str(list, list->n ? STR(",\n{") : STR("\n{"));
	json_member("text", finding, list);
	buf_chr(list, '}');
}

static int server_runs(const struct command *c)
{
	return command_fail(c, EX_TEMPFAIL, "the server runs on this store; stop it, then mend");
}

/* Open what may have no meta records any more. */
static int open_damaged(struct admin *a, const struct command *c, const struct fsck_options *o)
{
	struct err e = {0};
	uint64_t schema = 0;
	if (o->schema && !str_u64(str_of(o->schema), UINT32_MAX, &schema)) {
		return command_fail(c, EX_USAGE, "--schema takes a number");
	}
	int status = admin_find(a, c, &o->admin);
	if (status) { return status; }
	int fd = admin_connect(a, "control");
	if (fd >= 0) {
		close(fd);
		return server_runs(c);
	}
	int rc = store_open_damaged(a->data, (uint32_t)schema, &a->store, &e);
	return admin_opened(c, rc, &e);
}

static int check(struct admin *a, bool repair, bool json)
{
	struct buf list = {0};
	int found = store_fsck(a->store, repair, json ? collect : report, &list);
	if (json && found >= 0) { printf("[%.*s\n]\n", STR_ARG(buf_view(&list))); }
	buf_fini(&list);
	if (found < 0) {
		return command_fail(a->command, command_status(found),
			"the database itself cannot be read (%s); restore a backup",
			err_name(found));
	}
	if (json) { return found == 0 || repair ? EX_OK : EX_DATAERR; }
	if (found == 0) {
		printf("The store is sound.\n");
		return EX_OK;
	}
	printf("%d finding%s%s\n", found, found == 1 ? "" : "s",
		repair ? ", mended" : "; posthouse fsck --repair mends them");
	return repair ? EX_OK : EX_DATAERR;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct fsck_options o = {0};
	struct admin a = {.command = c};
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n != 0) { return n < 0 ? EX_USAGE : command_fail(c, EX_USAGE, "takes no arguments"); }
	if (o.schema && !o.repair) { return command_fail(c, EX_USAGE, "--schema needs --repair"); }
	int status = o.repair ? open_damaged(&a, c, &o) : admin_open(&a, c, &o.admin, false);
	if (status == 0) { status = check(&a, o.repair, o.admin.json); }
	admin_close(&a);
	return status;
}

const struct command command_fsck = {.name = "fsck",
	.arguments = "[--repair [--schema N]]",
	.summary = "Check every counter, reference, index and octet of the store.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
