/* One shipment: find the hosts, try them in order, hand the answers to the report. Runs in relay.
   Nothing here promises anything: until the report is committed the queue rows stand as they are.
 */
#include "smtp/relay.h"

#include "lib/dns_conf.h"

#define NO_ROUTE STR("4.4.1 nothing leaves this machine: no route is set")

enum {
	ANSWERS_MAX = 2,              /* hosts that hear the same message before it waits */
	LOOK_OCTETS = 16 * CHUNK_DATA /* in one turn of the loop */
};

static struct shipment *ship_of(struct task *t)
{
	return task_of(t, struct shipment, task);
}

static void set_failure(struct shipment *s, bool permanent, struct str host, struct str text)
{
	s->failure_said = false;
	s->failure = arena_dup(&s->arena, text);
	s->failure_host = arena_dup(&s->arena, host);
	s->failure_permanent = permanent;
}

/* --- after the hosts --- */

/* Every recipient that no host answered for shares the last failure. */
static enum step conclude(struct shipment *s)
{
	s->concluded = true;
	client_free(s->client);
	s->client = NULL;
	for (size_t i = 0; i < s->rcpts_n; i++) {
		struct ship_rcpt *r = &s->rcpts[i];
		if (r->left) {
			r->code = 450;
			r->reply = STR("4.5.3 left for another transaction");
		} else if (r->code == 0) {
			r->code = s->failure_permanent ? 550 : 450;
			r->reply = s->failure;
			r->host = s->failure_host;
			r->said = s->failure_said;
		}
	}
	s->task.step = ship_report;
	return STEP_MORE;
}

static void keep_answers(struct shipment *s)
{
	s->tls_used = s->client->used_tls;
	s->converted = s->client->fit.convert;
	for (size_t i = 0; i < s->client->rcpts_n; i++) {
		const struct client_rcpt *w = &s->client->rcpts[i];
		for (size_t k = 0; k < s->rcpts_n; k++) {
			if (s->rcpts[k].row.n != w->n) { continue; }
			s->rcpts[k].left = w->left;
			if (w->code == 0) { continue; }
			s->rcpts[k].code = w->code;
			s->rcpts[k].said = w->said;
			s->rcpts[k].dsn_passed_on = s->client->dsn_passed_on;
			s->rcpts[k].reply = arena_dup(&s->arena, w->reply);
			s->rcpts[k].host = arena_dup(&s->arena, s->client->host);
		}
	}
}

/* --- one host after the other --- */

static enum step try_host(struct task *t);

/* Nobody has decided about it. RFC 5321 5.1: after a refusal for now another host may decide. */
static bool is_open(const struct ship_rcpt *r)
{
	return r->code == 0 || (r->code >= 400 && r->code < 500);
}

/* Is another host worth a try? Not once somebody was served: that is committed first, so that a
   relay which dies sends nothing twice that was answered. */
static bool goes_on(struct shipment *s)
{
	bool deferred = false, served = false;
	for (size_t i = 0; i < s->rcpts_n; i++) {
		const struct ship_rcpt *r = &s->rcpts[i];
		served |= r->left || (r->code >= 200 && r->code < 300);
		deferred |= is_open(r);
	}
	s->without_tls = false;
	return !served && deferred && ++s->answers < ANSWERS_MAX && ++s->addr_at < s->route.addrs_n;
}

static void note_no_host(struct shipment *s, const struct client *c)
{
	s->may_serve |= !c->no_mail;
	set_failure(s, !s->may_serve, c->host, c->reply);
	s->failure_said = c->reply_said;
	s->without_tls = false;
	s->addr_at++;
}

static enum step host_done(struct task *t)
{
	struct shipment *s = ship_of(t);
	struct client *c = s->client;
	switch (c->result) {
	case CLIENT_RUNNING: return STEP_WAIT;
	case CLIENT_ANSWERED:
		keep_answers(s);
		if (!goes_on(s)) { return conclude(s); }
		break;
	case CLIENT_LOST: set_failure(s, false, c->host, c->reply); return conclude(s);
	case CLIENT_NO_TLS:
		s->without_tls = true;
		break; /* the same host once more, in the clear */
	case CLIENT_NO_HOST: note_no_host(s, c);
	}
	client_free(s->client);
	s->client = NULL;
	t->step = try_host;
	return STEP_MORE;
}

static enum client_tls tls_mode(const struct shipment *s, struct relay *r)
{
	const struct route_addr *a = &s->route.addrs[s->addr_at];
	if (net_addr_port(&a->addr) == 465) { return CLIENT_TLS_IMPLICIT; }
	if (r->conf->route.n && r->conf->route_tls != ROUTE_TLS_MAY) { return CLIENT_TLS_MUST; }
	return s->without_tls ? CLIENT_TLS_NONE : CLIENT_TLS_MAY;
}

/* The TLS contexts are made when first needed: a relay with an empty queue does not pay for
 * OpenSSL. */
static struct tls_ctx *client_tls_ctx(struct relay *r)
{
	struct err e;
	bool verify = r->conf->route.n && r->conf->route_tls == ROUTE_TLS_VERIFY;
	struct tls_ctx **slot = verify ? &r->tls_verify : &r->tls_any;
	if (!*slot) {
		struct str ca = role_secret(r->role, STR("relay.ca"));
		*slot = tls_client_new(verify ? TLS_VERIFY : TLS_OPPORTUNISTIC, ca, &e);
		if (!*slot) { log_event(LOG_ERROR, &r->log, "tls", "reason=%s", e.text); }
	}
	return *slot;
}

static struct client *make_client(struct shipment *s)
{
	struct relay *r = s->relay;
	const struct route_addr *a = &s->route.addrs[s->addr_at];
	struct client *c = client_new();
	c->store = r->role->store;
	c->parent = &s->task;
	c->to = a->addr;
	c->host = s->route.hosts[a->host].name;
	/* of our own: a reload takes the configuration away under a shipment */
	c->helo = arena_dup(&s->arena, r->conf->helo.n ? r->conf->helo : role_hostname(r->role));
	c->tls = tls_mode(s, r);
	c->tls_ctx = c->tls == CLIENT_TLS_NONE ? NULL : client_tls_ctx(r);
	if (!c->tls_ctx && c->tls == CLIENT_TLS_MAY) { c->tls = CLIENT_TLS_NONE; }
	if (r->conf->route.n) {
		c->user = arena_dup(&s->arena, r->conf->user);
		c->password = arena_dup(&s->arena, r->conf->password);
	}
	c->from = s->item.from;
	c->envid = s->item.envid;
	c->oid = s->item.oid;
	c->size = s->item.size;
	c->ret = s->item.ret;
	c->body = s->item.body;
	c->needs = &s->needs;
	c->convert = s->convert;
	c->rcpts = s->wire_rcpts;
	for (size_t i = 0; i < s->rcpts_n; i++) {
		const struct queue_rcpt *row = &s->rcpts[i].row;
		if (!is_open(&s->rcpts[i])) { continue; }
		s->wire_rcpts[c->rcpts_n++] = (struct client_rcpt){
			.rcpt = row->rcpt, .orcpt = row->orcpt, .notify = row->notify, .n = row->n};
	}
	return c;
}

static enum step try_host(struct task *t)
{
	struct shipment *s = ship_of(t);
	struct relay *r = s->relay;
	if (s->addr_at == s->route.addrs_n) { return conclude(s); }
	const struct net_addr *to = &s->route.addrs[s->addr_at].addr;
	if (r->conf->loopback_only && !net_addr_is_loopback(to)) {
		set_failure(s, false, STR(""), NO_ROUTE);
		s->may_serve = true;
		s->addr_at++;
		return STEP_MORE;
	}
	s->client = make_client(s);
	client_start(t->loop, s->client);
	t->step = host_done;
	return STEP_WAIT;
}

/* --- what the message is like --- */

static int look_on(struct shipment *s)
{
	struct snap sn;
	struct str octets;
	uint64_t end = MIN(s->item.size, s->looked_at + LOOK_OCTETS);
	int rc = snap_begin(s->relay->role->store, &sn);
	if (rc < 0) { return rc; }
	while (rc == 0 && s->looked_at < end) {
		rc = snap_bytes(&sn, s->item.oid, s->looked_at, &octets);
		if (rc == 0 && octets.n == 0) { rc = ERR_DAMAGED; }
		if (rc < 0) { break; }
		convert_look(s->convert, octets);
		s->looked_at += octets.n;
	}
	snap_end(&sn);
	return rc < 0 ? rc : s->looked_at == s->item.size;
}

/* What was declared when it came is not enough to know what it asks of a host. */
static enum step look(struct task *t)
{
	struct shipment *s = ship_of(t);
	int rc = look_on(s);
	if (rc < 0) {
		set_failure(s, false, STR(""), STR("4.3.0 the stored message could not be read"));
		return conclude(s);
	}
	if (rc == 0) {
		task_wake(t, 0); /* others may do something meanwhile */
		return STEP_WAIT;
	}
	convert_looked(s->convert, &s->needs);
	t->step = try_host;
	return STEP_MORE;
}

/* --- the way there --- */

/* `dev` without a route, a resolver and a zone: no name can ever be found. */
static bool stays_here(const struct relay *r)
{
	const struct dns_section *dns = conf_get(r->role->conf, &dns_conf_section);
	return r->conf->loopback_only && str_eq(dns->forward, STR("none")) && dns->zone.n == 0;
}

static enum step find_route(struct task *t)
{
	struct shipment *s = ship_of(t);
	int rc = route_step(&s->route);
	if (rc == 0) { return STEP_WAIT; }
	if (rc < 0 && !s->route.permanent && stays_here(s->relay)) {
		set_failure(s, false, STR(""), NO_ROUTE);
		return conclude(s);
	}
	if (rc < 0) {
		set_failure(s, s->route.permanent, STR(""), s->route.error);
		return conclude(s);
	}
	s->may_serve |= s->route.soft_failure;
	s->convert = convert_new();
	t->step = look;
	return STEP_MORE;
}

static void begin_route(struct shipment *s)
{
	struct relay *r = s->relay;
	s->route = (struct route){.dns = r->dns,
		.task = &s->task,
		.arena = &s->arena,
		.own_name = arena_dup(&s->arena, role_hostname(r->role)),
		.port = (uint16_t)r->conf->port};
	if (r->conf->route.n == 0) {
		route_by_domain(&s->route, s->domain_name);
		return;
	}
	struct str host = r->conf->route;
	(void)route_text(r->conf->route, &host, &s->route.port); /* its row has looked at it */
	route_by_host(&s->route, arena_dup(&s->arena, host));
}

/* Recipients that were delivered when the message came, and whose sender wants to know. */
static enum step tell_delivered(struct shipment *s)
{
	for (size_t i = 0; i < s->rcpts_n; i++) {
		s->rcpts[i].code = 250;
		s->rcpts[i].reply = STR("2.1.5 delivered to the mailbox");
		s->rcpts[i].host = STR("");
	}
	return conclude(s);
}

static enum step begin(struct task *t)
{
	struct shipment *s = ship_of(t);
	if (s->rcpts_n && (s->rcpts[0].row.notify & NOTIFY_DELIVERED)) { return tell_delivered(s); }
	begin_route(s);
	t->step = find_route;
	return STEP_MORE;
}

/* --- life --- */

static void ship_ended(struct task *t)
{
	struct shipment *s = ship_of(t);
	client_free(s->client);
	convert_free(s->convert);
	route_fini(&s->route);
	call_fini(&s->call);
	report_free(s->report);
	relay_ended(s->relay, s);
	arena_fini(&s->arena);
	free(s);
}

void ship_stop(struct shipment *s)
{
	bool promised = s->concluded || (s->client && s->client->in_body);
	if (!promised) { task_kill(&s->task); }
}

static struct str domain_of(const struct relay *r, const struct queue_rcpt *row)
{
	ptrdiff_t at = str_rchr(row->rcpt, '@');
	if (row->notify & NOTIFY_DELIVERED) { return STR("."); } /* goes nowhere any more */
	if (r->conf->route.n) { return STR("*"); }               /* one destination for all */
	return at < 0 ? STR("") : str_skip(row->rcpt, (size_t)at + 1);
}

static void add_rcpt(struct shipment *s, const struct queue_rcpt *row)
{
	struct ship_rcpt *r = &s->rcpts[s->rcpts_n++];
	r->row = *row;
	put_be64(r->key, s->item.qid);
	put_be32(r->key + 8, row->n);
	map_put(&s->relay->busy, str_make(r->key, sizeof r->key), s);
}

/* The strings of rows point into the snapshot or the arena; what must outlive the snapshot is
 * copied. */
static void own_strings(struct shipment *s)
{
	struct arena *a = &s->arena;
	s->item.from = arena_dup(a, s->item.from);
	s->item.envid = arena_dup(a, s->item.envid);
	for (size_t i = 0; i < s->rcpts_n; i++) {
		struct queue_rcpt *row = &s->rcpts[i].row;
		row->rcpt = arena_dup(a, row->rcpt);
		row->orcpt = arena_dup(a, row->orcpt);
		row->last_reply = row->last_host = STR("");
	}
}

static void collect(struct shipment *s, struct snap *sn)
{
	struct relay *r = s->relay;
	struct queue_rcpt row;
	unsigned char key[12];
	int64_t after = -1, now = loop_now_us(r->role->loop);
	while (s->rcpts_n < SHIP_RCPTS_MAX &&
		snap_queue_rcpt_next(sn, s->item.qid, after, &s->arena, &row) == 0) {
		after = row.n;
		put_be64(key, s->item.qid);
		put_be32(key + 8, row.n);
		bool due = !row.held && row.next_us <= now &&
			   !map_get(&r->busy, str_make(key, sizeof key));
		if (due && str_ieq(domain_of(r, &row), s->domain_name)) { add_rcpt(s, &row); }
	}
}

struct shipment *ship_start(struct relay *r, struct snap *sn, uint64_t qid, uint32_t n)
{
	static uint32_t serial;
	struct shipment *s = xnew(struct shipment);
	struct queue_rcpt first;
	s->relay = r;
	arena_init(&s->arena, 0);
	if (snap_queue_item(sn, qid, &s->arena, &s->item) < 0 ||
		snap_queue_rcpt(sn, qid, n, &s->arena, &first) < 0) {
		goto nothing;
	}
	s->domain_name = arena_dup(&s->arena, domain_of(r, &first));
	s->domain = relay_domain_enter(r, s->domain_name);
	if (s->domain->active > r->conf->per_domain) {
		relay_domain_leave(r, s->domain);
		goto nothing;
	}
	collect(s, sn);
	own_strings(s);
	s->serial = ++serial;
	list_add(&r->active, &s->node);
	r->active_n++;
	task_start(r->role->loop, &s->task, NULL, begin, ship_ended);
	return s;
nothing:
	arena_fini(&s->arena);
	free(s);
	return NULL;
}
