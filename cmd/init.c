/* posthouse init: from nothing to a configuration, keys and a first account. */
#include <errno.h>
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
	const char *config, *data, *hostname, *password;
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
};

struct work {
	const struct init *o;
	char domain[256], hostname[256], data[3000];
	char cert[4096], key[4096], ca[4096];
	char password[32];
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

static int write_config(const struct work *w, struct err *e)
{
	struct buf text = {0};
	buf_fmt(&text,
		"# posthouse, see posthouse.conf(5)\n"
		"hostname = %s\n"
		"data = %s\n"
		"tls {\n"
		"    # Replace these by a certificate that others trust (Let's Encrypt, your CA).\n"
		"    certificate = %s\n"
		"    key = %s\n"
		"}\n",
		w->hostname, w->data, w->cert, w->key);
	int rc = file_write(w->o->config, buf_view(&text), 0644, e);
	buf_fini(&text);
	return rc;
}

static int write_keys(const struct work *w, struct err *e)
{
	struct str names[] = {str_of(w->hostname), str_of(w->domain)};
	struct buf ca = {0}, cert = {0}, key = {0};
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

static int write_store(const struct work *w, struct err *e)
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
	if (rc < 0 && rc != ERR_EXISTS) {
		err_set(e, rc, "%s: the first account was not made: %s", w->data, err_name(rc));
	}
	store_close(s);
	buf_fini(&secret);
	return rc == ERR_EXISTS ? 0 : rc;
}

static void tell(const struct work *w)
{
	printf("Written: %s, %s (and its key), the store in %s.\n\n"
	       "First account   postmaster@%s, password %s\n\n"
	       "Publish in the DNS of %s, with your addresses:\n\n"
	       "  %s.    A      192.0.2.1\n"
	       "  %s.    AAAA   2001:db8::1\n"
	       "  %s.    MX     10 %s.\n"
	       "  %s.    TXT    \"v=spf1 mx -all\"\n"
	       "  _dmarc.%s.    TXT    \"v=DMARC1; p=none; rua=mailto:postmaster@%s\"\n"
	       "  _submissions._tcp.%s.  SRV  0 1 465 %s.\n"
	       "  _imaps._tcp.%s.        SRV  0 1 993 %s.\n\n"
	       "and ask your provider for the reverse name %s of the address.\n\n"
	       "Then: posthouse check, posthouse serve, posthouse user add NAME@%s\n",
		w->o->config, w->cert, w->data, w->domain, w->password, w->domain, w->hostname,
		w->hostname, w->domain, w->hostname, w->domain, w->domain, w->domain, w->domain,
		w->hostname, w->domain, w->hostname, w->hostname, w->domain);
}

/* The data belongs to the account that the roles run as. */
static int give_away(const struct work *w, struct err *e)
{
	struct plan p = {.processes = true, .conf = roles_conf_new()};
	snprintf(p.data, sizeof p.data, "%s", w->data);
	int rc = plan_users(&p, false, e);
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
	if (mkdir(w->data, 0700) < 0 && errno != EEXIST) {
		return err_set(e, ERR_IO, "%s: %s", w->data, strerror(errno));
	}
	int rc = give_away(w, e);
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
	snprintf(w->data, sizeof w->data, "%s", o->data ? o->data : "/var/lib/posthouse");
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
	struct init o = {.config = config_default};
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
