/* posthouse user: accounts. */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "auth/auth.h"
#include "auth/conf.h"
#include "cmd/admin.h"
#include "cmd/commands.h"
#include "lib/date.h"

struct user {
	struct admin_options admin;
	const char *password, *quota;
	bool force;
};

static const struct option_row options[] = {
	ADMIN_OPTIONS(user),
	{"password", OPTION_STR, offsetof(struct user, password), "TEXT",
		"seen by everyone in the process list; without it the password is asked"},
	{"quota", OPTION_STR, offsetof(struct user, quota), "SIZE",
		"most octets of mail, as 500M or 2G; 0 = no limit"},
	{"force", OPTION_FLAG, offsetof(struct user, force), NULL,
		"remove: also from the aliases that lead to the account"},
	JSON_OPTION(user),
};

static int size_of(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	struct str s = str_of(text);
	uint64_t unit = 1;
	const char *at = s.n ? strchr(units, ascii_upper(s.p[s.n - 1])) : NULL;
	if (at && *at) {
		for (const char *u = units; u <= at; u++) { unit *= 1024; }
		s.n--;
	}
	if (!str_u64(s, (UINT64_C(1) << 60) / unit, out)) { return ERR_SYNTAX; }
	*out *= unit;
	return 0;
}

/* The hash of the given or asked password. */
static int secret_of(const struct command *c, const struct user *u, struct buf *out)
{
	struct buf password = {0};
	struct err e = {0};
	int rc = 0;
	if (u->password) {
		buf_str(&password, str_of(u->password));
	} else {
		rc = admin_password(c, &password);
	}
	if (rc == 0) {
		rc = auth_hash(buf_view(&password), STR(""), out, &e);
		if (rc < 0) { command_fail(c, 0, "%s", e.text); }
	}
	if (password.n) { wipe(password.p, password.n); }
	buf_fini(&password);
	return rc;
}

static int find(struct admin *a, struct str login, struct acct *out)
{
	struct snap sn;
	struct addr_row row;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return rc; }
	rc = snap_addr(&sn, login, &a->arena, &row);
	if (rc == 0 && row.kind != ADDR_ACCOUNT) { rc = ERR_GONE; }
	if (rc == 0) { rc = snap_acct(&sn, row.aid, out); }
	if (rc == 0) { out->login = arena_dup(&a->arena, out->login); }
	snap_end(&sn);
	if (rc == ERR_GONE) {
		command_fail(a->command, 0, "there is no account %.*s", STR_ARG(login));
	}
	return rc;
}

static int add(struct admin *a, const struct user *u, struct str login)
{
	struct buf secret = {0};
	struct op_acct_add op = {.login = login};
	if (u->quota && size_of(u->quota, &op.quota_bytes) < 0) {
		return command_fail(a->command, EX_USAGE, "--quota %s: a size, as 500M", u->quota);
	}
	if (secret_of(a->command, u, &secret) < 0) { return EX_USAGE; }
	op.secret = buf_view(&secret);
	struct str domain = str_skip(login, (size_t)str_rchr(login, '@') + 1);
	int rc = admin_has_domain(a, domain);
	if (rc == ERR_GONE) { /* the first account of a domain makes it local */
		struct op_domain_set set = {.name = domain};
		rc = admin_apply(a, &OP_DOMAIN_SET, &set, NULL);
		if (rc == 0) { printf("%.*s is a local domain now\n", STR_ARG(domain)); }
	}
	if (rc == 0) { rc = admin_apply(a, &OP_ACCT_ADD, &op, NULL); }
	buf_fini(&secret);
	if (rc == ERR_EXISTS) {
		return command_fail(a->command, EX_DATAERR,
			"%.*s is there already, as an account or an alias", STR_ARG(login));
	}
	return rc < 0 ? command_fail(a->command, command_status(rc), "not added: %s", err_name(rc))
		      : EX_OK;
}

static int set(struct admin *a, struct str login, struct op_acct_set *op)
{
	struct acct ac;
	int rc = find(a, login, &ac);
	if (rc < 0) { return command_status(rc); }
	op->aid = ac.aid;
	rc = admin_apply(a, &OP_ACCT_SET, op, NULL);
	return rc < 0 ? command_fail(
				a->command, command_status(rc), "not changed: %s", err_name(rc))
		      : EX_OK;
}

static int passwd(struct admin *a, const struct user *u, struct str login)
{
	struct buf secret = {0};
	if (secret_of(a->command, u, &secret) < 0) { return EX_USAGE; }
	struct op_acct_set op = {
		.what = ACCT_SET_SECRET, .scheme = STR("crypt"), .secret = buf_view(&secret)};
	int status = set(a, login, &op);
	buf_fini(&secret);
	return status;
}

static int quota(struct admin *a, const struct user *u, struct str login)
{
	struct op_acct_set op = {.what = ACCT_SET_QUOTA};
	if (!u->quota || size_of(u->quota, &op.quota_bytes) < 0) {
		return command_fail(
			a->command, EX_USAGE, "say --quota SIZE, as 500M; 0 = no limit");
	}
	return set(a, login, &op);
}

static int disable(struct admin *a, const struct user *u, struct str login)
{
	(void)u;
	struct op_acct_set op = {.what = ACCT_SET_DISABLED, .disabled = true};
	return set(a, login, &op);
}

static int enable(struct admin *a, const struct user *u, struct str login)
{
	(void)u;
	struct op_acct_set op = {.what = ACCT_SET_DISABLED};
	return set(a, login, &op);
}

/* --- removing --- */

enum { NAMED_MAX = 10 }; /* aliases named in a refusal */

/* Is `target` the account's address, by itself or with a detail? */
static bool leads_to(struct str target, struct str login, struct str separator)
{
	ptrdiff_t at = str_rchr(target, '@'), home = str_rchr(login, '@');
	if (at < 0 || home < 0) { return false; }
	struct str local = str_sub(target, 0, (size_t)at), base = str_sub(login, 0, (size_t)home);
	bool detailed = local.n > base.n && separator.n && local.p[base.n] == separator.p[0];
	return str_ieq(detailed ? str_sub(local, 0, base.n) : local, base) &&
	       str_ieq(str_skip(target, (size_t)at), str_skip(login, (size_t)home));
}

/* An alias that leads to the account, and what is left of it without that. */
struct leading {
	struct leading *next;
	struct str address;
	struct wire_str_item rest[TARGETS_MAX];
	uint32_t rest_n;
};

static bool row_leads_to(const struct addr_row *row, struct str login, struct str separator)
{
	bool leads = false;
	for (size_t i = 0; i < row->targets_n; i++) {
		leads = leads || leads_to(row->targets[i], login, separator);
	}
	return row->kind == ADDR_ALIAS && leads;
}

static struct leading *without(
	struct arena *a, const struct addr_row *row, struct str login, struct str separator)
{
	struct leading *l = arena_new(a, struct leading);
	*l = (struct leading){.address = arena_dup(a, row->address)};
	for (size_t i = 0; i < row->targets_n; i++) {
		if (leads_to(row->targets[i], login, separator)) { continue; }
		l->rest[l->rest_n++].s = arena_dup(a, row->targets[i]);
	}
	return l;
}

/* All of them, in the arena. */
static int find_leading(struct admin *a, struct str login, struct leading **out)
{
	const struct auth_conf *conf = conf_get(a->conf, &auth_conf_section);
	struct addr_row row = {.address = STR("")};
	struct snap sn;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return rc; }
	*out = NULL;
	while ((rc = snap_addr_next(&sn, row.address, &a->arena, &row)) == 0) {
		if (!row_leads_to(&row, login, conf->separator)) { continue; }
		struct leading *l = without(&a->arena, &row, login, conf->separator);
		*out = l;
		out = &l->next;
	}
	snap_end(&sn);
	if (rc != ERR_GONE) {
		command_fail(a->command, 0, "the aliases cannot be read: %s", err_name(rc));
	}
	return rc == ERR_GONE ? 0 : rc;
}

static int refuse(struct admin *a, struct str login, const struct leading *l)
{
	struct buf names = {0};
	size_t n = 0;
	for (; l; l = l->next, n++) {
		if (n < NAMED_MAX) {
			buf_fmt(&names, "%s%.*s", n ? ", " : "", STR_ARG(l->address));
		}
	}
	if (n > NAMED_MAX) { buf_fmt(&names, " and %zu more", n - NAMED_MAX); }
	int status = command_fail(a->command, EX_DATAERR,
		"%.*s is a target of %s %s; change or remove %s first, or take the account out of "
		"%s with --force",
		STR_ARG(login), n == 1 ? "the alias" : "the aliases", buf_cstr(&names),
		n == 1 ? "it" : "them", n == 1 ? "it" : "them");
	buf_fini(&names);
	return status;
}

/* What leads nowhere else goes. */
static int take_out(struct admin *a, struct str login, struct leading *l)
{
	struct op_addr_set set = {
		.address = l->address, .targets = l->rest, .targets_n = l->rest_n};
	struct op_addr_del del = {l->address};
	int rc = l->rest_n ? admin_apply(a, &OP_ADDR_SET, &set, NULL)
			   : admin_apply(a, &OP_ADDR_DEL, &del, NULL);
	if (rc < 0) {
		command_fail(a->command, 0, "not removed: the alias %.*s: %s", STR_ARG(l->address),
			err_name(rc));
	} else if (l->rest_n) {
		printf("the alias %.*s no longer leads to %.*s\n", STR_ARG(l->address),
			STR_ARG(login));
	} else {
		printf("the alias %.*s, which led nowhere else, is removed\n", STR_ARG(l->address));
	}
	return rc;
}

/* The aliases first: should we be stopped in between, nothing leads to an account that is gone. */
static int del(struct admin *a, const struct user *u, struct str login)
{
	struct acct ac;
	struct leading *leading;
	int rc = find(a, login, &ac);
	if (rc == 0) { rc = find_leading(a, login, &leading); }
	if (rc < 0) { return command_status(rc); }
	if (leading && !u->force) { return refuse(a, login, leading); }
	for (struct leading *l = leading; l; l = l->next) {
		rc = take_out(a, login, l);
		if (rc < 0) { return command_status(rc); }
	}
	struct op_acct_del op = {ac.aid};
	rc = admin_apply(a, &OP_ACCT_DEL, &op, NULL);
	return rc < 0 ? command_fail(
				a->command, command_status(rc), "not removed: %s", err_name(rc))
		      : EX_OK;
}

/* --- listing --- */

static void print_one(const struct acct *ac, bool json, bool first)
{
	struct buf when = {0};
	date_iso(ac->created_us, &when);
	if (json) {
		struct buf out = {0};
		buf_fmt(&out, "%s\n{\"address\":", first ? "" : ",");
		json_str(ac->login, &out);
		buf_fmt(&out,
			",\"messages\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"quota\":%" PRIu64
			",\"disabled\":%s,\"created\":\"%s\"}",
			ac->used_msgs, ac->used_bytes, ac->quota_bytes,
			ac->disabled ? "true" : "false", buf_cstr(&when));
		fwrite(out.p, 1, out.n, stdout);
		buf_fini(&out);
	} else {
		printf("%-40.*s %10" PRIu64 " %-8s %14" PRIu64 " octets", STR_ARG(ac->login),
			ac->used_msgs, ac->used_msgs == 1 ? "message" : "messages", ac->used_bytes);
		if (ac->quota_bytes) { printf(" of %" PRIu64, ac->quota_bytes); }
		printf("%s\n", ac->disabled ? "  disabled" : "");
	}
	buf_fini(&when);
}

static int list(struct admin *a, bool json)
{
	struct snap sn;
	struct acct ac = {0};
	bool first = true;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return command_status(rc); }
	if (json) { printf("["); }
	while ((rc = snap_acct_next(&sn, ac.aid, &ac)) == 0) {
		print_one(&ac, json, first);
		first = false;
	}
	if (json) { printf("\n]\n"); }
	snap_end(&sn);
	return rc == ERR_GONE ? EX_OK : command_status(rc);
}

static const struct {
	const char *name;
	int (*run)(struct admin *a, const struct user *u, struct str login);
} actions[] = {{"add", add}, {"passwd", passwd}, {"quota", quota}, {"disable", disable},
	{"enable", enable}, {"remove", del}};

static int act(const struct command *c, const struct user *u, const char **args, int n)
{
	struct admin a;
	struct str login;
	bool listing = n == 1 && strcmp(args[0], "list") == 0;
	size_t which = COUNT(actions);
	for (size_t i = 0; n == 2 && i < COUNT(actions); i++) {
		if (strcmp(args[0], actions[i].name) == 0) { which = i; }
	}
	if (n == 3 && strcmp(args[0], "quota") == 0) {
		return command_fail(c, EX_USAGE, "the size is written --quota %s", args[2]);
	}
	if (!listing && which == COUNT(actions)) {
		return command_fail(c, EX_USAGE, "written: posthouse user %s", c->arguments);
	}
	if (u->force && (which == COUNT(actions) || actions[which].run != del)) {
		return command_fail(c, EX_USAGE, "--force: goes with remove");
	}
	bool adding = which < COUNT(actions) && actions[which].run == add;
	int status = admin_open(&a, c, &u->admin, adding);
	if (status == 0 && listing) { status = list(&a, u->admin.json); }
	if (status == 0 && !listing) {
		status = admin_address(&a, args[1], false, &login) < 0
				 ? EX_USAGE
				 : actions[which].run(&a, u, login);
	}
	admin_close(&a);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct user u = {0};
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &u, args);
	int status = n < 0 ? EX_USAGE : act(c, &u, args, n);
	options_free(c, &u);
	return status;
}

const struct command command_user = {.name = "user",
	.arguments = "add|passwd|quota|disable|enable|remove ADDRESS | list",
	.summary = "Accounts: who has a mailbox and may log in.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
