/* One byte stream to a peer: buffered, non-blocking, raw or TLS. Belongs to the task that reads it.
   Reading happens only while the task waits with STEP_IN, so a peer that sends more than we read
   meets TCP's own back-pressure; writing is collected and flushed once per run of the task. An idle
   connection holds no buffers. */
#pragma once

#include "lib/net.h"
#include "lib/task.h"
#include "lib/tls.h"

struct conn;

enum {
	CONN_READ =
		16 * 1024, /* octets asked from the kernel at once (conn_read_size changes it) */
	CONN_OUT_HIGH = 64 * 1024, /* conn_out_full from here on */
	CONN_OUT_LOW = 16 * 1024   /* STEP_OUT ends below this */
};

enum conn_status {
	CONN_OPEN,
	CONN_EOF,    /* the peer closed its side (TLS: close_notify or bare end); input may still be
			buffered */
	CONN_FAILED, /* reset, TLS failure */
	CONN_TIMEOUT /* conn_deadline passed */
};

/* Take over a connected socket. `server` says which side of a later TLS handshake this is. */
struct conn *conn_new(struct loop *l, int fd, bool server);
/* Start connecting; the task waits with STEP_WAIT and is woken with 0 or ERR_*. `local` may be
 * NULL. */
struct conn *conn_connect(
	struct loop *l, struct task *t, const struct net_addr *to, const struct net_addr *local);
/* Close at once; unsent output is lost. (Tasks end with STEP_CLOSE instead.) */
void conn_free(struct conn *c);

enum conn_status conn_status(const struct conn *c);
const struct net_addr *conn_peer(const struct conn *c);
/* Replace the peer's address (PROXY protocol, XCLIENT). */
void conn_set_peer(struct conn *c, const struct net_addr *a);

/* Input. */
struct str conn_in(const struct conn *c); /* what is buffered; valid until the step returns */
void conn_eat(struct conn *c, size_t n);
/* Read what has come by now, also from a peer that takes no more of our output: its last words.
   True when something was there. */
bool conn_read_now(struct conn *c);
/* Has the peer sent something already, without waiting for it? */
bool conn_has_input(const struct conn *c);
/* Cut a line ended by CRLF (not counted in *line_out) of at most `max` octets without it; it is
   eaten, but stays valid until the step returns or more input is cut. 1 a line, 0 not yet complete,
   ERR_LIMIT when longer, ERR_SYNTAX on a LF without CR. */
int conn_line(struct conn *c, size_t max, struct str *line_out);
/* The most a STEP_IN reads ahead: also the cap of the input buffer. */
void conn_read_size(struct conn *c, size_t n);
/* Acknowledge what has come instead of waiting for something to send along, when nothing is left to
   be read: for the place where clients that write twice in a row (and leave Nagle's algorithm on)
   would wait 40 ms for us before they write on. */
void conn_ack_now(struct conn *c);

/* Output; copied, never fails (a dead peer shows in conn_status). */
void conn_put(struct conn *c, struct str s);
void conn_fmt(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct buf *conn_out(struct conn *c);      /* append directly */
size_t conn_out_len(const struct conn *c); /* octets not yet written */
bool conn_out_full(const struct conn *c);  /* return STEP_OUT now */
/* Write straight from borrowed memory (a store chunk): flushes what is buffered, then writes as
   much of `s` as the socket takes now. Returns the octets taken, 0 when none: return STEP_OUT and
   find the place again. No octet is copied; after an incomplete write the same octets must be
   offered next, from any address. */
size_t conn_send(struct conn *c, struct str s);

/* Wake the task with conn_status CONN_TIMEOUT when STEP_IN, STEP_OUT or a handshake lasts past `us`
   from now. 0 = none. Progress does not move it; call again for that. */
void conn_deadline(struct conn *c, int64_t us);

/* Handshake; the task waits with STEP_WAIT and is woken with 0 or ERR_TLS/ERR_CLOSED/ERR_TIMEOUT.
   Refuses with ERR_SYNTAX, before anything is sent, when plaintext is still buffered (STARTTLS
   injection): the caller closes. `sni` is the name to send and to verify (clients), else empty.
   Takes its own reference on `ctx`. */
int conn_start_tls(struct conn *c, struct task *t, struct tls_ctx *ctx, struct str sni);
bool conn_is_tls(const struct conn *c);
/* "TLSv1.3" and "TLS_AES_256_GCM_SHA384"; empty without TLS. */
struct str conn_tls_version(const struct conn *c);
struct str conn_tls_cipher(const struct conn *c);
bool conn_tls_verified(const struct conn *c); /* client side: chain and name were right */

/* Accepting: watches a listening descriptor and calls `fresh` with each new connection. */
struct listener {
	struct watch watch;
	struct loop *loop;
	int fd;
	void (*fresh)(struct listener *ln, struct conn *c);
	struct timer pause; /* after EMFILE: accept again in 100 ms */
};
void listener_start(struct loop *l, struct listener *ln, int fd,
	void (*fresh)(struct listener *, struct conn *));
void listener_stop(struct listener *ln); /* closes the descriptor */
