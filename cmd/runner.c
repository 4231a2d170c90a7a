/* Running one role. In every role's process. */
#include "cmd/runner.h"

#include <unistd.h>

struct runner_link {
	struct list node;
	struct runner *runner;
	enum role_id id;
	struct link *link;
};

static void on_message(void *ctx, struct link_msg *m)
{
	struct runner_link *rl = ctx;
	struct role *r = &rl->runner->role;
	r->ops->handle(r, m);
}

static void forget(struct runner_link *rl)
{
	list_del(&rl->node);
	link_free(rl->link);
	free(rl);
}

static void on_mend(struct timer *t);

static void miss(struct runner *r, enum role_id peer)
{
	r->missing |= 1u << peer;
	if (r->lost && !timer_armed(&r->mend)) {
		timer_start(r->role.loop, &r->mend, RUNNER_MEND_MS * 1000, on_mend);
	}
}

static void on_mend(struct timer *t)
{
	struct runner *r = container_of(t, struct runner, mend);
	uint32_t missing = r->missing;
	r->missing = 0;
	for (unsigned id = 0; id < ROLE_N; id++) {
		if (!(missing & 1u << id) || r->role.peer[id]) { continue; }
		r->lost(r, (enum role_id)id);
		if (!r->role.peer[id]) { miss(r, (enum role_id)id); }
	}
}

static void on_down(void *ctx, struct link *l)
{
	struct runner_link *rl = ctx;
	struct runner *runner = rl->runner;
	struct role *r = &runner->role;
	enum role_id id = rl->id;
	bool current = r->peer[id] == l;
	if (current) { r->peer[id] = NULL; }
	forget(rl);
	if (!current) { return; }
	if (r->ops->peer_changed) { r->ops->peer_changed(r, id); }
	if (id != ROLE_CONTROL) { miss(runner, id); }
}

static const struct link_ops link_ops = {.handle = on_message, .down = on_down};

static void on_stopped(struct role *role)
{
	struct runner *r = container_of(role, struct runner, role);
	if (r->stopped) { return; }
	r->stopped = true;
	r->ended(r);
}

void runner_init(
	struct runner *r, const struct role_ops *ops, struct loop *l, const struct conf *conf)
{
	*r = (struct runner){.role = {.ops = ops, .id = ops->id, .loop = l, .conf = conf}};
	r->role.stopped = on_stopped;
	list_init(&r->links);
}

int runner_start(struct runner *r, struct err *e)
{
	int rc = r->role.ops->start(&r->role, e);
	r->started = rc == 0;
	list_each(node, &r->links) {
		if (r->started) { link_go_on(list_entry(node, struct runner_link, node)->link); }
	}
	return rc;
}

void runner_peer(struct runner *r, enum role_id peer, int fd)
{
	struct runner_link *rl = xnew(struct runner_link);
	rl->runner = r;
	rl->id = peer;
	rl->link = link_new(r->role.loop, fd, r->role.id, peer, &link_ops, rl);
	list_add(&r->links, &rl->node);
	r->role.peer[peer] = rl->link;
	if (!r->started) { /* peers that run already may call at once */
		link_hold(rl->link);
	} else if (r->role.ops->peer_changed) {
		r->role.ops->peer_changed(&r->role, peer);
	}
}

void runner_listen(struct runner *r, enum listen_kind kind, int fd)
{
	if (r->role.ops->listen) {
		r->role.ops->listen(&r->role, kind, fd);
	} else {
		close(fd);
	}
}

void runner_reload(struct runner *r)
{
	if (r->started && r->role.ops->reload) { r->role.ops->reload(&r->role); }
}

void runner_stop(struct runner *r)
{
	if (r->role.stopping) { return; }
	r->role.stopping = true;
	if (r->started) {
		r->role.ops->stop(&r->role);
	} else {
		on_stopped(&r->role); /* it could not start: there is nothing to finish */
	}
}

void runner_fini(struct runner *r)
{
	if (r->started) { r->role.ops->fini(&r->role); }
	r->started = false;
	timer_stop(&r->mend);
	list_each(node, &r->links) { forget(list_entry(node, struct runner_link, node)); }
	memset(r->role.peer, 0, sizeof r->role.peer);
}
