/* The resolver of a role: questions, their sharing, timeouts and lifetimes. Roles with want_dns.
   What answers is a zone in memory or libunbound; neither is seen from outside. */
#include "lib/dns_private.h"
#include "lib/fault.h"

enum {
	CACHE_MAX = 4096,
	TTL_MAX_S = 86400,
	NEGATIVE_TTL_MAX_S = 3600,
	FAILURE_TTL_MAX_S = 30 /* RFC 2308 7 allows 300 */
};
static const int64_t TIMEOUT_US = 10 * SECOND_US;

struct dns {
	struct loop *loop;
	struct dns_zone *zone;
	struct dns_unbound *unbound;
	struct dns_cache cache;
	int64_t timeout_us;
};

static const struct dns_answer bad_name = {.status = DNS_BAD, .canonical = {"", 0}};
static const struct dns_answer no_answer = {.status = DNS_SERVFAIL, .canonical = {"", 0}};

struct dns *dns_new(struct loop *l, const struct dns_conf *conf, struct err *e)
{
	struct dns *d = xnew(struct dns);
	d->loop = l;
	d->timeout_us = conf->timeout_us ? conf->timeout_us : TIMEOUT_US;
	dns_cache_init(&d->cache, conf->cache_max ? conf->cache_max : CACHE_MAX);
	if (conf->zone_text.n) {
		d->zone = dns_zone_new(conf->zone_text, e);
	} else if (str_eq(conf->forward, STR("none"))) {
		return d;
	} else {
		d->unbound = dns_unbound_new(l, conf, e);
	}
	if (!d->zone && !d->unbound) {
		dns_free(d);
		return NULL;
	}
	return d;
}

void dns_free(struct dns *d)
{
	if (!d) { return; }
	dns_unbound_free(d->unbound); /* finishes what is pending */
	dns_zone_free(d->zone);
	dns_cache_fini(&d->cache);
	free(d);
}

int dns_prepare(struct dns *d, struct err *e)
{
	return d->unbound ? dns_unbound_prepare(d->unbound, e) : 0;
}

bool dns_is_off(const struct dns *d)
{
	return !d->zone && !d->unbound;
}

void dns_budget_start(struct dns_budget *b, struct loop *l, unsigned questions, int64_t us)
{
	*b = (struct dns_budget){.left = questions, .until_us = loop_mono_us(l) + us};
}

static void answered(struct dns_query *q, const struct dns_answer *answer)
{
	q->answer = answer;
	timer_stop(&q->timeout);
	list_del(&q->node);
	task_wake(q->task, 0);
}

static uint32_t lifetime_s(const struct dns_answer *a)
{
	switch (a->status) {
	case DNS_OK: return MIN(a->ttl, (uint32_t)TTL_MAX_S);
	case DNS_NODATA:
	case DNS_NXDOMAIN: return MIN(a->ttl, (uint32_t)NEGATIVE_TTL_MAX_S);
	default: return MIN(a->ttl, (uint32_t)FAILURE_TTL_MAX_S);
	}
}

void dns_entry_finish(struct dns_entry *e)
{
	struct dns *d = e->dns;
	uint32_t ttl = lifetime_s(&e->answer);
	struct list *node;
	e->done = true;
	e->expires_us = loop_mono_us(d->loop) + ttl * SECOND_US;
	while ((node = e->waiting.next) != &e->waiting) {
		answered(list_entry(node, struct dns_query, node), &e->answer);
	}
	if (ttl == 0) { dns_cache_drop(&d->cache, e); }
	dns_entry_put(e);
}

static void on_timeout(struct timer *t)
{
	struct dns_query *q = container_of(t, struct dns_query, timeout);
	if (q->budget && loop_mono_us(q->dns->loop) >= q->budget->until_us) {
		q->budget->over = true;
	}
	answered(q, &no_answer);
}

/* How long a question may wait. */
static int64_t patience_us(const struct dns_query *q)
{
	int64_t us = q->dns->timeout_us;
	if (q->budget) { us = MIN(us, q->budget->until_us - loop_mono_us(q->dns->loop)); }
	return MAX(us, 0);
}

/* Is one more question covered? */
void dns_budget_go_on(struct dns_budget *b, struct loop *l, int64_t us)
{
	b->until_us = loop_mono_us(l) + us;
}

static bool afford(struct dns_query *q)
{
	struct dns_budget *b = q->budget;
	if (!b) { return true; }
	if (b->left == 0 || loop_mono_us(q->dns->loop) >= b->until_us) {
		b->over = true;
		return false;
	}
	b->left--;
	return true;
}

static void join(struct dns_entry *e, struct dns_query *q)
{
	e->refs++;
	q->entry = e;
	q->name = e->name;
	if (e->done) {
		answered(q, &e->answer);
		return;
	}
	list_add(&e->waiting, &q->node);
	timer_start(e->dns->loop, &q->timeout, patience_us(q), on_timeout);
}

static void start(struct dns *d, struct dns_query *q, struct str name)
{
	bool may = !dns_is_off(d) && afford(q);
	struct dns_entry *e = may ? dns_cache_add(&d->cache, name, q->type) : NULL;
	if (!e) {
		answered(q, &no_answer);
		return;
	}
	e->dns = d;
	join(e, q);
	if (d->zone) {
		dns_zone_answer(d->zone, e);
		dns_entry_finish(e);
	} else {
		dns_unbound_ask(d->unbound, e);
	}
}

void dns_ask(
	struct dns *d, struct dns_query *q, struct task *t, struct str name, enum dns_type type)
{
	dns_ask_within(d, q, t, NULL, name, type);
}

void dns_ask_within(struct dns *d, struct dns_query *q, struct task *t, struct dns_budget *b,
	struct str name, enum dns_type type)
{
	struct buf normal = {0};
	*q = (struct dns_query){.dns = d, .task = t, .type = type, .budget = b};
	list_init(&q->node);
	if (dns_name_normal(name, &normal) < 0) {
		answered(q, &bad_name);
	} else if (FAULT("dns.ask")) {
		answered(q, &no_answer);
	} else {
		struct dns_entry *e =
			dns_cache_find(&d->cache, buf_view(&normal), type, loop_mono_us(d->loop));
		if (e) {
			join(e, q);
		} else {
			start(d, q, buf_view(&normal));
		}
	}
	buf_fini(&normal);
}

void dns_query_fini(struct dns_query *q)
{
	if (!q->dns) { return; }
	timer_stop(&q->timeout);
	list_del(&q->node);
	if (q->entry) { dns_entry_put(q->entry); }
	*q = (struct dns_query){0};
}
