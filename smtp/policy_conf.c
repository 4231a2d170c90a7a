/* Rows of the policy section: one per check, made from the table, and what the checks measure by.
 */
#include "smtp/policy_rules.h"

static const char *const policy_all[] = {"off", "note", "junk", "defer", "refuse", NULL};
static const char *const policy_dmarc[] = {
	"off", "note", "junk", "defer", "refuse", "policy", NULL};
static const char *const policy_look_only[] = {"off", "note", NULL};
static const char *const policy_delay[] = {"off", "note", "defer", NULL};

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
	SETTING("dnsbl_lists", CONF_LIST, dnsbl_lists, .max = 600, .def = "",
		.help = "DNS lists of unwanted clients (RFC 5782): ZONE, or ZONE=CODES with the "
			"answers that count, as bl.example.org=127.0.0.2 127.0.0.4-7."),
	SETTING("dnswl_lists", CONF_LIST, dnswl_lists, .max = 600, .def = "",
		.help = "DNS lists of welcome clients, written as dnsbl_lists, as "
			"wl.example.org=127.0.*.2-3."),
	SETTING("greylist_delay", CONF_DURATION, greylist_delay_us, .min = 1, .max = 86400,
		.def = "5m", .help = "How long a new sender is asked to come back later."),
	SETTING("greylist_keep", CONF_DURATION, greylist_keep_us, .min = 3600, .max = 100 * 86400,
		.def = "35d",
		.help = "How long one that came back is remembered after its last message."),
	SETTING("except", CONF_LIST, except, .max = EXCEPT_TEXT_MAX, .def = "",
		.help = "Exceptions, CHECK=WHOM: a check (or *) has no consequences for a network, "
			"an address, a domain, .domain (it and all below) or a <list-id>."),
};

const struct conf_section policy_conf_section = {
	.name = "policy", .rows = rows, .n = COUNT(rows), .size = sizeof(struct policy_conf)};

static enum policy_action action_named(const char *word)
{
	enum policy_action a = POLICY_OFF;
	while (!str_eq(policy_action_name(a), str_of(word))) { a++; }
	return a;
}

enum policy_action policy_standard(enum policy_id id)
{
	return action_named(rows[id].def);
}

const char *policy_help(enum policy_id id)
{
	return rows[id].help;
}

const char *const *policy_measures(enum policy_id id)
{
	static const char *const measures[POLICY_N][4] = {
		[POLICY_CONNECTIONS] = {"policy.connections_max"},
		[POLICY_RATE] = {"policy.rate_max"},
		[POLICY_EARLY] = {"policy.early_wait"},
		[POLICY_DNSWL] = {"policy.dnswl_lists"},
		[POLICY_DNSBL] = {"policy.dnsbl_lists"},
		[POLICY_SIZE] = {"smtp.message_max"},
		[POLICY_HOPS] = {"smtp.hops_max"},
		[POLICY_GREYLIST] = {"policy.greylist_delay", "policy.greylist_keep"},
	};
	return measures[id];
}

bool policy_may(enum policy_id id, enum policy_action a)
{
	const char *const *word = rows[id].choices;
	while (*word && action_named(*word) != a) { word++; }
	return *word != NULL;
}

int policy_load(struct policy *p, const struct policy_conf *c, struct err *e)
{
	struct policy_rules *rules = policy_rules_new(c, e);
	if (!rules) { return ERR_SYNTAX; }
	policy_rules_put(p->rules);
	p->rules = rules;
	p->conf = c;
	for (enum policy_id i = 0; i < POLICY_N; i++) {
		p->action[i] = action_named(rows[i].choices[c->action[i]]);
	}
	return 0;
}

void policy_fini(struct policy *p)
{
	policy_rules_put(p->rules);
	*p = (struct policy){0};
}
