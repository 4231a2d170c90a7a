/* posthouse queue: what is on its way out. */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "cmd/admin.h"
#include "cmd/commands.h"
#include "lib/date.h"

struct queue {
	struct admin_options admin;
};
static const struct option_row options[] = {ADMIN_OPTIONS(queue), JSON_OPTION(queue)};

static const char *when(int64_t us, struct buf *b)
{
	buf_reset(b);
	date_iso(us, b);
	return buf_cstr(b);
}

static void print_rcpt(const struct queue_rcpt *r, bool json, bool first)
{
	struct buf next = {0}, expires = {0};
	when(r->next_us, &next);
	when(r->expires_us, &expires);
	if (json) {
		printf("%s", first ? "" : ",");
		struct buf out = {0};
		buf_fmt(&out, "{\"rcpt\":");
		json_str(r->rcpt, &out);
		buf_fmt(&out,
			",\"tries\":%u,\"held\":%s,\"next\":\"%s\",\"expires\":\"%s\",\"host\":",
			r->tries, r->held ? "true" : "false", buf_cstr(&next), buf_cstr(&expires));
		json_str(r->last_host, &out);
		buf_fmt(&out, ",\"reply\":");
		json_str(r->last_reply, &out);
		buf_chr(&out, '}');
		fwrite(out.p, 1, out.n, stdout);
		buf_fini(&out);
	} else {
		struct buf said = {0};
		printf("    to %.*s  %u %s, %s%s\n", STR_ARG(r->rcpt), r->tries,
			r->tries == 1 ? "try" : "tries", r->held ? "held until released" : "next ",
			r->held ? "" : buf_cstr(&next));
		buf_plain(&said, r->last_reply);
		if (said.n) {
			printf("       %.*s%s%.*s\n", STR_ARG(r->last_host),
				r->last_host.n ? ": " : "", STR_ARG(buf_view(&said)));
		}
		buf_fini(&said);
	}
	buf_fini(&next);
	buf_fini(&expires);
}

static void print_item(struct admin *a, struct snap *sn, const struct queue_item *it, bool json)
{
	char id[ID_TEXT];
	struct buf created = {0};
	when(it->created_us, &created);
	if (json) {
		struct buf out = {0};
		buf_fmt(&out, "{\"id\":\"%s\",\"from\":", id_text(it->qid, id));
		json_str(it->from, &out);
		buf_fmt(&out, ",\"size\":%" PRIu64 ",\"created\":\"%s\",\"recipients\":[", it->size,
			buf_cstr(&created));
		fwrite(out.p, 1, out.n, stdout);
		buf_fini(&out);
	} else {
		printf("%s  %s  %" PRIu64 " octets  from <%.*s>\n", id_text(it->qid, id),
			buf_cstr(&created), it->size, STR_ARG(it->from));
	}
	struct queue_rcpt r;
	bool first_rcpt = true;
	for (int64_t n = -1; snap_queue_rcpt_next(sn, it->qid, n, &a->arena, &r) == 0; n = r.n) {
		print_rcpt(&r, json, first_rcpt);
		first_rcpt = false;
	}
	if (json) { printf("]}"); }
	buf_fini(&created);
}

static int list(struct admin *a, bool json)
{
	struct snap sn;
	struct queue_item it = {0};
	bool first = true;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return command_status(rc); }
	if (json) { printf("["); }
	while ((rc = snap_queue_item_next(&sn, it.qid, &a->arena, &it)) == 0) {
		if (json) { printf("%s", first ? "\n" : ",\n"); }
		print_item(a, &sn, &it, json);
		first = false;
		arena_reset(&a->arena);
	}
	if (json) { printf("\n]\n"); }
	if (first && !json) { printf("The queue is empty.\n"); }
	snap_end(&sn);
	return rc == ERR_GONE ? EX_OK : command_status(rc);
}

/* The message as it will be sent: its octets. */
static int show(struct admin *a, uint64_t qid, bool json)
{
	struct snap sn;
	struct queue_item it;
	struct str part;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return command_status(rc); }
	rc = snap_queue_item(&sn, qid, &a->arena, &it);
	if (rc == 0) {
		print_item(a, &sn, &it, json);
		printf("\n");
		for (uint64_t off = 0; !json && off < it.size && rc == 0; off += part.n) {
			rc = snap_bytes(&sn, it.oid, off, &part);
			if (rc == 0) { fwrite(part.p, 1, part.n, stdout); }
			if (part.n == 0) { break; }
		}
	}
	snap_end(&sn);
	return rc < 0 ? command_fail(a->command, command_status(rc), "%s",
				rc == ERR_GONE ? "no such message in the queue" : err_name(rc))
		      : EX_OK;
}

struct edit {
	const char *name, *done;
	uint8_t action;
};
static const struct edit edits[] = {{"retry", "tried again now", QUEUE_RETRY},
	{"hold", "held", QUEUE_HOLD}, {"release", "released", QUEUE_RELEASE},
	{"drop", "dropped", QUEUE_DROP}};

static int edit(struct admin *a, uint64_t qid, const struct edit *how)
{
	char id[ID_TEXT];
	struct op_queue_edit op = {qid, how->action};
	struct op_count_reply count = {0};
	int rc = admin_apply(a, &OP_QUEUE_EDIT, &op, &count);
	if (rc < 0) {
		return command_fail(a->command, command_status(rc), "%s",
			rc == ERR_GONE ? "no such message in the queue" : err_name(rc));
	}
	printf("%s  %" PRIu64 " %s %s\n", id_text(qid, id), count.count,
		count.count == 1 ? "recipient" : "recipients", how->done);
	return EX_OK;
}

/* "all": every message. */
static int edit_all(struct admin *a, const struct edit *how)
{
	uint64_t qid = 0;
	int status = EX_OK;
	for (;;) {
		struct snap sn;
		struct queue_item it;
		if (admin_snap(a, &sn) < 0) { return EX_TEMPFAIL; }
		int rc = snap_queue_item_next(&sn, qid, &a->arena, &it);
		snap_end(&sn);
		if (rc == ERR_GONE && qid == 0) { printf("The queue is empty.\n"); }
		if (rc < 0) { return rc == ERR_GONE ? status : command_status(rc); }
		qid = it.qid;
		int one = edit(a, qid, how);
		status = one ? one : status;
		arena_reset(&a->arena);
	}
}

static bool is_action(const char **args, int n)
{
	bool known = n == 1 ? strcmp(args[0], "list") == 0 : n == 2 && strcmp(args[0], "show") == 0;
	for (size_t i = 0; n == 2 && i < COUNT(edits); i++) {
		known |= strcmp(args[0], edits[i].name) == 0;
	}
	return known;
}

static int act(struct admin *a, const char **args, int n, bool json)
{
	uint64_t qid;
	if (n == 1 && strcmp(args[0], "list") == 0) { return list(a, json); }
	bool all = n == 2 && strcmp(args[1], "all") == 0;
	bool one = n == 2 && id_parse(str_of(args[1]), &qid) == 0;
	if (n == 2 && !all && !one) {
		return command_fail(a->command, EX_USAGE,
			"'%s' is no id of a message; posthouse queue list shows them", args[1]);
	}
	if (one && strcmp(args[0], "show") == 0) { return show(a, qid, json); }
	for (size_t i = 0; n == 2 && i < COUNT(edits); i++) {
		if (strcmp(args[0], edits[i].name) != 0) { continue; }
		return all ? edit_all(a, &edits[i]) : edit(a, qid, &edits[i]);
	}
	return command_fail(
		a->command, EX_USAGE, "written: posthouse queue %s", a->command->arguments);
}

static int run(const struct command *c, int argc, char **argv)
{
	struct queue o = {0};
	struct admin a;
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n < 0) { return EX_USAGE; }
	if (!is_action(args, n)) {
		return command_fail(c, EX_USAGE, "written: posthouse queue %s", c->arguments);
	}
	int status = admin_open(&a, c, &o.admin, false);
	if (status == 0) { status = act(&a, args, n, o.admin.json); }
	admin_close(&a);
	return status;
}

const struct command command_queue = {.name = "queue",
	.arguments = "list | show ID | retry|hold|release|drop ID|all",
	.summary = "Mail on its way out: look at it, try again now, give it up.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
