/* Rows of the dns section, and the resolver a role makes from them. Roles with want_dns; never
   reads the zone file itself: a sandboxed role gets its text from the supervisor. */
#include "lib/dns_conf.h"

#include "lib/dns.h"
#include "lib/role.h"

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct dns_section, member), \
		__VA_ARGS__ \
	}

static const struct conf_row rows[] = {
	ROW("forward", CONF_STR, forward, .max = 80, .def = "",
		.help = "Address and port of the only resolver to ask, as 192.0.2.1:53; empty = "
			"those of /etc/resolv.conf."),
	ROW("zone", CONF_STR, zone, .max = 4095, .def = "",
		.help = "Master file that answers every question instead of the network (tests "
			"and dev)."),
	ROW("timeout", CONF_DURATION, timeout_us, .min = 1, .max = 120, .def = "10s",
		.help = "Longest wait for one answer."),
	ROW("cache", CONF_INT, cache, .min = 16, .max = 1000000, .def = "4096", .unit = "answers",
		.help = "Answers kept by each role that asks."),
};

const struct conf_section dns_conf_section = {
	.name = "dns", .rows = rows, .n = COUNT(rows), .size = sizeof(struct dns_section)};

int role_dns(struct role *r, struct dns **out, struct err *e)
{
	const struct dns_section *s = conf_get(r->conf, &dns_conf_section);
	struct dns_conf c = {.forward = s->forward,
		.zone_text = role_secret(r, STR("dns.zone")),
		.timeout_us = s->timeout_us,
		.cache_max = s->cache};
	struct dns *d = dns_new(r->loop, &c, e);
	if (!d) { return ERR_SYNTAX; }
	int rc = dns_prepare(d, e);
	if (rc < 0) {
		dns_free(d);
		return rc;
	}
	*out = d;
	return 0;
}
