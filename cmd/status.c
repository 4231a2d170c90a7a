/* posthouse status: which roles run, and their counters. */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/commands.h"
#include "cmd/status_msg.h"

struct show {
	struct admin_options admin;
	bool metrics;
};
static const struct option_row options[] = {
	ADMIN_OPTIONS(show),
	{"json", OPTION_FLAG, offsetof(struct show, admin.json), NULL, "as JSON"},
	{"metrics", OPTION_FLAG, offsetof(struct show, metrics), NULL,
		"in the text format of Prometheus"},
};

static void print_text(const struct status *st)
{
	for (uint32_t i = 0; i < st->roles_n; i++) {
		const struct status_role *r = &st->roles[i];
		printf("%.*s (%s %u)\n", STR_ARG(r->name), r->pid ? "process" : "away", r->pid);
		for (uint32_t k = 0; k < r->metrics_n; k++) {
			const struct sup_metric *m = &r->metrics[k];
			printf("    %-28.*s %10" PRIu64 "  %.*s\n", STR_ARG(m->name), m->value,
				STR_ARG(m->help));
		}
	}
}

static void print_json(const struct status *st)
{
	struct buf out = {0};
	buf_fmt(&out, "{\"running\":%s,\"roles\":[", st->roles_n ? "true" : "false");
	for (uint32_t i = 0; i < st->roles_n; i++) {
		const struct status_role *r = &st->roles[i];
		buf_str(&out, i ? STR(",{") : STR("{"));
		json_member("name", r->name, &out);
		buf_fmt(&out, ",\"pid\":%u,\"metrics\":{", r->pid);
		for (uint32_t k = 0; k < r->metrics_n; k++) {
			if (k) { buf_chr(&out, ','); }
			json_str(r->metrics[k].name, &out);
			buf_fmt(&out, ":%" PRIu64, r->metrics[k].value);
		}
		buf_str(&out, STR("}}"));
	}
	printf("%.*s]}\n", STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

static const struct sup_metric *find(const struct status_role *r, struct str name)
{
	for (uint32_t k = 0; k < r->metrics_n; k++) {
		if (str_eq(r->metrics[k].name, name)) { return &r->metrics[k]; }
	}
	return NULL;
}

/* All samples of one name together, by role. */
static void print_family(const struct status *st, uint32_t from, const struct sup_metric *m)
{
	printf("# HELP posthouse_%.*s %.*s\n# TYPE posthouse_%.*s %s\n", STR_ARG(m->name),
		STR_ARG(m->help), STR_ARG(m->name), m->gauge ? "gauge" : "counter");
	for (uint32_t i = from; i < st->roles_n; i++) {
		const struct sup_metric *one = find(&st->roles[i], m->name);
		if (!one) { continue; }
		printf("posthouse_%.*s{role=\"%.*s\"} %" PRIu64 "\n", STR_ARG(m->name),
			STR_ARG(st->roles[i].name), one->value);
	}
}

static void print_metrics(const struct status *st)
{
	for (uint32_t i = 0; i < st->roles_n; i++) {
		for (uint32_t k = 0; k < st->roles[i].metrics_n; k++) {
			const struct sup_metric *m = &st->roles[i].metrics[k];
			uint32_t first = 0;
			while (!find(&st->roles[first], m->name)) { first++; }
			if (first == i) { print_family(st, i, m); }
		}
	}
}

/* Until the server hangs up. */
static int receive(int fd, struct arena *a, struct status *out)
{
	struct buf in = {0};
	ssize_t got = 1;
	while (got > 0 && in.n < STATUS_OCTETS_MAX) {
		got = read(fd, buf_reserve(&in, 16384), 16384);
		if (got > 0) { buf_grow(&in, (size_t)got); }
	}
	int rc = wire_unpack(&wire_status, arena_dup(a, buf_view(&in)), a, out);
	rc = got == 0 && in.n ? rc : ERR_AGAIN;
	buf_fini(&in);
	return rc;
}

static int show(struct admin *a, const struct show *o)
{
	struct status st = {0};
	int fd = admin_connect(a, "status");
	if (fd < 0 && o->admin.json) { print_json(&st); }
	if (fd < 0) {
		return command_fail(
			a->command, EX_UNAVAILABLE, "the server of %s does not run", a->data);
	}
	int rc = receive(fd, &a->arena, &st);
	close(fd);
	if (rc < 0) {
		return command_fail(
			a->command, EX_TEMPFAIL, "the server did not answer, try again");
	}
	if (o->metrics) {
		print_metrics(&st);
	} else if (o->admin.json) {
		print_json(&st);
	} else {
		print_text(&st);
	}
	return EX_OK;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct show o = {0};
	struct admin a;
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n > 0) { command_fail(c, 0, "takes no arguments; what is '%s'?", args[0]); }
	if (n != 0) { return EX_USAGE; }
	int status = admin_find(&a, c, &o.admin);
	if (status == 0) { status = show(&a, &o); }
	admin_close(&a);
	return status;
}

const struct command command_show_status = {.name = "status",
	.arguments = "[--json | --metrics]",
	.summary = "Which roles of the running server serve, and what they have counted.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
