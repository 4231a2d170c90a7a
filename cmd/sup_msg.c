/* The table of the supervisor's messages. */
#include "cmd/sup_msg.h"

WIRE_TABLE(role_secret, wire_sup_secret, WIRE_STR(struct role_secret, name, 300),
	WIRE_STR(struct role_secret, value, SUP_SECRET_MAX));
WIRE_TABLE(sup_setup, wire_sup_setup, WIRE_STR(struct sup_setup, conf, SUP_CONF_MAX),
	WIRE_LIST(struct sup_setup, secrets, secrets_n, wire_sup_secret, SUP_SECRETS_MAX),
	WIRE_STR(struct sup_setup, data, 4096), WIRE_U32(struct sup_setup, uid),
	WIRE_U32(struct sup_setup, gid), WIRE_BOOL(struct sup_setup, reload));
WIRE_TABLE(sup_peer, wire_sup_peer, WIRE_U32(struct sup_peer, role));
WIRE_TABLE(sup_listen, wire_sup_listen, WIRE_U32(struct sup_listen, kind));
WIRE_TABLE(sup_nothing, wire_sup_nothing, WIRE_U8(struct sup_nothing, unused));
WIRE_TABLE(sup_ready, wire_sup_ready, WIRE_BOOL(struct sup_ready, ok),
	WIRE_STR(struct sup_ready, error, 1000));
WIRE_TABLE(sup_metric, wire_sup_metric, WIRE_STR(struct sup_metric, name, 100),
	WIRE_STR(struct sup_metric, help, 200), WIRE_BOOL(struct sup_metric, gauge),
	WIRE_U64(struct sup_metric, value));
WIRE_TABLE(sup_metrics, wire_sup_metrics,
	WIRE_LIST(struct sup_metrics, metrics, metrics_n, wire_sup_metric, SUP_METRICS_MAX));

#define DOWN(row, number, req) \
	const struct msg_type row = {.type = (number), \
		.name = #row, \
		.request = &wire_##req, \
		.from = 1u << ROLE_SUPERVISOR, \
		.to = ROLE_N, \
		.secret = true}
#define UP(row, number, req) \
	const struct msg_type row = {.type = (number), \
		.name = #row, \
		.request = &wire_##req, \
		.from = ~(1u << ROLE_SUPERVISOR | 1u << ROLE_CONTROL), \
		.to = ROLE_SUPERVISOR}

DOWN(SUP_SETUP, 1, sup_setup);
DOWN(SUP_PEER, 2, sup_peer);
DOWN(SUP_LISTEN, 3, sup_listen);
DOWN(SUP_START, 4, sup_nothing);
DOWN(SUP_STOP, 5, sup_nothing);
UP(SUP_READY, 6, sup_ready);
UP(SUP_STOPPED, 7, sup_nothing);
UP(SUP_LOST, 9, sup_peer); /* the link with that role went down */
const struct msg_type SUP_METRICS = {.type = 8,
	.name = "SUP_METRICS",
	.request = &wire_sup_nothing,
	.reply = &wire_sup_metrics,
	.from = 1u << ROLE_SUPERVISOR,
	.to = ROLE_N};

void sup_metrics_now(struct arena *a, struct sup_metrics *out)
{
	*out = (struct sup_metrics){
		.metrics = arena_array(a, SUP_METRICS_MAX, sizeof *out->metrics)};
	for (struct metric *m = metric_next(NULL); m && out->metrics_n < SUP_METRICS_MAX;
		m = metric_next(m)) {
		out->metrics[out->metrics_n++] =
			(struct sup_metric){str_of(m->name), str_of(m->help), m->gauge, m->value};
	}
}

void sup_register(void)
{
	static const struct msg_type *const all[] = {&SUP_SETUP, &SUP_PEER, &SUP_LISTEN, &SUP_START,
		&SUP_STOP, &SUP_READY, &SUP_STOPPED, &SUP_METRICS, &SUP_LOST};
	for (size_t i = 0; i < COUNT(all); i++) { link_register(all[i], 1); }
}
