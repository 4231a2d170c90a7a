/* IMAP sessions: the task behind each connection. The imap role. Reads commands one after the other
   and runs them; between two commands it holds nothing but struct session and the view. */
#include "imap/commands.h"
#include "imap/input.h"
#include "imap/server.h"

enum {
	ERRORS_MAX = 100,     /* BADs without an OK between them that end a session */
	ERRORS_EARLY_MAX = 10 /* BADs that do before login */
};

static struct session *session_of(struct task *t)
{
	return task_of(t, struct session, task);
}

struct store *session_store(struct session *s)
{
	return s->server->role->store;
}

struct link *session_link(struct session *s, enum role_id id)
{
	return s->server->role->peer[id];
}

/* --- waiting --- */

static enum step say_bye(struct session *s, const char *text)
{
	s->tag = STR("");
	imap_reply(s, "BYE", NULL, text);
	log_event(LOG_INFO, &s->log, "closing", "reason=\"%s\"", text);
	return STEP_CLOSE;
}

void imap_session_spoken(struct session *s)
{
	if (s->state & IMAP_IN) {
		s->due_us = loop_mono_us(s->task.loop) + s->server->conf->idle_timeout;
	}
}

enum step imap_session_await(struct session *s)
{
	int64_t left = s->due_us - loop_mono_us(s->task.loop);
	if (s->bye) { return say_bye(s, s->bye); }
	if (left <= 0) {
		return say_bye(s, s->state & IMAP_IN ? "Idle for too long" : "No login in time");
	}
	if (conn_status(s->task.conn) != CONN_OPEN) { return STEP_CLOSE; }
	if (!s->input && (!s->resume || s->idling)) {
		arena_fini(&s->arena);
		arena_init(&s->arena, IMAP_ARENA_MAX);
	}
	task_sleep(&s->task, left);
	return STEP_IN;
}

enum step imap_session_call(struct session *s, enum role_id role, const struct msg_type *type,
	const void *request, session_step resume)
{
	call_fini(&s->call);
	s->resume = resume;
	link_call(session_link(s, role), &s->call, &s->task, type, request, 0);
	return STEP_WAIT;
}

enum step session_op(
	struct session *s, const struct msg_type *op, const void *request, session_step resume)
{
	return imap_session_call(s, ROLE_STORE, op, request, resume);
}

/* --- commands --- */

static void drop_work(struct session *s)
{
	if (s->work_free) { s->work_free(s); }
	s->work_free = NULL;
	s->work = NULL;
	call_fini(&s->call);
}

void imap_session_end_command(struct session *s)
{
	drop_work(s);
	imap_input_end(s);
	s->row = NULL;
	s->resume = NULL;
	s->uid = false;
	s->tag = STR("");
	arena_reset(&s->arena);
	imap_server_watch(s->server, s);
	imap_session_spoken(s);
}

/* "NAME" or "UID NAME". */
static const struct command_row *read_name(struct session *s)
{
	struct str name;
	if (!lex_atom(&s->lex, &name)) { return NULL; }
	s->uid = str_ieq(name, STR("UID"));
	if (s->uid && !(lex_space(&s->lex) && lex_atom(&s->lex, &name))) { return NULL; }
	const struct command_row *row = command_find(name);
	return row && s->uid && !row->uid_too ? NULL : row;
}

static enum step run_command(struct session *s)
{
	struct str text = buf_view(&s->input->text);
	s->tag = imap_input_tag(text);
	s->lex = (struct lex){.in = text, .at = s->tag.n, .arena = &s->arena, .utf8 = s->rev2};
	metric_add(&imap_commands_total, 1);
	imap_session_spoken(s);
	if (!s->tag.n || !lex_space(&s->lex)) {
		s->tag = STR("");
		return session_bad(s, "A command begins with a tag and a space");
	}
	const struct command_row *row = read_name(s);
	if (!row) { return session_bad(s, "No such command"); }
	if (!(row->states & s->state)) { return session_bad(s, "Not in this state"); }
	if (!lex_end(&s->lex) && !lex_space(&s->lex)) { return session_bad_lex(s); }
	s->row = row;
	return row->run(s);
}

static bool too_many_errors(const struct session *s)
{
	return s->errors >= (s->state & IMAP_IN ? ERRORS_MAX : ERRORS_EARLY_MAX);
}

static enum step next_command(struct session *s)
{
	if (s->state == IMAP_LOGOUT) { return STEP_CLOSE; }
	if (s->bye) { return say_bye(s, s->bye); }
	if (too_many_errors(s)) { return say_bye(s, "Too many errors"); }
	if (conn_out_full(s->task.conn)) { return STEP_OUT; }
	switch (imap_input_read(s)) {
	case INPUT_COMMAND:
	case INPUT_MESSAGE: return run_command(s);
	case INPUT_BAD: s->tag = s->input->tag; return imap_bad(s, s->input->code, s->input->why);
	case INPUT_SKIPPED: imap_input_free(s); return STEP_MORE;
	case INPUT_HOPELESS: return say_bye(s, "Too much to skip");
	case INPUT_WAIT: break;
	}
	return imap_session_await(s);
}

static enum step session_step_once(struct task *t)
{
	struct session *s = session_of(t);
	if (s->call.link) { return STEP_WAIT; } /* woken for another reason */
	enum step want = s->resume ? s->resume(s) : next_command(s);
	if (!s->handshaking) {
		conn_deadline(t->conn, want == STEP_OUT ? s->server->conf->write_timeout : 0);
	}
	return want;
}

/* --- the beginning --- */

static enum step greet(struct session *s)
{
	struct str host = role_hostname(s->server->role);
	struct buf *out = session_out(s);
	buf_str(out, STR("* OK [CAPABILITY "));
	capability_text(s, out);
	buf_fmt(out, "] %.*s posthouse ready\r\n", STR_ARG(host));
	s->task.step = session_step_once;
	return STEP_MORE;
}

static enum step tls_done(struct task *t)
{
	struct session *s = session_of(t);
	session_step then = s->resume;
	s->handshaking = false;
	s->resume = NULL;
	if (t->rc < 0) {
		log_event(LOG_INFO, &s->log, "tls failed", "reason=%s", err_name(t->rc));
		return STEP_DONE;
	}
	t->step = session_step_once;
	return then(s);
}

bool imap_session_start_tls(struct session *s, session_step resume)
{
	struct tls_ctx *tls = s->server->role->tls;
	if (!tls || conn_start_tls(s->task.conn, &s->task, tls, STR("")) < 0) { return false; }
	s->handshaking = true;
	s->resume = resume;
	s->task.step = tls_done;
	return true;
}

/* IPv4 addresses and IPv6 networks of one customer; this machine and socket pairs are not counted.
 */
static struct str address_key(const struct net_addr *a)
{
	if (net_addr_is_loopback(a)) { return STR(""); }
	if (a->sa.sa_family == AF_INET) { return str_make(&a->in.sin_addr, 4); }
	if (a->sa.sa_family == AF_INET6) { return str_make(&a->in6.sin6_addr, 8); }
	return STR("");
}

static bool let_in(struct session *s)
{
	struct imap_server *sv = s->server;
	struct str key = address_key(conn_peer(s->task.conn));
	if (sv->sessions_n > sv->conf->sessions_max) { return false; }
	if (!key.n) { return true; }
	s->by_address = tally_enter(&sv->addresses, key, sv->conf->sessions_per_address);
	return s->by_address != NULL;
}

static enum step first_step(struct task *t)
{
	struct session *s = session_of(t);
	char ip[NET_ADDR_TEXT];
	log_event(LOG_DEBUG, &s->log, "connect", "peer=%s", net_addr_ip(conn_peer(t->conn), ip));
	if (s->bye) { return say_bye(s, s->bye); }
	if (!let_in(s)) {
		metric_add(&imap_refused_total, 1);
		return s->handshaking ? STEP_DONE
				      : say_bye(s, "Too many sessions, try again later");
	}
	if (!s->handshaking) { return greet(s); }
	return imap_session_start_tls(s, greet) ? STEP_WAIT : STEP_DONE;
}

/* --- the end --- */

static void leave(struct session *s)
{
	struct imap_server *sv = s->server;
	drop_work(s);
	imap_input_free(s);
	imap_server_unwatch(sv, s);
	tally_leave(&sv->addresses, s->by_address);
	tally_leave(&sv->users, s->by_user);
	view_fini(&s->view);
	arena_fini(&s->arena);
	free((char *)(uintptr_t)s->login.p);
	list_del(&s->node);
	metric_sub(&imap_sessions, 1);
}

static void session_ended(struct task *t)
{
	struct session *s = session_of(t);
	struct imap_server *sv = s->server;
	if (sv) {
		log_event(LOG_DEBUG, &s->log, "end", "login=%.*s", STR_ARG(s->login));
		leave(s);
		imap_server_gone(sv);
	}
	free(s);
}

void imap_session_abandon(struct session *s)
{
	leave(s);
	s->server = NULL;
	task_kill(&s->task);
}

void imap_session_bye(struct session *s, const char *text)
{
	s->bye = text;
	if (s->handshaking) {
		task_kill(&s->task);
	} else {
		task_wake(&s->task, 0);
	}
}

void imap_session_start(struct imap_server *server, struct conn *c, bool tls)
{
	struct session *s = xnew(struct session);
	s->server = server;
	s->state = IMAP_NOT_AUTHENTICATED;
	s->handshaking = tls;
	s->log = (struct log_ctx){.role = server->role->ops->name, .session = ++server->last_id};
	s->due_us = loop_mono_us(server->role->loop) + server->conf->login_timeout;
	arena_init(&s->arena, IMAP_ARENA_MAX);
	list_init(&s->same);
	list_add(&server->sessions, &s->node);
	server->sessions_n++;
	metric_add(&imap_sessions, 1);
	metric_add(&imap_sessions_total, 1);
	task_start(server->role->loop, &s->task, c, first_step, session_ended);
}
