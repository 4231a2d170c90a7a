/* Delivery status notifications: multipart/report (RFC 6522) with message/delivery-status (RFC
 * 3464). Pure text. */
#pragma once

#include "store/store.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_RELAYED, DSN_DELIVERED };

struct dsn_rcpt {
	struct str rcpt, orcpt; /* `orcpt` as in the command: decoded here */
	enum dsn_action action;
	bool expired;           /* failed for want of a final answer */
	struct str status;      /* "5.1.1" */
	struct str reply;       /* "550 5.1.1 ..." as the host said it, or our own sentence */
	bool said;              /* by the host */
	struct str host;        /* that was tried last; "" = none */
	int64_t retry_until_us; /* delayed */
};

struct dsn {
	struct str hostname, to, boundary;
	struct str envid; /* as in the command: its xtext is decoded here */
	uint64_t id;
	int64_t now_us, arrived_us;
	bool full; /* the whole message comes back, else its header */
	bool utf8; /* the sender speaks SMTPUTF8 (RFC 6533 types), else all but the text is ASCII */
	const struct dsn_rcpt *rcpts;
	size_t rcpts_n;
};

/* Everything before the returned octets. */
void dsn_head(const struct dsn *d, struct buf *out);
/* Everything behind them. */
void dsn_tail(const struct dsn *d, struct buf *out);
/* The status of a reply text: its enhanced code when it has one of the right class, else "5.0.0",
 * "4.0.0". */
struct str dsn_status(int code, struct str reply);
