/* The imap role: IMAP4rev2 and rev1 sessions that read the store's map and send every change to the
 * store. */
#pragma once

#include "lib/role.h"

extern const struct role_ops imap_role;
extern const struct conf_section imap_conf_section;
