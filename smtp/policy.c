/* The table of checks and what follows from them. Runs in mx and submit. */
#include "smtp/policy.h"

#include "smtp/path.h"
#include "smtp/receive.h"

struct check {
	const char *name;
	enum policy_stage stage;
	uint8_t at;
	bool (*hit)(struct session *s);
	enum reply_id defer, refuse;
};

/* --- the connection --- */

/* Both checks of the connection are counted by the first. */
static bool hit_connections(struct session *s)
{
	const struct policy_conf *c = s->server->policy;
	unsigned over = peers_enter(&s->server->peers, &s->peer, c->connections_max, c->rate_max,
		loop_mono_us(s->task.loop), &s->ticket);
	s->too_fast = over & PEER_TOO_FAST;
	return over & PEER_TOO_MANY;
}

static bool hit_rate(struct session *s)
{
	return s->too_fast;
}

/* RFC 5321 3.1: the client waits for the greeting. */
static bool hit_early(struct session *s)
{
	return s->server->policy->early_wait_us && s->helo.n == 0 && conn_has_input(s->task.conn);
}

/* --- HELO --- */

/* RFC 5321 4.1.1.1: a full name or an address literal, and not ours. */
static bool hit_helo(struct session *s)
{
	bool full = path_is_domain(s->helo) && str_chr(s->helo, '.') > 0;
	return !(full || path_is_literal(s->helo)) ||
	       str_ieq(s->helo, role_hostname(s->server->role));
}

/* --- the envelope --- */

static bool hit_size(struct session *s)
{
	return s->env->mail.size > s->server->conf->message_max;
}

/* "user%elsewhere@here", "elsewhere!user@here", "user@elsewhere"@here: tries at being relayed. */
static bool hit_routed(struct session *s)
{
	struct str local = s->rcpt.to.local;
	return str_chr(local, '%') >= 0 || str_chr(local, '!') >= 0 || str_chr(local, '@') >= 0;
}

/* --- the header --- */

static bool hit_hops(struct session *s)
{
	return s->intake->facts.received > s->server->conf->hops_max;
}

static bool hit_loop(struct session *s)
{
	const struct envelope *e = s->env;
	for (uint32_t i = 0; i < e->locals_n; i++) {
		if (header_was_delivered_to(&s->intake->facts, e->locals[i].rcpt)) { return true; }
	}
	return false;
}

static const struct check checks[POLICY_N] = {
	[POLICY_CONNECTIONS] = {"connections", POLICY_CONNECT, AT_SMTP, hit_connections, REPLY_RATE,
		REPLY_RATE},
	[POLICY_RATE] = {"rate", POLICY_CONNECT, AT_SMTP, hit_rate, REPLY_RATE, REPLY_RATE},
	[POLICY_EARLY] = {"early", POLICY_CONNECT, AT_MX, hit_early, REPLY_EARLY_LATER,
		REPLY_EARLY_NO},
	[POLICY_HELO_NAME] = {"helo", POLICY_HELO, AT_MX, hit_helo, REPLY_POLICY_LATER,
		REPLY_POLICY_NO},
	[POLICY_SIZE] = {"size", POLICY_MAIL, AT_ALL, hit_size, REPLY_TOO_BIG, REPLY_TOO_BIG},
	[POLICY_ROUTED] = {"routed", POLICY_RCPT, AT_MX, hit_routed, REPLY_POLICY_LATER,
		REPLY_NO_RELAY},
	[POLICY_HOPS] = {"hops", POLICY_HEADER, AT_ALL, hit_hops, REPLY_LOOP, REPLY_LOOP},
	[POLICY_LOOP] = {"loop", POLICY_HEADER, AT_ALL, hit_loop, REPLY_LOOP, REPLY_LOOP},
};

struct str policy_name(enum policy_id id)
{
	return str_of(checks[id].name);
}

static const char *const action_words[] = {"off", "note", "junk", "defer", "refuse", NULL};

struct str policy_action_name(enum policy_action a)
{
	return str_of(action_words[a]);
}

enum policy_action policy_run(
	struct session *s, enum policy_stage stage, enum reply_id *reply_out, struct str *why_out)
{
	enum policy_action worst = POLICY_OFF;
	uint8_t *hits = s->env ? s->env->hits : s->hits;
	for (enum policy_id i = 0; i < POLICY_N && worst < POLICY_DEFER; i++) {
		const struct check *c = &checks[i];
		enum policy_action action = (enum policy_action)s->server->policy->action[i];
		if (c->stage != stage || !session_at(s, c->at) || action == POLICY_OFF) {
			continue;
		}
		if (!c->hit(s)) { continue; }
		hits[i] = (uint8_t)action;
		worst = MAX(worst, action);
		*reply_out = action == POLICY_DEFER ? c->defer : c->refuse;
		*why_out = policy_name(i);
		log_event(LOG_DEBUG, &s->log, "policy", "check=%s action=%s", c->name,
			action_words[action]);
	}
	return worst;
}

/* --- configuration --- */

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct policy_conf, member), \
		__VA_ARGS__ \
	}
#define ACTION(key, id, standard, text) \
	ROW(key, CONF_CHOICE, action[id], .choices = action_words, .def = standard, .help = text)

static const struct conf_row rows[] = {
	ACTION("connections", POLICY_CONNECTIONS, "defer",
		"When a network has too many sessions at once (connections_max)."),
	ACTION("rate", POLICY_RATE, "defer",
		"When a network connects too often (rate_max); it is then paused for five "
		"minutes."),
	ACTION("early", POLICY_EARLY, "note",
		"When a client talks before it was greeted (early_wait)."),
	ACTION("helo", POLICY_HELO_NAME, "note",
		"When a client's HELO is no full name or literal, or is our own."),
	ACTION("size", POLICY_SIZE, "refuse",
		"When SIZE announces more than message_max (a bigger message never gets in)."),
	ACTION("routed", POLICY_ROUTED, "refuse",
		"When the local part of a recipient holds %, ! or @, as tries at relaying do."),
	ACTION("hops", POLICY_HOPS, "refuse",
		"When a message has more Received fields than hops_max."),
	ACTION("loop", POLICY_LOOP, "refuse",
		"When a message was already delivered to the same recipient."),
	ROW("connections_max", CONF_INT, connections_max, .max = 100000, .def = "50",
		.unit = "sessions",
		.help = "Sessions at once of one address or IPv6 /64, four times as many of a /24 "
			"or /48; 0 = any number. Loopback is not counted."),
	ROW("rate_max", CONF_INT, rate_max, .max = 1000000, .def = "120",
		.unit = "connections per minute",
		.help = "Connections per minute of one address or IPv6 /64, four times as many of "
			"a /24 or /48; 0 = any number. Loopback is not counted."),
	ROW("early_wait", CONF_DURATION, early_wait_us, .max = 60, .def = "0",
		.help = "How long the greeting waits to see whether a client talks first; 0 = not "
			"at all."),
};

const struct conf_section policy_conf_section = {
	.name = "policy", .rows = rows, .n = COUNT(rows), .size = sizeof(struct policy_conf)};
