/* One byte stream to a peer. Every role with sockets. Owns the descriptor and the TLS state; never
   interprets what it carries. Raw and TLS differ in four functions; nothing falls back from TLS to
   clear. */
#include "lib/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/conn_private.h"
#include "lib/fault.h"
#include "lib/loop_private.h"

static const int64_t HANDSHAKE_US = 15 * SECOND_US, CONNECT_US = 30 * SECOND_US,
		     FLUSH_US = 10 * SECOND_US, LINGER_US = 2 * SECOND_US;

/* --- readiness --- */

static void on_ready(struct watch *w, int events);

static void rewatch(struct conn *c)
{
	int events = 0;
	switch (c->phase) {
	case OPEN:
		events |= c->wait_in ? WATCH_READ : 0;
		if (c->offered ? c->wait_out : c->out.n > c->out_at) { events |= WATCH_WRITE; }
		/* TLS that must answer first (key update) reads nothing until it has written */
		if (c->wait_in && c->wants_write) { events = WATCH_WRITE; }
		break;
	case CONNECTING: events = WATCH_WRITE; break;
	case HANDSHAKING: events = c->wants_write ? WATCH_WRITE : WATCH_READ; break;
	case FLUSHING: events = WATCH_WRITE; break;
	case LINGERING: events = WATCH_READ; break;
	}
	watch_set(c->loop, &c->watch, c->fd, events, on_ready);
}

static void drop_output(struct conn *c)
{
	buf_fini(&c->out);
	c->out_at = 0;
	c->mute = true;
	c->offered = c->blocked = c->refused = false;
}

/* An end of input may still turn into a failure or a timeout; those two are final. */
static void set_status(struct conn *c, enum conn_status status)
{
	if (c->status == status || c->status == CONN_FAILED || c->status == CONN_TIMEOUT) {
		return;
	}
	c->status = status;
	c->reported = false;
}

static void fail(struct conn *c)
{
	drop_output(c);
	set_status(c, CONN_FAILED);
}

static size_t unread(const struct conn *c)
{
	return c->in.n - c->in_at;
}

static void compact_in(struct conn *c)
{
	buf_drop(&c->in, c->in_at);
	c->in_at = 0;
	if (c->in.n == 0) { buf_fini(&c->in); }
}

/* One gulp. False when nothing came. */
static bool fill(struct conn *c)
{
	compact_in(c);
	char *at = buf_reserve(&c->in, c->read_size);
	ssize_t got = FAULT("conn.read") ? IO_FAILED : c->io->read(c, at, c->read_size);
	if (got > 0) {
		buf_grow(&c->in, (size_t)got);
		return true;
	}
	if (c->in.n == 0) { buf_fini(&c->in); }
	if (got == IO_EOF) { set_status(c, CONN_EOF); }
	if (got == IO_FAILED) { fail(c); }
	return got != IO_AGAIN;
}

void conn_unwait(struct conn *c)
{
	c->wait_in = c->wait_out = false;
}

/* STEP_IN waits for more than the step has seen: what is left in the buffer did not suffice. An end
   or a failure is told once; a task that asks again after that has nothing left to wait for and is
   ended. */
static bool wait_in(struct conn *c)
{
	if (unread(c) == 0) { compact_in(c); }
	if (c->status == CONN_OPEN && c->expired) { set_status(c, CONN_TIMEOUT); }
	if (c->status == CONN_OPEN && c->io->pending(c) && fill(c)) {
		c->reported = c->status != CONN_OPEN;
		return false;
	}
	if (c->status == CONN_OPEN) { return true; }
	if (c->reported) { task_kill(c->task); }
	c->reported = true;
	return false;
}

/* Enough has been written to go on, when no conn_send is incomplete. */
static bool drained(const struct conn *c)
{
	return !c->refused && conn_out_len(c) < CONN_OUT_LOW;
}

/* A peer that lets a deadline pass while we write will not read the rest. */
static bool wait_out(struct conn *c)
{
	if (c->expired) { set_status(c, CONN_TIMEOUT); }
	if (c->status == CONN_TIMEOUT && !c->mute) { drop_output(c); }
	conn_flush(c);
	if (c->mute) { return false; }
	return c->offered ? c->blocked : !drained(c);
}

bool conn_wait(struct conn *c, enum step what)
{
	c->wait_in = what == STEP_IN;
	c->wait_out = what == STEP_OUT;
	if (c->wait_in ? !wait_in(c) : !wait_out(c)) {
		conn_unwait(c);
		return false;
	}
	rewatch(c);
	return true;
}

/* --- output --- */

static struct str unsent(const struct conn *c)
{
	return str_make(c->out.p + c->out_at, c->out.n - c->out_at);
}

static void flush(struct conn *c, bool more)
{
	while (!c->offered && c->out.n > c->out_at) {
		ssize_t put = FAULT("conn.write") ? IO_FAILED : c->io->write(c, unsent(c), more);
		c->blocked = put == IO_AGAIN;
		if (put == IO_AGAIN) { return; }
		if (put < 0) {
			fail(c);
			return;
		}
		c->out_at += (size_t)put;
	}
	if (c->out.n > c->out_at) { return; }
	c->out_at = 0;
	c->refused = false;
	buf_fini(&c->out);
}

void conn_flush(struct conn *c)
{
	bool was_open = c->status != CONN_FAILED;
	if (c->phase != OPEN || c->blocked || c->out.n == c->out_at) { return; }
	flush(c, false);
	if (was_open && c->status == CONN_FAILED && c->task) { task_io(c->task); }
	rewatch(c);
}

void conn_put(struct conn *c, struct str s)
{
	buf_str(conn_out(c), s);
}

void conn_fmt(struct conn *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(conn_out(c), fmt, ap);
	va_end(ap);
}

struct buf *conn_out(struct conn *c)
{
	if (c->mute) { buf_reset(&c->out); } /* nobody will read it: do not collect it */
	return &c->out;
}

size_t conn_out_len(const struct conn *c)
{
	return c->mute ? 0 : c->out.n - c->out_at;
}

bool conn_out_full(const struct conn *c)
{
	return (c->offered && c->blocked) || conn_out_len(c) >= CONN_OUT_HIGH;
}

size_t conn_send(struct conn *c, struct str s)
{
	size_t taken = 0;
	if (c->mute) { return s.n; }
	flush(c, true);
	c->refused = !c->offered && c->out.n > c->out_at;
	if (c->refused) { return 0; }
	while (taken < s.n && !c->mute) {
		struct str left = str_skip(s, taken);
		ssize_t put = FAULT("conn.write") ? IO_FAILED : c->io->write(c, left, false);
		c->offered = c->blocked = put == IO_AGAIN;
		if (put == IO_AGAIN) { return taken; }
		if (put < 0) {
			fail(c);
		} else {
			taken += (size_t)put;
		}
	}
	return c->mute ? s.n : taken;
}

/* --- input --- */

struct str conn_in(const struct conn *c)
{
	return c->in.n > c->in_at ? str_make(c->in.p + c->in_at, unread(c)) : STR("");
}

bool conn_has_input(const struct conn *c)
{
	char octet;
	return unread(c) || recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool conn_read_now(struct conn *c)
{
	size_t had = unread(c);
	bool room = had < c->read_size;
	return c->phase == OPEN && room && fill(c) && unread(c) > had;
}

void conn_eat(struct conn *c, size_t n)
{
	assert(n <= unread(c));
	c->in_at += n;
}

int conn_line(struct conn *c, size_t max, struct str *line_out)
{
	struct str in = conn_in(c);
	ptrdiff_t lf = str_chr(str_sub(in, 0, max + 2), '\n');
	if (lf < 0) { return in.n >= max + 2 ? ERR_LIMIT : 0; }
	if (lf == 0 || in.p[lf - 1] != '\r') { return ERR_SYNTAX; }
	*line_out = str_sub(in, 0, (size_t)lf - 1);
	conn_eat(c, (size_t)lf + 1);
	return 1;
}

void conn_read_size(struct conn *c, size_t n)
{
	c->read_size = (uint32_t)n;
}

void conn_ack_now(struct conn *c)
{
	int on = 1;
	if (unread(c) == 0) { setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); }
}

/* --- state --- */

enum conn_status conn_status(const struct conn *c)
{
	return c->status;
}

const struct net_addr *conn_peer(const struct conn *c)
{
	return &c->peer;
}

void conn_set_peer(struct conn *c, const struct net_addr *a)
{
	c->peer = *a;
}

static void wake(struct conn *c, int rc)
{
	if (!c->task) { return; }
	if (c->phase == OPEN) {
		task_io(c->task);
	} else {
		task_wake(c->task, rc);
	}
}

static void on_deadline(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, deadline);
	if (c->phase == FLUSHING || c->phase == LINGERING) {
		conn_free(c);
		return;
	}
	if (c->phase == OPEN && !c->wait_in && !c->wait_out) {
		c->expired = true; /* the task is busy elsewhere: it is told when it waits for us */
		return;
	}
	set_status(c, CONN_TIMEOUT);
	if (c->phase != OPEN || c->wait_out) { drop_output(c); }
	c->reported = true;
	wake(c, ERR_TIMEOUT);
	c->phase = OPEN;
	watch_set(c->loop, &c->watch, c->fd, 0, on_ready);
}

void conn_deadline(struct conn *c, int64_t us)
{
	c->expired = false;
	if (us) {
		timer_start(c->loop, &c->deadline, us, on_deadline);
	} else {
		timer_stop(&c->deadline);
	}
}

/* --- TLS --- */

static void handshake(struct conn *c)
{
	ssize_t why = conn_tls_shake(c);
	if (why == IO_AGAIN) {
		rewatch(c);
		return;
	}
	conn_deadline(c, 0);
	watch_set(c->loop, &c->watch, c->fd, 0, on_ready);
	if (why) { fail(c); }
	task_wake(c->task, why == IO_EOF ? ERR_CLOSED : why ? ERR_TLS : 0);
	c->phase = OPEN;
}

int conn_start_tls(struct conn *c, struct task *t, struct tls_ctx *ctx, struct str sni)
{
	assert(c->task == t && !c->ssl);
	if (unread(c)) { return ERR_SYNTAX; }
	flush(c, false);
	if (c->out.n > c->out_at || c->status != CONN_OPEN) { /* it does not read its 220 */
		fail(c);
		return ERR_CLOSED;
	}
	c->tls = tls_get(ctx);
	conn_tls_attach(c, sni);
	c->phase = HANDSHAKING;
	conn_deadline(c, HANDSHAKE_US);
	handshake(c);
	return 0;
}

/* --- events --- */

static void on_connected(struct conn *c)
{
	int error = 0;
	socklen_t n = sizeof error;
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	conn_deadline(c, 0);
	watch_set(c->loop, &c->watch, c->fd, 0, on_ready);
	if (error) { fail(c); }
	socklen_t len = sizeof c->local;
	getsockname(c->fd, &c->local.sa, &len);
	task_wake(c->task, error ? ERR_IO : 0);
	c->phase = OPEN;
}

/* Output is gone: say goodbye, then wait a moment for the peer to take it, so that a reset does not
 * eat our last words. */
static void linger(struct conn *c)
{
	c->io->shut(c);
	c->phase = LINGERING;
	conn_deadline(c, LINGER_US);
	rewatch(c);
}

static void on_closing(struct conn *c)
{
	char sink[4096];
	if (c->phase == FLUSHING) {
		flush(c, false);
		if (c->mute) {
			conn_free(c);
		} else if (c->out.n == c->out_at) {
			linger(c);
		}
		return;
	}
	ssize_t got = recv(c->fd, sink, sizeof sink, 0);
	if (got == 0 || (got < 0 && conn_io_error() == IO_FAILED)) { conn_free(c); }
}

static void on_open(struct conn *c, int events)
{
	bool told = false;
	bool reads = (events & WATCH_READ) || ((events & WATCH_WRITE) && c->wants_write);
	if (events & WATCH_WRITE) {
		c->blocked = false;
		flush(c, false);
		told = c->wait_out && (c->offered || drained(c));
	}
	if (reads && c->wait_in && c->status == CONN_OPEN) { told |= fill(c); }
	told |= c->status == CONN_FAILED && (c->wait_in || c->wait_out);
	if (told) {
		c->reported = c->status != CONN_OPEN;
		conn_unwait(c);
		task_io(c->task);
		if (conn_out_len(c)) { rewatch(c); }
	} else {
		rewatch(c);
	}
}

static void on_ready(struct watch *w, int events)
{
	struct conn *c = container_of(w, struct conn, watch);
	switch (c->phase) {
	case OPEN:
		if (!c->wait_in && !c->wait_out && !(events & WATCH_WRITE)) {
			rewatch(c); /* input that nobody waits for now */
		} else {
			on_open(c, events);
		}
		break;
	case CONNECTING: on_connected(c); break;
	case HANDSHAKING: handshake(c); break;
	case FLUSHING:
	case LINGERING: on_closing(c); break;
	}
}

/* --- life --- */

struct conn *conn_new(struct loop *l, int fd, bool server)
{
	struct conn *c = xnew(struct conn);
	int on = 1, idle_s = 300;
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;
	c->loop = l;
	list_init(&c->closing);
	c->fd = fd;
	c->server = server;
	c->io = &conn_raw_io;
	c->read_size = CONN_READ;
	if (getpeername(fd, (struct sockaddr *)&sa, &n) == 0) {
		net_addr_from_sa((struct sockaddr *)&sa, &c->peer);
	}
	n = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0) {
		net_addr_from_sa((struct sockaddr *)&sa, &c->local);
	}
	if (c->local.sa.sa_family != AF_UNSPEC) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	}
	return c;
}

void conn_attach(struct conn *c, struct task *t)
{
	c->task = t;
}

struct conn *conn_connect(
	struct loop *l, struct task *t, const struct net_addr *to, const struct net_addr *local)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0;
	if (ok && local) { ok = bind(fd, &local->sa, net_addr_len(local)) == 0; }
	if (ok) { ok = connect(fd, &to->sa, net_addr_len(to)) == 0 || errno == EINPROGRESS; }
	struct conn *c = conn_new(l, fd, false);
	c->peer = *to;
	c->task = t;
	if (!ok) {
		fail(c);
		task_wake(t, ERR_IO);
		return c;
	}
	c->phase = CONNECTING;
	conn_deadline(c, CONNECT_US);
	rewatch(c);
	return c;
}

void conn_free(struct conn *c)
{
	list_del(&c->closing);
	watch_stop(&c->watch);
	timer_stop(&c->deadline);
	SSL_free(c->ssl);
	tls_put(c->tls);
	if (c->fd >= 0) { close(c->fd); }
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

void conn_close(struct conn *c)
{
	c->task = NULL;
	list_add(loop_closing(c->loop), &c->closing);
	buf_fini(&c->in);
	c->in_at = 0;
	if (c->mute || c->offered || c->phase != OPEN) { /* nothing can follow half a record */
		conn_free(c);
		return;
	}
	flush(c, false);
	c->phase = FLUSHING;
	conn_deadline(c, FLUSH_US);
	if (c->mute) {
		conn_free(c);
	} else if (c->out.n == c->out_at) {
		linger(c);
	} else {
		rewatch(c);
	}
}

void conn_free_closing(struct loop *l)
{
	list_each(node, loop_closing(l)) { conn_free(list_entry(node, struct conn, closing)); }
}
