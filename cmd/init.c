/* posthouse init: from nothing to a configuration, keys and a first account. */
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/auth.h"
#include "cmd/admin.h"
#include "cmd/commands.h"
#include "cmd/plan.h"
#include "cmd/system_user.h"
#include "lib/idn.h"

struct init {
	const char *config, *data, *hostname, *password, *user;
};
static const struct option_row options[] = {
	{"config", OPTION_STR, offsetof(struct init, config), "FILE",
		"to write; default: /etc/posthouse.conf"},
	{"data", OPTION_STR, offsetof(struct init, data), "DIR",
		"where mail is kept; default: /var/lib/posthouse"},
	{"hostname", OPTION_STR, offsetof(struct init, hostname), "NAME",
		"name of this host; default: mail.DOMAIN"},
	{"password", OPTION_STR, offsetof(struct init, password), "TEXT",
		"of the first account, postmaster@DOMAIN; default: one is made and printed"},
	{"user", OPTION_STR, offsetof(struct init, user), "NAME",
		"system account that owns the mail, for run.user; default: posthouse"},
};

struct work {
	const struct init *o;
	char domain[256], hostname[256], data[3000];
	char cert[4096], key[4096], ca[4096];
	char password[32];
	bool kept_keys, kept_account; /* were there before */
};

static void make_password(char out[32])
{
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned char random[20];
	random_bytes(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++) { out[i] = alphabet[random[i] & 31]; }
	out[sizeof random] = 0;
}

static bool exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

/* In quotes where the path has what would end a plain word. */
static void put_path(struct buf *out, const char *name, const char *path)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
	bool quoted = path[strspn(path, plain)] != 0;
	buf_fmt(out, "%s = %s", name, quoted ? "\"" : "");
	for (const char *p = path; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == '$') { buf_chr(out, '\\'); }
		buf_chr(out, *p);
	}
	buf_str(out, quoted ? STR("\"\n") : STR("\n"));
}

static int write_config(const struct work *w, struct err *e)
{
	struct buf text = {0};
	buf_fmt(&text,
		"# posthouse, see posthouse.conf(5)\n"
		"hostname = %s\n",
		w->hostname);
	put_path(&text, "data", w->data);
	buf_str(&text, STR("tls {\n"
			   "    # Replace these by a certificate that others trust (Let's Encrypt, "
			   "your CA).\n"));
	put_path(&text, "    certificate", w->cert);
	put_path(&text, "    key", w->key);
	buf_str(&text, STR("}\n"));
	if (w->o->user) { buf_fmt(&text, "run {\n    user = \"%s\"\n}\n", w->o->user); }
	int rc = file_write(w->o->config, buf_view(&text), 0644, e);
	buf_fini(&text);
	return rc;
}

static int write_keys(struct work *w, struct err *e)
{
	struct str names[] = {str_of(w->hostname), str_of(w->domain)};
	struct buf ca = {0}, cert = {0}, key = {0};
	w->kept_keys = exists(w->key) && exists(w->cert);
	if (w->kept_keys) { return 0; }
	int rc = tls_make_certificate(names, COUNT(names), &ca, &cert, &key, e);
	if (rc == 0) { rc = file_write(w->key, buf_view(&key), 0600, e); }
	if (rc == 0) { rc = file_write(w->cert, buf_view(&cert), 0644, e); }
	if (rc == 0) { rc = file_write(w->ca, buf_view(&ca), 0644, e); }
	buf_fini(&ca);
	buf_fini(&cert);
	if (key.n) { wipe(key.p, key.n); }
	buf_fini(&key);
	return rc;
}

static int write_store(struct work *w, struct err *e)
{
	struct store *s;
	struct buf secret = {0};
	char login[300];
	int n = snprintf(login, sizeof login, "postmaster@%s", w->domain);
	int rc = auth_hash(str_of(w->password), STR(""), &secret, e);
	if (rc < 0) { return rc; }
	rc = store_open(w->data, STORE_WRITE, &s, e);
	if (rc < 0) {
		buf_fini(&secret);
		return rc;
	}
	struct op_domain_set dom = {.name = str_of(w->domain)};
	struct op_acct_add acct = {
		.login = str_make(login, (size_t)n), .secret = buf_view(&secret)};
	rc = store_apply(s, &OP_DOMAIN_SET, &dom, NULL, NULL);
	if (rc == 0) { rc = store_apply(s, &OP_ACCT_ADD, &acct, NULL, NULL); }
	w->kept_account = rc == ERR_EXISTS;
	if (rc < 0 && !w->kept_account) {
		err_set(e, rc, "%s: the first account was not made: %s", w->data, err_name(rc));
	}
	store_close(s);
	buf_fini(&secret);
	return w->kept_account ? 0 : rc;
}

static void record(const struct work *w, const char *prefix, bool host, const char *value)
{
	char name[600];
	snprintf(name, sizeof name, "%s%s.", prefix, host ? w->hostname : w->domain);
	printf("  %-*s  %s\n", (int)MAX(strlen(w->hostname), strlen(w->domain)) + 19, name, value);
}

static void tell_records(const struct work *w)
{
	char value[800];
	printf("Publish in the DNS of %s, with your addresses:\n\n", w->domain);
	record(w, "", true, "A     192.0.2.1");
	record(w, "", true, "AAAA  2001:db8::1");
	snprintf(value, sizeof value, "MX    10 %s.", w->hostname);
	record(w, "", false, value);
	record(w, "", false, "TXT   \"v=spf1 mx -all\"");
	snprintf(value, sizeof value, "TXT   \"v=DMARC1; p=none; rua=mailto:postmaster@%s\"",
		w->domain);
	record(w, "_dmarc.", false, value);
	snprintf(value, sizeof value, "SRV   0 1 465 %s.", w->hostname);
	record(w, "_submissions._tcp.", false, value);
	snprintf(value, sizeof value, "SRV   0 1 993 %s.", w->hostname);
	record(w, "_imaps._tcp.", false, value);
	printf("\nand ask your provider for the reverse name %s of the address.\n\n", w->hostname);
}

static void tell(const struct work *w)
{
	printf("Written         %s\n", w->o->config);
	printf("Certificate     %s%s\n", w->cert,
		w->kept_keys ? ", as it was"
			     : ", signed by a CA of its own (ca.pem) that nobody else trusts");
	if (w->kept_account) {
		printf("First account   postmaster@%s, with the password it has already\n\n",
			w->domain);
	} else {
		printf("First account   postmaster@%s, password %s\n\n", w->domain, w->password);
	}
	tell_records(w);
	printf("Then: posthouse check, posthouse serve, posthouse user add NAME@%s\n", w->domain);
}

/* The directory, made if need be. It belongs to the account that the roles run as. */
static int give_away(const struct work *w, struct err *e)
{
	struct plan p = {.processes = true, .conf = roles_conf_new()};
	snprintf(p.data, sizeof p.data, "%s", w->data);
	int rc = w->o->user ? conf_set(p.conf, STR("run.user"), str_of(w->o->user), e) : 0;
	if (rc == 0) { rc = plan_users(&p, false, e); }
	if (rc == 0) { rc = plan_data(&p, e); }
	plan_fini(&p);
	return rc;
}

static int make(struct work *w, struct err *e)
{
	if (exists(w->o->config)) {
		return err_set(e, ERR_EXISTS,
			"%s is there already; nothing was touched (--config FILE writes another)",
			w->o->config);
	}
	bool made = !exists(w->data);
	int rc = give_away(w, e);
	if (rc < 0 && made) { rmdir(w->data); } /* nothing is in it, if it was made at all */
	if (rc == 0) { rc = write_store(w, e); }
	if (rc == 0) { rc = give_away(w, e); }
	if (rc == 0) { rc = write_keys(w, e); }
	return rc == 0 ? write_config(w, e) : rc;
}

static int fill(const struct command *c, struct work *w, const char *domain)
{
	struct arena a = {0};
	struct str d;
	int rc = idn_domain(str_of(domain), &a, &d);
	bool good = rc == 0 && str_chr(d, '.') > 0 && d.n <= 240;
	if (good) { memcpy(w->domain, d.p, d.n); }
	arena_fini(&a);
	if (!good) { return command_fail(c, EX_USAGE, "'%s' is not a domain", domain); }
	const struct init *o = w->o;
	snprintf(w->hostname, sizeof w->hostname, "%s%.240s", o->hostname ? "" : "mail.",
		o->hostname ? o->hostname : w->domain);
	struct err e = {0};
	rc = path_absolute(o->data ? o->data : "/var/lib/posthouse", w->data, sizeof w->data, &e);
	if (rc < 0) { return command_fail(c, command_status(rc), "%s", e.text); }
	snprintf(w->cert, sizeof w->cert, "%s/tls.pem", w->data);
	snprintf(w->key, sizeof w->key, "%s/tls.key", w->data);
	snprintf(w->ca, sizeof w->ca, "%s/ca.pem", w->data);
	if (o->password) {
		snprintf(w->password, sizeof w->password, "%.31s", o->password);
		if (strlen(o->password) > 31) {
			return command_fail(c, EX_USAGE, "--password: at most 31 octets here");
		}
	} else {
		make_password(w->password);
	}
	return 0;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct init o = {.config = config_default()};
	struct work *w = xnew(struct work);
	const char *args[ARGS_MAX];
	struct err e = {0};
	int n = options_read(c, argc, argv, &o, args);
	int status =
		n == 1  ? 0
		: n < 0 ? EX_USAGE
			: command_fail(c, EX_USAGE, "written: posthouse init %s", c->arguments);
	w->o = &o;
	if (status == 0) { status = fill(c, w, args[0]); }
	if (status == 0) {
		int rc = make(w, &e);
		if (rc < 0) {
			status = rc == ERR_GONE ? EX_NOUSER : command_status(rc);
			command_fail(c, status, "%s", e.text);
		} else {
			tell(w);
		}
	}
	wipe(w, sizeof *w);
	free(w);
	return status;
}

const struct command command_init = {.name = "init",
	.arguments = "DOMAIN [OPTIONS]",
	.summary = "Configuration, keys, a first account; prints the DNS records to publish.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
