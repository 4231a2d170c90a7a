/* RDATA of answers, and names. Roles with DNS. Pure functions; the octets come from anywhere. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/dns_private.h"

int dns_name_normal(struct str name, struct buf *out)
{
	size_t label = 0;
	if (str_ends(name, STR("."))) { name.n--; }
	if (name.n == 0 || name.n > DNS_NAME_MAX) { return ERR_SYNTAX; }
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '\0') { return ERR_SYNTAX; }
		if (name.p[i] == '.' && label == 0) { return ERR_SYNTAX; }
		label = name.p[i] == '.' ? 0 : label + 1;
		if (label > DNS_LABEL_MAX) { return ERR_SYNTAX; }
		buf_chr(out, ascii_lower(name.p[i]));
	}
	return label ? 0 : ERR_SYNTAX;
}

/* A label with a dot in it cannot be told from two labels in text: refused. */
static int add_label(struct str label, struct buf *out)
{
	if (out->n) { buf_chr(out, '.'); }
	for (size_t i = 0; i < label.n; i++) {
		if (label.p[i] == '.' || label.p[i] == '\0') { return ERR_SYNTAX; }
		buf_chr(out, ascii_lower(label.p[i]));
	}
	return 0;
}

/* Octets the name takes up, or ERR_SYNTAX. */
static ptrdiff_t read_name(struct str rdata, size_t offset, struct buf *out)
{
	size_t at = offset;
	for (;;) {
		if (at >= rdata.n) { return ERR_SYNTAX; }
		size_t n = (unsigned char)rdata.p[at++];
		if (n == 0) {
			return out->n > DNS_NAME_MAX ? ERR_SYNTAX : (ptrdiff_t)(at - offset);
		}
		if (n > DNS_LABEL_MAX || n > rdata.n - at || out->n > DNS_NAME_MAX) {
			return ERR_SYNTAX; /* compression has no place here either */
		}
		if (add_label(str_sub(rdata, at, n), out) < 0) { return ERR_SYNTAX; }
		at += n;
	}
}

int dns_rdata_name(struct str rdata, size_t offset, struct arena *a, struct str *name_out)
{
	struct buf name = {0};
	ptrdiff_t n = read_name(rdata, offset, &name);
	if (n > 0) { *name_out = arena_dup(a, buf_view(&name)); }
	buf_fini(&name);
	return n > 0 ? 0 : ERR_SYNTAX;
}

int dns_rdata_mx(struct str rdata, struct arena *a, uint16_t *pref_out, struct str *host_out)
{
	if (rdata.n < 3) { return ERR_SYNTAX; }
	*pref_out = (uint16_t)((unsigned char)rdata.p[0] << 8 | (unsigned char)rdata.p[1]);
	return dns_rdata_name(rdata, 2, a, host_out);
}

int dns_rdata_txt(struct str rdata, struct arena *a, struct str *text_out)
{
	char *text = arena_alloc(a, rdata.n + 1);
	size_t len = 0;
	if (rdata.n == 0) { return ERR_SYNTAX; }
	for (size_t at = 0; at < rdata.n;) {
		size_t n = (unsigned char)rdata.p[at++];
		if (n > rdata.n - at) { return ERR_SYNTAX; }
		memcpy(text + len, rdata.p + at, n);
		len += n;
		at += n;
	}
	*text_out = str_make(text, len);
	return 0;
}

struct str dns_reverse_name(const struct sockaddr *sa, struct arena *a)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		const unsigned char *o = (const unsigned char *)&in.sin_addr;
		return arena_fmt(a, "%u.%u.%u.%u.in-addr.arpa", o[3], o[2], o[1], o[0]);
	}
	if (sa->sa_family != AF_INET6) { return STR(""); }
	struct sockaddr_in6 in6;
	struct buf name = {0};
	memcpy(&in6, sa, sizeof in6);
	for (int i = 15; i >= 0; i--) {
		unsigned char o = in6.sin6_addr.s6_addr[i];
		buf_fmt(&name, "%x.%x.", o & 15, o >> 4);
	}
	buf_str(&name, STR("ip6.arpa"));
	struct str out = arena_dup(a, buf_view(&name));
	buf_fini(&name);
	return out;
}
