/* What we think of a client and its message: one ordered table of named checks (policy_table.h),
   each with the action the configuration gives it. A check only looks; deciding happens here, in
   one place, and everything looked at is kept for the audit record. */
#pragma once

#include "lib/conf.h"
#include "smtp/policy_table.h"
#include "smtp/reply.h"

struct session;

enum policy_action {
	POLICY_OFF,
	POLICY_NOTE,   /* said in the audit record and the log */
	POLICY_JUNK,   /* goes to the Junk folder */
	POLICY_DEFER,  /* 4xx */
	POLICY_REFUSE, /* 5xx */
	POLICY_FOLLOW, /* "policy": whichever of note, junk and refuse the author's domain asks for
			*/
	POLICY_ACTIONS
};

enum policy_stage {
	STAGE_CONNECT, /* before the greeting; defer and refuse end the session */
	STAGE_HELO,
	STAGE_MAIL,   /* the sender is known */
	STAGE_RCPT,   /* of one recipient, before it is looked up */
	STAGE_HEADER, /* the header is complete */
	STAGE_END     /* the message is, and SPF, DKIM and DMARC have their results */
};

#define POLICY_ID(id, ...) POLICY_##id,
enum policy_id {
	POLICY_TABLE(POLICY_ID) POLICY_N,
	POLICY_OF_SESSION = POLICY_SIZE /* the first check whose finding is of one message */
};

/* What a check found. All zeros: it was not looked at. */
enum { POLICY_DETAIL_MAX = 500 }; /* octets */
struct policy_finding {
	enum policy_action action; /* what follows from it; OFF: nothing, it is all right */
	struct str result;         /* "pass", "hit", "fail", "temperror", ... */
	struct str detail;         /* a sentence, or empty */
	struct str except;         /* the exception that took its action away, or empty */
};

/* A result that SPF, DKIM or DMARC came to: what their checks look at. Whoever finds it out sets it
   in the envelope before STAGE_END. */
struct policy_evidence {
	struct str result;       /* a word of RFC 8601 2.7; empty: was not looked at */
	struct str detail;       /* what was found, a sentence; in the arena of the envelope */
	struct str say;          /* stands behind a reply instead of it; empty = `detail` */
	enum policy_action wish; /* DMARC that fails: NOTE, JUNK or REFUSE, as the domain asks */
};

/* The checks of one stage while they are looked at, and what came of it. Of a session. */
struct policy_run {
	enum policy_stage stage;
	unsigned at;               /* the check that is next */
	enum policy_action action; /* the strongest met */
	enum reply_id reply;       /* DEFER and REFUSE: the answer, */
	struct str say;            /* what stands behind its text, */
	struct str reason;         /* and the name of the check */
	void *work;                /* of a check that waits, */
	void (*drop)(void *work);  /* and what frees it */
};

struct policy_conf {
	int action[POLICY_N]; /* index into the choices of its row */
	uint64_t connections_max, rate_max;
	int64_t early_wait_us;
	struct conf_list except, dnsbl_lists, dnswl_lists; /* as policy_rules.h reads them */
	int64_t greylist_delay_us, greylist_keep_us;
};
extern const struct conf_section policy_conf_section;

/* What the configuration makes of the table. */
struct policy {
	const struct policy_conf *conf;
	enum policy_action action[POLICY_N];
	struct policy_rules *rules;
};
/* Take over what the configuration says; when it is malformed `p` stays as it was. */
int policy_load(struct policy *p, const struct policy_conf *c, struct err *e);
void policy_fini(struct policy *p);

/* Begin a stage; policy_step looks at its checks in their order and answers 1 when it is decided
   (see s->run), or 0: return STEP_WAIT and call it again when woken. The strongest action counts,
   the first of the strongest gives the reply; what comes behind a check that refuses is not looked
   at. Findings are kept in the session (CONNECT, HELO) or its envelope; of several recipients the
   worst. */
void policy_start(struct session *s, enum policy_stage stage);
int policy_step(struct session *s);
/* Give up whatever a check waits for. */
void policy_cancel(struct session *s);
/* Forget what the check iprev found. */
void policy_iprev_free(struct session *s);
/* Both at once for a stage whose checks never wait (HEADER). */
void policy_now(struct session *s, enum policy_stage stage);
/* The finding of a check in this session and its transaction. */
const struct policy_finding *policy_found(const struct session *s, enum policy_id id);
/* Does anything found so far send the message to the Junk folder? */
bool policy_junks(const struct session *s);

/* "helo", ... */
struct str policy_name(enum policy_id id);
/* "off", "note", ... */
struct str policy_action_name(enum policy_action a);
enum policy_stage policy_stage_of(enum policy_id id);
/* The action it has unless told otherwise; whether the configuration may give it another. */
enum policy_action policy_standard(enum policy_id id);
bool policy_may(enum policy_id id, enum policy_action a);
/* What the check says of itself: when it hits. */
const char *policy_help(enum policy_id id);
/* Keys of the configuration that the check measures by, NULL behind the last. */
const char *const *policy_measures(enum policy_id id);
/* The sessions it is for: mask of AT_*. */
unsigned policy_at(enum policy_id id);
/* "connect", ... */
struct str policy_stage_name(enum policy_stage stage);
