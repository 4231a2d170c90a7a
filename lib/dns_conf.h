/* The dns section of the configuration. */
#pragma once

#include "lib/conf.h"

struct dns_section {
	struct str forward;
	struct str zone; /* file; the supervisor reads it and hands it over as secret "dns.zone" */
	bool dnssec;
	int64_t timeout_us;
	uint64_t cache;
};

extern const struct conf_section dns_conf_section;
