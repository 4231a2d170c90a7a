/* The relay role's inside: what its files share. One shipment is one queued message on its way to
 * one destination. */
#pragma once

#include "auth/auth.h"
#include "lib/dns.h"
#include "lib/log.h"
#include "lib/map.h"
#include "smtp/client.h"
#include "smtp/relay_conf.h"
#include "smtp/role.h"
#include "smtp/route.h"
#include "store/spool.h"

enum { SHIP_RCPTS_MAX = 100 };

struct relay {
	struct role *role;
	const struct relay_conf *conf;
	struct log_ctx log;
	struct dns *dns;
	struct tls_ctx *tls_any, *tls_verify;
	struct list active;
	size_t active_n;
	struct map busy;    /* (qid, n) in flight */
	struct map domains; /* name -> struct relay_domain */
	struct timer due;
	struct job schedule;
};

/* How many shipments a destination has now. */
struct relay_domain {
	char *name;
	unsigned active;
};

struct ship_rcpt {
	unsigned char key[12]; /* of relay.busy */
	struct queue_rcpt row;
	uint8_t outcome; /* RCPT_* */
	bool expired;    /* RCPT_FAILED because its time was over */
	int code;
	struct str reply, host;
	bool said;          /* the reply is the host's, else our own sentence */
	bool left;          /* the host had no room for it in this transaction */
	bool dsn_passed_on; /* the host sends the reports */
};

struct shipment {
	struct list node;
	struct relay *relay;
	struct task task;
	struct arena arena;
	uint32_t serial; /* in log lines */
	struct relay_domain *domain;
	struct str domain_name;
	struct queue_item item;
	struct ship_rcpt rcpts[SHIP_RCPTS_MAX];
	size_t rcpts_n;
	struct client_rcpt wire_rcpts[SHIP_RCPTS_MAX];
	struct route route;
	unsigned addr_at;
	bool without_tls, tls_used, converted;
	unsigned answers;   /* hosts that took a transaction to its end */
	uint64_t looked_at; /* octets of the message */
	struct convert *convert;
	struct convert_needs needs;
	struct client *client;
	struct str failure; /* why the last host did not serve us */
	struct str failure_host;
	bool failure_permanent, failure_said; /* by the host */
	bool may_serve;                       /* a host failed that might serve us another time */
	struct call call;
	bool concluded;        /* all outcomes are known and have to be committed */
	struct report *report; /* a DSN being made, see ship_report.c */
};

/* relay.c: a shipment has ended, look what is due. */
void relay_ended(struct relay *r, struct shipment *s);

/* relay.c: count a shipment to a destination in and out. */
struct relay_domain *relay_domain_enter(struct relay *r, struct str name);
void relay_domain_leave(struct relay *r, struct relay_domain *d);

/* ship.c: for all due recipients of `qid` at the domain of recipient `n`. NULL when nothing is left
 * to do. */
struct shipment *ship_start(struct relay *r, struct snap *sn, uint64_t qid, uint32_t n);
/* Let go of it unless its message is already on the wire. */
void ship_stop(struct shipment *s);

/* ship_report.c: decide each recipient's outcome, make the DSN somebody is owed, commit both in one
 * operation. A step. */
enum step ship_report(struct task *t);
void report_free(struct report *rp);
