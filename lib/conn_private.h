/* What conn.c shares with conn_io.c: the connection itself, and the four functions in which raw and
   TLS differ. */
#pragma once

#include <openssl/ssl.h>

#include "lib/buf.h"
#include "lib/conn.h"

enum phase { OPEN, CONNECTING, HANDSHAKING, FLUSHING, LINGERING };

/* Answers of the io functions besides a count of octets. */
enum { IO_AGAIN = -1, IO_EOF = -2, IO_FAILED = -3 };

struct conn_io {
	ssize_t (*read)(struct conn *c, char *p, size_t n);
	ssize_t (*write)(struct conn *c, struct str s, bool more);
	bool (*pending)(struct conn *c); /* octets received that the kernel no longer has */
	void (*shut)(struct conn *c);    /* say goodbye */
};

struct conn {
	struct loop *loop;
	struct list closing; /* in the loop's list once it ends by itself */
	struct task *task;
	const struct conn_io *io;
	SSL *ssl;
	struct tls_ctx *tls;
	struct buf in, out;
	size_t in_at, out_at; /* consumed, written */
	uint32_t read_size;
	int fd;
	enum phase phase;
	enum conn_status status;
	bool server;
	bool reported;          /* the task has seen that status is not OPEN */
	bool wait_in, wait_out; /* what the task waits for */
	bool blocked;           /* the last write took nothing; until the socket is writable */
	bool offered;           /* a conn_send is incomplete: its rest must be written next */
	bool refused;           /* a conn_send waits behind what is in `out` */
	bool mute;              /* the peer takes nothing any more: output is dropped */
	bool expired;           /* the deadline passed while the task waited for something else */
	bool wants_read, wants_write; /* what TLS needs to get on */
	bool more;                    /* the record that TLS is writing is not the last one */
	struct watch watch;
	struct timer deadline;
	struct net_addr peer, local;
};

extern const struct conn_io conn_raw_io, conn_tls_io;

/* IO_AGAIN or IO_FAILED, by errno. */
ssize_t conn_io_error(void);
/* Begin TLS: gives the connection its `ssl`. */
void conn_tls_attach(struct conn *c, struct str sni);
/* Go on with the TLS handshake: 0 when it is over, or IO_*. */
ssize_t conn_tls_shake(struct conn *c);
