/* Rows of the listen, tls and run sections. */
#include "cmd/cmd_conf.h"

#include "lib/net.h"

const char *const listen_names[LISTEN_N] = {
	[LISTEN_SMTP] = "smtp",
	[LISTEN_SUBMISSION] = "submission",
	[LISTEN_SUBMISSIONS] = "submissions",
	[LISTEN_LMTP] = "lmtp",
	[LISTEN_IMAP] = "imap",
	[LISTEN_IMAPS] = "imaps",
};

const uint16_t listen_ports[LISTEN_N] = {
	[LISTEN_SMTP] = 25,
	[LISTEN_SUBMISSION] = 587,
	[LISTEN_SUBMISSIONS] = 465,
	[LISTEN_LMTP] = 24,
	[LISTEN_IMAP] = 143,
	[LISTEN_IMAPS] = 993,
};

enum role_id listen_role(enum listen_kind kind)
{
	static const enum role_id by_kind[LISTEN_N] = {
		[LISTEN_SMTP] = ROLE_MX,
		[LISTEN_SUBMISSION] = ROLE_SUBMIT,
		[LISTEN_SUBMISSIONS] = ROLE_SUBMIT,
		[LISTEN_LMTP] = ROLE_MX,
		[LISTEN_IMAP] = ROLE_IMAP,
		[LISTEN_IMAPS] = ROLE_IMAP,
	};
	return by_kind[kind];
}

static bool is_address(struct str text)
{
	struct net_addr a;
	return net_addr_parse(text, 1, &a) == 0;
}

#define ON(kind, what, value) \
	{ \
		.name = what, .type = CONF_LIST, .offset = offsetof(struct listen_conf, on[kind]), \
		.max = 100, .def = value, .at_start = true, .valid = is_address, \
		.form = "ADDRESS, ADDRESS:PORT or *, as [::1]:2525", \
		.help = "Addresses to serve " what " on, as 192.0.2.1, [::1]:2525 or *; empty = " \
			"nowhere." \
	}
static const struct conf_row listen_rows[] = {
	ON(LISTEN_SMTP, "smtp", "*"),
	ON(LISTEN_SUBMISSION, "submission", "*"),
	ON(LISTEN_SUBMISSIONS, "submissions", "*"),
	ON(LISTEN_LMTP, "lmtp", ""),
	ON(LISTEN_IMAP, "imap", "*"),
	ON(LISTEN_IMAPS, "imaps", "*"),
};
const struct conf_section listen_conf_section = {.name = "listen",
	.rows = listen_rows,
	.n = COUNT(listen_rows),
	.size = sizeof(struct listen_conf)};

#define FIELD(type_name, member) .type = CONF_STR, .offset = offsetof(struct type_name, member)
static const struct conf_row tls_rows[] = {
	{.name = "certificate",
		FIELD(tls_conf, certificate),
		.max = 4095,
		.def = "",
		.path = true,
		.help = "PEM file with the certificate and the chain up to the root."},
	{.name = "key",
		FIELD(tls_conf, key),
		.max = 4095,
		.def = "",
		.path = true,
		.help = "PEM file with its key."},
};
const struct conf_section tls_conf_section = {
	.name = "tls", .rows = tls_rows, .n = COUNT(tls_rows), .size = sizeof(struct tls_conf)};

static const struct conf_row run_rows[] = {
	{.name = "user",
		FIELD(run_conf, user),
		.max = 64,
		.def = "posthouse",
		.at_start = true,
		.help = "Account that owns the data and runs the roles that read it, when started "
			"by root."},
	{.name = "net_user",
		FIELD(run_conf, net_user),
		.max = 64,
		.def = "nobody",
		.at_start = true,
		.help = "Account that runs the roles that never touch the data (mx, submit), when "
			"started by root."},
};
const struct conf_section run_conf_section = {
	.name = "run", .rows = run_rows, .n = COUNT(run_rows), .size = sizeof(struct run_conf)};
