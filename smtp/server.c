/* The object behind the roles mx and submit: listeners, sessions, configuration. */
#include "smtp/server.h"

#include "smtp/audit.h"
#include "smtp/policy_rules.h"
#include "smtp/role.h"
#include "smtp/session.h"

struct smtp_listener {
	struct list node;
	struct listener ln;
	struct server *server;
	const struct service *service;
};

static const struct service services[] = {
	{"smtp", LISTEN_SMTP, AT_MX, false, AUDIT_RECEIVED},
	{"lmtp", LISTEN_LMTP, AT_LMTP, false, AUDIT_RECEIVED},
	{"submission", LISTEN_SUBMISSION, AT_SUBMIT, false, AUDIT_SUBMITTED},
	{"submissions", LISTEN_SUBMISSIONS, AT_SUBMIT, true, AUDIT_SUBMITTED},
};

const struct service *service_find(enum listen_kind kind)
{
	for (size_t i = 0; i < COUNT(services); i++) {
		if (services[i].kind == kind) { return &services[i]; }
	}
	return NULL;
}

/* --- networks --- */

bool nets_has(const struct nets *nets, const struct net_addr *a)
{
	for (size_t i = 0; i < nets->n; i++) {
		if (net_cidr_has(&nets->v[i], a)) { return true; }
	}
	return false;
}

static int nets_parse(
	const struct conf_list *list, const char *key, struct nets *out, struct err *e)
{
	*out = (struct nets){.v = list->n ? xcalloc(list->n, sizeof *out->v) : NULL};
	for (size_t i = 0; i < list->n; i++) {
		if (net_cidr_parse(list->v[i], &out->v[out->n++]) < 0) {
			free(out->v);
			*out = (struct nets){0};
			return err_set(e, ERR_SYNTAX, "%s: %.*s is no network such as 192.0.2.0/24",
				key, STR_ARG(list->v[i]));
		}
	}
	return 0;
}

static void nets_take(struct nets *to, struct nets *from)
{
	free(to->v);
	*to = *from;
	*from = (struct nets){0};
}

/* All lists or none. */
static int load_nets(struct server *sv, const struct smtp_conf *c, struct err *e)
{
	struct nets proxy = {0}, xclient = {0}, lmtp = {0};
	int rc = nets_parse(&c->proxy_from, "smtp.proxy_from", &proxy, e);
	if (rc == 0) { rc = nets_parse(&c->xclient_from, "smtp.xclient_from", &xclient, e); }
	if (rc == 0) { rc = nets_parse(&c->lmtp_from, "smtp.lmtp_from", &lmtp, e); }
	if (rc == 0) {
		nets_take(&sv->proxy_from, &proxy);
		nets_take(&sv->xclient_from, &xclient);
		nets_take(&sv->lmtp_from, &lmtp);
	}
	free(proxy.v);
	free(xclient.v);
	free(lmtp.v);
	return rc;
}

int smtp_conf_sound(const struct conf *c, struct err *e)
{
	struct policy_rules *r = policy_rules_new(conf_get(c, &policy_conf_section), e);
	policy_rules_put(r);
	return r ? 0 : ERR_SYNTAX;
}

/* --- the role --- */

static int load(struct server *sv, struct err *e)
{
	const struct conf *c = sv->role->conf;
	sv->conf = conf_get(c, &smtp_conf_section);
	int rc = policy_load(&sv->policy, conf_get(c, &policy_conf_section), e);
	return rc < 0 ? rc : load_nets(sv, sv->conf, e);
}

int server_start(struct role *r, struct err *e)
{
	struct server *sv = xnew(struct server);
	sv->role = r;
	list_init(&sv->listeners);
	list_init(&sv->sessions);
	audit_start(sv);
	r->state = sv;
	session_register();
	sv->dns = r->dns;
	return load(sv, e);
}

void server_reload(struct role *r)
{
	struct err e = {{0}};
	if (load(r->state, &e) < 0) {
		log_event(LOG_ERROR, &(struct log_ctx){.role = r->ops->name}, "reload", "reason=%s",
			e.text);
	}
}

static void on_fresh(struct listener *ln, struct conn *c)
{
	struct smtp_listener *l = container_of(ln, struct smtp_listener, ln);
	session_start(l->server, l->service, c);
}

void server_listen(struct role *r, enum listen_kind kind, int fd)
{
	struct server *sv = r->state;
	const struct service *service = service_find(kind);
	assert(service);
	struct smtp_listener *l = xnew(struct smtp_listener);
	l->server = sv;
	l->service = service;
	list_add(&sv->listeners, &l->node);
	listener_start(r->loop, &l->ln, fd, on_fresh);
}

void server_handle(struct role *r, struct link_msg *m)
{
	(void)r; /* news of the store is for others: nothing is kept here that could grow old */
	(void)m;
}

static void close_listeners(struct server *sv)
{
	list_each(node, &sv->listeners) {
		struct smtp_listener *l = list_entry(node, struct smtp_listener, node);
		listener_stop(&l->ln);
		list_del(node);
		free(l);
	}
}

bool server_make_room(struct server *sv)
{
	list_each(node, &sv->sessions) { /* the oldest first */
		if (session_evict(list_entry(node, struct session, node))) { return true; }
	}
	return false;
}

void server_settle(struct server *sv)
{
	if (sv->role->stopping && sv->sessions_n == 0 && audit_settled(sv)) {
		role_stopped(sv->role);
	}
}

void server_session_ended(struct server *sv)
{
	sv->sessions_n--;
	server_settle(sv);
}

void server_stop(struct role *r)
{
	struct server *sv = r->state;
	close_listeners(sv);
	list_each(node, &sv->sessions) { session_stop(list_entry(node, struct session, node)); }
	server_settle(sv);
}

void server_fini(struct role *r)
{
	struct server *sv = r->state;
	close_listeners(sv);
	list_each(node, &sv->sessions) { session_abandon(list_entry(node, struct session, node)); }
	audit_abandon(sv);
	peers_fini(&sv->peers);
	policy_fini(&sv->policy);
	greylist_fini(&sv->greylist);
	free(sv->proxy_from.v);
	free(sv->xclient_from.v);
	free(sv->lmtp_from.v);
	free(sv);
	r->state = NULL;
}
