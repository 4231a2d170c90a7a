/* Configuration of the auth role. */
#pragma once

#include "lib/conf.h"

struct auth_conf {
	uint64_t workers;
	int64_t failure_delay_us, failure_delay_max_us;
	struct str separator, default_domain;
	bool all_domains, auto_accounts, any_password;
};
