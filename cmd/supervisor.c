/* The supervisor: starts each role in a process of its own, hands out configuration, sockets and
   links, starts again what died, and stops everything in order. Reads no mail and no peer's octets;
   what roles may send it are the messages of sup_msg.h. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/calm.h"
#include "cmd/house.h"
#include "cmd/inquiry.h"
#include "cmd/role_main.h"
#include "cmd/sup_msg.h"
#include "lib/fault.h"
#include "lib/log.h"

enum {
	ROLES_MAX = 8,
	BACK_OFF_MIN_MS = 100, /* before the second restart; the first is at once */
	BACK_OFF_MAX_MS = 10000,
	STOP_S = 30,   /* to finish what was promised; then SIGKILL */
	MENDS_MAX = 16 /* links in a row for one process that lost them although both ends lived */
};

enum child_state { CHILD_AWAY, CHILD_STARTING, CHILD_SERVING };

struct child {
	struct supervisor *sup;
	const struct role_ops *ops;
	pid_t pid;
	struct link *link;
	enum child_state state;
	bool was_ready; /* once: from then on failures are answered by starting again */
	bool told_stop;
	struct calm failures;
	uint64_t deaths; /* that were answered by starting it again */
	int64_t started_us;
	struct calm mends;
	struct timer again;
};

struct supervisor {
	struct house *house;
	struct child children[ROLES_MAX];
	size_t n;
	struct timer kill;
	struct log_ctx log;
	bool store_made, ready, ended;
	int status;
};

static const struct link_ops link_ops;
static void start_child(struct child *c);

/* --- sending --- */

static void send_setup(struct child *c, bool reload)
{
	struct plan *p = c->sup->house->plan;
	struct role_secret secrets[SUP_SECRETS_MAX];
	struct buf conf = {0};
	bool net = !c->ops->want_store;
	conf_pack(p->conf, str_of(c->ops->name), &conf);
	struct sup_setup msg = {.conf = buf_view(&conf),
		.secrets = secrets,
		.secrets_n = (uint32_t)plan_secrets(p, c->ops->id, secrets),
		.data = str_of(p->data),
		.uid = net ? p->net_uid : p->uid,
		.gid = net ? p->net_gid : p->gid,
		.reload = reload};
	link_send(c->link, &SUP_SETUP, &msg, NULL, 0);
	buf_fini(&conf);
}

static void send_listeners(struct child *c)
{
	struct plan *p = c->sup->house->plan;
	for (size_t i = 0; i < p->listen_n; i++) {
		if (listen_role(p->listen[i].kind) != c->ops->id) { continue; }
		struct sup_listen msg = {p->listen[i].kind};
		int fd = fcntl(p->listen[i].fd, F_DUPFD_CLOEXEC, 3);
		if (fd >= 0) { link_send(c->link, &SUP_LISTEN, &msg, &fd, 1); }
	}
}

static void send_peer(struct child *to, enum role_id peer, int fd)
{
	struct sup_peer msg = {peer};
	link_send(to->link, &SUP_PEER, &msg, &fd, 1);
}

/* A fresh pair between two roles that both have a process. */
static void connect_pair(struct child *a, struct child *b)
{
	int fds[2];
	if (!roles_talk(a->ops, b->ops) || !a->link || !b->link) { return; }
	if (net_pair(fds) < 0) {
		log_event(LOG_ERROR, &a->sup->log, "no socket pair", "between=%s and=%s",
			a->ops->name, b->ops->name);
		return;
	}
	send_peer(a, b->ops->id, fds[0]);
	send_peer(b, a->ops->id, fds[1]);
}

/* --- starting --- */

/* By posix_spawn, which shares our memory until the new program is there: a fork would copy the map
   of every library for nothing. */
static int spawn_role(const struct child *c, int fd, pid_t *pid_out)
{
	char name[32], program[] = "posthouse", command[] = "role";
	char *argv[] = {program, command, name, NULL};
	static const int handled[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, ours;
	snprintf(name, sizeof name, "%s", c->ops->name);
	sigemptyset(&none);
	sigemptyset(&ours);
	for (size_t i = 0; i < COUNT(handled); i++) { sigaddset(&ours, handled[i]); }
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &ours);
	posix_spawn_file_actions_init(&files);
	int rc = posix_spawn_file_actions_adddup2(&files, fd, ROLE_LINK_FD);
	if (rc == 0) { rc = posix_spawn_file_actions_addclosefrom_np(&files, ROLE_LINK_FD + 1); }
	if (rc == 0) {
		rc = posix_spawn(
			pid_out, "/proc/self/exe", &files, &how, argv, fault_environ(c->was_ready));
	}
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	return rc;
}

static void on_again(struct timer *t)
{
	start_child(container_of(t, struct child, again));
}

/* It failed: start it after the pause that its failures have earned. */
static void start_later(struct child *c)
{
	int64_t ms = 0;
	unsigned failures = calm_failed(&c->failures, loop_mono_us(c->sup->house->loop));
	if (failures > 1) {
		ms = BACK_OFF_MIN_MS << MIN(failures - 2, 8u);
		ms = MIN(ms, BACK_OFF_MAX_MS);
	}
	timer_start(c->sup->house->loop, &c->again, ms * 1000, on_again);
}

static void send_start(struct child *c)
{
	struct sup_nothing nothing = {0};
	link_send(c->link, &SUP_START, &nothing, NULL, 0);
}

static void start_child(struct child *c)
{
	int fds[2];
	if (net_pair(fds) < 0) {
		start_later(c);
		return;
	}
	pid_t pid;
	int rc = spawn_role(c, fds[1], &pid);
	close(fds[1]);
	if (rc != 0) {
		log_event(LOG_ERROR, &c->sup->log, "cannot start a process",
			"role=%s reason=\"%s\"", c->ops->name, strerror(rc));
		close(fds[0]);
		start_later(c);
		return;
	}
	c->pid = pid;
	c->state = CHILD_STARTING;
	c->started_us = loop_mono_us(c->sup->house->loop);
	c->link = link_new(c->sup->house->loop, fds[0], ROLE_SUPERVISOR, c->ops->id, &link_ops, c);
	send_setup(c, false);
	for (size_t i = 0; i < c->sup->n; i++) {
		struct child *other = &c->sup->children[i];
		if (other != c) { connect_pair(c, other); }
	}
	if (c->ops->id == ROLE_STORE || c->sup->store_made) { send_start(c); }
}

static struct child *child_of(struct supervisor *s, enum role_id id)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->children[i].ops->id == id) { return &s->children[i]; }
	}
	return NULL;
}

static bool all_serve(const struct supervisor *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->children[i].state != CHILD_SERVING) { return false; }
	}
	return true;
}

/* --- ending --- */

static void finish(struct supervisor *s)
{
	if (s->ended) { return; }
	s->ended = true;
	timer_stop(&s->kill);
	s->house->ops->ended(s->house->ctx, s->status);
}

/* Tell the next ones to stop: all that listen at once, then one after the other, the store last. */
static void stop_next(struct supervisor *s)
{
	struct sup_nothing nothing = {0};
	bool waiting = false;
	for (size_t i = s->n; i-- > 0;) {
		struct child *c = &s->children[i];
		timer_stop(&c->again);
		if (waiting && !c->ops->listen) { return; }
		if (!c->pid) { continue; }
		if (!c->told_stop) { link_send(c->link, &SUP_STOP, &nothing, NULL, 0); }
		c->told_stop = true;
		waiting = true;
	}
	if (!waiting) { finish(s); }
}

static void kill_all(struct supervisor *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->children[i].pid) { kill(s->children[i].pid, SIGKILL); }
	}
}

static void on_kill(struct timer *t)
{
	struct supervisor *s = container_of(t, struct supervisor, kill);
	log_event(LOG_WARN, &s->log, "a role did not stop in time", "seconds=%d", STOP_S);
	kill_all(s);
}

static void many_stop(struct house *h, bool now)
{
	struct supervisor *s = h->state;
	if (now) {
		kill_all(s);
		return;
	}
	timer_start(h->loop, &s->kill, STOP_S * SECOND_US, on_kill);
	stop_next(s);
}

/* --- what roles say --- */

static void on_ready(struct child *c, const struct sup_ready *msg)
{
	struct supervisor *s = c->sup;
	if (!msg->ok) {
		log_event(LOG_ERROR, &s->log, "a role cannot start", "role=%s reason=\"%.*s\"",
			c->ops->name, STR_ARG(msg->error));
		if (!c->was_ready && !s->house->stopping) {
			s->status = EX_CONFIG;
			s->house->stopping = true;
			many_stop(s->house, false);
		}
		return;
	}
	c->state = CHILD_SERVING;
	if (c->was_ready) {
		log_event(LOG_INFO, &s->log, "a role is back", "role=%s pid=%d", c->ops->name,
			(int)c->pid);
	}
	bool first = !c->was_ready;
	c->was_ready = true;
	if (s->house->stopping) {
		struct sup_nothing nothing = {0};
		link_send(c->link, &SUP_STOP, &nothing, NULL, 0);
		return;
	}
	send_listeners(c);
	if (first && c->ops->id == ROLE_STORE) { /* the others read what it has made */
		s->store_made = true;
		for (size_t i = 0; i < s->n; i++) {
			if (s->children[i].link && &s->children[i] != c) {
				send_start(&s->children[i]);
			}
		}
	}
	if (!s->ready && all_serve(s)) {
		s->ready = true;
		s->house->ops->ready(s->house->ctx);
	}
}

/* A link may end while both ends live: one of them broke the rules, or the kernel had no room. Both
   tell, and one of them is heard. */
static void on_lost(struct child *c, uint32_t id)
{
	struct supervisor *s = c->sup;
	struct child *peer = c->state == CHILD_SERVING && id < ROLE_N && id > c->ops->id
				     ? child_of(s, (enum role_id)id)
				     : NULL;
	if (!peer || peer->state != CHILD_SERVING) { return; }
	if (calm_failed(&peer->mends, loop_mono_us(s->house->loop)) >
		MENDS_MAX) { /* of the two the one that is trusted less */
		log_event(LOG_ERROR, &s->log, "a role loses its links", "role=%s", peer->ops->name);
		kill(peer->pid, SIGKILL);
		return;
	}
	log_event(LOG_WARN, &s->log, "a new link", "between=%s and=%s", c->ops->name,
		peer->ops->name);
	connect_pair(c, peer);
}

static void on_message(void *ctx, struct link_msg *m)
{
	struct child *c = ctx;
	if (m->type == &SUP_READY) { on_ready(c, m->request); }
	if (m->type == &SUP_LOST) { on_lost(c, ((struct sup_peer *)m->request)->role); }
}

static void drop_link(struct child *c)
{
	link_free(c->link);
	c->link = NULL;
}

/* The process ends, too, or breaks the rules: what SIGCHLD tells is what counts. */
static void on_down(void *ctx, struct link *l)
{
	struct child *c = ctx;
	if (c->link != l) { return; }
	drop_link(c);
	if (c->pid && c->was_ready && !c->told_stop) { kill(c->pid, SIGKILL); }
}

static const struct link_ops link_ops = {.handle = on_message, .down = on_down};

static void log_death(const struct child *c, int status)
{
	if (WIFSIGNALED(status)) {
		int signo = WTERMSIG(status);
		log_event(LOG_ERROR, &c->sup->log, "a role died", "role=%s pid=%d signal=%d%s",
			c->ops->name, (int)c->pid, signo,
			signo == SIGSYS ? " note=\"it broke its sandbox\"" : "");
	} else {
		log_event(LOG_ERROR, &c->sup->log, "a role died", "role=%s pid=%d status=%d",
			c->ops->name, (int)c->pid, WEXITSTATUS(status));
	}
}

static void on_death(struct child *c, int status)
{
	struct supervisor *s = c->sup;
	bool meant = c->told_stop && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!meant) { log_death(c, status); }
	c->pid = 0;
	c->state = CHILD_AWAY;
	c->mends = (struct calm){0};
	if (c->link) { drop_link(c); }
	if (s->house->stopping) {
		stop_next(s);
		return;
	}
	if (!c->was_ready) { /* it cannot even start: the one who started us should know */
		s->status = EX_SOFTWARE;
		s->house->stopping = true;
		many_stop(s->house, false);
		return;
	}
	c->deaths++;
	start_later(c);
}

static void on_sigchld(void *ctx, int signo)
{
	struct supervisor *s = ctx;
	(void)signo;
	for (size_t i = 0; i < s->n; i++) {
		int status;
		struct child *c = &s->children[i];
		if (c->pid && waitpid(c->pid, &status, WNOHANG) == c->pid) { on_death(c, status); }
	}
}

/* --- the house --- */

static int many_start(struct house *h, struct err *e)
{
	struct supervisor *s = xnew(struct supervisor);
	(void)e;
	h->state = s;
	s->house = h;
	s->log.role = "supervisor";
	for (size_t i = 0; i < roles_n; i++) {
		s->children[i] = (struct child){.sup = s, .ops = roles[i]};
		s->n++;
	}
	loop_on_signal(h->loop, SIGCHLD, on_sigchld, s);
	/* The store first: the others load their libraries meanwhile, and open what it has made. */
	for (size_t i = 0; i < s->n; i++) { start_child(&s->children[i]); }
	return 0;
}

static void many_reload(struct house *h)
{
	struct supervisor *s = h->state;
	for (size_t i = 0; i < s->n; i++) {
		if (s->children[i].link) { send_setup(&s->children[i], true); }
	}
}

static void many_control(struct house *h, int fd)
{
	struct child *store = child_of(h->state, ROLE_STORE);
	if (store->state == CHILD_SERVING && store->link) {
		send_peer(store, ROLE_CONTROL, fd);
	} else {
		close(fd);
	}
}

static void many_status(struct house *h, int fd)
{
	struct supervisor *s = h->state;
	struct inquiry_role asked[ROLES_MAX];
	int64_t now = loop_mono_us(h->loop);
	for (size_t i = 0; i < s->n; i++) {
		const struct child *c = &s->children[i];
		bool up = c->state == CHILD_SERVING;
		asked[i] = (struct inquiry_role){.name = c->ops->name,
			.link = up ? c->link : NULL,
			.pid = (uint32_t)c->pid,
			.deaths = c->deaths,
			.up_s = c->pid ? (uint64_t)((now - c->started_us) / SECOND_US) : 0};
	}
	inquiry_start(h->loop, asked, s->n, fd);
}

static void many_free(struct house *h)
{
	struct supervisor *s = h->state;
	if (!s) { return; }
	for (size_t i = 0; i < s->n; i++) {
		struct child *c = &s->children[i];
		timer_stop(&c->again);
		if (c->pid) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0);
		}
		if (c->link) { drop_link(c); }
	}
	timer_stop(&s->kill);
	while (loop_turn(h->loop)) {} /* who still asks is answered */
	free(s);
}

const struct house_kind house_of_many = {
	many_start, many_stop, many_reload, many_control, many_status, many_free};
