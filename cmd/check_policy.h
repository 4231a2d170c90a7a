/* posthouse check --policy. */
#pragma once

#include "cmd/options.h"
#include "lib/conf.h"

/* Print every check with its stage, its action and where that comes from, what it measures by, and
   the exceptions. Answers an exit code. */
int policy_print(const struct command *c, const struct conf *conf, bool json);
