/* Rows of the dns section. */
#include "lib/dns_conf.h"

#include "lib/net.h"

static bool is_forward(struct str text)
{
	struct net_addr a;
	return str_eq(text, STR("none")) || str_eq(text, STR("roots")) ||
	       net_addr_parse(text, 53, &a) == 0;
}

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct dns_section, member), \
		.at_start = true, /* the resolver's process is made before the sandbox */ \
			__VA_ARGS__ \
	}

static const struct conf_row rows[] = {
	ROW("forward", CONF_STR, forward, .max = 80, .def = "", .valid = is_forward,
		.form = "an address with a port, as 192.0.2.1:53, or roots or none",
		.help = "Address and port of the only resolver to ask, as 192.0.2.1:53; roots = "
			"ask the root servers; none = look nothing up; empty = those of "
			"/etc/resolv.conf."),
	ROW("dnssec", CONF_BOOL, dnssec, .def = "yes",
		.help = "Validate answers; without it DANE is never used."),
	ROW("zone", CONF_STR, zone, .max = 4095, .def = "", .path = true,
		.help = "Master file that answers every question instead of the network (tests "
			"and dev)."),
	ROW("timeout", CONF_DURATION, timeout_us, .min = 1, .max = 120, .def = "10s",
		.help = "Longest wait for one answer."),
	ROW("cache", CONF_INT, cache, .min = 16, .max = 1000000, .def = "4096", .unit = "answers",
		.help = "Answers kept by each role that asks."),
};

const struct conf_section dns_conf_section = {
	.name = "dns", .rows = rows, .n = COUNT(rows), .size = sizeof(struct dns_section)};
