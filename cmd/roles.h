/* All roles and all sections of the configuration, in one place. */
#pragma once

#include "lib/role.h"

/* In the order in which they start; they stop in the opposite one. */
extern const struct role_ops *const roles[];
extern const size_t roles_n;
/* NULL for an id that is no role of ours. */
const struct role_ops *role_by_id(enum role_id id);
const struct role_ops *role_by_name(struct str name);
/* Do two roles have a link? */
bool roles_talk(const struct role_ops *a, const struct role_ops *b);

/* Every section of the configuration, in the order of posthouse.conf(5). */
extern const struct conf_section *const conf_sections[];
extern const size_t conf_sections_n;
/* A configuration with all sections, all values at their defaults. */
struct conf *roles_conf_new(void);
/* Register all message types. Once per process, before any link is made. */
void roles_register(void);
