/* Rows of the smtp section. */
#include "smtp/smtp_conf.h"

#include "lib/net.h"
#include "smtp/role.h"
#include "store/op.h"

#define NETWORK_FORM "an address or a network, as 192.0.2.0/24"

static bool is_network(struct str text)
{
	struct net_cidr c;
	return net_cidr_parse(text, &c) == 0;
}

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct smtp_conf, member), \
		__VA_ARGS__ \
	}

static const char *const auth_words[] = {"off", "loopback", NULL};
static const char *const reports_words[] = {"never", "spf", "always", NULL};

static const struct conf_row rows[] = {
	ROW("message_max", CONF_SIZE, message_max, .min = 64 * 1024, .max = UINT64_C(1) << 31,
		.def = "50M", .unit = "octets", .help = "Largest message, told in SIZE."),
	ROW("header_max", CONF_SIZE, header_max, .min = 64 * 1024, .max = 1024 * 1024, .def = "1M",
		.unit = "octets", .help = "Largest header of a message."),
	ROW("hops_max", CONF_INT, hops_max, .min = 10, .max = 1000, .def = "50",
		.unit = "Received fields",
		.help = "A message that came through more servers than this is in a loop."),
	ROW("recipients_max", CONF_INT, recipients_max, .min = 100, .max = OP_RCPTS_MAX,
		.def = "100", .unit = "recipients",
		.help = "Recipients of one message from outside; the sender sends the rest in "
			"another."),
	ROW("submission_recipients_max", CONF_INT, submission_recipients_max, .min = 100,
		.max = OP_RCPTS_MAX, .def = "500", .unit = "recipients",
		.help = "Recipients of one message from a user."),
	ROW("lmtp_recipients_max", CONF_INT, lmtp_recipients_max, .min = 100, .max = OP_RCPTS_MAX,
		.def = "1000", .unit = "recipients", .help = "Recipients of one message by LMTP."),
	ROW("messages_max", CONF_INT, messages_max, .min = 1, .max = 1000000, .def = "10000",
		.unit = "messages",
		.help = "Messages in one session; the sender then connects again."),
	ROW("errors_soft", CONF_INT, errors_soft, .min = 1, .max = 1000, .def = "5",
		.unit = "errors", .help = "Errors in a session after which each costs a second."),
	ROW("errors_max", CONF_INT, errors_max, .min = 1, .max = 1000, .def = "15",
		.unit = "errors", .help = "Errors that end a session."),
	ROW("idle_commands_max", CONF_INT, idle_commands_max, .min = 10, .max = 100000,
		.def = "100", .unit = "commands",
		.help = "Commands without a message in between (NOOP, RSET, VRFY, EHLO) that end a "
			"session."),
	ROW("sessions_max", CONF_INT, sessions_max, .min = 1, .max = 100000, .def = "4000",
		.unit = "sessions",
		.help = "Sessions of one role process at once; beyond that whoever has been idle "
			"for "
			"longest is sent away, and a newcomer when nobody is."),
	ROW("data_rate_min", CONF_INT, data_rate_min, .max = 1000000, .def = "100",
		.unit = "octets/s",
		.help = "A message that comes slower than this, after its first minute, is given "
			"up; 0 = as slow as it likes."),
	ROW("first_timeout", CONF_DURATION, first_timeout_us, .min = 1, .max = 3600, .def = "60s",
		.help = "How long the first command may take."),
	ROW("command_timeout", CONF_DURATION, command_timeout_us, .min = 1, .max = 86400,
		.def = "5m", .help = "How long any further command may take."),
	ROW("data_timeout", CONF_DURATION, data_timeout_us, .min = 1, .max = 86400, .def = "3m",
		.help = "Longest silence within a message."),
	ROW("proxy_from", CONF_LIST, proxy_from, .max = 64, .def = "", .valid = is_network,
		.form = NETWORK_FORM,
		.help = "Networks whose connections begin with a PROXY protocol header (version 1 "
			"or 2); from others it is an error."),
	ROW("xclient_from", CONF_LIST, xclient_from, .max = 64, .def = "", .valid = is_network,
		.form = NETWORK_FORM,
		.help = "Networks that may tell with XCLIENT for whom they speak."),
	ROW("lmtp_from", CONF_LIST, lmtp_from, .max = 64, .def = "127.0.0.0/8, ::1",
		.valid = is_network, .form = NETWORK_FORM,
		.help = "Networks that may hand over mail by LMTP. What they wrote into "
			"Authentication-Results is trusted."),
	ROW("auth_without_tls", CONF_CHOICE, auth_without_tls, .def = "off", .choices = auth_words,
		.help = "Whether a password may come without TLS: never (off), from this machine "
			"(loopback)."),
	ROW("success_reports", CONF_CHOICE, success_reports, .def = "spf", .choices = reports_words,
		.help = "Whether a sender from outside who asks for it (NOTIFY=SUCCESS) is told of "
			"delivery: never, when SPF vouches for the sender (spf), always. Users and "
			"LMTP always are."),
};

const struct conf_section smtp_conf_section = {
	.name = "smtp", .rows = rows, .n = COUNT(rows), .size = sizeof(struct smtp_conf)};
