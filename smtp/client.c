/* One SMTP session out: connection, greeting, TLS, AUTH, and how it ends. Runs in relay. */
#include "smtp/client_private.h"

#include "lib/codec.h"
#include "smtp/relay_metrics.h"

enum { LINE_MAX = 2048 };
static const int64_t GREETING_US = 300 * SECOND_US; /* RFC 5321 4.5.3.2.1 */

static enum step step_ehlo(struct client *c);

/* --- ends --- */

static enum step finish(struct client *c, enum client_result result, struct str reply)
{
	c->result = result;
	c->reply = arena_dup(&c->arena, str_sub(reply, 0, CLIENT_TEXT_MAX));
	return STEP_DONE;
}

enum step client_quit(struct client *c)
{
	conn_put(c->task.conn, STR("QUIT\r\n"));
	return STEP_CLOSE;
}

enum step client_refused(struct client *c)
{
	struct buf b = {0};
	client_reply_text(&c->in, CLIENT_TEXT_MAX, &b);
	(void)finish(c, CLIENT_NO_HOST, buf_view(&b)); /* not at once, but by QUIT */
	buf_fini(&b);
	c->reply_said = true;
	return client_quit(c);
}

/* RFC 7504 3: 521 means that it takes no mail at all, today or tomorrow. */
static enum step no_mail(struct client *c)
{
	c->no_mail = true;
	return client_refused(c);
}

struct str client_with_host(struct client *c, const char *text)
{
	return arena_fmt(&c->arena, "%s (%.*s)", text, STR_ARG(c->host));
}

static enum step unfit(struct client *c, const char *why)
{
	(void)finish(c, CLIENT_NO_HOST, client_with_host(c, why)); /* not at once, but by QUIT */
	return client_quit(c);
}

enum step client_lost(struct client *c, const char *status, const char *how)
{
	struct str text = arena_fmt(&c->arena, "%s %.*s: %s", status, STR_ARG(c->host), how);
	return finish(c, c->in_body ? CLIENT_LOST : CLIENT_NO_HOST, text);
}

/* --- reading replies --- */

int client_reply_come(struct client *c)
{
	struct conn *conn = c->task.conn;
	struct str line;
	int rc = 0, whole = 0;
	do {
		while (!whole && (rc = conn_line(conn, LINE_MAX, &line)) == 1) {
			whole = client_reply_line(&c->in, line);
		}
	} while (!whole && rc == 0 && conn_status(conn) != CONN_OPEN && conn_read_now(conn));
	return rc < 0 ? rc : whole;
}

static enum step read_reply(struct task *t)
{
	struct client *c = client_of(t);
	int rc = client_reply_come(c);
	if (rc < 0) { return client_lost(c, "4.5.0", "the server's reply is malformed"); }
	if (rc) { return c->after(c); }
	switch (conn_status(t->conn)) {
	case CONN_OPEN: return STEP_IN;
	case CONN_TIMEOUT: return client_lost(c, "4.4.2", "timed out waiting for a reply");
	default: return client_lost(c, "4.4.2", "the server closed the connection");
	}
}

enum step client_await(struct client *c, int64_t within_us, enum step (*after)(struct client *))
{
	client_reply_reset(&c->in);
	conn_deadline(c->task.conn, within_us);
	c->after = after;
	c->task.step = read_reply;
	return STEP_MORE;
}

/* --- AUTH --- */

static enum step step_authed(struct client *c)
{
	return c->in.code == 235 ? client_mail(c) : client_refused(c);
}

static bool offers_mechanism(const struct client *c, struct str name)
{
	struct str rest = c->offer.auth, word;
	bool more = true;
	while (more) {
		more = str_cut(&rest, ' ', &word);
		if (str_ieq(word, name)) { return true; }
	}
	return false;
}

static enum step step_auth_password(struct client *c)
{
	if (c->in.code != 334) { return step_authed(c); }
	base64_encode(c->password, conn_out(c->task.conn));
	conn_put(c->task.conn, STR("\r\n"));
	return client_await(c, CLIENT_COMMAND_US, step_authed);
}

static enum step step_auth_user(struct client *c)
{
	if (c->in.code != 334) { return step_authed(c); }
	base64_encode(c->user, conn_out(c->task.conn));
	conn_put(c->task.conn, STR("\r\n"));
	return client_await(c, CLIENT_COMMAND_US, step_auth_password);
}

static enum step step_auth(struct client *c)
{
	struct conn *conn = c->task.conn;
	if (!conn_is_tls(conn) && !net_addr_is_loopback(conn_peer(conn))) {
		return unfit(c, "4.7.0 no TLS: the password is not sent in the clear");
	}
	if (offers_mechanism(c, STR("PLAIN"))) {
		struct buf plain = {0};
		buf_chr(&plain, '\0');
		buf_str(&plain, c->user);
		buf_chr(&plain, '\0');
		buf_str(&plain, c->password);
		conn_put(conn, STR("AUTH PLAIN "));
		base64_encode(buf_view(&plain), conn_out(conn));
		conn_put(conn, STR("\r\n"));
		wipe(plain.p, plain.n);
		buf_fini(&plain);
		return client_await(c, CLIENT_COMMAND_US, step_authed);
	}
	if (offers_mechanism(c, STR("LOGIN"))) {
		conn_put(conn, STR("AUTH LOGIN\r\n"));
		return client_await(c, CLIENT_COMMAND_US, step_auth_user);
	}
	return unfit(c, "4.7.0 the server offers neither AUTH PLAIN nor LOGIN");
}

/* --- greeting, EHLO, TLS --- */

static enum step tls_done(struct task *t)
{
	struct client *c = client_of(t);
	if (t->rc < 0) {
		return finish(c, c->tls == CLIENT_TLS_MAY ? CLIENT_NO_TLS : CLIENT_NO_HOST,
			STR("4.7.5 the TLS handshake failed"));
	}
	c->used_tls = true;
	metric_add(&relay_tls_sessions_total, 1);
	return c->tls == CLIENT_TLS_IMPLICIT ? client_await(c, GREETING_US, step_ehlo)
					     : step_ehlo(c);
}

static enum step start_tls(struct client *c)
{
	c->task.step = tls_done;
	if (conn_start_tls(c->task.conn, &c->task, c->tls_ctx, c->host) < 0) {
		return client_lost(c, "4.7.0", "the server sent more than its reply to STARTTLS");
	}
	return STEP_WAIT;
}

static enum step step_starttls(struct client *c)
{
	if (c->in.code == 220) { return start_tls(c); }
	if (c->tls == CLIENT_TLS_MUST) { return client_refused(c); }
	return c->user.n ? step_auth(c) : client_mail(c);
}

static enum step step_greeted(struct client *c)
{
	struct str params;
	if (c->in.code >= 300) { return client_refused(c); }
	client_offer_read(&c->in, &c->arena, &c->offer);
	bool offered = client_reply_keyword(&c->in, STR("STARTTLS"), &params);
	bool wanted = c->tls == CLIENT_TLS_MAY || c->tls == CLIENT_TLS_MUST;
	if (wanted && !c->used_tls && offered) {
		conn_put(c->task.conn, STR("STARTTLS\r\n"));
		return client_await(c, CLIENT_COMMAND_US, step_starttls);
	}
	if (c->tls == CLIENT_TLS_MUST && !c->used_tls) {
		return unfit(c, "4.7.0 the server does not offer STARTTLS");
	}
	return c->user.n ? step_auth(c) : client_mail(c);
}

static enum step step_helo_said(struct client *c)
{
	if (c->in.code == 521) { return no_mail(c); }
	if (c->in.code < 500) { return step_greeted(c); }
	conn_fmt(c->task.conn, "HELO %.*s\r\n", STR_ARG(c->helo)); /* an ancient server */
	return client_await(c, CLIENT_COMMAND_US, step_greeted);
}

static enum step step_ehlo(struct client *c)
{
	if (c->in.code == 521 && !c->ehlo_done) { return no_mail(c); }
	if (c->in.code >= 300 && !c->ehlo_done) { return client_refused(c); }
	c->ehlo_done = true;
	conn_fmt(c->task.conn, "EHLO %.*s\r\n", STR_ARG(c->helo));
	return client_await(c, CLIENT_COMMAND_US, step_helo_said);
}

static enum step connected(struct task *t)
{
	struct client *c = client_of(t);
	metric_add(t->rc < 0 ? &relay_connect_failures_total : &relay_connections_total, 1);
	if (t->rc < 0) {
		return client_lost(c, "4.4.1",
			t->rc == ERR_TIMEOUT ? "connecting timed out" : "connection refused");
	}
	return c->tls == CLIENT_TLS_IMPLICIT ? start_tls(c)
					     : client_await(c, GREETING_US, step_ehlo);
}

static enum step start_connect(struct task *t)
{
	struct client *c = client_of(t);
	t->conn = conn_connect(t->loop, t, &c->to, NULL);
	t->step = connected;
	return STEP_WAIT;
}

static void destroy(struct client *c)
{
	client_reply_fini(&c->in);
	arena_fini(&c->arena);
	free(c);
}

static void client_ended(struct task *t)
{
	struct client *c = client_of(t);
	c->ended = true;
	if (c->parent) {
		task_wake(c->parent, 0);
	} else {
		destroy(c);
	}
}

struct client *client_new(void)
{
	return xnew(struct client);
}

void client_start(struct loop *l, struct client *c)
{
	task_start(l, &c->task, NULL, start_connect, client_ended);
}

void client_free(struct client *c)
{
	if (!c) { return; }
	if (c->ended) {
		destroy(c);
		return;
	}
	c->parent = NULL; /* the rest happens in client_ended */
	task_kill(&c->task);
}
