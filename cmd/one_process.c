/* All roles on one loop in one process (`dev`, tests): the same role objects and links, no sandbox.
 */
#include <sysexits.h>
#include <unistd.h>

#include "cmd/house.h"
#include "cmd/runner.h"
#include "cmd/status_msg.h"
#include "lib/log.h"
#include "store/store.h"

enum { ROLES_MAX = 8 };

struct one {
	struct house *house;
	struct store *store;
	struct tls_ctx *tls;
	struct dns *dns; /* one for all */
	struct runner runners[ROLES_MAX];
	struct role_secret secrets[ROLES_MAX][8];
	size_t n;
	struct job next; /* go on with stopping */
	struct job ready;
};

static struct tls_ctx *make_tls(const struct plan *p, struct err *e)
{
	return tls_server_new(buf_view(&p->cert), buf_view(&p->key), e);
}

static int connect_pair(struct runner *a, struct runner *b)
{
	int fds[2];
	if (!roles_talk(a->role.ops, b->role.ops)) { return 0; }
	if (net_pair(fds) < 0) { return ERR_IO; }
	runner_peer(a, b->role.id, fds[0]);
	runner_peer(b, a->role.id, fds[1]);
	return 0;
}

static int connect_roles(struct one *o, struct err *e)
{
	for (size_t i = 0; i < o->n; i++) {
		for (size_t j = i + 1; j < o->n; j++) {
			int rc = connect_pair(&o->runners[i], &o->runners[j]);
			if (rc < 0) { return err_set(e, rc, "no socket pair"); }
		}
	}
	return 0;
}

static struct runner *runner_of(struct one *o, enum role_id id)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->runners[i].role.id == id) { return &o->runners[i]; }
	}
	return NULL;
}

/* Both ends tell; one of them is heard. */
static void on_lost(struct runner *r, enum role_id peer)
{
	struct log_ctx log = {.role = "supervisor"};
	if (peer <= r->role.id || r->stopped) { return; }
	struct runner *other = runner_of(r->ctx, peer);
	log_event(LOG_WARN, &log, "a new link", "between=%s and=%s", r->role.ops->name,
		other->role.ops->name);
	if (!other->stopped) { (void)connect_pair(r, other); } /* asked again when it fails */
}

/* Stop the last role that has not, in the opposite order of starting; what listens goes together.
 */
static void stop_next(struct job *j)
{
	struct one *o = container_of(j, struct one, next);
	bool waiting = false;
	for (size_t i = o->n; i-- > 0;) {
		struct runner *r = &o->runners[i];
		if (waiting && !r->role.ops->listen) { return; }
		if (!r->role.stopping) { runner_stop(r); }
		waiting |= !r->stopped;
	}
	if (!waiting) { o->house->ops->ended(o->house->ctx, EX_OK); }
}

static void on_ended(struct runner *r)
{
	struct one *o = r->ctx;
	job_start(o->house->loop, &o->next, stop_next);
}

static void tell_ready(struct job *j)
{
	struct one *o = container_of(j, struct one, ready);
	o->house->ops->ready(o->house->ctx);
}

static int share_dns(struct one *o, struct role *role, struct err *e)
{
	int rc = 0;
	if (!role->ops->want_dns) { return 0; }
	role->dns = o->dns;
	if (!o->dns) { rc = role_dns(role, e); }
	o->dns = role->dns;
	return rc;
}

static int start_roles(struct one *o, struct err *e)
{
	struct plan *p = o->house->plan;
	for (size_t i = 0; i < o->n; i++) {
		struct role *role = &o->runners[i].role;
		struct err why = {0};
		role->store = role->ops->want_store ? o->store : NULL;
		role->tls = role->ops->want_tls ? o->tls : NULL;
		role->secrets = o->secrets[i];
		role->secrets_n = plan_secrets(p, role->id, o->secrets[i]);
		role->one_process = o;
		int rc = share_dns(o, role, &why);
		if (rc == 0) { rc = runner_start(&o->runners[i], &why); }
		if (rc < 0) { return err_set(e, rc, "%s: %s", role->ops->name, why.text); }
	}
	for (size_t i = 0; i < p->listen_n; i++) {
		struct plan_listen *l = &p->listen[i];
		runner_listen(runner_of(o, listen_role(l->kind)), l->kind, l->fd);
		l->fd = -1; /* the role's now */
	}
	return 0;
}

static int one_start(struct house *h, struct err *e)
{
	struct one *o = xnew(struct one);
	h->state = o;
	o->house = h;
	int rc = store_open(h->plan->data, STORE_WRITE, &o->store, e);
	if (rc < 0) { return rc; }
	o->tls = make_tls(h->plan, e);
	if (!o->tls) { return ERR_TLS; }
	for (size_t i = 0; i < roles_n; i++) {
		runner_init(&o->runners[i], roles[i], h->loop, h->plan->conf);
		o->runners[i].ended = on_ended;
		o->runners[i].lost = on_lost;
		o->runners[i].ctx = o;
		o->n++;
	}
	rc = connect_roles(o, e);
	if (rc == 0) { rc = start_roles(o, e); }
	if (rc == 0) { job_start(h->loop, &o->ready, tell_ready); }
	return rc;
}

static void one_stop(struct house *h, bool now)
{
	struct one *o = h->state;
	if (now) {
		h->ops->ended(h->ctx, EX_OK);
	} else {
		job_start(h->loop, &o->next, stop_next);
	}
}

static void one_reload(struct house *h)
{
	struct one *o = h->state;
	struct err e;
	struct tls_ctx *fresh = make_tls(h->plan, &e);
	struct log_ctx log = {.role = "supervisor"};
	if (!fresh) {
		log_event(LOG_ERROR, &log, "certificate not reloaded", "reason=\"%s\"", e.text);
	} else {
		tls_share_tickets(fresh, o->tls);
		tls_put(o->tls);
		o->tls = fresh;
	}
	for (size_t i = 0; i < o->n; i++) {
		struct role *role = &o->runners[i].role;
		role->conf = h->plan->conf;
		if (role->ops->want_tls) { role->tls = o->tls; }
		role->secrets_n = plan_secrets(h->plan, role->id, o->secrets[i]);
		runner_reload(&o->runners[i]);
	}
}

static void one_control(struct house *h, int fd)
{
	struct one *o = h->state;
	runner_peer(runner_of(o, ROLE_STORE), ROLE_CONTROL, fd);
}

/* The roles' counters are one registry here. */
static void one_status(struct house *h, int fd)
{
	struct arena a = {0};
	struct sup_metrics now;
	(void)h;
	sup_metrics_now(&a, &now);
	struct status_role all = {STR("all"), (uint32_t)getpid(), now.metrics, now.metrics_n};
	status_send(&(struct status){&all, 1}, fd);
	arena_fini(&a);
}

static void one_free(struct house *h)
{
	struct one *o = h->state;
	if (!o) { return; }
	job_cancel(&o->next);
	job_cancel(&o->ready);
	for (size_t i = o->n; i-- > 0;) { runner_fini(&o->runners[i]); }
	while (loop_turn(h->loop)) {} /* tasks that end let go of the store */
	dns_free(o->dns);
	tls_put(o->tls);
	store_close(o->store);
	free(o);
}

const struct house_kind house_of_one = {
	one_start, one_stop, one_reload, one_control, one_status, one_free};
