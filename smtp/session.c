/* One client: its life from the greeting to the end, its lines in, its replies out. Runs in mx and
   submit. Knows no command (verb.c) and no message (receive.c). */
#include "smtp/session.h"

#include "auth/iprev.h"
#include "lib/metric.h"
#include "smtp/audit.h"
#include "smtp/proxy.h"
#include "smtp/receive.h"

static struct metric sessions = {
	.name = "smtp_sessions", .help = "SMTP sessions open now.", .gauge = true};
static struct metric sessions_total = {
	.name = "smtp_sessions_total", .help = "SMTP sessions since start."};

static enum step session_greet(struct task *t);

/* --- small things --- */

void session_set(struct str *field, struct str value)
{
	char *p = value.n ? xstrdup(value) : NULL; /* `value` may lie in the old one */
	free((char *)(uintptr_t)field->p);
	*field = str_make(p, p ? value.n : 0);
}

struct str session_client_name(const struct session *s)
{
	bool found = s->iprev && s->iprev->result == IPREV_PASS;
	return s->name.n ? s->name : found ? s->iprev->name : STR("");
}

struct str session_ip(const struct session *s, char out[NET_ADDR_TEXT])
{
	return str_of(net_addr_ip(&s->peer, out));
}

bool session_may_auth(const struct session *s)
{
	return conn_is_tls(s->task.conn) ||
	       (net_addr_is_loopback(&s->peer) &&
		       s->server->conf->auth_without_tls == AUTH_PLAIN_LOOPBACK);
}

/* --- replies --- */

void session_reply_with(struct session *s, enum reply_id id, struct str detail)
{
	unsigned code = reply_code(id);
	s->errors += code >= 500;
	size_t at = s->out.n;
	reply_text(id, detail, &s->out);
	log_event(LOG_DEBUG, &s->log, "reply", "text=%.*s", (int)(s->out.n - at), s->out.p + at);
	buf_str(&s->out, STR("\r\n"));
}

void session_reply(struct session *s, enum reply_id id)
{
	session_reply_with(s, id, STR(""));
}

/* The replies of a batch go out in one write, when there is nothing left to do without the client.
 */
void session_flush(struct session *s)
{
	conn_put(s->task.conn, buf_view(&s->out));
	buf_fini(&s->out);
}

enum step session_close(struct session *s, enum reply_id id)
{
	session_reply(s, id);
	log_event(id == REPLY_QUIT ? LOG_DEBUG : LOG_INFO, &s->log, "closing", "code=%u",
		reply_code(id));
	session_flush(s);
	return STEP_CLOSE;
}

enum step session_next(struct session *s)
{
	const struct smtp_conf *conf = s->server->conf;
	s->task.step = session_command;
	if (s->errors >= conf->errors_max) { return session_close(s, REPLY_TOO_MANY_ERRORS); }
	if (s->errors > conf->errors_soft && s->errors > s->errors_paid) {
		s->errors_paid = s->errors;
		session_flush(s);
		task_sleep(&s->task, SECOND_US);
		return STEP_WAIT;
	}
	return STEP_MORE;
}

enum step session_answer(struct session *s, enum reply_id id)
{
	session_reply(s, id);
	return session_next(s);
}

/* --- waiting --- */

static void on_timeout(struct timer *t)
{
	struct session *s = container_of(t, struct session, timer);
	s->timed_out = true;
	task_wake(&s->task, 0);
}

enum step session_await(struct session *s, int64_t us, bool fresh)
{
	session_flush(s);
	if (fresh || !timer_armed(&s->timer)) {
		timer_start(s->task.loop, &s->timer, us, on_timeout);
	}
	return STEP_IN;
}

void session_calm(struct session *s)
{
	timer_stop(&s->timer);
	s->timed_out = false;
}

bool session_lost(struct session *s, enum step *next_out)
{
	struct conn *c = s->task.conn;
	if (s->timed_out) {
		*next_out = session_close(s, REPLY_TIMEOUT);
		return true;
	}
	if (conn_status(c) == CONN_OPEN) { return false; }
	log_event(LOG_INFO, &s->log, "lost", "status=%s",
		conn_status(c) == CONN_EOF ? "closed" : "failed");
	session_flush(s); /* a client that closed its side only may still read */
	*next_out = STEP_CLOSE;
	return true;
}

static enum step session_called(struct task *t)
{
	struct session *s = session_of(t);
	if (s->call.link) { return STEP_WAIT; } /* woken for another reason */
	t->rc = s->call.rc;
	t->step = s->called;
	return STEP_MORE;
}

enum step session_call(struct session *s, enum role_id role, const struct msg_type *type,
	const void *request, enum step (*then)(struct task *))
{
	call_fini(&s->call);
	session_calm(s);
	s->called = then;
	s->task.step = session_called;
	link_call(s->server->role->peer[role], &s->call, &s->task, type, request, 0);
	return STEP_WAIT;
}

/* --- state --- */

void session_reset(struct session *s)
{
	audit_refused(s);
	if (s->intake && s->task.conn) { conn_read_size(s->task.conn, CONN_READ); }
	intake_free(s->intake);
	s->intake = NULL;
	envelope_free(s->env);
	s->env = NULL;
}

void session_forget(struct session *s)
{
	session_reset(s);
	session_set(&s->helo, STR(""));
	session_set(&s->login, STR(""));
	s->aid = 0;
	s->esmtp = false;
	buf_fini(&s->auth_user);
}

/* Let go of all that belongs to the server. */
static void leave(struct session *s)
{
	policy_cancel(s);
	policy_iprev_free(s);
	session_forget(s);
	session_set(&s->name, STR(""));
	call_fini(&s->call);
	timer_stop(&s->timer);
	buf_fini(&s->out);
	peers_leave(&s->ticket);
	arena_fini(&s->found_at_connect);
	arena_fini(&s->found_at_helo);
	list_del(&s->node);
	metric_sub(&sessions, 1);
}

static void session_ended(struct task *t)
{
	struct session *s = session_of(t);
	struct server *sv = s->server;
	if (sv) {
		log_event(LOG_DEBUG, &s->log, "end", "messages=%u", s->messages);
		leave(s);
		server_session_ended(sv);
	}
	free(s);
}

void session_abandon(struct session *s)
{
	leave(s);
	s->server = NULL;
	task_kill(&s->task);
}

bool session_evict(struct session *s)
{
	if (!s->listening || s->env || s->evicted) { return false; }
	s->evicted = true;
	task_wake(&s->task, 0);
	return true;
}

void session_stop(struct session *s)
{
	if (s->listening) { task_wake(&s->task, 0); }
}

/* --- lines --- */

/* Drop octets up to the end of a line that is too long. */
static bool skip_line(struct session *s)
{
	struct str in = conn_in(s->task.conn);
	ptrdiff_t lf = str_chr(in, '\n');
	conn_eat(s->task.conn, lf < 0 ? in.n : (size_t)lf + 1);
	s->skipping = lf < 0;
	return lf >= 0;
}

static int cut_line(struct session *s, struct str *line_out)
{
	struct conn *c = s->task.conn;
	bool auth = str_istarts(conn_in(c), STR("AUTH "));
	if (s->skipping && !skip_line(s)) { return 0; }
	return conn_line(c, auth ? SESSION_AUTH_LINE_MAX : SESSION_LINE_MAX, line_out);
}

static enum step bad_line(struct session *s, int rc)
{
	skip_line(s);
	s->listening = false;
	session_calm(s);
	if (!s->greeted) { return session_close(s, REPLY_NOT_SMTP); }
	return session_answer(s, rc == ERR_LIMIT ? REPLY_LINE_LONG : REPLY_LINE_END);
}

static enum step wait_line(struct session *s)
{
	const struct smtp_conf *conf = s->server->conf;
	enum step next;
	if (session_lost(s, &next)) { return next; }
	bool fresh = !s->listening;
	s->listening = true;
	return session_await(
		s, s->greeted ? conf->command_timeout_us : conf->first_timeout_us, fresh);
}

enum step session_command(struct task *t)
{
	struct session *s = session_of(t);
	struct str line;
	if (s->server->role->stopping) { return session_close(s, REPLY_STOPPING); }
	if (s->evicted) { return session_close(s, REPLY_TOO_MANY_SESSIONS); }
	if (s->out.n >= SESSION_OUT_MAX) { session_flush(s); }
	if (conn_out_full(t->conn)) {
		conn_deadline(t->conn, s->server->conf->command_timeout_us);
		return STEP_OUT;
	}
	conn_deadline(t->conn, 0);
	int rc = cut_line(s, &line);
	if (rc < 0) { return bad_line(s, rc); }
	if (rc == 0) { return wait_line(s); }
	s->listening = false;
	session_calm(s);
	return verb_line(s, line);
}

/* --- the start --- */

static void say_hello(struct session *s)
{
	struct str host = role_hostname(s->server->role);
	buf_fmt(&s->out, "220 %.*s %s posthouse\r\n", STR_ARG(host),
		session_at(s, AT_LMTP) ? "LMTP" : "ESMTP");
}

static void count_peer(struct session *s)
{
	const struct policy_conf *c = s->server->policy.conf;
	peers_leave(&s->ticket);
	s->over = (uint8_t)peers_enter(&s->server->peers, &s->peer, c->connections_max, c->rate_max,
		loop_mono_us(s->task.loop), &s->ticket);
}

static enum step session_welcome(struct task *t)
{
	struct session *s = session_of(t);
	char ip[NET_ADDR_TEXT];
	if (!policy_step(s)) { return STEP_WAIT; }
	if (s->run.action >= POLICY_DEFER) {
		log_event(LOG_INFO, &s->log, "refused", "peer=%.*s reason=%.*s",
			STR_ARG(session_ip(s, ip)), STR_ARG(s->run.reason));
		audit_turned_away(s, s->run.reply, s->run.say);
		session_reply_with(s, s->run.reply, s->run.say);
		session_flush(s);
		return STEP_CLOSE;
	}
	say_hello(s);
	return session_next(s);
}

/* Who may come in; the address is known now. */
enum step session_enter(struct session *s)
{
	struct server *sv = s->server;
	const struct net_addr *peer = conn_peer(s->task.conn); /* for LMTP: who hands over */
	char ip[NET_ADDR_TEXT];
	log_event(LOG_DEBUG, &s->log, "connect", "peer=%.*s service=%s", STR_ARG(session_ip(s, ip)),
		s->service->name);
	if (sv->sessions_n > sv->conf->sessions_max && !server_make_room(sv)) {
		return session_close(s, REPLY_TOO_MANY_SESSIONS);
	}
	if (session_at(s, AT_LMTP) && peer->sa.sa_family != AF_UNSPEC &&
		!nets_has(&sv->lmtp_from, peer)) {
		return session_close(s, REPLY_NO_ACCESS);
	}
	count_peer(s);
	policy_start(s, STAGE_CONNECT);
	s->task.step = session_welcome;
	return STEP_MORE;
}

static enum step session_greet(struct task *t)
{
	return session_enter(session_of(t));
}

/* Leave clients that must wait for our greeting the time to show that they do not. */
static enum step session_wait_early(struct session *s)
{
	int64_t wait = s->server->policy.conf->early_wait_us;
	s->task.step = session_greet;
	if (s->service->tls_first || !session_at(s, AT_MX) || wait == 0) { return STEP_MORE; }
	task_sleep(&s->task, wait);
	return STEP_WAIT;
}

static enum step session_tls_done(struct task *t)
{
	struct session *s = session_of(t);
	if (t->rc < 0) {
		log_event(LOG_INFO, &s->log, "tls failed", "reason=%s", err_name(t->rc));
		return STEP_DONE;
	}
	return session_wait_early(s);
}

static enum step session_begin(struct session *s)
{
	struct tls_ctx *tls = s->server->role->tls;
	if (!s->service->tls_first) { return session_wait_early(s); }
	s->task.step = session_tls_done;
	if (!tls || conn_start_tls(s->task.conn, &s->task, tls, STR("")) < 0) { return STEP_DONE; }
	return STEP_WAIT;
}

/* PROXY protocol; before TLS when there is TLS from the start, so that not an octet too many may be
   read. */
static enum step session_proxy(struct task *t)
{
	struct session *s = session_of(t);
	struct proxy p;
	size_t used = 0;
	enum step next;
	int rc = proxy_parse(conn_in(t->conn), &p, &used);
	if (rc < 0) {
		return s->service->tls_first ? STEP_DONE : session_close(s, REPLY_BAD_PROXY);
	}
	if (rc == 0) {
		if (session_lost(s, &next)) { return next; }
		return session_await(s, s->server->conf->first_timeout_us, false);
	}
	session_calm(s);
	conn_eat(t->conn, used);
	conn_read_size(t->conn, CONN_READ);
	if (p.source.sa.sa_family != AF_UNSPEC) { s->peer = p.source; }
	return session_begin(s);
}

static enum step session_first(struct task *t)
{
	struct session *s = session_of(t);
	if (!nets_has(&s->server->proxy_from, &s->peer)) { return session_begin(s); }
	if (s->service->tls_first) { conn_read_size(t->conn, 1); }
	t->step = session_proxy;
	return STEP_MORE;
}

void session_register(void)
{
	metric_register(&sessions);
	metric_register(&sessions_total);
	receive_register();
}

void session_start(struct server *sv, const struct service *service, struct conn *c)
{
	struct session *s = xnew(struct session);
	s->server = sv;
	s->service = service;
	s->peer = *conn_peer(c);
	s->log = (struct log_ctx){.role = sv->role->ops->name, .session = ++sv->next_session};
	list_add(&sv->sessions, &s->node);
	sv->sessions_n++;
	metric_add(&sessions, 1);
	metric_add(&sessions_total, 1);
	task_start(sv->role->loop, &s->task, c, session_first, session_ended);
}
