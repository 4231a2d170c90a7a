/* One connection to the server under test: non-blocking, raw or TLS, on the bench's loop. */
#pragma once

#include "t/bench/bench.h"

struct peer;

struct peer_calls {
	void (*ready)(struct peer *p); /* connected, or the TLS handshake is done */
	void (*input)(struct peer *p, struct str data);
	void (*closed)(struct peer *p, const char *why); /* by the server, or an error */
};

struct peer {
	struct bench *bench;
	const struct peer_calls *calls;
	ev_io io;
	int fd; /* -1 = closed */
	SSL *ssl;
	enum { PEER_CONNECTING, PEER_HANDSHAKE, PEER_OPEN } state;
	struct buf out;
	size_t out_at;
};

/* Connect to --host; `ready` follows, after the handshake when `tls`. A failure calls `closed`
   before or after this returns. */
void peer_open(
	struct peer *p, struct bench *b, uint64_t port, bool tls, const struct peer_calls *calls);
/* Begin TLS on the open connection; `ready` is called again. */
void peer_start_tls(struct peer *p);
/* Send what stands in p->out; what the socket does not take now follows by itself. */
void peer_flush(struct peer *p);
/* Close without a call. Harmless on a closed peer. */
void peer_close(struct peer *p);
