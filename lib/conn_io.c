/* How octets of a connection come and go: raw, or through OpenSSL. */
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "lib/conn_private.h"
#include "lib/tls_private.h"

enum { SEND_MOST = 256 * 1024, TLS_RECORD = 16 * 1024 };

/* --- raw --- */

ssize_t conn_io_error(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? IO_AGAIN : IO_FAILED;
}

static ssize_t raw_read(struct conn *c, char *p, size_t n)
{
	ssize_t got = recv(c->fd, p, n, 0);
	return got > 0 ? got : got == 0 ? IO_EOF : conn_io_error();
}

static ssize_t raw_write(struct conn *c, struct str s, bool more)
{
	ssize_t put =
		send(c->fd, s.p, MIN(s.n, (size_t)SEND_MOST), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	return put >= 0 ? put : conn_io_error();
}

static bool raw_pending(struct conn *c)
{
	(void)c;
	return false;
}

static void raw_shut(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
}

const struct conn_io conn_raw_io = {raw_read, raw_write, raw_pending, raw_shut};

/* --- the socket below TLS --- */

/* OpenSSL's own would tell TCP to send every record at once. */
static int bio_write(BIO *b, const char *p, int n)
{
	struct conn *c = BIO_get_data(b);
	ssize_t put = send(c->fd, p, (size_t)n, MSG_NOSIGNAL | (c->more ? MSG_MORE : 0));
	BIO_clear_retry_flags(b);
	if (put < 0 && conn_io_error() == IO_AGAIN) { BIO_set_retry_write(b); }
	return (int)put;
}

static int bio_read(BIO *b, char *p, int n)
{
	struct conn *c = BIO_get_data(b);
	ssize_t got = recv(c->fd, p, (size_t)n, 0);
	BIO_clear_retry_flags(b);
	if (got < 0 && conn_io_error() == IO_AGAIN) { BIO_set_retry_read(b); }
	if (got == 0) { BIO_set_flags(b, BIO_FLAGS_IN_EOF); }
	return (int)got;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
	(void)n, (void)p;
	switch (what) {
	case BIO_CTRL_FLUSH: return 1;
	case BIO_CTRL_EOF: return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	default: return 0;
	}
}

/* One for the process, never freed. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *m;
	if (m) { return m; }
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
	if (!m) { abort(); }
	BIO_meth_set_write(m, bio_write);
	BIO_meth_set_read(m, bio_read);
	BIO_meth_set_ctrl(m, bio_ctrl);
	return m;
}

/* --- TLS --- */

void conn_tls_attach(struct conn *c, struct str sni)
{
	BIO *bio = BIO_new(bio_method());
	c->ssl = tls_ssl_new(c->tls, c->server, sni);
	if (!bio || !c->ssl) { abort(); }
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	c->io = &conn_tls_io;
}

static ssize_t tls_error(struct conn *c, int rc)
{
	int why = SSL_get_error(c->ssl, rc);
	unsigned long reason = ERR_peek_error();
	ERR_clear_error();
	c->wants_read = why == SSL_ERROR_WANT_READ;
	c->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (c->wants_read || c->wants_write) { return IO_AGAIN; }
	bool bare_end = why == SSL_ERROR_SSL &&
			ERR_GET_REASON(reason) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	return why == SSL_ERROR_ZERO_RETURN || bare_end ? IO_EOF : IO_FAILED;
}

/* Errors that other code left in OpenSSL's queue would be taken for ours. */
static void tls_begin(struct conn *c)
{
	ERR_clear_error();
	c->wants_read = c->wants_write = false;
}

static ssize_t tls_read(struct conn *c, char *p, size_t n)
{
	tls_begin(c);
	int got = SSL_read(c->ssl, p, (int)MIN(n, (size_t)INT32_MAX));
	return got > 0 ? got : tls_error(c, got);
}

/* After a write that would block the same octets come again, never fewer: records are cut at fixed
 * places. */
static ssize_t tls_write(struct conn *c, struct str s, bool more)
{
	tls_begin(c);
	c->more = more || s.n > TLS_RECORD;
	int put = SSL_write(c->ssl, s.p, (int)MIN(s.n, (size_t)TLS_RECORD));
	c->more = false; /* what TLS says of itself goes out at once */
	return put > 0 ? put : tls_error(c, put);
}

static bool tls_pending(struct conn *c)
{
	return SSL_has_pending(c->ssl) == 1;
}

static void tls_shut(struct conn *c)
{
	tls_begin(c);
	SSL_shutdown(c->ssl);
	ERR_clear_error();
	shutdown(c->fd, SHUT_WR);
}

const struct conn_io conn_tls_io = {tls_read, tls_write, tls_pending, tls_shut};

ssize_t conn_tls_shake(struct conn *c)
{
	tls_begin(c);
	int rc = SSL_do_handshake(c->ssl);
	return rc == 1 ? 0 : tls_error(c, rc);
}

bool conn_is_tls(const struct conn *c)
{
	return c->ssl != NULL;
}

struct str conn_tls_version(const struct conn *c)
{
	return c->ssl ? str_of(SSL_get_version(c->ssl)) : STR("");
}

struct str conn_tls_cipher(const struct conn *c)
{
	return c->ssl ? str_of(SSL_get_cipher_name(c->ssl)) : STR("");
}

bool conn_tls_verified(const struct conn *c)
{
	return c->ssl && SSL_get0_peer_certificate(c->ssl) &&
	       SSL_get_verify_mode(c->ssl) != SSL_VERIFY_NONE &&
	       SSL_get_verify_result(c->ssl) == X509_V_OK;
}
