/* posthouse explain: why a message was accepted, refused, deferred or bounced, from its audit
   records. */
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#include "cmd/admin.h"
#include "cmd/commands.h"
#include "cmd/explain_print.h"
#include "cmd/what_if.h"
#include "lib/date.h"
#include "lib/net.h"

enum { SEARCH_MAX = 200000, SHOWN_MAX = 50 };

struct explain {
	struct admin_options admin;
	const char *since;
	bool try;
	struct what_if what_if;
};
static const struct option_row options[] = {ADMIN_OPTIONS(explain), JSON_OPTION(explain),
	WHAT_IF_OPTIONS(explain),
	{"since", OPTION_STR, offsetof(struct explain, since), "TIME",
		"nothing older: 2026-11-24, 2026-11-24T01:49:53Z, or 90s, 30m, 2h, 7d before now"}};

/* Records on their way to stdout. */
struct printer {
	struct snap *sn;
	bool json;
	unsigned shown;
};

static void print(struct printer *p, const struct audit *au)
{
	struct arena a = {0};
	struct buf out = {0};
	if (p->json) {
		buf_str(&out, p->shown ? STR(",\n") : STR("\n"));
		explain_json(p->sn, &a, au, &out);
	} else {
		if (p->shown) { buf_chr(&out, '\n'); }
		explain_text(p->sn, &a, au, &out);
	}
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
	arena_fini(&a);
	p->shown++;
}

/* All records of one id, in order of time. */
static void print_id(struct printer *p, uint64_t id)
{
	int64_t after_us = -1;
	while (p->shown < SHOWN_MAX) {
		struct arena a = {0};
		struct audit au;
		int rc = snap_audit(p->sn, id, after_us, &a, &au);
		if (rc == 0) {
			print(p, &au);
			after_us = au.time_us;
		}
		arena_fini(&a);
		if (rc < 0) { return; }
	}
}

/* Does the record speak of this address, Message-ID or peer? */
static bool about(const struct audit *au, struct str what)
{
	if (str_ieq(au->from, what) || str_ieq(au->login, what) || str_eq(au->peer, what)) {
		return true;
	}
	if (au->msgid.n &&
		(str_eq(au->msgid, what) || str_eq(str_sub(au->msgid, 1, au->msgid.n - 2), what))) {
		return true;
	}
	for (uint32_t i = 0; i < au->rcpts_n; i++) {
		const struct audit_rcpt *r = &au->rcpts[i];
		if (str_ieq(r->rcpt, what) || str_ieq(r->detail, what)) { return true; }
	}
	return false;
}

/* The newest first. */
static void print_about(struct printer *p, struct str what, int64_t since_us)
{
	int64_t time_us = INT64_MAX;
	uint64_t id = UINT64_MAX;
	for (int i = 0; i < SEARCH_MAX && p->shown < SHOWN_MAX; i++) {
		struct arena a = {0};
		struct audit au;
		int rc = snap_audit_prev(p->sn, time_us, id, &a, &au);
		if (rc == 0 && au.time_us >= since_us && about(&au, what)) { print(p, &au); }
		time_us = rc == 0 ? au.time_us : 0;
		id = rc == 0 ? au.id : 0;
		arena_fini(&a);
		if (rc < 0 || time_us < since_us) { return; }
	}
}

/* An address as it is written down: IPv6 in its short form. */
static struct str normal(const char *text, char ip[NET_ADDR_TEXT])
{
	struct net_addr addr;
	struct str s = str_of(text);
	bool is_ip =
		str_chr(s, '@') < 0 && str_chr(s, ':') >= 0 && net_addr_parse(s, 0, &addr) == 0;
	return is_ip ? str_of(net_addr_ip(&addr, ip)) : s;
}

static int explain(struct admin *a, const struct explain *o, const char *text, int64_t since_us)
{
	struct snap sn;
	struct arena arena = {0};
	struct audit au;
	uint64_t id;
	char ip[NET_ADDR_TEXT];
	if (admin_snap(a, &sn) < 0) { return EX_TEMPFAIL; }
	struct printer p = {.sn = &sn, .json = o->admin.json};
	if (p.json) { printf("["); }
	if (id_parse(str_of(text), &id) == 0 && snap_audit(&sn, id, -1, &arena, &au) == 0) {
		print_id(&p, id);
	} else {
		print_about(&p, normal(text, ip), since_us);
	}
	arena_fini(&arena);
	if (p.json) { printf("\n]\n"); }
	snap_end(&sn);
	if (p.shown == 0 && !p.json) {
		return command_fail(a->command, EX_DATAERR,
			"nothing is recorded about '%s' (an id, a Message-ID, an address or an IP)",
			text);
	}
	return EX_OK;
}

static int since(const struct command *c, const struct explain *o, int64_t *us_out)
{
	*us_out = 0;
	if (!o->since) { return 0; }
	int64_t now_us = (int64_t)time(NULL) * SECOND_US;
	if (date_since_parse(str_of(o->since), now_us, us_out) == 0) { return 0; }
	return command_fail(c, EX_USAGE,
		"--since %s: written 2026-11-24, 2026-11-24T01:49:53Z or 2h (s, m, h, d)",
		o->since);
}

static int answer(struct admin *a, struct explain *o, const char *argument, int64_t since_us)
{
	o->what_if.file = argument;
	o->what_if.json = o->admin.json;
	return o->try ? what_if_run(a, &o->what_if) : explain(a, o, argument, since_us);
}

static int run(const struct command *c, int argc, char **argv)
{
	struct explain o = {0};
	struct admin a;
	const char *args[ARGS_MAX];
	int64_t since_us;
	int n = options_read(c, argc, argv, &o, args);
	if (n < 0) { return EX_USAGE; }
	if (o.try ? n > 1 : n != 1) {
		options_free(c, &o);
		return command_fail(c, EX_USAGE, "written: posthouse explain %s", c->arguments);
	}
	int status = since(c, &o, &since_us);
	if (status == 0) {
		status = admin_read(&a, c, &o.admin);
		if (status == 0) { status = answer(&a, &o, n ? args[0] : NULL, since_us); }
		admin_close(&a);
	}
	options_free(c, &o);
	return status;
}

const struct command command_explain = {.name = "explain",
	.arguments = "ID|MESSAGE-ID|ADDRESS|IP | --what-if --ip ADDRESS --to ADDRESS [FILE]",
	.summary = "Why a message was accepted, refused, deferred or bounced, or would be.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
