/* The imap role: listeners, the list of sessions, and news of the store for those that look at a
   mailbox. Never writes to the store but by the sessions' operations. */
#include "imap/server.h"
#include "lib/charset.h"

struct imap_listener {
	struct list node;
	struct listener listener;
	struct imap_server *server;
	bool tls_at_once;
};

/* The sessions that have one mailbox selected. */
struct mailbox_watch {
	char key[4]; /* mid */
	struct list sessions;
};

METRIC(imap_sessions, "IMAP sessions now.", .gauge = true);
METRIC(imap_sessions_total, "IMAP sessions.");
METRIC(imap_refused_total, "IMAP connections refused for their number.");
METRIC(imap_logins_total, "IMAP logins.");
METRIC(imap_login_failures_total, "IMAP logins with a wrong name or password.");
METRIC(imap_commands_total, "IMAP commands.");
METRIC(imap_appended_total, "Messages that came by APPEND.");

static struct metric *const metrics[] = {
	&imap_sessions,
	&imap_sessions_total,
	&imap_refused_total,
	&imap_logins_total,
	&imap_login_failures_total,
	&imap_commands_total,
	&imap_appended_total,
};

/* --- news --- */

void imap_server_unwatch(struct imap_server *server, struct session *s)
{
	struct mailbox_watch *w = s->watch;
	s->watch = NULL;
	list_del(&s->same);
	if (!w || !list_empty(&w->sessions)) { return; }
	map_del(&server->mailboxes, str_make(w->key, sizeof w->key));
	free(w);
}

static struct mailbox_watch *watch_of(struct imap_server *server, const char key[4])
{
	struct mailbox_watch *w = map_get(&server->mailboxes, str_make(key, 4));
	if (w) { return w; }
	w = xnew(struct mailbox_watch);
	memcpy(w->key, key, sizeof w->key);
	list_init(&w->sessions);
	map_put(&server->mailboxes, str_make(w->key, sizeof w->key), w);
	return w;
}

void imap_server_watch(struct imap_server *server, struct session *s)
{
	char key[4];
	put_be32(key, s->state == IMAP_SELECTED ? s->view.mid : 0);
	if (s->watch && !memcmp(s->watch->key, key, sizeof key)) { return; }
	imap_server_unwatch(server, s);
	if (s->state != IMAP_SELECTED) { return; }
	s->watch = watch_of(server, key);
	list_add(&s->watch->sessions, &s->same);
	s->news = true; /* what came since the mailbox was read was told to nobody */
}

static void tell(struct session *s)
{
	s->news = true;
	if (s->idling) { task_wake(&s->task, 0); }
}

static void mailbox_news(struct imap_server *server, const struct news_mbox *news)
{
	char key[4];
	for (uint32_t i = 0; i < news->items_n; i++) {
		put_be32(key, news->items[i].mid);
		struct mailbox_watch *w = map_get(&server->mailboxes, str_make(key, sizeof key));
		if (!w) { continue; }
		list_each(node, &w->sessions) { tell(list_entry(node, struct session, same)); }
	}
}

/* Sessions of accounts that were removed or disabled end. `aid` 0: look at all. */
static void end_closed(struct imap_server *server, uint32_t aid)
{
	struct snap sn;
	struct acct acct;
	if (snap_begin(server->role->store, &sn) < 0) { return; }
	list_each(node, &server->sessions) {
		struct session *s = list_entry(node, struct session, node);
		if (!s->aid || (aid && aid != s->aid)) { continue; }
		int rc = snap_acct(&sn, s->aid, &acct);
		if (rc == ERR_GONE || (rc == 0 && acct.disabled)) {
			imap_session_bye(s, "The account is closed");
		}
	}
	snap_end(&sn);
}

static void imap_handle(struct role *r, struct link_msg *m)
{
	if (m->type == &NEWS_MBOX) { mailbox_news(r->state, m->request); }
	if (m->type == &NEWS_ACCT) { end_closed(r->state, ((struct news_acct *)m->request)->aid); }
}

/* While the store was away, its news went nowhere. */
static void imap_peer_changed(struct role *r, enum role_id id)
{
	struct imap_server *sv = r->state;
	if (id != ROLE_STORE || !r->peer[id]) { return; }
	list_each(node, &sv->sessions) { tell(list_entry(node, struct session, node)); }
	end_closed(sv, 0);
}

/* --- the role --- */

static int imap_start(struct role *r, struct err *e)
{
	/* while converters can still be loaded; without a sandbox that is at first use */
	if (!r->one_process) { charset_prepare(); }
	struct imap_server *sv = xnew(struct imap_server);
	(void)e;
	sv->role = r;
	sv->conf = conf_get(r->conf, &imap_conf_section);
	list_init(&sv->listeners);
	list_init(&sv->sessions);
	metrics_register(metrics, COUNT(metrics));
	r->state = sv;
	return 0;
}

static void imap_reload(struct role *r)
{
	struct imap_server *sv = r->state;
	sv->conf = conf_get(r->conf, &imap_conf_section);
}

static void on_fresh(struct listener *ln, struct conn *c)
{
	struct imap_listener *l = container_of(ln, struct imap_listener, listener);
	imap_session_start(l->server, c, l->tls_at_once);
}

static void imap_listen(struct role *r, enum listen_kind kind, int fd)
{
	struct imap_server *sv = r->state;
	struct imap_listener *l = xnew(struct imap_listener);
	l->server = sv;
	l->tls_at_once = kind == LISTEN_IMAPS;
	list_add(&sv->listeners, &l->node);
	listener_start(r->loop, &l->listener, fd, on_fresh);
}

static void close_listeners(struct imap_server *sv)
{
	struct list *node;
	while ((node = list_pop(&sv->listeners))) {
		struct imap_listener *l = list_entry(node, struct imap_listener, node);
		listener_stop(&l->listener);
		free(l);
	}
}

void imap_server_gone(struct imap_server *server)
{
	server->sessions_n--;
	if (server->role->stopping && server->sessions_n == 0) { role_stopped(server->role); }
}

static void imap_stop(struct role *r)
{
	struct imap_server *sv = r->state;
	close_listeners(sv);
	list_each(node, &sv->sessions) {
		imap_session_bye(list_entry(node, struct session, node), "The server stops");
	}
	if (sv->sessions_n == 0) { role_stopped(r); }
}

static void imap_fini(struct role *r)
{
	struct imap_server *sv = r->state;
	close_listeners(sv);
	list_each(node, &sv->sessions) {
		imap_session_abandon(list_entry(node, struct session, node));
	}
	tally_fini(&sv->addresses);
	tally_fini(&sv->users);
	map_fini(&sv->mailboxes);
	free(sv);
	r->state = NULL;
}

const struct role_ops imap_role = {
	.id = ROLE_IMAP,
	.name = "imap",
	.peers = UINT32_C(1) << ROLE_STORE | UINT32_C(1) << ROLE_AUTH,
	.want_store = true,
	.want_tls = true,
	.start = imap_start,
	.listen = imap_listen,
	.handle = imap_handle,
	.peer_changed = imap_peer_changed,
	.reload = imap_reload,
	.stop = imap_stop,
	.fini = imap_fini,
};
