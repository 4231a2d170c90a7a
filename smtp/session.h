/* One client of the SMTP server: the lines it sends, the state it is in, the replies it gets. What
   the files of the server share. */
#pragma once

#include "auth/auth.h"
#include "smtp/envelope.h"
#include "smtp/reply.h"
#include "smtp/server.h"

enum {
	SESSION_LINE_MAX = 2048,       /* octets of a command */
	SESSION_AUTH_LINE_MAX = 12288, /* RFC 4954 4 */
	SESSION_OUT_MAX = 32 * 1024    /* replies held back for one write */
};

struct intake;
struct iprev;

struct session {
	struct list node;
	struct server *server;
	const struct service *service;
	struct task task;
	struct log_ctx log;
	struct net_addr peer; /* as the connection, PROXY or XCLIENT told it */
	struct peer_ticket ticket;
	struct call call;                    /* to auth or store, one at a time, */
	enum step (*called)(struct task *t); /* and what goes on with its answer */
	struct timer timer;                  /* of a wait for input */
	struct buf out;                      /* replies of this batch (RFC 2920 3.2) */
	struct str helo;                     /* heap; empty before HELO */
	struct str name;                     /* heap; the client's name as XCLIENT told it */
	struct str login;                    /* heap; empty without AUTH */
	uint32_t aid;                        /* of the login */
	bool greeted;                        /* a valid command has come */
	bool esmtp;                          /* EHLO or LHLO rather than HELO */
	bool listening;                      /* waits for a command: may be told to leave */
	bool evicted;                        /* must make room for another */
	bool timed_out;                      /* the timer fired */
	uint8_t over;                        /* mask of PEER_*, as counted when it connected */
	bool skipping;                       /* within a line that is too long */
	struct policy_run run;               /* of the stage that is looked at */
	struct policy_finding found[POLICY_OF_SESSION]; /* at CONNECT and HELO; their strings: */
	struct arena found_at_connect, found_at_helo;
	struct iprev *iprev; /* heap; NULL when it was not looked at */
	uint32_t messages, errors, idle_commands, errors_paid;
	uint64_t drain_left;  /* octets of a refused chunk */
	struct buf auth_user; /* AUTH LOGIN: between its two answers */
	/* AUTH: takes the next response, decoded */
	enum step (*auth_response)(struct session *s, struct str text);
	struct rcpt_args rcpt; /* RCPT: while auth looks it up; strings in env->arena */
	struct envelope *env;  /* NULL outside a transaction */
	struct intake *intake; /* the message while it arrives, see receive.h */
};

static inline struct session *session_of(struct task *t)
{
	return task_of(t, struct session, task);
}

/* Take over an accepted connection. */
void session_start(struct server *sv, const struct service *service, struct conn *c);
/* The role ends now: give up whatever is in progress. */
void session_abandon(struct session *s);
/* Register what is counted. */
void session_register(void);
/* All places are taken: is this one idle, outside a transaction? Then it leaves. */
bool session_evict(struct session *s);
/* The server stops: leave as soon as nothing is promised. */
void session_stop(struct session *s);

/* --- for the handlers of commands --- */

/* The step that reads the next command. */
enum step session_command(struct task *t);
/* This command is done: on to the next (errors cost time). */
enum step session_next(struct session *s);
void session_reply(struct session *s, enum reply_id id);
void session_reply_with(struct session *s, enum reply_id id, struct str detail);
/* A reply, then the next command. */
enum step session_answer(struct session *s, enum reply_id id);
/* A reply, then close. */
enum step session_close(struct session *s, enum reply_id id);
/* Who is there? Greet, or refuse; also when XCLIENT has told another address. */
enum step session_enter(struct session *s);
/* Hand the replies of the batch over to the connection. */
void session_flush(struct session *s);
/* Wait for input, at most `us` from the first time a wait is `fresh`. The step is called again. */
enum step session_await(struct session *s, int64_t us, bool fresh);
/* The wait is over. */
void session_calm(struct session *s);
/* There was no input to go on with: has the wait ended for good? Then *next_out is the step to
   return. */
bool session_lost(struct session *s, enum step *next_out);
/* Ask a role; `then` goes on when it has answered, with t->rc and s->call.reply. */
enum step session_call(struct session *s, enum role_id role, const struct msg_type *type,
	const void *request, enum step (*then)(struct task *));
/* End the transaction: what was refused goes into the audit, the rest is forgotten. */
void session_reset(struct session *s);
/* Forget everything but the connection (after STARTTLS, XCLIENT). */
void session_forget(struct session *s);
/* May a password come over this connection? */
bool session_may_auth(const struct session *s);
static inline bool session_at(const struct session *s, unsigned at)
{
	return (s->service->at & at) != 0;
}
/* Put a copy of `value` into a heap string of the session. */
void session_set(struct str *field, struct str value);
/* As XCLIENT told it, or the one that leads back to its address (iprev); "" when neither is known.
 */
struct str session_client_name(const struct session *s);
/* "192.0.2.1", or "" for a peer without an address. */
struct str session_ip(const struct session *s, char out[NET_ADDR_TEXT]);

/* --- what the other files add --- */

/* verb.c: run one line. */
enum step verb_line(struct session *s, struct str line);

/* mail.c */
enum step mail_begin(struct session *s, struct str args);
enum step rcpt_begin(struct session *s, struct str args);
/* Recipients that one message may have here. */
uint64_t mail_rcpts_max(const struct session *s);

/* data.c */
enum step data_begin(struct session *s, struct str args);
enum step bdat_begin(struct session *s, struct str args);

/* verb.c: a number as text, in `out`. */
struct str u64_text(uint64_t v, char out[24]);

/* login.c */
enum step auth_begin(struct session *s, struct str args);
/* The words behind AUTH in the reply to EHLO. */
extern const char auth_mechanisms[];

/* xclient.c */
enum step xclient_begin(struct session *s, struct str args);
bool xclient_allowed(const struct session *s);
/* The words behind XCLIENT in the reply to EHLO. */
extern const char xclient_attributes[];
