/* The relay role: takes what is due off the queue's index, a few shipments at a time, and reports
   each outcome to the store. The queue itself is only changed by the store; what is in flight is
   known here alone, so a relay that dies simply starts over. It is the only role that connects out;
   it never listens. */
#include "smtp/relay.h"

#include "smtp/relay_metrics.h"

enum { WALK_MAX = 4000 }; /* index entries looked at in one go */

static void arm(struct relay *r, int64_t at_us);

static void on_due(struct timer *t)
{
	struct relay *r = container_of(t, struct relay, due);
	arm(r, 0);
}

/* Take what is due now; answers when the next entry is due, 0 = none. */
static int64_t take_due(struct relay *r, struct snap *sn)
{
	struct queue_due due = {0}, next;
	int64_t now = loop_now_us(r->role->loop);
	unsigned char key[12];
	for (int i = 0; i < WALK_MAX && snap_queue_due_next(sn, &due, &next) == 0; i++) {
		due = next;
		if (due.next_us > now) { return due.next_us; }
		if (r->active_n >= r->conf->concurrency) { return 0; }
		put_be64(key, due.qid);
		put_be32(key + 8, due.n);
		if (map_get(&r->busy, str_make(key, sizeof key))) { continue; }
		ship_start(r, sn, due.qid, due.n);
	}
	return 0;
}

/* Every change of the queue leads here. */
static void look_at_queue(struct snap *sn)
{
	struct queue_item oldest;
	struct arena a = {0};
	int64_t since_us = snap_queue_item_next(sn, 0, &a, &oldest) == 0 ? oldest.created_us : 0;
	metric_set(&relay_queue_recipients, snap_queue_count(sn));
	metric_set(&relay_queue_oldest_timestamp_seconds, (uint64_t)(since_us / SECOND_US));
	arena_fini(&a);
}

static void run_schedule(struct job *j)
{
	struct relay *r = container_of(j, struct relay, schedule);
	struct snap sn;
	if (r->role->stopping) { return; }
	if (snap_begin(r->role->store, &sn) < 0) {
		arm(r, loop_now_us(r->role->loop) + SECOND_US);
		return;
	}
	int64_t next = take_due(r, &sn);
	look_at_queue(&sn);
	metric_set(&relay_shipments, r->active_n);
	snap_end(&sn);
	if (next) { arm(r, next); }
}

/* Look again at `at_us` of the wall clock; 0 = in this turn. */
static void arm(struct relay *r, int64_t at_us)
{
	int64_t now = loop_now_us(r->role->loop);
	if (at_us > now) {
		timer_start(r->role->loop, &r->due, MIN(at_us - now, 60 * SECOND_US), on_due);
	} else {
		job_start(r->role->loop, &r->schedule, run_schedule);
	}
}

struct relay_domain *relay_domain_enter(struct relay *r, struct str name)
{
	char *key = xstrdup(name);
	for (size_t i = 0; i < name.n; i++) { key[i] = ascii_lower(key[i]); }
	struct relay_domain *d = map_get(&r->domains, str_make(key, name.n));
	if (d) {
		free(key);
	} else {
		d = xnew(struct relay_domain);
		d->name = key;
		map_put(&r->domains, str_make(key, name.n), d);
	}
	d->active++;
	return d;
}

void relay_domain_leave(struct relay *r, struct relay_domain *d)
{
	if (--d->active) { return; }
	map_del(&r->domains, str_of(d->name));
	free(d->name);
	free(d);
}

void relay_ended(struct relay *r, struct shipment *s)
{
	list_del(&s->node);
	r->active_n--;
	for (size_t i = 0; i < s->rcpts_n; i++) {
		map_del(&r->busy, str_make(s->rcpts[i].key, sizeof s->rcpts[i].key));
	}
	relay_domain_leave(r, s->domain);
	if (!r->role->stopping) {
		arm(r, 0);
	} else if (r->active_n == 0) {
		role_stopped(r->role);
	}
}

static void relay_reload(struct role *role)
{
	struct relay *r = role->state;
	r->conf = conf_get(role->conf, &relay_conf_section);
	arm(r, 0);
}

static int relay_start(struct role *role, struct err *e)
{
	(void)e; /* nothing here can fail */
	struct relay *r = xnew(struct relay);
	r->role = role;
	r->log = (struct log_ctx){.role = "relay"};
	list_init(&r->active);
	list_init(&r->schedule.node);
	role->state = r;
	relay_metrics_register();
	r->conf = conf_get(role->conf, &relay_conf_section);
	r->dns = role->dns;
	arm(r, 0);
	return 0;
}

static void relay_handle(struct role *role, struct link_msg *m)
{
	if (m->type == &NEWS_QUEUE) { arm(role->state, 0); }
}

static void relay_peer_changed(struct role *role, enum role_id id)
{
	if (id == ROLE_STORE && role->peer[id]) { arm(role->state, 0); }
}

static void relay_stop(struct role *role)
{
	struct relay *r = role->state;
	timer_stop(&r->due);
	list_each(node, &r->active) { ship_stop(list_entry(node, struct shipment, node)); }
	if (r->active_n == 0) { role_stopped(role); }
}

static void relay_fini(struct role *role)
{
	struct relay *r = role->state;
	timer_stop(&r->due);
	job_cancel(&r->schedule);
	assert(list_empty(&r->active));
	tls_put(r->tls_any);
	tls_put(r->tls_verify);
	map_fini(&r->busy);
	map_fini(&r->domains);
	free(r);
	role->state = NULL;
}

const struct role_ops relay_role = {
	.id = ROLE_RELAY,
	.name = "relay",
	.peers = UINT32_C(1) << ROLE_STORE | UINT32_C(1) << ROLE_AUTH,
	.want_store = true,
	.want_dns = true,
	.start = relay_start,
	.handle = relay_handle,
	.peer_changed = relay_peer_changed,
	.reload = relay_reload,
	.stop = relay_stop,
	.fini = relay_fini,
};
