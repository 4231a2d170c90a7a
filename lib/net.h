/* Network addresses, listening, connecting. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/lib.h"

/* An IP address with a port. IPv4-mapped IPv6 is always folded to IPv4. Family AF_UNSPEC = none (a
 * socketpair). */
struct net_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

enum { NET_ADDR_TEXT = 64 };

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]:25", "192.0.2.1:25", "*:25" and "[::]:25". Without a
 * port: `port`. */
int net_addr_parse(struct str text, uint16_t port, struct net_addr *out);
/* The address without the port, at most NET_ADDR_TEXT octets with NUL. */
const char *net_addr_ip(const struct net_addr *a, char out[NET_ADDR_TEXT]);
/* As RFC 5321 4.1.3 writes it: [192.0.2.1] or [IPv6:2001:db8::1]. */
const char *net_addr_literal(const struct net_addr *a, char out[NET_ADDR_TEXT]);
uint16_t net_addr_port(const struct net_addr *a);
bool net_addr_is_loopback(const struct net_addr *a);
void net_addr_from_sa(const struct sockaddr *sa, struct net_addr *out);
socklen_t net_addr_len(const struct net_addr *a);

/* A network, "192.0.2.0/24" or one address. */
struct net_cidr {
	struct net_addr addr;
	unsigned bits;
};
int net_cidr_parse(struct str text, struct net_cidr *out);
bool net_cidr_has(const struct net_cidr *net, const struct net_addr *a);

/* Bind and listen, SO_REUSEADDR, non-blocking, close-on-exec. "*" binds both families on one socket
   where it can. Returns the descriptor or ERR_*, with the fix named in `e` (port in use by pid...,
   needs root...). */
int net_listen(const struct net_addr *a, struct err *e);
/* A non-blocking, close-on-exec socket pair of SOCK_STREAM unix sockets. */
int net_pair(int fds[2]);
