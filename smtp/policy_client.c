/* Checks of the client, before any message: at connect and HELO. Runs in mx and submit. */
#include "smtp/policy_look.h"

#include "smtp/path.h"

static enum look hit(bool it)
{
	return it ? LOOK_HIT : LOOK_PASS;
}

enum look look_connections(struct session *s, struct looked *l)
{
	l->detail = s->over & PEER_TOO_MANY ? STR("too many sessions at once") : STR("");
	return hit(s->over & PEER_TOO_MANY);
}

enum look look_rate(struct session *s, struct looked *l)
{
	l->detail = s->over & PEER_TOO_FAST ? STR("too many connections in a minute") : STR("");
	return hit(s->over & PEER_TOO_FAST);
}

/* RFC 5321 3.1: the client waits for the greeting. After XCLIENT it has been greeted before. */
enum look look_early(struct session *s, struct looked *l)
{
	if (s->server->policy.conf->early_wait_us == 0 || s->greeted) { return LOOK_SKIP; }
	bool early = conn_has_input(s->task.conn);
	l->detail = early ? STR("it talked before the greeting") : STR("");
	return hit(early);
}

/* RFC 5321 4.1.1.1: a full name or an address literal, and not ours. */
enum look look_helo(struct session *s, struct looked *l)
{
	struct str name = s->helo;
	bool full = path_is_domain(name) && str_chr(name, '.') > 0;
	if (!full && !path_is_literal(name)) {
		l->detail = STR("HELO is neither a full name nor an address literal");
		return LOOK_HIT;
	}
	if (str_ieq(name, role_hostname(s->server->role))) {
		l->detail = STR("HELO is the name of this server");
		return LOOK_HIT;
	}
	return LOOK_PASS;
}
