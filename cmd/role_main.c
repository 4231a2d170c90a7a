/* The process of one role: told everything by the supervisor, it opens what the role may keep open,
   shuts the sandbox, and serves. It ends when the role has stopped or the supervisor is gone. */
#include "cmd/role_main.h"

#include <grp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/resolver.h"
#include "cmd/runner.h"
#include "cmd/sandbox.h"
#include "cmd/sup_msg.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "store/store.h"

struct host {
	struct loop *loop;
	struct link *up;
	struct runner runner;
	const struct role_ops *ops;
	struct conf *conf;
	struct role_secret *secrets; /* names and values are our copies */
	size_t secrets_n;
	char data[4096];
	uint32_t uid, gid;
	struct store *store;
	struct tls_ctx *tls;
	int status;
	bool over; /* what comes now comes too late */
	struct job end;
};

static void free_secrets(struct role_secret *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		wipe((void *)(uintptr_t)v[i].value.p, v[i].value.n);
		free((void *)(uintptr_t)v[i].name.p);
		free((void *)(uintptr_t)v[i].value.p);
	}
	free(v);
}

static int make_tls(struct host *h, struct err *e)
{
	if (!h->ops->want_tls) { return 0; }
	struct tls_ctx *fresh = tls_server_new(role_secret(&h->runner.role, STR("tls.cert")),
		role_secret(&h->runner.role, STR("tls.key")), e);
	if (!fresh) { return ERR_TLS; }
	if (h->tls) { tls_share_tickets(fresh, h->tls); }
	tls_put(h->tls);
	h->tls = fresh;
	h->runner.role.tls = fresh;
	return 0;
}

static void end(struct job *j)
{
	struct host *h = container_of(j, struct host, end);
	loop_stop(h->loop);
}

static void on_ended(struct runner *r)
{
	struct host *h = r->ctx;
	struct sup_nothing nothing = {0};
	link_send(h->up, &SUP_STOPPED, &nothing, NULL, 0);
	h->status = EX_OK;
	job_start(h->loop, &h->end, end);
}

static void on_lost(struct runner *r, enum role_id peer)
{
	struct host *h = r->ctx;
	struct sup_peer msg = {peer};
	link_send(h->up, &SUP_LOST, &msg, NULL, 0);
}

/* From here on it may be stopped, started or not. */
static void begin(struct host *h, const struct conf *conf)
{
	runner_init(&h->runner, h->ops, h->loop, conf);
	h->runner.ended = on_ended;
	h->runner.lost = on_lost;
	h->runner.ctx = h;
}

static void set_up(struct host *h, const struct sup_setup *s)
{
	struct err e = {0};
	struct log_ctx log = {.role = h->ops->name};
	struct conf *fresh = roles_conf_new(), *old = h->conf;
	if (conf_unpack(fresh, s->conf, &e) < 0) { /* the supervisor has read it before */
		log_event(LOG_ERROR, &log, "configuration refused", "reason=\"%s\"", e.text);
		conf_free(fresh);
		return;
	}
	free_secrets(h->secrets, h->secrets_n);
	h->secrets = xcalloc(s->secrets_n + 1, sizeof *h->secrets);
	h->secrets_n = s->secrets_n;
	for (uint32_t i = 0; i < s->secrets_n; i++) {
		h->secrets[i].name = str_make(xstrdup(s->secrets[i].name), s->secrets[i].name.n);
		h->secrets[i].value = str_make(xstrdup(s->secrets[i].value), s->secrets[i].value.n);
	}
	h->conf = fresh;
	if (!s->reload) { begin(h, fresh); }
	h->runner.role.conf = fresh;
	h->runner.role.secrets = h->secrets;
	h->runner.role.secrets_n = h->secrets_n;
	snprintf(h->data, sizeof h->data, "%.*s", STR_ARG(s->data));
	h->uid = s->uid;
	h->gid = s->gid;
	const struct top_conf *top = conf_get(fresh, &top_conf_section);
	log_set_level((enum log_level)top->log_level);
	if (s->reload) {
		/* who has not started makes its own then, when the resolver's process is there */
		if (h->runner.started && make_tls(h, &e) < 0) {
			log_event(LOG_ERROR, &log, "certificate not reloaded", "reason=\"%s\"",
				e.text);
		}
		runner_reload(&h->runner);
		conf_free(old);
	}
}

static int become(const struct host *h, struct err *e)
{
	if (h->gid && (setgroups(0, NULL) < 0 || setresgid(h->gid, h->gid, h->gid) < 0)) {
		return err_set(e, ERR_IO, "cannot become group %u", h->gid);
	}
	if (h->uid && setresuid(h->uid, h->uid, h->uid) < 0) {
		return err_set(e, ERR_IO, "cannot become user %u", h->uid);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the kernel forgets it with the old user */
	return 0;
}

/* Everything that needs the file system, then the sandbox. */
static int start(struct host *h, struct err *e)
{
	int rc = become(h, e);
	/* It reads its files now, not at first use. Who speaks no TLS needs none of them. */
	bool tls = h->ops->want_tls || h->ops->want_dns;
	OPENSSL_init_ssl(tls ? OPENSSL_INIT_LOAD_CONFIG : OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	/* nothing of the store or of TLS is there yet when the resolver's process is made */
	if (rc == 0 && h->ops->want_dns) { rc = resolver_start(&h->runner.role, e); }
	if (rc == 0 && h->ops->want_store) {
		rc = store_open(
			h->data, h->ops->id == ROLE_STORE ? STORE_WRITE : STORE_READ, &h->store, e);
		h->runner.role.store = h->store;
	}
	if (rc == 0) { rc = make_tls(h, e); }
	if (rc == 0) { rc = runner_start(&h->runner, e); }
	return rc == 0 ? sandbox_close(h->ops->id, e) : rc;
}

static void do_start(struct host *h)
{
	struct err e = {0};
	int rc = start(h, &e);
	struct sup_ready ready = {.ok = rc == 0, .error = str_of(e.text)};
	link_send(h->up, &SUP_READY, &ready, NULL, 0);
	if (rc < 0) {
		h->status = EX_CONFIG;
		job_start(h->loop, &h->end, end);
	}
}

/* The one descriptor that came along, now ours. */
static int take_fd(struct link_msg *m)
{
	int fd = m->fds_n ? m->fds[0] : -1;
	if (fd >= 0) {
		m->fds_n--;
		memmove(m->fds, m->fds + 1, m->fds_n * sizeof m->fds[0]);
	}
	return fd;
}

static void on_message(void *ctx, struct link_msg *m)
{
	struct host *h = ctx;
	if (h->over) { return; }
	if (m->type == &SUP_SETUP) {
		set_up(h, m->request);
	} else if (m->type == &SUP_PEER) {
		uint32_t role = ((struct sup_peer *)m->request)->role;
		int fd = take_fd(m);
		if (fd >= 0 && role < ROLE_N) { runner_peer(&h->runner, (enum role_id)role, fd); }
	} else if (m->type == &SUP_LISTEN) {
		uint32_t kind = ((struct sup_listen *)m->request)->kind;
		int fd = take_fd(m);
		if (fd >= 0 && kind < LISTEN_N) {
			runner_listen(&h->runner, (enum listen_kind)kind, fd);
		}
	} else if (m->type == &SUP_START) {
		do_start(h);
	} else if (m->type == &SUP_STOP) {
		if (h->conf) {
			runner_stop(&h->runner);
		} else {
			job_start(h->loop, &h->end, end);
		}
	} else if (m->type == &SUP_METRICS) {
		struct sup_metrics now;
		sup_metrics_now(&m->arena, &now);
		link_reply(m, 0, &now);
	}
}

/* Without a supervisor nobody would restart us or stop us. */
static void on_down(void *ctx, struct link *l)
{
	struct host *h = ctx;
	(void)l;
	job_start(h->loop, &h->end, end);
}

static const struct link_ops link_ops = {.handle = on_message, .down = on_down};

int cmd_role(const struct command *c, int argc, char **argv)
{
	struct host h = {.status = EX_SOFTWARE};
	h.ops = argc == 1 ? role_by_name(str_of(argv[0])) : NULL;
	if (!h.ops) { return command_fail(c, EX_USAGE, "started by the supervisor only"); }
	fault_role(h.ops->name);
	prctl(PR_SET_NAME, h.ops->name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* ^C of a terminal, systemd and container engines mean the supervisor but reach all of its
	 * processes; it stops us in order. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	roles_register();
	h.loop = loop_new();
	h.up = link_new(h.loop, ROLE_LINK_FD, h.ops->id, ROLE_SUPERVISOR, &link_ops, &h);
	loop_run(h.loop);
	h.over = true;
	if (h.conf) { runner_fini(&h.runner); }
	while (loop_turn(h.loop)) {}
	dns_free(h.runner.role.dns);
	link_free(h.up);
	tls_put(h.tls);
	store_close(h.store);
	loop_free(h.loop);
	conf_free(h.conf);
	free_secrets(h.secrets, h.secrets_n);
	return h.status;
}
