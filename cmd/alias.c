/* posthouse alias and posthouse domain: which addresses are ours, and where they lead. */
#include <stdio.h>
#include <sysexits.h>

#include "auth/auth.h"
#include "auth/conf.h"
#include "cmd/admin.h"
#include "cmd/commands.h"

struct names {
	struct admin_options admin;
};

static const struct option_row options[] = {ADMIN_OPTIONS(names), JSON_OPTION(names)};

/* --- aliases --- */

static int alias_address(struct admin *a, const char *text, struct str *out)
{
	return *text == '@' ? admin_catch_all(a, text, out) : admin_address(a, text, false, out);
}

/* The alias or account that mail for an address comes to first, as auth/directory.c has it: itself,
   without its detail, the catch-all. `fresh` is there already, as an alias. ERR_GONE also for a
   postmaster without a row of its own, which is the first account's (RFC 5321 4.5.1). */
static int first_row(struct admin *a, struct snap *sn, struct str address, struct str fresh,
	struct addr_row *out)
{
	const struct auth_conf *auth = conf_get(a->conf, &auth_conf_section);
	char *lower = arena_alloc(&a->arena, address.n);
	for (size_t i = 0; i < address.n; i++) { lower[i] = ascii_lower(address.p[i]); }
	address = str_make(lower, address.n);
	ptrdiff_t at = str_rchr(address, '@');
	ptrdiff_t plus = auth->separator.n ? str_chr(address, auth->separator.p[0]) : -1;
	struct str domain = str_skip(address, (size_t)at);
	struct str names[] = {address,
		plus > 0 && plus < at
			? arena_fmt(&a->arena, "%.*s%.*s", (int)plus, address.p, STR_ARG(domain))
			: address,
		domain};
	size_t n = COUNT(names) - str_starts(names[1], STR("postmaster@"));
	int rc = ERR_GONE;
	for (size_t i = 0; i < n && rc == ERR_GONE; i++) {
		*out = (struct addr_row){.address = fresh, .kind = ADDR_ALIAS};
		rc = str_eq(names[i], fresh) ? 0 : snap_addr(sn, names[i], &a->arena, out);
	}
	return rc;
}

/* Would mail for the new alias come back to it, and to nowhere else? Where an account or another
   host is reached as well, what comes back does no harm: the address is followed once. */
static bool only_loops(struct admin *a, struct snap *sn, const struct op_addr_set *op)
{
	struct str todo[TARGETS_MAX];
	struct addr_row row;
	bool loops = false;
	size_t n = 0;
	while (n < op->targets_n) {
		todo[n] = op->targets[n].s;
		n++;
	}
	for (size_t at = 0; at < n; at++) {
		if (first_row(a, sn, todo[at], op->address, &row) < 0) { return false; }
		if (row.kind != ADDR_ALIAS) { return false; }
		loops |= str_eq(row.address, op->address);
		for (size_t k = 0; k < row.targets_n && n < COUNT(todo); k++) {
			size_t seen = 0;
			while (seen < n && !str_ieq(todo[seen], row.targets[k])) { seen++; }
			if (seen == n) { todo[n++] = row.targets[k]; }
		}
	}
	return loops;
}

/* What the new alias must not do, and what it puts an end to. */
static int alias_compare(struct admin *a, const struct op_addr_set *op, struct addr_row *old_out)
{
	struct snap sn;
	if (admin_snap(a, &sn) < 0) { return EX_TEMPFAIL; }
	int rc = snap_addr(&sn, op->address, &a->arena, old_out);
	if (rc == ERR_GONE) { *old_out = (struct addr_row){.kind = ADDR_ALIAS}; }
	bool known = rc == 0 || rc == ERR_GONE;
	bool loop = known && old_out->kind == ADDR_ALIAS && only_loops(a, &sn, op);
	snap_end(&sn);
	if (!known) {
		return command_fail(a->command, command_status(rc), "%.*s cannot be read: %s",
			STR_ARG(op->address), err_name(rc));
	}
	if (!loop) { return EX_OK; }
	return command_fail(a->command, EX_DATAERR,
		"mail for %.*s would lead back to it and to nobody else", STR_ARG(op->address));
}

static void tell_replaced(const struct addr_row *old, const struct op_addr_set *op)
{
	size_t same = 0;
	while (same < old->targets_n && same < op->targets_n &&
		str_eq(old->targets[same], op->targets[same].s)) {
		same++;
	}
	if (same == old->targets_n && (same == op->targets_n || same == 0)) { return; }
	printf("%.*s led to", STR_ARG(old->address));
	for (size_t i = 0; i < old->targets_n; i++) {
		printf("%s%.*s", i ? ", " : " ", STR_ARG(old->targets[i]));
	}
	printf(" before\n");
}

/* One more target, unless it is there; op->targets has room for TARGETS_MAX. */
static int add_target(struct admin *a, struct op_addr_set *op, const char *text)
{
	struct str target;
	if (admin_address(a, text, true, &target) < 0) { return ERR_SYNTAX; }
	for (size_t i = 0; i < op->targets_n; i++) {
		if (str_ieq(op->targets[i].s, target)) { return 0; }
	}
	op->targets[op->targets_n++].s = target;
	return 0;
}

static int alias_add(struct admin *a, const char **args, int n)
{
	struct addr_row old = {0};
	struct wire_str_item targets[TARGETS_MAX];
	struct op_addr_set op = {.targets = targets};
	if (n < 2 || n - 1 > TARGETS_MAX) {
		return command_fail(a->command, EX_USAGE,
			"written: posthouse alias add ADDRESS TARGET... (1 to %d targets)",
			TARGETS_MAX);
	}
	if (alias_address(a, args[0], &op.address) < 0) { return EX_USAGE; }
	for (int i = 1; i < n; i++) {
		if (add_target(a, &op, args[i]) < 0) { return EX_USAGE; }
	}
	struct str domain = str_skip(op.address, (size_t)str_rchr(op.address, '@') + 1);
	int rc = admin_has_domain(a, domain);
	if (rc == ERR_GONE) {
		return command_fail(a->command, EX_DATAERR,
			"%.*s is no local domain; make it one: posthouse domain add %.*s",
			STR_ARG(domain), STR_ARG(domain));
	}
	int status = rc == 0 ? alias_compare(a, &op, &old) : EX_OK;
	if (status) { return status; }
	if (rc == 0) { rc = admin_apply(a, &OP_ADDR_SET, &op, NULL); }
	if (rc == 0) { tell_replaced(&old, &op); }
	if (rc == ERR_EXISTS) {
		return command_fail(
			a->command, EX_DATAERR, "%.*s is an account", STR_ARG(op.address));
	}
	return rc < 0 ? command_fail(a->command, command_status(rc), "not added: %s", err_name(rc))
		      : EX_OK;
}

static int alias_del(struct admin *a, const char **args, int n)
{
	struct op_addr_del op;
	if (n != 1) {
		return command_fail(
			a->command, EX_USAGE, "written: posthouse alias remove ADDRESS");
	}
	if (alias_address(a, args[0], &op.address) < 0) { return EX_USAGE; }
	int rc = admin_apply(a, &OP_ADDR_DEL, &op, NULL);
	if (rc == ERR_INUSE) {
		return command_fail(a->command, EX_DATAERR,
			"%.*s is an account: posthouse user remove", STR_ARG(op.address));
	}
	return rc < 0 ? command_fail(a->command, command_status(rc), "%.*s: %s",
				STR_ARG(op.address),
				rc == ERR_GONE ? "no such alias" : err_name(rc))
		      : EX_OK;
}

static void print_alias(const struct addr_row *row, bool json, bool first)
{
	struct buf out = {0};
	if (json) {
		buf_fmt(&out, "%s\n{\"address\":", first ? "" : ",");
		json_str(row->address, &out);
		buf_str(&out, STR(",\"targets\":["));
	} else {
		buf_fmt(&out, "%-40.*s", STR_ARG(row->address));
	}
	for (size_t i = 0; i < row->targets_n; i++) {
		if (json) {
			buf_str(&out, i ? STR(",") : STR(""));
			json_str(row->targets[i], &out);
		} else {
			buf_fmt(&out, "%s%.*s", i ? "," : " ", STR_ARG(row->targets[i]));
		}
	}
	buf_str(&out, json ? STR("]}") : STR("\n"));
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
}

static int alias_list(struct admin *a, bool json)
{
	struct snap sn;
	struct addr_row row = {.address = STR("")};
	bool first = true;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return command_status(rc); }
	if (json) { printf("["); }
	while ((rc = snap_addr_next(&sn, row.address, &a->arena, &row)) == 0) {
		if (row.kind != ADDR_ALIAS) { continue; }
		print_alias(&row, json, first);
		first = false;
	}
	if (json) { printf("\n]\n"); }
	snap_end(&sn);
	return rc == ERR_GONE ? EX_OK : command_status(rc);
}

/* --- domains --- */

static int domain_name(struct admin *a, const char **args, int n, struct str *out)
{
	if (n != 1) {
		command_fail(a->command, 0, "written: posthouse domain %s", a->command->arguments);
		return ERR_SYNTAX;
	}
	return admin_domain(a, args[0], out);
}

static int domain_add(struct admin *a, const char **args, int n)
{
	struct op_domain_set op = {0};
	if (domain_name(a, args, n, &op.name) < 0) { return EX_USAGE; }
	int rc = admin_apply(a, &OP_DOMAIN_SET, &op, NULL);
	return rc < 0 ? command_fail(a->command, command_status(rc), "%.*s: not added: %s",
				STR_ARG(op.name), err_name(rc))
		      : EX_OK;
}

static int domain_del(struct admin *a, const char **args, int n)
{
	struct op_domain_del op;
	if (domain_name(a, args, n, &op.name) < 0) { return EX_USAGE; }
	int rc = admin_apply(a, &OP_DOMAIN_DEL, &op, NULL);
	if (rc == ERR_INUSE) {
		return command_fail(a->command, EX_DATAERR,
			"%.*s has accounts or aliases; remove those first", STR_ARG(op.name));
	}
	return rc < 0 ? command_fail(a->command, command_status(rc), "%.*s: %s", STR_ARG(op.name),
				rc == ERR_GONE ? "no such domain" : err_name(rc))
		      : EX_OK;
}

static int domain_list(struct admin *a, bool json)
{
	struct snap sn;
	struct domain d = {.name = STR("")};
	bool first = true;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return command_status(rc); }
	if (json) { printf("["); }
	while ((rc = snap_domain_next(&sn, d.name, &d)) == 0) {
		struct buf out = {0};
		if (json) {
			buf_fmt(&out, "%s\n{\"name\":", first ? "" : ",");
			json_str(d.name, &out);
			buf_chr(&out, '}');
		} else {
			buf_fmt(&out, "%.*s\n", STR_ARG(d.name));
		}
		fwrite(out.p, 1, out.n, stdout);
		buf_fini(&out);
		first = false;
	}
	if (json) { printf("\n]\n"); }
	snap_end(&sn);
	return rc == ERR_GONE ? EX_OK : command_status(rc);
}

/* --- both --- */

struct verbs {
	int (*add)(struct admin *a, const char **args, int n);
	int (*del)(struct admin *a, const char **args, int n);
	int (*list)(struct admin *a, bool json);
};

static int act(const struct command *c, int argc, char **argv, const struct verbs *v)
{
	struct names o = {0};
	struct admin a;
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n < 0) { return EX_USAGE; }
	bool is_add = n && strcmp(args[0], "add") == 0,
	     is_del = n && strcmp(args[0], "remove") == 0,
	     is_list = n == 1 && strcmp(args[0], "list") == 0;
	if (!is_add && !is_del && !is_list) {
		return command_fail(c, EX_USAGE, "written: posthouse %s %s", c->name, c->arguments);
	}
	int status = admin_open(&a, c, &o.admin, is_add);
	if (status == 0) {
		status = is_list  ? v->list(&a, o.admin.json)
			 : is_add ? v->add(&a, args + 1, n - 1)
				  : v->del(&a, args + 1, n - 1);
	}
	admin_close(&a);
	return status;
}

static int run_alias(const struct command *c, int argc, char **argv)
{
	static const struct verbs v = {alias_add, alias_del, alias_list};
	return act(c, argc, argv, &v);
}

static int run_domain(const struct command *c, int argc, char **argv)
{
	static const struct verbs v = {domain_add, domain_del, domain_list};
	return act(c, argc, argv, &v);
}

const struct command command_alias = {.name = "alias",
	.arguments = "add ADDRESS TARGET... | remove ADDRESS | list",
	.summary = "Addresses that lead elsewhere; @domain catches what nobody else takes.",
	.run = run_alias,
	.options = options,
	.options_n = COUNT(options)};

const struct command command_domain = {.name = "domain",
	.arguments = "add DOMAIN | remove DOMAIN | list",
	.summary = "Domains whose mail is kept here.",
	.run = run_domain,
	.options = options,
	.options_n = COUNT(options)};
