/* The imap role's own object: listeners, sessions, limits, counters, and who watches which mailbox.
 */
#pragma once

#include "imap/role.h"
#include "imap/session.h"
#include "imap/tally.h"

enum imap_plain { IMAP_PLAIN_NO, IMAP_PLAIN_LOOPBACK };

/* Keys of section "imap". */
struct imap_conf {
	int login_without_tls; /* enum imap_plain */
	uint64_t sessions_max, sessions_per_address, sessions_per_user;
	uint64_t login_failures; /* in one session, then it is closed */
	int64_t login_timeout, idle_timeout, write_timeout;
	uint64_t append_max;
};

struct imap_server {
	struct role *role;
	const struct imap_conf *conf; /* of role->conf */
	struct list listeners;        /* struct imap_listener, role.c */
	struct list sessions;         /* struct session.node */
	size_t sessions_n;
	uint32_t last_id;       /* of a session, for log lines */
	struct tally addresses; /* sessions by peer */
	struct tally users;     /* sessions by account */
	struct map mailboxes;   /* struct mailbox_watch, role.c */
};

/* What is counted, by every file of the server. */
extern struct metric imap_sessions, imap_sessions_total, imap_refused_total, imap_logins_total,
	imap_login_failures_total, imap_commands_total, imap_appended_total;

/* --- session.c --- */

/* A new connection; takes it over. `tls`: the handshake comes first (IMAPS). */
void imap_session_start(struct imap_server *server, struct conn *c, bool tls);
/* "* BYE text" and the end: soon for a session that waits for its client, after its command for one
   that works. `text` is kept by pointer. */
void imap_session_bye(struct session *s, const char *text);
/* The role ends now: let go of all that belongs to the server, the task dies with the loop. */
void imap_session_abandon(struct session *s);

/* Ask a role and come back in `resume`, as session_op does. */
enum step imap_session_call(struct session *s, enum role_id role, const struct msg_type *type,
	const void *request, session_step resume);
/* Wait for input, not past s->due_us; a step that is called again with resume. Ends the session
   when there will be none. */
enum step imap_session_await(struct session *s);
/* The client has shown that it is there: its time begins anew, once it has logged in. */
void imap_session_spoken(struct session *s);
/* The command has been answered: free what it held. */
void imap_session_end_command(struct session *s);
/* A handshake begins, as a server; then `resume`. False when it cannot. */
bool imap_session_start_tls(struct session *s, session_step resume);

/* --- reply.c --- */

/* "tag WORD [code] text"; a tag of no octets is "*". */
void imap_reply(struct session *s, const char *word, const char *code, const char *text);
/* BAD with a code. */
enum step imap_bad(struct session *s, const char *code, const char *text);

/* --- role.c --- */

/* A session has ended. */
void imap_server_gone(struct imap_server *server);
/* The session may have selected or left a mailbox: have news come to it, or no longer. */
void imap_server_watch(struct imap_server *server, struct session *s);
void imap_server_unwatch(struct imap_server *server, struct session *s);
