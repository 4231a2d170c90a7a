/* `posthouse role NAME`: one role in a process of its own, started by the supervisor, which speaks
   on descriptor ROLE_LINK_FD. */
#pragma once

#include "cmd/options.h"

enum { ROLE_LINK_FD = 3 };
int cmd_role(const struct command *c, int argc, char **argv);
