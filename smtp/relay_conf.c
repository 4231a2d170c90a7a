/* Rows of the relay section. */
#include "smtp/relay_conf.h"

#include "smtp/role.h"
#include "smtp/route.h"

static bool is_route(struct str text)
{
	struct str host;
	uint16_t port = 1;
	return route_text(text, &host, &port) == 0;
}

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct relay_conf, member), \
		__VA_ARGS__ \
	}

static const char *const tls_words[] = {"may", "must", "verify", NULL};

static const struct conf_row rows[] = {
	ROW("route", CONF_STR, route, .max = 300, .def = "", .valid = is_route,
		.form = "HOST:PORT, as mail.example.org:587",
		.help = "HOST:PORT that takes all outgoing mail; empty = by the MX records of each "
			"domain."),
	ROW("user", CONF_STR, user, .max = 320, .def = "",
		.help = "Login name at the route; empty = no AUTH."),
	ROW("password", CONF_STR, password, .max = 1024, .def = "", .secret = true,
		.help = "Password at the route. Sent over TLS or to loopback only."),
	ROW("helo", CONF_STR, helo, .max = 255, .def = "",
		.help = "Name we greet with; empty = the host name."),
	ROW("route_tls", CONF_CHOICE, route_tls, .def = "may", .choices = tls_words,
		.help = "TLS to the route: when offered (may), always (must), always with a valid "
			"certificate (verify)."),
	ROW("port", CONF_INT, port, .min = 1, .max = 65535, .def = "25",
		.help = "Port of other servers when delivering by MX."),
	ROW("concurrency", CONF_INT, concurrency, .min = 1, .max = 1000, .def = "40",
		.unit = "sessions", .help = "Outgoing sessions at once."),
	ROW("per_domain", CONF_INT, per_domain, .min = 1, .max = 1000, .def = "10",
		.unit = "sessions",
		.help = "Outgoing sessions at once to one destination domain or route."),
	ROW("retry_min", CONF_DURATION, retry_min_us, .min = 1, .max = 86400, .def = "5m",
		.help = "Pause before the second try; doubles with each further one."),
	ROW("retry_max", CONF_DURATION, retry_max_us, .min = 1, .max = 604800, .def = "4h",
		.help = "Longest pause between tries."),
	ROW("lifetime", CONF_DURATION, lifetime_us, .min = 1, .max = 2592000, .def = "5d",
		.help = "How long delivery is tried before the sender gets a bounce."),
	ROW("delay_warning", CONF_DURATION, delay_warning_us, .min = 1, .max = 2592000, .def = "4h",
		.help = "Age at which a sender who asked for it (NOTIFY=DELAY) is told of a "
			"delay."),
	ROW("loopback_only", CONF_BOOL, loopback_only, .def = "no",
		.help = "Never connect to another machine (dev)."),
};

const struct conf_section relay_conf_section = {
	.name = "relay", .rows = rows, .n = COUNT(rows), .size = sizeof(struct relay_conf)};
