/* What every role may ask of its surroundings, and the top section of the configuration. Every
   role. */
#include "lib/role.h"

/* Letters, digits and hyphens between dots: it is said in greetings and trace lines. */
static bool is_host_name(struct str text)
{
	char before = '.';
	for (size_t i = 0; i < text.n; before = text.p[i++]) {
		bool edge = text.p[i] == '.' || text.p[i] == '-';
		if (!edge && !ascii_alpha(text.p[i]) && !ascii_digit(text.p[i])) { return false; }
		if (edge && (before == '.' || (text.p[i] == '.' && before == '-'))) {
			return false;
		}
	}
	return before != '.' && before != '-';
}

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct top_conf, member), \
		__VA_ARGS__ \
	}

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

static const struct conf_row rows[] = {
	ROW("hostname", CONF_STR, hostname, .max = 253, .def = "", .valid = is_host_name,
		.form = "the full name of a host, as mail.example.org",
		.help = "Full name of this host, as it greets and signs trace lines; empty = the "
			"system's name."),
	ROW("data", CONF_STR, data, .min = 1, .max = 4095, .def = "/var/lib/posthouse",
		.path = true, .help = "Directory of the store and of key files.", .at_start = true),
	ROW("log_level", CONF_CHOICE, log_level, .def = "info", .choices = log_levels,
		.help = "Least important line that is logged."),
};

const struct conf_section top_conf_section = {
	.name = "", .rows = rows, .n = COUNT(rows), .size = sizeof(struct top_conf)};

void role_stopped(struct role *r)
{
	if (r->stopped) { r->stopped(r); }
}

struct str role_hostname(const struct role *r)
{
	const struct top_conf *top = conf_get(r->conf, &top_conf_section);
	return top->hostname.n ? top->hostname : STR("localhost");
}

struct str role_secret(const struct role *r, struct str name)
{
	for (size_t i = 0; i < r->secrets_n; i++) {
		if (str_eq(r->secrets[i].name, name)) { return r->secrets[i].value; }
	}
	return STR("");
}
