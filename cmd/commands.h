/* Every command of the binary. */
#pragma once

#include "cmd/options.h"

extern const struct command command_dev, command_serve, command_init, command_check, command_user,
	command_alias, command_domain, command_queue, command_fsck, command_explain, command_spf,
	command_dkim, command_dmarc, command_show_status, command_help, command_role;
/* In the order of `posthouse help`. */
extern const struct command *const commands[];
extern const size_t commands_n;

/* NULL when there is none of that name. */
const struct command *command_by_name(const char *name);
/* Tell the user so, with the one that may have been meant. Answers EX_USAGE. */
int command_unknown(const char *name);
