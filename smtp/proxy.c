/* PROXY protocol headers. Runs in mx and submit, only on connections from listed peers. */
#include "smtp/proxy.h"

#include <arpa/inet.h>

static const struct str V1 = {"PROXY ", 6};
static const struct str V2 = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* --- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 1234 25" --- */

static bool v1_addr(struct str ip, struct str port, int family, struct net_addr *out)
{
	uint64_t number;
	struct net_cidr one; /* reads an address without a port */
	if (str_chr(ip, '/') >= 0 || net_cidr_parse(ip, &one) < 0) { return false; }
	if (!str_u64(port, 65535, &number)) { return false; }
	*out = one.addr;
	in_port_t *to = family == AF_INET ? &out->in.sin_port : &out->in6.sin6_port;
	if (out->sa.sa_family != family) { return false; }
	*to = htons((uint16_t)number);
	return true;
}

static int v1_parse(struct str in, struct proxy *out, size_t *used_out)
{
	ptrdiff_t lf = str_chr(str_sub(in, 0, PROXY_V1_MAX), '\n');
	if (lf < 0) { return in.n >= PROXY_V1_MAX ? ERR_SYNTAX : 0; }
	if (in.p[lf - 1] != '\r') { return ERR_SYNTAX; }
	*used_out = (size_t)lf + 1;
	struct str word[5], rest = str_sub(in, V1.n, (size_t)lf - 1 - V1.n);
	size_t n = 0;
	for (bool more = true; more && n < COUNT(word); n++) {
		more = str_cut(&rest, ' ', &word[n]);
	}
	if (str_eq(word[0], STR("UNKNOWN"))) { return 1; }
	int family = str_eq(word[0], STR("TCP4")) ? AF_INET : AF_INET6;
	bool good = (family == AF_INET || str_eq(word[0], STR("TCP6"))) && n == COUNT(word) &&
		    rest.n == 0 && v1_addr(word[1], word[3], family, &out->source) &&
		    v1_addr(word[2], word[4], family, &out->target);
	return good ? 1 : ERR_SYNTAX;
}

/* --- version 2: signature 12, version and command 1, family 1, length 2, addresses, TLVs --- */

static void v2_addr4(const char *ip, const char *port, struct net_addr *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	memcpy(&in.sin_addr, ip, 4);
	memcpy(&in.sin_port, port, 2);
	net_addr_from_sa((struct sockaddr *)&in, out);
}

static void v2_addr6(const char *ip, const char *port, struct net_addr *out)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6};
	memcpy(&in.sin6_addr, ip, 16);
	memcpy(&in.sin6_port, port, 2);
	net_addr_from_sa((struct sockaddr *)&in, out);
}

static int v2_addresses(unsigned char family, struct str body, struct proxy *out)
{
	const char *p = body.p;
	if (family == 0x11) { /* TCP over IPv4 */
		if (body.n < 12) { return ERR_SYNTAX; }
		v2_addr4(p, p + 8, &out->source);
		v2_addr4(p + 4, p + 10, &out->target);
	} else if (family == 0x21) { /* TCP over IPv6 */
		if (body.n < 36) { return ERR_SYNTAX; }
		v2_addr6(p, p + 32, &out->source);
		v2_addr6(p + 16, p + 34, &out->target);
	} else if (family != 0) {
		return ERR_SYNTAX;
	}
	return 1;
}

static int v2_parse(struct str in, struct proxy *out, size_t *used_out)
{
	if (in.n < 16) { return 0; }
	size_t n = (size_t)(unsigned char)in.p[14] << 8 | (unsigned char)in.p[15];
	unsigned char command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
	if (n > PROXY_V2_MAX || (command != 0x20 && command != 0x21)) { return ERR_SYNTAX; }
	if (in.n < 16 + n) { return 0; }
	*used_out = 16 + n;
	out->local = command == 0x20;
	return out->local ? 1 : v2_addresses(family, str_sub(in, 16, n), out);
}

int proxy_parse(struct str in, struct proxy *out, size_t *used_out)
{
	*out = (struct proxy){0};
	if (str_starts(in, V1)) { return v1_parse(in, out, used_out); }
	if (str_starts(in, V2)) { return v2_parse(in, out, used_out); }
	bool may_become = str_starts(V1, in) || str_starts(V2, in);
	return may_become ? 0 : ERR_SYNTAX;
}
