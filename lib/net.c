/* Network addresses and sockets. Every role; the sandbox decides who gets through with the system
 * calls. */
#include "lib/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static bool parse_port(struct str s, uint16_t *out)
{
	uint64_t v;
	if (!str_u64(s, 65535, &v)) { return false; }
	*out = (uint16_t)v;
	return true;
}

static int make_addr(struct str ip, uint16_t port, struct net_addr *out)
{
	char text[INET6_ADDRSTRLEN];
	if (ip.n == 0 || ip.n >= sizeof text) { return ERR_SYNTAX; }
	memcpy(text, ip.p, ip.n);
	text[ip.n] = '\0';
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	if (strlen(text) != ip.n) { return ERR_SYNTAX; }
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		net_addr_from_sa((struct sockaddr *)&in, out);
	} else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
		net_addr_from_sa((struct sockaddr *)&in6, out);
	} else {
		return ERR_SYNTAX;
	}
	return 0;
}

int net_addr_parse(struct str text, uint16_t port, struct net_addr *out)
{
	ptrdiff_t colon = str_rchr(text, ':'), bracket = str_rchr(text, ']');
	if (text.n && text.p[0] == '[') {
		if (bracket < 0) { return ERR_SYNTAX; }
		struct str rest = str_skip(text, (size_t)bracket + 1);
		if (rest.n && (rest.p[0] != ':' || !parse_port(str_skip(rest, 1), &port))) {
			return ERR_SYNTAX;
		}
		return make_addr(str_sub(text, 1, (size_t)bracket - 1), port, out);
	}
	if (colon >= 0 && str_chr(text, ':') == colon) {
		if (!parse_port(str_skip(text, (size_t)colon + 1), &port)) { return ERR_SYNTAX; }
		text = str_sub(text, 0, (size_t)colon);
	}
	return make_addr(str_eq(text, STR("*")) ? STR("::") : text, port, out);
}

void net_addr_from_sa(const struct sockaddr *sa, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	if (sa->sa_family == AF_INET) {
		memcpy(&out->in, sa, sizeof out->in);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			out->in6 = in6;
			return;
		}
		out->in.sin_family = AF_INET;
		out->in.sin_port = in6.sin6_port;
		memcpy(&out->in.sin_addr, in6.sin6_addr.s6_addr + 12, 4);
	}
}

socklen_t net_addr_len(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in;
}

const char *net_addr_ip(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	out[0] = '\0';
	if (a->sa.sa_family == AF_INET) { inet_ntop(AF_INET, &a->in.sin_addr, out, NET_ADDR_TEXT); }
	if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, out, NET_ADDR_TEXT);
	}
	return out;
}

const char *net_addr_literal(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	char ip[NET_ADDR_TEXT];
	net_addr_ip(a, ip);
	snprintf(out, NET_ADDR_TEXT, "[%s%.50s]", a->sa.sa_family == AF_INET6 ? "IPv6:" : "", ip);
	return out;
}

uint16_t net_addr_port(const struct net_addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port);
}

bool net_addr_is_loopback(const struct net_addr *a)
{
	if (a->sa.sa_family == AF_INET) { return ntohl(a->in.sin_addr.s_addr) >> 24 == 127; }
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* The address octets, 4 or 16. */
static struct str octets(const struct net_addr *a)
{
	if (a->sa.sa_family == AF_INET) { return str_make(&a->in.sin_addr, 4); }
	if (a->sa.sa_family == AF_INET6) { return str_make(&a->in6.sin6_addr, 16); }
	return STR("");
}

int net_cidr_parse(struct str text, struct net_cidr *out)
{
	struct str ip;
	uint64_t bits;
	bool has_bits = str_cut(&text, '/', &ip);
	if (make_addr(ip, 0, &out->addr) < 0) { return ERR_SYNTAX; }
	out->bits = (unsigned)octets(&out->addr).n * 8;
	if (!has_bits) { return 0; }
	if (!str_u64(text, out->bits, &bits)) { return ERR_SYNTAX; }
	out->bits = (unsigned)bits;
	return 0;
}

bool net_cidr_has(const struct net_cidr *net, const struct net_addr *a)
{
	struct str n = octets(&net->addr), o = octets(a);
	size_t whole = net->bits / 8;
	unsigned rest = net->bits % 8;
	if (n.n != o.n || n.n == 0 || memcmp(n.p, o.p, whole) != 0) { return false; }
	return rest == 0 || ((unsigned char)(n.p[whole] ^ o.p[whole]) >> (8 - rest)) == 0;
}

static int listen_failed(int fd, const struct net_addr *a, const char *what, struct err *e)
{
	int saved = errno;
	char ip[NET_ADDR_TEXT];
	const char *fix = saved == EADDRINUSE
				  ? "another program uses the port: stop it or choose another port"
			  : saved == EACCES ? "ports below 1024 need root or CAP_NET_BIND_SERVICE"
			  : saved == EADDRNOTAVAIL ? "no interface of this machine has the address"
						   : strerror(saved);
	if (fd >= 0) { close(fd); }
	return err_set(e, saved == EADDRINUSE ? ERR_INUSE : ERR_IO, "%s %s port %u: %s", what,
		net_addr_ip(a, ip), net_addr_port(a), fix);
}

static bool is_any6(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

int net_listen(const struct net_addr *a, struct err *e)
{
	int on = 1, off = 0;
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && is_any6(a)) { /* a kernel without IPv6 */
		struct net_addr any = {.in = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port}};
		return net_listen(&any, e);
	}
	if (fd < 0) { return listen_failed(fd, a, "socket for", e); }
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->sa.sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_any6(a) ? &off : &on, sizeof on);
	}
	if (bind(fd, &a->sa, net_addr_len(a)) < 0) { return listen_failed(fd, a, "bind to", e); }
	if (listen(fd, BACKLOG) < 0) { return listen_failed(fd, a, "listen on", e); }
	return fd;
}

int net_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? ERR_IO
											   : 0;
}
