/* Counters of relay. */
#include "smtp/relay_metrics.h"

METRIC(relay_sent_total, "Recipients whose host took the message.");
METRIC(relay_deferred_total, "Attempts for a recipient that are to be made again.");
METRIC(relay_bounced_total, "Recipients refused for good.");
METRIC(relay_expired_total, "Recipients given up because their time was over.");
METRIC(relay_reports_total, "Delivery status notifications made.");
METRIC(relay_connections_total, "Connections to hosts.");
METRIC(relay_connect_failures_total, "Connections to hosts that did not come about.");
METRIC(relay_tls_sessions_total, "Connections to hosts that got TLS.");
METRIC(relay_shipments, "Messages on their way to a host now.", .gauge = true);
METRIC(relay_queue_recipients, "Recipients in the queue, held ones included.", .gauge = true);
METRIC(relay_queue_oldest_timestamp_seconds,
	"When the oldest message in the queue came; 0: it is empty.", .gauge = true);

static struct metric *const metrics[] = {
	&relay_sent_total,
	&relay_deferred_total,
	&relay_bounced_total,
	&relay_expired_total,
	&relay_reports_total,
	&relay_connections_total,
	&relay_connect_failures_total,
	&relay_tls_sessions_total,
	&relay_shipments,
	&relay_queue_recipients,
	&relay_queue_oldest_timestamp_seconds,
};

void relay_metrics_register(void)
{
	metrics_register(metrics, COUNT(metrics));
}
