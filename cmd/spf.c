/* posthouse spf: what SPF says about a client, a HELO name and a sender, and everything that was
   asked to find out. */
#include <stdio.h>
#include <sysexits.h>

#include "auth/spf.h"
#include "cmd/commands.h"
#include "cmd/try.h"
#include "lib/wire.h"

struct spf {
	const char *ip, *helo, *mail_from, *receiver;
	struct try_options try;
};
static const struct option_row options[] = {
	{"ip", OPTION_STR, offsetof(struct spf, ip), "ADDRESS",
		"the client's IPv4 or IPv6 address"},
	{"helo", OPTION_STR, offsetof(struct spf, helo), "NAME", "what it says in HELO or EHLO"},
	{"mail-from", OPTION_STR, offsetof(struct spf, mail_from), "ADDRESS",
		"what it says in MAIL FROM, \"\" = the null sender; default: only HELO is checked"},
	{"receiver", OPTION_STR, offsetof(struct spf, receiver), "NAME",
		"the receiving host, for explanations; default: unknown"},
	TRY_OPTIONS(spf),
};

/* Both identities, one after the other within one budget, as a message has it. */
struct spf_try {
	struct try try;
	struct spf_check checks[2];
	size_t n, at;
};

static enum step check_next(struct try *t)
{
	struct spf_try *s = container_of(t, struct spf_try, try);
	for (; s->at < s->n; s->at++) {
		if (!s->checks[s->at].run) { spf_check_start(&s->checks[s->at]); }
		if (spf_check_step(&s->checks[s->at]) == 0) { return STEP_WAIT; }
	}
	return STEP_DONE;
}

static const char *status_name(enum dns_status status)
{
	static const char *const names[] = {
		"ok", "no data", "no such name", "failed", "not a name"};
	return names[status];
}

static const char *identity_name(const struct spf_check *c)
{
	return c->identity == SPFID_HELO ? "helo" : "mailfrom";
}

/* --- text: what came from outside is shown without control characters --- */

static void line(const char *name, struct str value)
{
	struct buf out = {0};
	buf_plain(&out, value);
	printf("  %-12s%.*s\n", name, STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

static void print_lookup(const struct spf_lookup *l, struct buf *out)
{
	buf_reset(out);
	buf_fmt(out, "%-4s %.*s: %s", dns_type_name(l->type), STR_ARG(l->name),
		status_name(l->status));
	if (l->n) { buf_fmt(out, ", %zu record%s", l->n, l->n == 1 ? "" : "s"); }
	buf_fmt(out, " (%.*s", (int)MIN(l->asked_by.n, 120), l->asked_by.p);
	if (!str_eq(l->asked_at, l->name)) { buf_fmt(out, " of %.*s", STR_ARG(l->asked_at)); }
	buf_chr(out, ')');
	line("lookup", buf_view(out));
}

static void print_text(const struct spf_check *c)
{
	struct buf out = {0};
	printf("%s: %s\n", identity_name(c), spf_result_name(c->result));
	line("checked", c->sender);
	line("because", c->why);
	if (c->term.n) {
		buf_fmt(&out, "%.*s in the record of %.*s", STR_ARG(c->term), STR_ARG(c->term_at));
		line("term", buf_view(&out));
	}
	if (c->explanation.n) { line("explanation", c->explanation); }
	for (size_t i = 0; i < c->lookups_n; i++) { print_lookup(c->lookups[i], &out); }
	buf_reset(&out);
	buf_fmt(&out, "%u of %d terms that ask, %u of %d void", c->terms, SPFMAX_TERMS, c->voids,
		SPFMAX_VOID);
	line("counted", buf_view(&out));
	buf_reset(&out);
	spf_received(c, &out);
	printf("%.*s", STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

/* --- JSON --- */

static void json_lookup(const struct spf_lookup *l, struct buf *out)
{
	buf_fmt(out, "{\"type\":\"%s\",\"records\":%zu", dns_type_name(l->type), l->n);
	json_member("name", l->name, out);
	json_member("status", str_of(status_name(l->status)), out);
	json_member("term", l->asked_by, out);
	json_member("record", l->asked_at, out);
	buf_chr(out, '}');
}

static void json_check(const struct spf_check *c, struct buf *out)
{
	struct buf field = {0};
	spf_received(c, &field);
	buf_fmt(out, "{\"identity\":\"%s\",\"result\":\"%s\",\"terms\":%u,\"voids\":%u",
		identity_name(c), spf_result_name(c->result), c->terms, c->voids);
	json_member("domain", c->checked, out);
	json_member("sender", c->sender, out);
	json_member("term", c->term, out);
	json_member("record", c->term_at, out);
	json_member("why", c->why, out);
	json_member("explanation", c->explanation, out);
	json_member("received", buf_view(&field), out);
	buf_str(out, STR(",\"lookups\":["));
	for (size_t i = 0; i < c->lookups_n; i++) {
		if (i) { buf_chr(out, ','); }
		json_lookup(c->lookups[i], out);
	}
	buf_str(out, STR("]}"));
	buf_fini(&field);
}

static void print_json(const struct spf_try *s)
{
	struct buf out = {0};
	for (size_t i = 0; i < s->n; i++) {
		buf_chr(&out, i ? ',' : '[');
		json_check(&s->checks[i], &out);
	}
	printf("%.*s]\n", STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

/* --- the command --- */

static void add_check(struct spf_try *s, const struct spf *o, const struct net_addr *client,
	enum spf_identity identity)
{
	struct spf_check *c = &s->checks[s->n++];
	struct str from = str_of(o->mail_from);
	ptrdiff_t at = str_rchr(from, '@');
	*c = (struct spf_check){.dns = s->try.dns,
		.budget = &s->try.budget,
		.task = &s->try.task,
		.arena = &s->try.arena,
		.identity = identity,
		.client = *client,
		.helo = str_of(o->helo),
		.receiver = str_of(o->receiver),
		.now_us = loop_now_us(s->try.loop)};
	if (at >= 0) { c->local = str_sub(from, 0, (size_t)at); }
	c->domain = at < 0 ? from : str_skip(from, (size_t)at + 1);
}

static int check(const struct command *cmd, const struct spf *o, const struct net_addr *client)
{
	struct spf_try *s = xnew(struct spf_try);
	int status = try_open(&s->try, cmd, &o->try);
	if (status == 0) {
		if (o->mail_from) { add_check(s, o, client, SPFID_MAIL_FROM); }
		add_check(s, o, client, SPFID_HELO);
		try_run(&s->try, check_next);
		if (o->try.json) { print_json(s); }
		for (size_t i = 0; i < s->n && !o->try.json; i++) { print_text(&s->checks[i]); }
	}
	for (size_t i = 0; i < s->n; i++) { spf_check_fini(&s->checks[i]); }
	try_close(&s->try);
	free(s);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct spf o = {0};
	struct net_addr client;
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n < 0) { return EX_USAGE; }
	if (n > 0) {
		return command_fail(c, EX_USAGE,
			"'%s': everything is said by options, see posthouse help spf", args[0]);
	}
	if (!o.ip || !o.helo) {
		return command_fail(c, EX_USAGE,
			"--ip and --helo are needed: posthouse spf --ip 192.0.2.1 --helo "
			"mx.example.org --mail-from someone@example.org");
	}
	if (strchr(o.ip, '[') || net_addr_parse(str_of(o.ip), 0, &client) < 0 ||
		net_addr_port(&client)) {
		return command_fail(c, EX_USAGE,
			"--ip '%s': not an IPv4 or IPv6 address (192.0.2.1, 2001:db8::1)", o.ip);
	}
	return check(c, &o, &client);
}

const struct command command_spf = {.name = "spf",
	.arguments = "--ip ADDRESS --helo NAME [--mail-from ADDRESS]",
	.summary = "Try SPF: may this client send mail from this address, and why.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
