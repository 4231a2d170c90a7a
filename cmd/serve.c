/* posthouse serve: the service, by /etc/posthouse.conf. */
#include <stdio.h>
#include <sysexits.h>

#include "auth/conf.h"
#include "auth/auth.h"
#include "cmd/admin.h"
#include "cmd/commands.h"
#include "cmd/serving.h"
#include "cmd/system_user.h"
#include "smtp/role.h"

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

static int load(const struct serve *s, struct plan *p, struct err *e)
{
	int rc = config_load(p->conf, s->config, e);
	if (rc == 0) { rc = refuse_dev_rows(p, e); }
	if (rc == 0) { rc = smtp_conf_sound(p->conf, e); }
	if (rc == 0) { rc = plan_hostname(p, e); }
	const struct tls_conf *tls = conf_get(p->conf, &tls_conf_section);
	if (rc == 0 && (!tls->certificate.n || !tls->key.n)) {
		return err_set(e, ERR_SYNTAX,
			"%s: tls.certificate and tls.key are not set: they name the PEM files of a "
			"certificate and its key",
			s->config);
	}
	if (rc == 0) { rc = plan_load_files(p, e); }
	return rc == 0 ? plan_check_tls(p, e) : rc;
}

static int prepare(struct serve *s, struct err *e)
{
	struct plan *p = &s->plan;
	p->processes = true;
	int rc = load(s, p, e);
	if (rc < 0) { return rc; }
	const struct top_conf *top = conf_get(p->conf, &top_conf_section);
	snprintf(p->data, sizeof p->data, "%.*s", STR_ARG(top->data));
	rc = plan_users(p, false, e);
	if (rc == 0) { rc = plan_data(p, e); }
	return rc == 0 ? plan_bind(p, e) : rc;
}

/* SIGHUP: everything but what counts from the start only (conf_row.at_start); all of it or nothing.
 */
static int reload(struct serving *sv, struct plan *p, struct err *e)
{
	struct plan fresh = {.conf = roles_conf_new()};
	int rc = load(sv->ctx, &fresh, e);
	if (rc < 0) {
		plan_fini(&fresh);
		return rc;
	}
	plan_take(p, &fresh);
	return 0;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct serve *s = xnew(struct serve);
	const char *args[ARGS_MAX];
	struct err e = {0};
	int status = EX_USAGE;
	s->config = config_default();
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
