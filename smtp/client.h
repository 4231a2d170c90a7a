/* One SMTP session out: one message to one host for some recipients (RFC 5321; STARTTLS 3207, SIZE
   1870, PIPELINING 2920, DSN 3461, CHUNKING and BINARYMIME 3030, SMTPUTF8 6531, AUTH 4954). A task
   of its own that wakes whoever started it. Each recipient is asked for once; what the server did
   not want to hear in this transaction stays without a code. */
#pragma once

#include "lib/conn.h"
#include "smtp/client_offer.h"
#include "store/store.h"

enum client_tls {
	CLIENT_TLS_MAY,      /* STARTTLS when offered */
	CLIENT_TLS_NONE,     /* not at all: the second try after a failed handshake */
	CLIENT_TLS_MUST,     /* STARTTLS or nothing */
	CLIENT_TLS_IMPLICIT, /* from the first octet (port 465) */
};

enum client_result {
	CLIENT_RUNNING,
	CLIENT_ANSWERED, /* at least one recipient has a code, without one it was one too many */
	CLIENT_NO_HOST,  /* this host did not serve us: try another; nothing was promised */
	CLIENT_NO_TLS,   /* the handshake failed: without TLS it might work */
	CLIENT_LOST /* the connection broke after the final dot: unknown whether it was taken */
};

struct client_rcpt {
	struct str rcpt, orcpt;
	uint8_t notify;
	uint32_t n;       /* recipient number in the queue item */
	int code;         /* of the reply that decided, 0 = none yet */
	bool left;        /* for another transaction: the server takes no more in this one */
	struct str reply; /* its text, in the client's arena */
	bool said;        /* by the host, with its code; else our own sentence with a status */
};

struct client {
	/* set by the caller, borrowed until the parent is woken */
	struct store *store;
	struct task *parent;
	struct net_addr to;
	struct str helo, host; /* our name; theirs (for certificates and reports) */
	enum client_tls tls;
	struct tls_ctx *tls_ctx;
	struct str user, password; /* empty: no AUTH */
	struct str from, envid;
	uint64_t oid, size;
	uint8_t ret, body; /* RET_*, BODY_* */
	const struct convert_needs *needs;
	struct convert *convert; /* that has looked at the message; used alone meanwhile */
	struct client_rcpt *rcpts;
	size_t rcpts_n;
	/* filled */
	enum client_result result;
	struct str reply; /* what ended it, for CLIENT_NO_HOST, NO_TLS and LOST */
	bool reply_said;  /* by the host, as in client_rcpt */
	bool no_mail;     /* the host takes no mail from anybody (RFC 7504) */
	bool used_tls, dsn_passed_on;
	struct arena arena; /* the texts */
	/* private */
	struct task task;
	struct client_reply in;
	enum step (*after)(struct client *);
	bool ended;
	size_t at;
	uint64_t offset, wire_size; /* RFC 1870 5: without stuffed dots and the last one */
	bool line_start, ehlo_done, in_body;
	struct client_offer offer;
	struct client_fit fit;
};

struct client *client_new(void);
/* Once, with the caller's part filled. The parent waits with STEP_WAIT. */
void client_start(struct loop *l, struct client *c);
/* Cancel when it still runs, and free. NULL is fine. */
void client_free(struct client *c);
/* Dot-stuffing (RFC 5321 4.5.2): append `s` to `out`; *line_start tells whether the next octet
 * begins a line. */
void client_stuff(struct str s, bool *line_start, struct buf *out);
