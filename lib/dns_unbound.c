/* libunbound as a resolver process of its own: hostile packets are parsed there, not in the role,
   and the role's sandbox needs no network. Roles with want_dns. Its answers come back through a
   pipe that the loop watches. */
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <unbound.h>
#include <unistd.h>

#include "lib/dns_private.h"
#include "lib/log.h"
#include "lib/net.h"

enum { DNS_PORT = 53, FAILURE_TTL_S = 5, DESCRIPTORS_MAX = 1024 };

struct dns_unbound {
	struct loop *loop;
	char *forward;
	bool dnssec, started;
	struct ub_ctx *ctx; /* made when it is started: an idle house does without */
	struct watch watch;
	struct list pending; /* struct question */
};

struct question {
	struct list node;
	struct dns_unbound *unbound;
	struct dns_entry *entry;
};

static const struct log_ctx LOG = {.role = "dns"};
#define ROOTS STR("roots")
static const char ROOT_KEY[] = "/usr/share/dns/root.key", RESOLV_CONF[] = "/etc/resolv.conf";

/* The keys of the root since 2017 and 2024, for systems without that file. */
static const char *const root_ds[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

static int refused(int rc, const char *what, struct err *e)
{
	return err_set(e, ERR_IO, "resolver: %s: %s", what, ub_strerror(rc));
}

/* Everything before the first zone: that one closes the context for options. */
static int set_options(struct ub_ctx *ctx, struct err *e)
{
	static const char *const options[][2] = {
		{"do-not-query-localhost:", "no"},
		{"edns-buffer-size:", "1232"},
		{"unblock-lan-zones:", "yes"},
		{"insecure-lan-zones:", "yes"},
		{"num-queries-per-thread:", "2048"},
		{"outgoing-range:", "1024"}, /* a buffer and a socket each */
		{"msg-cache-size:", "4m"},
		{"rrset-cache-size:", "8m"},
		{"key-cache-size:", "2m"},
		{"neg-cache-size:", "1m"},
		{"rrset-roundrobin:", "no"},
		{"use-syslog:", "no"},
	};
	for (size_t i = 0; i < COUNT(options); i++) {
		int rc = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
		if (rc) { return refused(rc, options[i][0], e); }
	}
	return 0;
}

static int set_anchor(struct ub_ctx *ctx, struct err *e)
{
	if (access(ROOT_KEY, R_OK) == 0) {
		int rc = ub_ctx_add_ta_file(ctx, ROOT_KEY);
		return rc ? refused(rc, ROOT_KEY, e) : 0;
	}
	for (size_t i = 0; i < COUNT(root_ds); i++) {
		int rc = ub_ctx_add_ta(ctx, root_ds[i]);
		if (rc) { return refused(rc, "trust anchor", e); }
	}
	return 0;
}

static int set_servers(struct ub_ctx *ctx, struct str forward, struct err *e)
{
	struct net_addr a;
	char ip[NET_ADDR_TEXT], text[NET_ADDR_TEXT + 8];
	int rc;
	bool local = forward.n == 0 && access(RESOLV_CONF, R_OK) == 0;
	if (str_eq(forward, ROOTS) || (forward.n == 0 && !local)) { return 0; }
	if (local) {
		/* Such a server may know nothing of DNSSEC: what cannot be validated counts as
		   unsigned. */
		rc = ub_ctx_set_option(ctx, "val-permissive-mode:", "yes");
		if (rc == 0) { rc = ub_ctx_resolvconf(ctx, RESOLV_CONF); }
		return rc ? refused(rc, RESOLV_CONF, e) : 0;
	}
	rc = net_addr_parse(forward, DNS_PORT, &a); /* dns_unbound_new has seen that it is one */
	assert(rc == 0);
	snprintf(text, sizeof text, "%s@%u", net_addr_ip(&a, ip), net_addr_port(&a));
	rc = ub_ctx_set_fwd(ctx, text);
	return rc ? refused(rc, "dns.forward", e) : 0;
}

/* unbound answers these names itself unless told otherwise. */
static int open_zones(struct ub_ctx *ctx, struct err *e)
{
	static const char *const zones[] = {"test.", "invalid."};
	for (size_t i = 0; i < COUNT(zones); i++) {
		int rc = ub_ctx_zone_add(ctx, zones[i], "transparent");
		if (rc) { return refused(rc, zones[i], e); }
	}
	return 0;
}

struct dns_unbound *dns_unbound_new(struct loop *l, const struct dns_conf *conf, struct err *e)
{
	struct net_addr a;
	if (conf->forward.n && !str_eq(conf->forward, ROOTS) &&
		net_addr_parse(conf->forward, DNS_PORT, &a) < 0) {
		err_set(e, ERR_SYNTAX,
			"dns.forward: \"%.*s\" is not an address with a port, as 192.0.2.1:53",
			(int)MIN(conf->forward.n, 80), conf->forward.p);
		return NULL;
	}
	struct dns_unbound *u = xnew(struct dns_unbound);
	u->loop = l;
	u->forward = xstrdup(conf->forward);
	u->dnssec = conf->dnssec;
	list_init(&u->pending);
	return u;
}

static int open_context(struct dns_unbound *u, struct err *e)
{
	u->ctx = ub_ctx_create();
	if (!u->ctx) { abort(); }
	ub_ctx_debugout(u->ctx, NULL); /* lines in its own style; what matters is in return codes */
	int rc = set_options(u->ctx, e);
	if (rc == 0 && u->dnssec) { rc = set_anchor(u->ctx, e); }
	if (rc == 0) { rc = set_servers(u->ctx, str_of(u->forward), e); }
	if (rc == 0 && ub_ctx_async(u->ctx, 0) != 0) { rc = err_set(e, ERR_IO, "resolver: fork"); }
	return rc == 0 ? open_zones(u->ctx, e) : rc;
}

static void fail_all(struct dns_unbound *u)
{
	struct list *node;
	while ((node = list_pop(&u->pending))) {
		struct question *q = list_entry(node, struct question, node);
		q->entry->answer =
			(struct dns_answer){.status = DNS_SERVFAIL, .canonical = STR("")};
		dns_entry_finish(q->entry);
		free(q);
	}
}

void dns_unbound_free(struct dns_unbound *u)
{
	if (!u) { return; }
	watch_stop(&u->watch);
	if (u->ctx) { ub_ctx_delete(u->ctx); } /* forgets what is pending without a call */
	fail_all(u);
	free(u->forward);
	free(u);
}

/* --- answers --- */

static enum dns_status status_of(const struct ub_result *r)
{
	if (r->bogus || (r->rcode != 0 && r->rcode != 3)) { return DNS_SERVFAIL; }
	if (r->havedata) { return DNS_OK; }
	return r->nxdomain || r->rcode == 3 ? DNS_NXDOMAIN : DNS_NODATA;
}

static void fill(const struct ub_result *r, struct dns_entry *e)
{
	struct dns_answer *a = &e->answer;
	struct buf name = {0};
	struct str canonical = str_of(r->canonname ? r->canonname : r->qname);
	size_t n = 0;
	a->status = status_of(r);
	a->secure = r->secure && a->status != DNS_SERVFAIL;
	a->bogus = r->bogus;
	a->ttl = r->ttl > 0 ? (uint32_t)r->ttl : 0;
	/* whoever asks again at once gets the same; later he may be luckier */
	if (a->status == DNS_SERVFAIL) { a->ttl = FAILURE_TTL_S; }
	a->canonical = dns_name_normal(canonical, &name) == 0
			       ? arena_dup(&e->arena, buf_view(&name))
			       : e->name;
	buf_fini(&name);
	if (a->status != DNS_OK) { return; }
	while (r->data[n] && n < DNS_RRS_MAX) { n++; }
	a->rr = arena_array(&e->arena, n, sizeof *a->rr);
	a->n = n;
	for (size_t i = 0; i < n; i++) {
		a->rr[i].data = arena_dup(&e->arena, str_make(r->data[i], (size_t)r->len[i]));
	}
}

static void on_answer(void *ctx, int error, struct ub_result *r)
{
	struct question *q = ctx;
	if (error || !r) {
		q->entry->answer =
			(struct dns_answer){.status = DNS_SERVFAIL, .canonical = STR("")};
	} else {
		fill(r, q->entry);
	}
	ub_resolve_free(r);
	list_del(&q->node);
	dns_entry_finish(q->entry);
	free(q);
}

/* --- the fork --- */

/* libunbound forks by itself, and its child would keep what is open now: connections that we close
   would stay open for our peers, links would never break. */
static struct {
	int *fds;
	size_t n, cap;
} inherited;

static void inherit(int fd)
{
	if (inherited.n == inherited.cap) {
		inherited.cap = inherited.cap ? 2 * inherited.cap : 64;
		inherited.fds = realloc(inherited.fds, inherited.cap * sizeof *inherited.fds);
		if (!inherited.fds) { abort(); }
	}
	inherited.fds[inherited.n++] = fd;
}

static void before_fork(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	for (int fd = 0; !dir && fd < DESCRIPTORS_MAX; fd++) { inherit(fd); }
	while (dir && (entry = readdir(dir))) {
		uint64_t fd;
		if (str_u64(str_of(entry->d_name), INT_MAX, &fd) && (int)fd != dirfd(dir)) {
			inherit((int)fd);
		}
	}
	if (dir) { closedir(dir); }
}

static void in_child(void)
{
	for (size_t i = 0; i < inherited.n; i++) {
		if (inherited.fds[i] > STDERR_FILENO) { close(inherited.fds[i]); }
	}
}

static void after_fork(void)
{
	free(inherited.fds);
	memset(&inherited, 0, sizeof inherited);
}

/* --- starting and asking --- */

static void on_first(void *ctx, int error, struct ub_result *r)
{
	*(int *)ctx = error;
	ub_resolve_free(r);
}

static void on_readable(struct watch *w, int events);

static int start(struct dns_unbound *u, struct err *e)
{
	static bool prepared;
	int error = -1, rc;
	if (!prepared && pthread_atfork(NULL, NULL, in_child) != 0) { abort(); }
	prepared = true;
	before_fork(); /* and before its pipes are made */
	rc = open_context(u, e);
	if (rc < 0) {
		after_fork();
		return rc;
	}
	rc = ub_resolve_async(u->ctx, "localhost.", DNS_A, 1, &error, on_first, NULL);
	after_fork();
	if (rc == 0) { rc = ub_wait(u->ctx); }
	if (rc || error) { return refused(rc ? rc : error, "cannot start", e); }
	u->started = true;
	watch_set(u->loop, &u->watch, ub_fd(u->ctx), WATCH_READ, on_readable);
	return 0;
}

int dns_unbound_prepare(struct dns_unbound *u, struct err *e)
{
	if (u->started) { return 0; }
	int rc = start(u, e);
	if (rc < 0 && u->ctx) {
		ub_ctx_delete(u->ctx);
		u->ctx = NULL;
	}
	return rc;
}

/* The resolver's process is gone. A role whose sandbox is closed cannot make another: it ends with
   the attempt, and is born anew with one. */
static void start_anew(struct dns_unbound *u)
{
	struct err e = {{0}};
	watch_stop(&u->watch);
	ub_ctx_delete(u->ctx);
	u->ctx = NULL;
	u->started = false;
	fail_all(u);
	if (dns_unbound_prepare(u, &e) == 0) { return; }
	log_event(LOG_ERROR, &LOG, "no resolver", "reason=\"%s\"", e.text);
	abort();
}

static void on_readable(struct watch *w, int events)
{
	struct dns_unbound *u = container_of(w, struct dns_unbound, watch);
	(void)events; /* reading is all there is */
	int rc = ub_process(u->ctx);
	if (rc == 0) { return; }
	log_event(LOG_WARN, &LOG, "resolver lost", "reason=\"%s\"", ub_strerror(rc));
	start_anew(u);
}

void dns_unbound_ask(struct dns_unbound *u, struct dns_entry *entry)
{
	struct question *q = xnew(struct question);
	struct buf name = {0};
	struct err e = {0};
	*q = (struct question){.unbound = u, .entry = entry};
	list_init(&q->node);
	buf_str(&name, entry->name);
	buf_chr(&name, '.');
	int rc = dns_unbound_prepare(u, &e);
	if (rc < 0) { log_event(LOG_ERROR, &LOG, "no resolver", "reason=\"%s\"", e.text); }
	if (rc == 0) {
		rc = ub_resolve_async(
			u->ctx, buf_cstr(&name), (int)entry->type, 1, q, on_answer, NULL);
	}
	buf_fini(&name);
	list_add(&u->pending, &q->node);
	if (rc) { on_answer(q, rc, NULL); }
}
