/* Rows of the auth section. */
#include "auth/conf.h"

#include "auth/auth.h"
#include "auth/password.h"

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct auth_conf, member), \
		__VA_ARGS__ \
	}

static const struct conf_row rows[] = {
	ROW("workers", CONF_INT, workers, .min = 1, .max = PASSWORD_THREADS_MAX, .def = "2",
		.unit = "threads", .help = "Threads that hash passwords.", .at_start = true),
	ROW("failure_delay", CONF_DURATION, failure_delay_us, .max = 60, .def = "2s",
		.help = "Pause after a failed login from a network; doubles with each further "
			"failure. 0 = none."),
	ROW("failure_delay_max", CONF_DURATION, failure_delay_max_us, .min = 1, .max = 3600,
		.def = "15s", .help = "Longest pause after failed logins."),
	ROW("separator", CONF_STR, separator, .max = 1, .def = "+",
		.help = "Character between the local part and a detail (user+detail); empty = no "
			"subaddresses."),
	ROW("default_domain", CONF_STR, default_domain, .max = 255, .def = "",
		.help = "Domain added to a login name without @; empty = the first domain."),
	ROW("all_domains", CONF_BOOL, all_domains, .def = "no",
		.help = "Treat every domain as local (dev and tests only)."),
	ROW("auto_accounts", CONF_BOOL, auto_accounts, .def = "no",
		.help = "Make an account for a local address at its first use (dev and tests "
			"only)."),
	ROW("any_password", CONF_BOOL, any_password, .def = "no",
		.help = "Accept every password (dev and tests only)."),
};

const struct conf_section auth_conf_section = {
	.name = "auth", .rows = rows, .n = COUNT(rows), .size = sizeof(struct auth_conf)};
