/* Where the mail for a domain goes: a fixed route, an address literal, or MX and address records
   (RFC 5321 5.1, RFC 7505). A small task-like helper inside a shipment: call route_step from the
   shipment's steps. */
#pragma once

#include "lib/dns.h"
#include "lib/net.h"

enum { ROUTE_HOSTS_MAX = 10, ROUTE_ADDRS_MAX = 20 };

struct route_host {
	struct str name;
	uint16_t preference;
};
struct route_addr {
	struct net_addr addr;
	unsigned host; /* index into hosts */
};

struct route {
	struct dns *dns;
	struct task *task;
	struct arena *arena;
	uint16_t port;
	struct str own_name; /* our host name: MX entries from ours on are left out (loops, RFC
				5321 5.1) */
	struct dns_query query;
	struct route_host hosts[ROUTE_HOSTS_MAX];
	unsigned hosts_n;
	struct route_addr addrs[ROUTE_ADDRS_MAX]; /* in the order to try */
	unsigned addrs_n;
	struct str error; /* "5.1.2 ..." text when route_step answers < 0 */
	bool permanent;
	bool soft_failure; /* there may be more hosts: a name server failed for one */
	/* private */
	enum { ROUTE_MX, ROUTE_A, ROUTE_AAAA, ROUTE_DONE } phase;
	unsigned at;
	bool implicit, asked;
	struct str domain;
};

/* Split "HOST:PORT", "[IPv6]:PORT" or "HOST" (*port_out stays as it is). ERR_SYNTAX. */
int route_text(struct str text, struct str *host_out, uint16_t *port_out);
/* By MX of `domain` (a domain or an address literal in brackets). */
void route_by_domain(struct route *r, struct str domain);
/* To one host: a name or an address; no MX. */
void route_by_host(struct route *r, struct str host);
/* 1 addrs are filled (at least one), 0 return STEP_WAIT and call again when woken, < 0 none: see
 * error, permanent. */
int route_step(struct route *r);
void route_fini(struct route *r);
