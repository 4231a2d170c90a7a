/* How the checks look, by stage; for the table in policy.c alone. */
#pragma once

#include "smtp/session.h"

enum look {
	LOOK_WAIT,  /* return STEP_WAIT; looks again when woken */
	LOOK_SKIP,  /* there is nothing to look at */
	LOOK_PASS,  /* all right */
	LOOK_HIT,   /* the action follows */
	LOOK_UNSURE /* it could not be found out now: never refuses; makes junk only if `doubted` */
};

/* What a check says beyond that. Strings from `arena`, or static. */
struct looked {
	struct arena *arena; /* lives as long as the finding */
	struct str result;   /* empty = pass, hit or temperror */
	struct str detail;
	struct str say;          /* stands behind the reply's text; empty = `detail` */
	enum reply_id no;        /* instead of the row's reply when it refuses; REPLY_N = that */
	enum policy_action wish; /* for POLICY_FOLLOW */
	bool doubted;            /* unsure it is junk, too, where it would be junk */
};

typedef enum look look_fn(struct session *s, struct looked *l);

/* Is there a resolver to ask, and a reason: not for whom will be turned away in any case? */
static inline bool policy_may_ask(const struct session *s)
{
	return s->server->dns && !dns_is_off(s->server->dns) && s->run.action < POLICY_DEFER;
}

/* policy_client.c: connect, HELO */
look_fn look_connections, look_rate, look_early, look_helo;
/* policy_dnsl.c: connect */
look_fn look_dnswl, look_dnsbl;
/* policy_iprev.c: connect */
look_fn look_iprev;
/* policy_envelope.c: MAIL, RCPT */
look_fn look_size, look_routed;
/* policy_sender.c: MAIL */
look_fn look_sender;
/* policy_message.c: header, end of data */
look_fn look_from, look_hops, look_loop, look_spf, look_dkim, look_dmarc, look_greylist;
