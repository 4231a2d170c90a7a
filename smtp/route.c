/* From a domain to addresses. Runs in relay. Never guesses: a failing name server is a temporary
   error, a name that does not exist a permanent one. */
#include "smtp/route.h"

#include "lib/idn.h"

static int give_up(struct route *r, bool permanent, const char *text)
{
	r->permanent = permanent;
	r->error = arena_fmt(r->arena, "%s: %.*s", text, STR_ARG(r->domain));
	return ERR_GONE;
}

static void add_addr(struct route *r, const struct sockaddr *sa, unsigned host)
{
	if (r->addrs_n == ROUTE_ADDRS_MAX) { return; }
	struct route_addr *a = &r->addrs[r->addrs_n++];
	net_addr_from_sa(sa, &a->addr);
	a->host = host;
}

static void add_in(struct route *r, struct str rdata, unsigned host)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(r->port)};
	if (rdata.n != sizeof in.sin_addr) { return; }
	memcpy(&in.sin_addr, rdata.p, rdata.n);
	add_addr(r, (struct sockaddr *)&in, host);
}

static void add_in6(struct route *r, struct str rdata, unsigned host)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(r->port)};
	if (rdata.n != sizeof in6.sin6_addr) { return; }
	memcpy(&in6.sin6_addr, rdata.p, rdata.n);
	add_addr(r, (struct sockaddr *)&in6, host);
}

static void add_host(struct route *r, struct str name, uint16_t preference)
{
	bool full = r->hosts_n == ROUTE_HOSTS_MAX;
	if (full && r->hosts[r->hosts_n - 1].preference <= preference) { return; }
	unsigned at = full ? r->hosts_n - 1 : r->hosts_n++; /* the worst makes room */
	while (at > 0 && r->hosts[at - 1].preference > preference) {
		r->hosts[at] = r->hosts[at - 1];
		at--;
	}
	r->hosts[at] = (struct route_host){.name = name, .preference = preference};
}

/* Hosts of equal preference in random order (RFC 5321 5.1). */
static void shuffle(struct route *r)
{
	uint32_t seed[ROUTE_HOSTS_MAX];
	random_bytes(seed, sizeof seed);
	for (unsigned i = 0; i < r->hosts_n; i++) {
		unsigned end = i + 1;
		while (end < r->hosts_n && r->hosts[end].preference == r->hosts[i].preference) {
			end++;
		}
		unsigned pick = i + seed[i] % (end - i);
		struct route_host h = r->hosts[i];
		r->hosts[i] = r->hosts[pick];
		r->hosts[pick] = h;
	}
}

/* When we are one of the exchanges, only better ones may be used: the rest would send it back to
 * us. */
static int cut_at_ourselves(struct route *r)
{
	for (unsigned i = 0; i < r->hosts_n; i++) {
		if (!str_ieq(r->hosts[i].name, r->own_name)) { continue; }
		unsigned keep = 0;
		while (keep < i && r->hosts[keep].preference < r->hosts[i].preference) { keep++; }
		r->hosts_n = keep;
		return keep ? 0
			    : give_up(r, true,
				      "5.4.6 the best mail exchange is this server, which does not "
				      "know the domain");
	}
	return 0;
}

/* Literals need no name server. */
static bool take_literal(struct route *r, struct str text)
{
	struct net_addr a;
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') {
		text = str_sub(text, 1, text.n - 2);
		if (str_istarts(text, STR("IPv6:"))) { text = str_skip(text, 5); }
	}
	if (net_addr_parse(text, r->port, &a) < 0) { return false; }
	add_host(r, text, 0);
	add_addr(r, &a.sa, 0);
	r->phase = ROUTE_DONE;
	return true;
}

int route_text(struct str text, struct str *host_out, uint16_t *port_out)
{
	ptrdiff_t colon = str_rchr(text, ':');
	bool bracketed = str_starts(text, STR("[")), whole = str_ends(text, STR("]"));
	uint64_t port;
	*host_out = text;
	if (colon < 0 || whole) { return text.n && bracketed == whole ? 0 : ERR_SYNTAX; }
	struct str host = str_sub(text, 0, (size_t)colon);
	bool good = host.n && (bracketed ? str_ends(host, STR("]")) : str_chr(host, ':') < 0) &&
		    str_u64(str_skip(text, (size_t)colon + 1), 65535, &port) && port > 0;
	if (!good) { return ERR_SYNTAX; }
	*host_out = host;
	*port_out = (uint16_t)port;
	return 0;
}

void route_by_domain(struct route *r, struct str domain)
{
	/* RFC 6531 3.2: DNS knows A-labels only; what is no domain is asked as it stands, which
	 * fails */
	if (idn_domain(domain, r->arena, &r->domain) < 0) { r->domain = domain; }
	r->phase = ROUTE_MX;
	if (domain.n && domain.p[0] == '[') {
		(void)take_literal(r, domain); /* else asked as a name, which fails */
	}
}

void route_by_host(struct route *r, struct str host)
{
	r->domain = host;
	r->phase = ROUTE_A;
	if (str_ieq(host, STR("localhost"))) { host = STR("127.0.0.1"); }
	if (!take_literal(r, host)) { add_host(r, host, 0); }
}

static int take_mx(struct route *r, const struct dns_answer *answer)
{
	if (answer->status == DNS_NXDOMAIN || answer->status == DNS_BAD) {
		return give_up(r, true, "5.1.2 no such domain");
	}
	if (answer->status == DNS_SERVFAIL) {
		return give_up(r, false, "4.4.3 the name server failed for the domain");
	}
	for (size_t i = 0; i < answer->n; i++) {
		uint16_t preference;
		struct str host;
		if (dns_rdata_mx(answer->rr[i].data, r->arena, &preference, &host) < 0) {
			continue;
		}
		if (host.n == 0) {
			return give_up(r, true, "5.1.10 the domain accepts no mail (null MX)");
		}
		add_host(r, host, preference);
	}
	if (r->hosts_n == 0) { /* RFC 5321 5.1: the domain itself is its exchange */
		r->implicit = true;
		add_host(r, r->domain, 0);
	}
	shuffle(r);
	r->phase = ROUTE_A;
	return cut_at_ourselves(r);
}

static void take_addresses(struct route *r, const struct dns_answer *answer)
{
	r->soft_failure |= answer->status == DNS_SERVFAIL;
	for (size_t i = 0; answer->status == DNS_OK && i < answer->n; i++) {
		if (r->phase == ROUTE_A) {
			add_in(r, answer->rr[i].data, r->at);
		} else {
			add_in6(r, answer->rr[i].data, r->at);
		}
	}
	if (r->phase == ROUTE_A) {
		r->phase = ROUTE_AAAA;
		return;
	}
	r->phase = ++r->at < r->hosts_n ? ROUTE_A : ROUTE_DONE;
}

static int finish(struct route *r)
{
	if (r->addrs_n) { return 1; }
	if (r->soft_failure) {
		return give_up(r, false, "4.4.3 the name server failed for the mail exchange");
	}
	return give_up(r, true, "5.1.2 no address for the domain's mail exchange");
}

int route_step(struct route *r)
{
	static const enum dns_type types[] = {DNS_MX, DNS_A, DNS_AAAA};
	while (r->phase != ROUTE_DONE) {
		struct str name = r->phase == ROUTE_MX ? r->domain : r->hosts[r->at].name;
		if (!r->asked) {
			r->asked = true;
			dns_ask(r->dns, &r->query, r->task, name, types[r->phase]);
			return 0;
		}
		if (!r->query.answer) { return 0; }
		r->asked = false;
		int rc = 0;
		if (r->phase == ROUTE_MX) {
			rc = take_mx(r, r->query.answer);
		} else {
			take_addresses(r, r->query.answer);
		}
		dns_query_fini(&r->query);
		if (rc < 0) { return rc; }
	}
	return finish(r);
}

void route_fini(struct route *r)
{
	dns_query_fini(&r->query);
}
