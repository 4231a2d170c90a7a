/* DNS lists. Runs in mx. */
#include "smtp/dnsl.h"

#include "smtp/path.h"

/* "2", "4-7" or "*" */
static bool parse_octet(struct str s, uint8_t *lo, uint8_t *hi)
{
	struct str first;
	uint64_t from, to;
	*lo = 0;
	*hi = 255;
	if (str_eq(s, STR("*"))) { return true; }
	bool range = str_cut(&s, '-', &first);
	if (!str_u64(first, 255, &from)) { return false; }
	to = from;
	if (range && (!str_u64(s, 255, &to) || to < from)) { return false; }
	*lo = (uint8_t)from;
	*hi = (uint8_t)to;
	return true;
}

static bool parse_code(struct str s, struct dnsl_code *out)
{
	struct str octet;
	bool more = true;
	for (int i = 0; i < 4; i++) {
		if (!more) { return false; }
		more = str_cut(&s, '.', &octet);
		if (!parse_octet(octet, &out->lo[i], &out->hi[i])) { return false; }
	}
	return !more && out->lo[0] == 127 && out->hi[0] == 127;
}

int dnsl_parse(struct str text, struct dnsl *out)
{
	struct str word;
	*out = (struct dnsl){0};
	bool more = str_cut(&text, '=', &out->zone);
	if (out->zone.n > DNSL_ZONE_MAX) { return ERR_LIMIT; }
	if (!path_is_domain(out->zone)) { return ERR_SYNTAX; }
	bool codes = more;
	while (more) {
		more = str_cut(&text, ' ', &word);
		if (word.n == 0) { continue; }
		if (out->codes_n == DNSL_CODES_MAX) { return ERR_LIMIT; }
		if (!parse_code(word, &out->codes[out->codes_n++])) { return ERR_SYNTAX; }
	}
	return codes && out->codes_n == 0 ? ERR_SYNTAX : 0;
}

/* --- names --- */

static struct str below(struct str reversed, struct str zone, struct arena *a)
{
	return arena_fmt(a, "%.*s.%.*s", STR_ARG(reversed), STR_ARG(zone));
}

struct str dnsl_name(const struct net_addr *client, struct str zone, struct arena *a)
{
	struct str name = dns_reverse_name(&client->sa, a);
	struct str arpa = client->sa.sa_family == AF_INET ? STR(".in-addr.arpa") : STR(".ip6.arpa");
	assert(str_ends(name, arpa));
	return below(str_sub(name, 0, name.n - arpa.n), zone, a);
}

struct str dnsl_test_name(const struct net_addr *client, struct str zone, struct arena *a)
{
	/* ::FFFF:7F00:1, which a net_addr would fold to IPv4 */
	static const char v6[] = "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0."
				 "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
	return below(client->sa.sa_family == AF_INET ? STR("1.0.0.127") : str_of(v6), zone, a);
}

/* --- answers --- */

static bool counts(const struct dnsl *list, const uint8_t code[4])
{
	for (size_t i = 0; i < list->codes_n; i++) {
		const struct dnsl_code *c = &list->codes[i];
		int k = 0;
		while (k < 4 && code[k] >= c->lo[k] && code[k] <= c->hi[k]) { k++; }
		if (k == 4) { return true; }
	}
	return list->codes_n == 0;
}

/* Lists answer 127.255.255.x to those whom they do not serve, and a domain that has gone to a
   dealer answers with an address of the internet. */
static bool is_no_code(const uint8_t code[4])
{
	return code[0] != 127 || (code[1] == 255 && code[2] == 255);
}

enum dnsl_says dnsl_read(
	const struct dnsl *list, const struct dns_answer *answer, uint8_t code_out[4])
{
	enum dnsl_says says = DNSL_NO;
	memset(code_out, 0, 4);
	if (answer->status == DNS_NXDOMAIN || answer->status == DNS_NODATA) { return DNSL_NO; }
	if (answer->status != DNS_OK) { return DNSL_SILENT; }
	for (size_t i = 0; i < answer->n; i++) {
		struct str data = answer->rr[i].data;
		uint8_t code[4] = {0};
		if (data.n == sizeof code) { memcpy(code, data.p, sizeof code); }
		if (!is_no_code(code) && (says == DNSL_YES || !counts(list, code))) { continue; }
		memcpy(code_out, code, sizeof code);
		if (is_no_code(code)) { return DNSL_BROKEN; }
		says = DNSL_YES;
	}
	return says;
}
