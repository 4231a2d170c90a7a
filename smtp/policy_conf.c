/* Rows of the policy section: one per check, made from the table, and what the checks measure by.
 */
#include "smtp/policy.h"

static const char *const policy_all[] = {"off", "note", "junk", "defer", "refuse", NULL};
static const char *const policy_dmarc[] = {
	"off", "note", "junk", "defer", "refuse", "policy", NULL};

#define SETTING(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct policy_conf, member), \
		__VA_ARGS__ \
	}
#define ACTION(id, key, stage, at, words, standard, look, defer, refuse, text) \
	SETTING(key, CONF_CHOICE, action[POLICY_##id], .choices = words, .def = standard, \
		.help = text),

static const struct conf_row rows[] = {
	POLICY_TABLE(ACTION)
	/* what some of them measure by */
	SETTING("connections_max", CONF_INT, connections_max, .max = 100000, .def = "50",
		.unit = "sessions",
		.help = "Sessions at once of one address or IPv6 /64, four times as many of a /24 "
			"or /48; 0 = any number. Loopback is not counted."),
	SETTING("rate_max", CONF_INT, rate_max, .max = 1000000, .def = "120",
		.unit = "connections per minute",
		.help = "Connections per minute of one address or IPv6 /64, four times as many of "
			"a /24 or /48; 0 = any number. Loopback is not counted."),
	SETTING("early_wait", CONF_DURATION, early_wait_us, .max = 60, .def = "0",
		.help = "How long the greeting waits to see whether a client talks first; 0 = not "
			"at all."),
};

const struct conf_section policy_conf_section = {
	.name = "policy", .rows = rows, .n = COUNT(rows), .size = sizeof(struct policy_conf)};

static enum policy_action action_named(const char *word)
{
	enum policy_action a = POLICY_OFF;
	while (!str_eq(policy_action_name(a), str_of(word))) { a++; }
	return a;
}

void policy_load(struct policy *p, const struct policy_conf *c)
{
	p->conf = c;
	for (enum policy_id i = 0; i < POLICY_N; i++) {
		p->action[i] = action_named(rows[i].choices[c->action[i]]);
	}
}
