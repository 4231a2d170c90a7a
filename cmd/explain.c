/* posthouse explain: why a message was accepted, refused, deferred or bounced, from its audit
   record. */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "cmd/admin.h"
#include "cmd/commands.h"
#include "lib/date.h"

enum { SEARCH_MAX = 200000, SHOWN_MAX = 50 };

struct explain {
	struct admin_options admin;
};
static const struct option_row options[] = {ADMIN_OPTIONS(explain), JSON_OPTION(explain)};

static const char *const kinds[] = {[AUDIT_RECEIVED] = "received",
	[AUDIT_SUBMITTED] = "submitted",
	[AUDIT_REFUSED] = "refused",
	[AUDIT_SENT] = "sent",
	[AUDIT_DEFERRED] = "deferred",
	[AUDIT_BOUNCED] = "bounced",
	[AUDIT_LOGIN] = "login"};
static const char *const outcomes[] = {[RCPT_DELIVERED] = "delivered",
	[RCPT_QUEUED] = "queued",
	[RCPT_REFUSED] = "refused",
	[RCPT_DUPLICATE] = "delivered already through another address",
	[RCPT_SENT] = "sent",
	[RCPT_DEFERRED] = "deferred",
	[RCPT_FAILED] = "failed"};

static const char *word(const char *const *words, size_t n, unsigned i)
{
	return i < n && words[i] ? words[i] : "?";
}

static void line(const char *name, struct str value)
{
	if (value.n) { printf("  %-10s %.*s\n", name, STR_ARG(value)); }
}

static void print_rcpt(struct snap *sn, struct arena *a, const struct audit_rcpt *r)
{
	char id[ID_TEXT];
	struct queue_item it;
	printf("  to         <%.*s> %s", STR_ARG(r->rcpt),
		word(outcomes, COUNT(outcomes), r->outcome));
	if (r->mid) { printf(", mailbox %u, UID %u", r->mid, r->uid); }
	if (r->qid) {
		printf(", queue id %s%s", id_text(r->qid, id),
			snap_queue_item(sn, r->qid, a, &it) == 0 ? " (still there)" : "");
	}
	if (r->detail.n) { printf(": %.*s", STR_ARG(r->detail)); }
	printf("\n");
}

static void print_text(struct snap *sn, struct arena *a, const struct audit *au)
{
	char id[ID_TEXT];
	struct buf when = {0};
	date_iso(au->time_us, &when);
	printf("%s  %s  %s\n", id_text(au->id, id), buf_cstr(&when),
		word(kinds, COUNT(kinds), au->kind));
	line("peer", au->peer);
	line("helo", au->helo);
	line("protocol", au->proto);
	line("tls", au->tls);
	line("login", au->login);
	printf("  from       <%.*s>\n", STR_ARG(au->from));
	line("message-id", au->msgid);
	if (au->size) { printf("  size       %" PRIu64 " octets\n", au->size); }
	for (uint32_t i = 0; i < au->rcpts_n; i++) { print_rcpt(sn, a, &au->rcpts[i]); }
	for (uint32_t i = 0; i < au->checks_n; i++) {
		const struct audit_check *c = &au->checks[i];
		printf("  check      %.*s: %.*s%s%.*s%s%.*s%s%.*s\n", STR_ARG(c->name),
			STR_ARG(c->result), c->detail.n ? " - " : "", STR_ARG(c->detail),
			c->action.n ? " -> " : "", STR_ARG(c->action),
			c->except.n ? ", but for policy.except " : "", STR_ARG(c->except));
	}
	line("reply", au->reply);
	buf_fini(&when);
}

static void print_json(const struct audit *au, bool first)
{
	struct buf out = {0};
	char id[ID_TEXT];
	wire_json(&wire_audit, au, &out);
	printf("%s\n{\"idText\":\"%s\",%.*s", first ? "" : ",", id_text(au->id, id),
		STR_ARG(str_skip(buf_view(&out), 1)));
	buf_fini(&out);
}

/* Does the record speak of this address, Message-ID or peer? */
static bool about(const struct audit *au, struct str what)
{
	struct str peer = au->peer;
	if (str_ieq(au->from, what) || str_ieq(au->login, what) || str_eq(peer, what)) {
		return true;
	}
	if (au->msgid.n &&
		(str_eq(au->msgid, what) || str_eq(str_sub(au->msgid, 1, au->msgid.n - 2), what))) {
		return true;
	}
	for (uint32_t i = 0; i < au->rcpts_n; i++) {
		if (str_ieq(au->rcpts[i].rcpt, what)) { return true; }
	}
	return false;
}

static int search(struct admin *a, struct snap *sn, struct str what, bool json)
{
	struct audit au;
	int64_t time_us = INT64_MAX;
	uint64_t id = UINT64_MAX;
	int shown = 0;
	for (int i = 0; i < SEARCH_MAX && shown < SHOWN_MAX; i++) {
		struct arena one = {0};
		int rc = snap_audit_prev(sn, time_us, id, &one, &au);
		if (rc == 0 && about(&au, what)) {
			if (json) {
				print_json(&au, shown == 0);
			} else {
				print_text(sn, &a->arena, &au);
			}
			shown++;
		}
		time_us = au.time_us;
		id = au.id;
		arena_fini(&one);
		if (rc < 0) { break; }
	}
	return shown;
}

static int explain(struct admin *a, const char *text, bool json)
{
	struct snap sn;
	struct audit au;
	uint64_t id;
	int shown = 0;
	if (admin_snap(a, &sn) < 0) { return EX_TEMPFAIL; }
	if (json) { printf("["); }
	if (id_parse(str_of(text), &id) == 0 && snap_audit(&sn, id, -1, &a->arena, &au) == 0) {
		shown = 1;
		if (json) {
			print_json(&au, true);
		} else {
			print_text(&sn, &a->arena, &au);
		}
	} else {
		shown = search(a, &sn, str_of(text), json);
	}
	if (json) { printf("\n]\n"); }
	snap_end(&sn);
	if (shown == 0 && !json) {
		return command_fail(a->command, EX_DATAERR,
			"nothing is recorded about '%s' (an id, a Message-ID, an address or an IP)",
			text);
	}
	return EX_OK;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct explain o = {0};
	struct admin a;
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n != 1) {
		return n < 0 ? EX_USAGE
			     : command_fail(
				       c, EX_USAGE, "written: posthouse explain %s", c->arguments);
	}
	int status = admin_open(&a, c, &o.admin, false);
	if (status == 0) { status = explain(&a, args[0], o.admin.json); }
	admin_close(&a);
	return status;
}

const struct command command_explain = {.name = "explain",
	.arguments = "ID|MESSAGE-ID|ADDRESS|IP",
	.summary = "Why a message was accepted, refused, deferred or bounced.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
