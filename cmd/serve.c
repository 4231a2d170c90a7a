/* posthouse serve: the service, by /etc/posthouse.conf. */
#include <stdio.h>
#include <sysexits.h>

#include "auth/conf.h"
#include "auth/auth.h"
#include "cmd/admin.h"
#include "cmd/commands.h"
#include "cmd/serving.h"
#include "cmd/system_user.h"

struct serve {
	const char *config, *pid_file, *ready;
	struct plan plan;
};
static const struct option_row options[] = {
	{"config", OPTION_STR, offsetof(struct serve, config), "FILE",
		"default: /etc/posthouse.conf"},
	{"pid-file", OPTION_STR, offsetof(struct serve, pid_file), "FILE",
		"write the process id there"},
	{"ready", OPTION_STR, offsetof(struct serve, ready), "FILE",
		"write a line of JSON there when everything serves"},
};

/* What only `dev` may do. */
static int refuse_dev_rows(const struct plan *p, struct err *e)
{
	const struct auth_conf *auth = conf_get(p->conf, &auth_conf_section);
	if (auth->any_password || auth->auto_accounts || auth->all_domains) {
		return err_set(e, ERR_DENIED,
			"auth.any_password, auth.auto_accounts and auth.all_domains are for "
			"posthouse dev only");
	}
	return 0;
}

static int load(struct serve *s, struct err *e)
{
	struct plan *p = &s->plan;
	int rc = conf_load(p->conf, s->config, e);
	if (rc == 0) { rc = refuse_dev_rows(p, e); }
	if (rc == 0) { rc = plan_hostname(p, e); }
	const struct tls_conf *tls = conf_get(p->conf, &tls_conf_section);
	if (rc == 0 && (!tls->certificate.n || !tls->key.n)) {
		return err_set(e, ERR_SYNTAX,
			"%s: tls.certificate and tls.key are missing; posthouse init DOMAIN makes "
			"both",
			s->config);
	}
	return rc == 0 ? plan_load_files(p, e) : rc;
}

static int prepare(struct serve *s, struct err *e)
{
	struct plan *p = &s->plan;
	p->processes = true;
	int rc = load(s, e);
	if (rc < 0) { return rc; }
	const struct top_conf *top = conf_get(p->conf, &top_conf_section);
	snprintf(p->data, sizeof p->data, "%.*s", STR_ARG(top->data));
	rc = plan_users(p, false, e);
	if (rc == 0) { rc = plan_data(p, e); }
	return rc == 0 ? plan_bind(p, e) : rc;
}

/* SIGHUP: everything but the sockets, the data directory and the accounts we run as. */
static int reload(struct serving *sv, struct plan *p, struct err *e)
{
	struct serve *s = sv->ctx;
	struct conf *old = p->conf;
	struct buf cert = p->cert, key = p->key, zone = p->zone;
	p->conf = roles_conf_new();
	p->cert = p->key = p->zone = (struct buf){0};
	int rc = load(s, e);
	if (rc < 0) { /* all as it was */
		conf_free(p->conf);
		buf_fini(&p->cert);
		buf_fini(&p->key);
		buf_fini(&p->zone);
		p->conf = old;
		p->cert = cert;
		p->key = key;
		p->zone = zone;
		return rc;
	}
	conf_free(old);
	buf_fini(&cert);
	if (key.n) { wipe(key.p, key.n); }
	buf_fini(&key);
	buf_fini(&zone);
	return 0;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct serve *s = xnew(struct serve);
	const char *args[ARGS_MAX];
	struct err e = {0};
	int status = EX_USAGE;
	s->config = config_default;
	int n = options_read(c, argc, argv, s, args);
	if (n > 0) { command_fail(c, 0, "takes no arguments; what is '%s'?", args[0]); }
	s->plan.conf = roles_conf_new();
	if (n == 0) {
		int rc = prepare(s, &e);
		struct serving sv = {.command = c,
			.pid_file = s->pid_file,
			.ready_file = s->ready,
			.reload = reload,
			.ctx = s};
		status = rc < 0 ? command_fail(c, EX_CONFIG, "%s", e.text)
				: serving_run(&sv, &s->plan);
	}
	plan_fini(&s->plan);
	free(s);
	return status;
}

const struct command command_serve = {.name = "serve",
	.arguments = "[OPTIONS]",
	.summary = "The service, by its configuration file.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
