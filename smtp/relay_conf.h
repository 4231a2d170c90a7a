/* Configuration of outgoing mail. */
#pragma once

#include "lib/conf.h"

struct relay_conf {
	struct str route, user, password, helo;
	int route_tls; /* ROUTE_TLS_* */
	uint64_t port, concurrency, per_domain;
	int64_t retry_min_us, retry_max_us, lifetime_us, delay_warning_us;
	bool loopback_only;
};

enum { ROUTE_TLS_MAY, ROUTE_TLS_MUST, ROUTE_TLS_VERIFY };
