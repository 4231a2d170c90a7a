/* Configuration of the SMTP server, both roles. */
#pragma once

#include "lib/conf.h"

enum { AUTH_PLAIN_OFF, AUTH_PLAIN_LOOPBACK };
enum { REPORTS_NEVER, REPORTS_SPF, REPORTS_ALWAYS };

struct smtp_conf {
	uint64_t message_max, header_max, hops_max;
	uint64_t recipients_max, submission_recipients_max, lmtp_recipients_max, messages_max;
	uint64_t errors_soft, errors_max, idle_commands_max;
	uint64_t sessions_max;
	uint64_t data_rate_min;
	int64_t first_timeout_us, command_timeout_us, data_timeout_us;
	struct conf_list proxy_from, xclient_from, lmtp_from;
	int auth_without_tls; /* AUTH_PLAIN_* */
	int success_reports;  /* REPORTS_* */
};
