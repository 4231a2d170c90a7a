/* What relay counts. Outcomes are counted when they are stored, per recipient. */
#pragma once

#include "lib/metric.h"

extern struct metric relay_sent_total, relay_deferred_total, relay_bounced_total,
	relay_expired_total, relay_reports_total, relay_connections_total,
	relay_connect_failures_total, relay_tls_sessions_total, relay_shipments,
	relay_queue_recipients, relay_queue_oldest_timestamp_seconds;

void relay_metrics_register(void);
