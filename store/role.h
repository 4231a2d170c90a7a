/* The store role: the only writer. Takes all operations that wait, applies them in one transaction,
   commits, answers, and publishes news. */
#pragma once

#include "lib/role.h"

extern const struct role_ops store_role;
extern const struct conf_section store_conf_section;
