/* Owns one client connection of the load generator. It never looks into what is said. */
#include "t/bench/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 256 * 1024, READS_PER_TURN = 16 };

static char read_space[READ_MAX];

static void lost(struct peer *p, const char *why)
{
	if (p->fd < 0) { return; }
	peer_close(p);
	p->calls->closed(p, why);
}

static void want(struct peer *p, int events)
{
	if (p->io.events == events) { return; }
	ev_io_stop(p->bench->loop, &p->io);
	ev_io_set(&p->io, p->fd, events);
	ev_io_start(p->bench->loop, &p->io);
}

static void handshake(struct peer *p)
{
	ERR_clear_error();
	int answer = SSL_connect(p->ssl);
	if (answer == 1) {
		p->state = PEER_OPEN;
		want(p, EV_READ);
		p->calls->ready(p);
		return;
	}
	switch (SSL_get_error(p->ssl, answer)) {
	case SSL_ERROR_WANT_READ: want(p, EV_READ); break;
	case SSL_ERROR_WANT_WRITE: want(p, EV_WRITE); break;
	default: lost(p, "TLS handshake failed");
	}
}

void peer_start_tls(struct peer *p)
{
	p->ssl = SSL_new(p->bench->tls);
	if (!p->ssl || !SSL_set_fd(p->ssl, p->fd)) { abort(); }
	p->state = PEER_HANDSHAKE;
	handshake(p);
}

static void connected(struct peer *p)
{
	int code = 0;
	socklen_t n = sizeof code;
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &n) != 0 || code != 0) {
		lost(p, "cannot connect");
		return;
	}
	p->state = PEER_OPEN;
	want(p, EV_READ);
	p->calls->ready(p);
}

/* Octets read into read_space, 0 when nothing is there now, -1 when the connection is over. */
static ssize_t read_some(struct peer *p)
{
	if (!p->ssl) {
		ssize_t n = recv(p->fd, read_space, sizeof read_space, 0);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	size_t total = 0;
	while (total + 16384 <= sizeof read_space) {
		int n = SSL_read(p->ssl, read_space + total, (int)(sizeof read_space - total));
		if (n > 0) {
			total += (size_t)n;
			continue;
		}
		if (total || SSL_get_error(p->ssl, n) == SSL_ERROR_WANT_READ) { break; }
		return -1;
	}
	return (ssize_t)total;
}

static void readable(struct peer *p)
{
	for (int turn = 0; turn < READS_PER_TURN && p->fd >= 0 && p->state == PEER_OPEN; turn++) {
		ssize_t n = read_some(p);
		if (n < 0) { lost(p, "the server closed the connection"); }
		if (n <= 0) { return; }
		p->calls->input(p, str_make(read_space, (size_t)n));
		if (!p->ssl) { return; }
	}
	if (p->fd >= 0 && p->ssl && SSL_pending(p->ssl)) {
		ev_feed_event(p->bench->loop, &p->io, EV_READ);
	}
}

static ssize_t write_some(struct peer *p, const char *from, size_t n)
{
	if (!p->ssl) {
		ssize_t sent = send(p->fd, from, n, MSG_NOSIGNAL);
		return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	int sent = SSL_write(p->ssl, from, (int)MIN(n, (size_t)INT32_MAX));
	if (sent > 0) { return sent; }
	return SSL_get_error(p->ssl, sent) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

void peer_flush(struct peer *p)
{
	if (p->fd < 0 || p->state != PEER_OPEN) { return; }
	while (p->out_at < p->out.n) {
		ssize_t n = write_some(p, p->out.p + p->out_at, p->out.n - p->out_at);
		if (n < 0) {
			lost(p, "write failed");
			return;
		}
		if (n == 0) {
			want(p, EV_READ | EV_WRITE);
			return;
		}
		p->out_at += (size_t)n;
	}
	buf_reset(&p->out);
	p->out_at = 0;
	want(p, EV_READ);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct peer *p = container_of(io, struct peer, io);
	(void)loop; /* the bench knows its loop */
	if (p->state == PEER_CONNECTING) {
		connected(p);
	} else if (p->state == PEER_HANDSHAKE) {
		handshake(p);
	} else {
		if (events & EV_WRITE) { peer_flush(p); }
		if (p->fd >= 0 && events & EV_READ) { readable(p); }
	}
}

void peer_open(
	struct peer *p, struct bench *b, uint64_t port, bool tls, const struct peer_calls *calls)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int on = 1;
	*p = (struct peer){.bench = b, .calls = calls, .out = p->out};
	buf_reset(&p->out);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0) { abort(); }
	ev_io_init(&p->io, on_io, p->fd, EV_WRITE);
	if (tls) {
		p->ssl = SSL_new(b->tls);
		if (!p->ssl || !SSL_set_fd(p->ssl, p->fd)) { abort(); }
		SSL_set_connect_state(p->ssl);
		p->state = PEER_HANDSHAKE;
	}
	if (inet_pton(AF_INET, b->opt.host, &to.sin_addr) != 1) {
		lost(p, "--host is not an IPv4 address");
		return;
	}
	(void)setsockopt(
		p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* only a matter of speed */
	if (connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
		lost(p, "cannot connect");
		return;
	}
	ev_io_start(b->loop, &p->io);
}

void peer_close(struct peer *p)
{
	if (p->fd < 0) { return; }
	ev_io_stop(p->bench->loop, &p->io);
	if (p->ssl) {
		if (p->state == PEER_OPEN) { SSL_shutdown(p->ssl); }
		SSL_free(p->ssl);
		p->ssl = NULL;
	}
	close(p->fd);
	p->fd = -1;
}
