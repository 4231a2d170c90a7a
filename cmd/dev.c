/* posthouse dev: the whole server on high loopback ports with no configuration, for trying it and
   for test suites. The same roles as `serve`; what differs is only the configuration made here. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/auth.h"
#include "cmd/admin.h"
#include "cmd/commands.h"
#include "cmd/serving.h"
#include "cmd/system_user.h"
#include "lib/idn.h"
#include "store/op.h"

struct dev {
	bool processes;
	const char *data, *hostname, *cert, *key, *dns, *dns_zone, *route, *pid_file, *ready;
	struct option_list domains, users, set;
	uint16_t port_base, ports[LISTEN_N];
	struct plan plan;
	char ca[4096];
	bool throw_away;
};

#define PORT(kind, option) \
	{ \
		option, OPTION_PORT, offsetof(struct dev, ports[kind]), "PORT", \
			"port of this service; default: a free one" \
	}
static const struct option_row options[] = {
	{"processes", OPTION_FLAG, offsetof(struct dev, processes), NULL,
		"each role in a sandboxed process of its own"},
	{"data", OPTION_STR, offsetof(struct dev, data), "DIR",
		"keep mail there; default: a store that is thrown away at the end"},
	{"hostname", OPTION_STR, offsetof(struct dev, hostname), "NAME", "default: localhost"},
	{"domain", OPTION_LIST, offsetof(struct dev, domains), "DOMAIN",
		"a local domain (repeatable); default: every domain is local"},
	{"user", OPTION_LIST, offsetof(struct dev, users), "ADDRESS:PASSWORD",
		"an account (repeatable); default: every address is one, any password is right"},
	{"port-base", OPTION_PORT, offsetof(struct dev, port_base), "N",
		"ports N to N+5: smtp, submission, submissions, imap, imaps, lmtp"},
	PORT(LISTEN_SMTP, "smtp"),
	PORT(LISTEN_SUBMISSION, "submission"),
	PORT(LISTEN_SUBMISSIONS, "submissions"),
	PORT(LISTEN_IMAP, "imap"),
	PORT(LISTEN_IMAPS, "imaps"),
	PORT(LISTEN_LMTP, "lmtp"),
	{"cert", OPTION_STR, offsetof(struct dev, cert), "FILE",
		"certificate (PEM); default: made, with a CA of its own"},
	{"key", OPTION_STR, offsetof(struct dev, key), "FILE", "its key (PEM)"},
	{"dns", OPTION_STR, offsetof(struct dev, dns), "HOST:PORT",
		"the only resolver; default: nothing is looked up"},
	{"dns-zone", OPTION_STR, offsetof(struct dev, dns_zone), "FILE",
		"master file that answers every question"},
	{"route", OPTION_STR, offsetof(struct dev, route), "HOST:PORT",
		"where all outgoing mail goes; without it nothing leaves the machine"},
	{"set", OPTION_LIST, offsetof(struct dev, set), "SECTION.KEY=VALUE",
		"any row of posthouse.conf(5) (repeatable)"},
	{"pid-file", OPTION_STR, offsetof(struct dev, pid_file), "FILE",
		"write the process id there"},
	{"ready", OPTION_STR, offsetof(struct dev, ready), "FILE",
		"write the ready line there, too, when everything serves"},
};

/* --- configuration --- */

static int set(struct dev *d, const char *key, const char *value, struct err *e)
{
	return conf_set(d->plan.conf, str_of(key), str_of(value), e);
}

static int set_ports(struct dev *d, struct err *e)
{
	static const enum listen_kind order[] = {LISTEN_SMTP, LISTEN_SUBMISSION, LISTEN_SUBMISSIONS,
		LISTEN_IMAP, LISTEN_IMAPS, LISTEN_LMTP};
	for (size_t i = 0; i < COUNT(order); i++) {
		char key[64], value[64];
		unsigned port = d->ports[order[i]];
		if (!port && d->port_base) { port = d->port_base + (unsigned)i; }
		if (port > 65535) {
			return err_set(e, ERR_SYNTAX,
				"--port-base %u: the last port would be above 65535", d->port_base);
		}
		snprintf(key, sizeof key, "listen.%s", listen_names[order[i]]);
		snprintf(value, sizeof value, "127.0.0.1:%u", port);
		int rc = set(d, key, value, e);
		if (rc < 0) { return rc; }
	}
	return 0;
}

static int set_extra(struct dev *d, struct err *e)
{
	for (size_t i = 0; i < d->set.n; i++) {
		struct str value = str_of(d->set.v[i]), key;
		if (!str_cut(&value, '=', &key)) {
			return err_set(
				e, ERR_SYNTAX, "--set %s: written SECTION.KEY=VALUE", d->set.v[i]);
		}
		int rc = conf_set(d->plan.conf, key, value, e);
		if (rc < 0) { return rc; }
	}
	return 0;
}

struct setting {
	const char *key, *value;
};

static int set_all(struct dev *d, const struct setting *v, size_t n, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) { rc = set(d, v[i].key, v[i].value, e); }
	return rc;
}

static int configure(struct dev *d, struct err *e)
{
	static const struct setting always[] = {
		{"auth.failure_delay", "0s"}, /* tests fail logins on purpose */
		{"smtp.xclient_from", "127.0.0.0/8, ::1"}, {"smtp.auth_without_tls", "loopback"},
		{"imap.login_without_tls", "loopback"}, {"smtp.sessions_max", "100000"},
		{"smtp.success_reports", "always"}, /* nothing leaves the machine unasked */
		{"policy.connections_max", "0"}, /* all of a test's clients may have one address */
		{"policy.rate_max", "0"},
		{"policy.sender", "note"}, /* a test's zone may know nothing of its senders */
	};
	static const struct setting open_house[] = {
		{"auth.all_domains", "yes"},
		{"auth.auto_accounts", "yes"},
		{"auth.any_password", "yes"},
	};
	int rc = set_all(d, always, COUNT(always), e);
	if (rc == 0) { rc = set(d, "hostname", d->hostname ? d->hostname : "localhost", e); }
	if (rc == 0 && d->users.n == 0) {
		/* With a domain or a route the others are remote. */
		bool closed = d->domains.n || d->route;
		rc = set_all(d, open_house + closed, COUNT(open_house) - closed, e);
	}
	if (rc == 0 && d->dns) { rc = set(d, "dns.forward", d->dns, e); }
	if (rc == 0 && d->dns) {
		rc = set(d, "dns.dnssec", "no", e);
	} /* a test's zone is not signed */
	if (rc == 0 && !d->dns && !d->dns_zone) { rc = set(d, "dns.forward", "none", e); }
	if (rc == 0 && d->dns_zone) { rc = set(d, "dns.zone", d->dns_zone, e); }
	if (rc == 0 && d->route) { rc = set(d, "relay.route", d->route, e); }
	if (rc == 0 && !d->route) { rc = set(d, "relay.loopback_only", "yes", e); }
	if (rc == 0 && d->cert) { rc = set(d, "tls.certificate", d->cert, e); }
	if (rc == 0 && d->key) { rc = set(d, "tls.key", d->key, e); }
	if (rc == 0) { rc = set_ports(d, e); }
	return rc == 0 ? set_extra(d, e) : rc;
}

/* --- data directory --- */

static int make_data(struct dev *d, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	if (d->data) { return path_absolute(d->data, d->plan.data, sizeof d->plan.data, e); }
	snprintf(d->plan.data, sizeof d->plan.data, "%s/posthouse-XXXXXX",
		tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d->plan.data)) {
		return err_set(e, ERR_IO, "%s: %s", d->plan.data, strerror(errno));
	}
	d->throw_away = true;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

/* A CA and a certificate of its own; the CA's is kept in the data directory for clients. */
static int make_certificate(struct dev *d, struct err *e)
{
	const struct top_conf *top = conf_get(d->plan.conf, &top_conf_section);
	struct str names[] = {top->hostname, STR("localhost"), STR("127.0.0.1"), STR("::1")};
	struct buf ca = {0};
	snprintf(d->ca, sizeof d->ca, "%s/ca.pem", d->plan.data);
	int rc = tls_make_certificate(names, COUNT(names), &ca, &d->plan.cert, &d->plan.key, e);
	if (rc == 0) { rc = file_write(d->ca, buf_view(&ca), 0644, e); }
	if (rc == 0 && chmod(d->plan.data, d->throw_away ? 0711 : 0700) < 0) { rc = ERR_IO; }
	buf_fini(&ca);
	return rc;
}

/* --- accounts --- */

static int add_domain(struct store *s, struct str name, struct err *e)
{
	struct arena a = {0};
	struct op_domain_set op = {0};
	int rc = idn_domain(name, &a, &op.name);
	if (rc == 0) { rc = store_apply(s, &OP_DOMAIN_SET, &op, NULL, NULL); }
	arena_fini(&a);
	return rc < 0 ? err_set(e, rc, "'%.*s' is not a domain", STR_ARG(name)) : 0;
}

static int add_account(struct store *s, struct str login, struct str password, struct err *e)
{
	struct buf secret = {0};
	int rc = auth_hash(password, STR("sha512-crypt"), &secret, e);
	struct op_acct_add op = {.login = login, .secret = buf_view(&secret)};
	if (rc == 0) { rc = store_apply(s, &OP_ACCT_ADD, &op, NULL, NULL); }
	if (rc == ERR_EXISTS) { rc = 0; } /* --data from an earlier run */
	buf_fini(&secret);
	return rc;
}

/* "address:password"; the address has no colon. */
static int add_user(struct store *s, const char *text, struct err *e)
{
	struct arena a = {0};
	struct str password = str_of(text), address, login;
	int rc = str_cut(&password, ':', &address) ? address_normalise(address, &a, &login)
						   : ERR_SYNTAX;
	if (rc < 0) {
		err_set(e, rc, "--user %s: written ADDRESS:PASSWORD", text);
	} else if (password.n == 0 || password.n > AUTH_PASSWORD_MAX) {
		rc = err_set(e, ERR_SYNTAX, "--user %.*s: a password has 1 to %d octets",
			STR_ARG(login), AUTH_PASSWORD_MAX);
	} else {
		rc = add_domain(s, str_skip(login, (size_t)str_rchr(login, '@') + 1), e);
		if (rc == 0) { rc = add_account(s, login, password, e); }
		if (rc < 0) { /* the password is not told */
			err_set(e, rc, "--user %.*s: %s", STR_ARG(login),
				rc == ERR_FULL ? "too little room on the disk" : err_name(rc));
		}
	}
	arena_fini(&a);
	return rc;
}

static int add_accounts(struct dev *d, struct err *e)
{
	struct store *s;
	const struct top_conf *top = conf_get(d->plan.conf, &top_conf_section);
	bool closed = d->domains.n || d->users.n || d->route;
	if (!closed) { return 0; } /* the store role makes its store */
	int rc = store_open(d->plan.data, STORE_WRITE, &s, e);
	if (rc < 0) { return rc; }
	rc = add_domain(s, top->hostname, e);
	for (size_t i = 0; i < d->domains.n && rc == 0; i++) {
		rc = add_domain(s, str_of(d->domains.v[i]), e);
	}
	for (size_t i = 0; i < d->users.n && rc == 0; i++) { rc = add_user(s, d->users.v[i], e); }
	store_close(s);
	return rc;
}

/* --- the command --- */

static int prepare(struct dev *d, struct err *e)
{
	if (!d->cert != !d->key) {
		return err_set(e, ERR_SYNTAX, "--cert and --key belong together");
	}
	d->plan.processes = d->processes;
	int rc = configure(d, e);
	if (rc == 0) { rc = make_data(d, e); }
	if (rc == 0) { rc = plan_users(&d->plan, true, e); }
	if (rc == 0) { rc = plan_data(&d->plan, e); }
	if (rc == 0) { rc = add_accounts(d, e); }
	if (rc == 0) { rc = plan_data(&d->plan, e); } /* the store is there now: give it away */
	if (rc == 0 && !d->cert) { rc = make_certificate(d, e); }
	if (rc == 0) { rc = plan_load_files(&d->plan, e); }
	return rc == 0 ? plan_bind(&d->plan, e) : rc;
}

/* SIGHUP: the files that options name; what else there is was given on the command line. */
static int reload(struct serving *sv, struct plan *p, struct err *e)
{
	(void)sv; /* the plan has it all */
	struct plan fresh = {.conf = p->conf};
	int rc = plan_load_files(&fresh, e);
	if (rc == 0 && fresh.cert.n) { rc = plan_check_tls(&fresh, e); }
	if (rc < 0) {
		fresh.conf = NULL;
		plan_fini(&fresh);
		return rc;
	}
	plan_take(p, &fresh);
	return 0;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct dev *d = xnew(struct dev);
	const char *args[ARGS_MAX];
	struct err e = {0};
	int status = EX_USAGE;
	int n = options_read(c, argc, argv, d, args);
	if (n > 0) { command_fail(c, 0, "takes no arguments; what is '%s'?", args[0]); }
	d->plan.conf = roles_conf_new();
	if (n == 0) {
		int rc = prepare(d, &e);
		if (rc < 0) {
			status = command_fail(c, command_status(rc), "%s", e.text);
		} else {
			char above[sizeof d->plan.data]; /* to remove the store at the end */
			snprintf(above, sizeof above, "%s", d->plan.data);
			struct serving s = {.command = c,
				.pid_file = d->pid_file,
				.ready_file = d->ready,
				.ca_file = d->cert ? NULL : d->ca,
				.reload = reload,
				.ready_line = true,
				.writes = d->throw_away ? dirname(above) : NULL};
			status = serving_run(&s, &d->plan);
		}
	}
	if (d->throw_away) { nftw(d->plan.data, remove_one, 8, FTW_DEPTH | FTW_PHYS); }
	plan_fini(&d->plan);
	options_free(c, d);
	free(d);
	return status;
}

const struct command command_dev = {.name = "dev",
	.arguments = "[OPTIONS]",
	.summary = "Try it, or test against it: everything on loopback, no configuration.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
