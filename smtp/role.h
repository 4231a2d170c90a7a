/* The roles of this folder: mx and submit are one server with different rights, relay is the
 * client. */
#pragma once

#include "lib/role.h"

extern const struct role_ops mx_role, submit_role, relay_role;
/* Can what takes more than its row to judge (exceptions, lists) be read? If not, `e` says where and
   why. */
int smtp_conf_sound(const struct conf *c, struct err *e);

extern const struct conf_section smtp_conf_section, policy_conf_section, relay_conf_section;
