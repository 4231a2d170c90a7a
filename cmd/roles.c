/* The table of roles. */
#include "cmd/roles.h"

#include "auth/auth.h"
#include "cmd/cmd_conf.h"
#include "cmd/sup_msg.h"
#include "imap/role.h"
#include "lib/dns_conf.h"
#include "smtp/role.h"
#include "store/role.h"

const struct role_ops *const roles[] = {
	&store_role, &auth_role, &relay_role, &submit_role, &mx_role, &imap_role};
const size_t roles_n = COUNT(roles);

const struct role_ops *role_by_id(enum role_id id)
{
	for (size_t i = 0; i < roles_n; i++) {
		if (roles[i]->id == id) { return roles[i]; }
	}
	return NULL;
}

const struct role_ops *role_by_name(struct str name)
{
	for (size_t i = 0; i < roles_n; i++) {
		if (str_eq(name, str_of(roles[i]->name))) { return roles[i]; }
	}
	return NULL;
}

bool roles_talk(const struct role_ops *a, const struct role_ops *b)
{
	return a != b && ((a->peers >> b->id & 1) || (b->peers >> a->id & 1));
}

const struct conf_section *const conf_sections[] = {&top_conf_section, &listen_conf_section,
	&tls_conf_section, &run_conf_section, &store_conf_section, &auth_conf_section,
	&smtp_conf_section, &policy_conf_section, &imap_conf_section, &relay_conf_section,
	&dns_conf_section};
const size_t conf_sections_n = COUNT(conf_sections);

struct conf *roles_conf_new(void)
{
	return conf_new(conf_sections, conf_sections_n);
}

void roles_register(void)
{
	static bool done;
	if (done) { return; }
	done = true;
	op_register();
	auth_register();
	sup_register();
}
