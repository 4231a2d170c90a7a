/* An IMAP session: one connection, one task, one command at a time. The session reads a whole
   command (literals but APPEND's in place), finds its row in the command table and calls it; the
   handler parses its arguments, reads the store through a snapshot of this step or sends
   operations, and ends the command with session_ok and its sisters. A handler that has to wait sets
   session->resume and returns a step; the session calls `resume` when it runs again.

   Untagged data about the selected mailbox is sent in one place, session_sync, at the end of a
   command and during IDLE. */
#pragma once

#include "imap/view.h"
#include "lib/log.h"
#include "lib/role.h"

enum {
	IMAP_LINE_MAX = 64 * 1024,     /* a command without its literals */
	IMAP_COMMAND_MAX = 256 * 1024, /* with them; 8 KiB before login */
	IMAP_ARENA_MAX = 16 * 1024 * 1024
};

enum imap_state {
	IMAP_NOT_AUTHENTICATED = 1,
	IMAP_AUTHENTICATED = 2,
	IMAP_SELECTED = 4,
	IMAP_LOGOUT = 8,
	IMAP_ANY = 7,
	IMAP_IN = 6 /* authenticated or selected */
};

struct imap_server; /* the role's own: server.h */
struct tally_row;
struct mailbox_watch;
struct session;

/* Answers a step for the task; STEP_MORE after the command has been ended. */
typedef enum step (*session_step)(struct session *s);

struct command_row {
	const char *name;
	unsigned states; /* mask of enum imap_state */
	session_step run;
	bool uid_too;     /* "UID NAME" exists: s->uid says which */
	bool may_expunge; /* EXPUNGE responses may be sent at its end (not FETCH, STORE, SEARCH by
			     number) */
};

struct session {
	struct task task;
	struct list node; /* in the server's sessions */
	struct list same; /* sessions on the same mailbox, for news */
	struct imap_server *server;
	struct log_ctx log;
	enum imap_state state;
	uint32_t aid;
	struct str login;              /* owned */
	bool idling;                   /* in IDLE: news wakes it */
	bool rev2, condstore, qresync; /* ENABLEd */
	bool news;                     /* the selected mailbox changed since the last sync */
	struct view view;              /* while IMAP_SELECTED */
	struct mailbox_watch *watch;   /* what `same` is on; NULL = none */
	struct tally_row *by_address, *by_user;
	int64_t due_us; /* monotonic: the client must have spoken by then */
	uint32_t errors, login_failures;
	const char *bye;  /* the session shall end with this text; borrowed */
	bool handshaking; /* TLS */

	/* The command being run. */
	struct str tag;
	const struct command_row *row;
	bool uid;            /* UID variant */
	struct lex lex;      /* its arguments: stands behind the space after the name */
	struct arena arena;  /* of this command */
	session_step resume; /* NULL: the next input is a new command */
	void *work;          /* the handler's own, in the arena */
	void (*work_free)(
		struct session *s); /* called once when the command ends or the session dies */
	struct call call;           /* to store or auth; freed when the command ends */
	struct imap_input *input;   /* reading of commands and literals: input.c */
};

struct store *session_store(struct session *s);
struct link *session_link(struct session *s, enum role_id id); /* NULL while it is away */

/* End the command with a tagged reply: "A1 OK [CODE] text". `code` without brackets, or NULL.
   Always gives STEP_MORE. Whatever stands untagged before has been put with session_put. */
enum step session_ok(struct session *s, const char *code, const char *text);
enum step session_no(struct session *s, const char *code, const char *text);
enum step session_bad(struct session *s, const char *text);
/* BAD with the lexer's complaint; for handlers whose parse failed. */
enum step session_bad_lex(struct session *s);
/* NO that fits an ERR_* of the store (RFC 5530 codes: OVERQUOTA, NONEXISTENT, ALREADYEXISTS, INUSE,
   UNAVAILABLE, LIMIT, SERVERBUG, EXPUNGEISSUED). */
enum step session_no_rc(struct session *s, int rc);
/* With a code made of parts ("COPYUID 3 1:4 7:10"): formats it. */
enum step session_ok_fmt(struct session *s, const char *text, const char *code_fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Untagged output, collected; see conn_out. */
void session_put(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct buf *session_out(struct session *s);

/* Send an operation to the store and come back in `resume` when it is answered: s->call.rc and
   s->call.reply. Answers the step to return. */
enum step session_op(
	struct session *s, const struct msg_type *op, const void *request, session_step resume);

/* Tell what changed in the selected mailbox since the last time: EXISTS, EXPUNGE/VANISHED (only
   when `expunge`), FETCH FLAGS (with UID and MODSEQ as the session wants), new keywords. Messages
   that were changed by this session itself with .SILENT are left out through s->view.modseq
   handling in the STORE command. */
void session_sync(struct session *s, bool expunge);
/* "FLAGS (\Seen foo)" of a message into out: used by sync and FETCH. `names` by snap_keywords. */
void imap_flags(uint64_t flags, const struct str *names, struct buf *out);

/* Mailbox name as this session's client wants it (UTF-8 or modified UTF-7), quoted or literal. */
void session_put_mailbox(struct session *s, struct str name, struct buf *out);
/* An untagged LIST about one mailbox, for clients that enabled IMAP4rev2: what it is called now,
   and what it was called (RFC 9051 6.3.9.7) unless `oldname` is empty. `attributes` as " \A \B". */
void session_put_list(
	struct session *s, struct str attributes, struct str name, struct str oldname);
/* The same about the mailbox that the command named last, when its name was normalized: else
   nothing. */
void session_put_normalized(struct session *s, struct str attributes);

/* Handlers by file. Rows that are alike share one. */
enum step cmd_fetch(struct session *s);   /* fetch.c */
enum step cmd_search(struct session *s);  /* search.c */
enum step cmd_store(struct session *s);   /* store.c: flags */
enum step cmd_copy(struct session *s);    /* copy.c: COPY and MOVE, by s->row->name */
enum step cmd_expunge(struct session *s); /* expunge.c: EXPUNGE, UID EXPUNGE */
