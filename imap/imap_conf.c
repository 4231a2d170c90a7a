/* Rows of the imap section. */
#include "imap/server.h"

#define ROW(key, conf_type, ...) \
	{ \
		.name = #key, .type = conf_type, .offset = offsetof(struct imap_conf, key), \
		__VA_ARGS__ \
	}

static const char *const plain_words[] = {"no", "loopback", NULL};

static const struct conf_row rows[] = {
	ROW(login_without_tls, CONF_CHOICE, .def = "no", .choices = plain_words,
		.help = "Whether a password may come without TLS: never (no), from this machine "
			"(loopback)."),
	ROW(sessions_max, CONF_INT, .min = 1, .max = 1000000, .def = "20000", .unit = "sessions",
		.help = "Sessions at once."),
	ROW(sessions_per_address, CONF_INT, .min = 1, .max = 1000000, .def = "100",
		.unit = "sessions",
		.help = "Sessions at once from one address (IPv6: from one /64); this machine may "
			"have more."),
	ROW(sessions_per_user, CONF_INT, .min = 1, .max = 1000000, .def = "50", .unit = "sessions",
		.help = "Sessions at once of one user."),
	ROW(login_failures, CONF_INT, .min = 1, .max = 100, .def = "5", .unit = "failures",
		.help = "Failed logins that end a session."),
	ROW(login_timeout, CONF_DURATION, .min = 1, .max = 3600, .def = "60s",
		.help = "How long a client may take to log in."),
	ROW(idle_timeout, CONF_DURATION, .min = 1800, .max = 86400, .def = "30m",
		.help = "How long a client that has logged in may be silent, also in IDLE."),
	ROW(write_timeout, CONF_DURATION, .min = 1, .max = 3600, .def = "5m",
		.help = "How long a client may take to read what it asked for before we hang up."),
	ROW(append_max, CONF_SIZE, .min = 64 * 1024, .max = UINT64_C(1) << 31, .def = "50M",
		.unit = "octets", .help = "Largest message of APPEND, told in APPENDLIMIT."),
};

const struct conf_section imap_conf_section = {
	.name = "imap", .rows = rows, .n = COUNT(rows), .size = sizeof(struct imap_conf)};
