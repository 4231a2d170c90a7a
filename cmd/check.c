/* posthouse check: configuration, certificate, data, ports: what is wrong, and the exact fix. */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/check_policy.h"
#include "cmd/commands.h"
#include "cmd/plan.h"
#include "cmd/system_user.h"
#include "lib/wire.h"
#include "smtp/role.h"

struct check {
	struct admin_options admin;
	bool policy;
};
static const struct option_row options[] = {ADMIN_OPTIONS(check), JSON_OPTION(check),
	{"policy", OPTION_FLAG, offsetof(struct check, policy), NULL,
		"print what incoming mail is checked for, and what follows; nothing else"}};

/* Told one by one, or as a list at the end. */
struct findings {
	int bad;
	bool json;
	struct buf list;
};

static void tell(struct findings *f, bool is_good, const char *what)
{
	f->bad += !is_good;
	if (!f->json) {
		printf("%s %s\n", is_good ? "ok   " : "WRONG", what);
		return;
	}
	buf_str(&f->list, f->list.n ? STR(",\n{") : STR("\n{"));
	json_name("ok", &f->list);
	buf_str(&f->list, is_good ? STR("true") : STR("false"));
	json_member("text", str_of(what), &f->list);
	buf_chr(&f->list, '}');
}

static void good(struct findings *f, const char *what)
{
	tell(f, true, what);
}

static void bad(struct findings *f, const char *what)
{
	tell(f, false, what);
}

/* By tls_make_certificate, and so trusted by nobody who was not given its CA. */
static bool made_here(const X509 *cert)
{
	char issuer[64];
	return X509_NAME_get_text_by_NID(
		       X509_get_issuer_name(cert), NID_commonName, issuer, sizeof issuer) > 0 &&
	       strcmp(issuer, TLS_OWN_CA) == 0;
}

/* Does the certificate name the host, and how long is it valid? */
static void check_certificate(struct findings *f, const struct plan *p)
{
	const struct top_conf *top = conf_get(p->conf, &top_conf_section);
	char text[600], name[256];
	struct err e;
	struct tls_ctx *ctx = tls_server_new(buf_view(&p->cert), buf_view(&p->key), &e);
	if (!ctx) {
		bad(f, e.text);
		return;
	}
	tls_put(ctx);
	BIO *bio = BIO_new_mem_buf(p->cert.p, (int)p->cert.n);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!cert) { return; } /* tls_server_new has read it */
	snprintf(name, sizeof name, "%.*s", STR_ARG(top->hostname));
	int days, seconds;
	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert))) { days = 0; }
	if (X509_check_host(cert, name, 0, 0, NULL) != 1) {
		snprintf(text, sizeof text, "tls.certificate does not name the host %s", name);
		bad(f, text);
	} else if (days < 7) {
		snprintf(text, sizeof text, "tls.certificate ends in %d days: renew it", days);
		bad(f, text);
	} else {
		snprintf(text, sizeof text, "certificate for %s, valid %d more days%s", name, days,
			made_here(cert) ? "; nobody else trusts its CA, which posthouse made" : "");
		good(f, text);
	}
	X509_free(cert);
}

static void check_ports(struct findings *f, struct plan *p, bool running)
{
	struct err e = {0};
	if (running) {
		good(f, "the server runs (its control socket answers)");
	} else if (plan_bind(p, &e) < 0) {
		bad(f, e.text);
	} else {
		good(f, "all ports can be bound");
	}
}

static void check_store(struct findings *f, struct admin *a)
{
	struct store_stat st;
	struct err e = {0};
	char text[600];
	int rc = store_open(a->data, STORE_READ, &a->store, &e);
	if (rc < 0) {
		snprintf(text, sizeof text, "%s%s", e.text,
			rc == ERR_GONE ? ": posthouse serve makes it, posthouse user add "
					 "NAME@DOMAIN with the first account"
				       : "");
		bad(f, text);
		return;
	}
	if (store_stat(a->store, &st) < 0) {
		bad(f, "the store cannot be read: posthouse fsck");
		return;
	}
	snprintf(text, sizeof text,
		"store: %llu accounts, %llu messages, %llu queued, %llu MB used, %llu MB free on "
		"disk",
		(unsigned long long)st.accounts, (unsigned long long)st.messages,
		(unsigned long long)st.queued, (unsigned long long)st.used_bytes >> 20,
		(unsigned long long)st.free_disk_bytes >> 20);
	if (st.accounts == 0) {
		bad(f, "there is no account: posthouse user add NAME@DOMAIN");
	} else if (st.free_disk_bytes < UINT64_C(64) << 20) {
		bad(f, "the disk is almost full: new mail is refused for now (452)");
	} else {
		good(f, text);
	}
}

static void check_policy(struct findings *f, const struct conf *conf)
{
	struct err e = {0};
	if (smtp_conf_sound(conf, &e) < 0) {
		bad(f, e.text);
	} else {
		good(f, "the exceptions and lists of the policy can be read (--policy shows it)");
	}
}

static int print_policy(const struct command *c, const struct check *o)
{
	struct conf *conf;
	struct err e = {0};
	int status = admin_conf(c, &o->admin, &conf, &e);
	if (status == 0) { status = policy_print(c, conf, o->admin.json); }
	conf_free(conf);
	return status;
}

static void check_all(struct findings *f, struct admin *a)
{
	struct err e = {0};
	struct plan *p = xnew(struct plan);
	p->conf = a->conf;
	a->conf = NULL;
	p->processes = true;
	good(f, "the configuration can be read");
	check_policy(f, p->conf);
	if (plan_users(p, false, &e) < 0) { bad(f, e.text); }
	if (plan_hostname(p, &e) < 0 || plan_load_files(p, &e) < 0) {
		bad(f, e.text);
	} else if (p->cert.n == 0 || p->key.n == 0) {
		bad(f, "tls.certificate and tls.key are not set: they name the PEM files of a "
		       "certificate and its key");
	} else {
		check_certificate(f, p);
	}
	check_store(f, a);
	int fd = admin_connect(a, "control");
	check_ports(f, p, fd >= 0);
	if (fd >= 0) { close(fd); }
	plan_fini(p);
	free(p);
}

static int run(const struct command *c, int argc, char **argv)
{
	struct check o = {0};
	const char *args[ARGS_MAX];
	struct admin a;
	int n = options_read(c, argc, argv, &o, args);
	if (n != 0) { return n < 0 ? EX_USAGE : command_fail(c, EX_USAGE, "takes no arguments"); }
	if (o.policy) { return print_policy(c, &o); }
	struct findings f = {.json = o.admin.json};
	int status = admin_find(&a, c, &o.admin);
	if (status == 0) {
		check_all(&f, &a);
		status = f.bad ? EX_CONFIG : EX_OK;
	} else if (f.json) { /* else stderr is enough */
		bad(&f, a.why.text);
	}
	if (f.json) { printf("[%.*s\n]\n", STR_ARG(buf_view(&f.list))); }
	buf_fini(&f.list);
	admin_close(&a);
	return status;
}

const struct command command_check = {.name = "check",
	.arguments = "[OPTIONS]",
	.summary = "What is wrong with configuration, certificate, data and ports, and the fix.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
