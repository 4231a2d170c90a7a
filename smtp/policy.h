/* What we think of a client and its message: one ordered table of named checks, each with the
   action the configuration gives it. A check only looks; deciding happens here, in one place. */
#pragma once

#include "lib/conf.h"
#include "smtp/reply.h"

struct session;

enum policy_action {
	POLICY_OFF,
	POLICY_NOTE,  /* said in the audit record and the log */
	POLICY_JUNK,  /* goes to the Junk folder */
	POLICY_DEFER, /* 4xx */
	POLICY_REFUSE /* 5xx */
};

enum policy_stage {
	POLICY_CONNECT, /* before the greeting; defer and refuse end the session */
	POLICY_HELO,
	POLICY_MAIL,  /* the sender is known */
	POLICY_RCPT,  /* of one recipient, before it is looked up */
	POLICY_HEADER /* the header is complete */
};

enum policy_id {
	POLICY_CONNECTIONS,
	POLICY_RATE,
	POLICY_EARLY,
	POLICY_HELO_NAME,
	POLICY_SIZE,
	POLICY_ROUTED,
	POLICY_HOPS,
	POLICY_LOOP,
	POLICY_N
};

struct policy_conf {
	int action[POLICY_N];
	uint64_t connections_max, rate_max;
	int64_t early_wait_us;
};
extern const struct conf_section policy_conf_section;

/* Run the checks of a stage in their order up to the first that defers or refuses. Returns the
   strongest action met. *reply_out and *reason_out (the check's name) are for DEFER and REFUSE.
   Hits are kept in the session (CONNECT, HELO) or in its transaction. */
enum policy_action policy_run(struct session *s, enum policy_stage stage, enum reply_id *reply_out,
	struct str *reason_out);
/* "helo", ... */
struct str policy_name(enum policy_id id);
struct str policy_action_name(enum policy_action a);
