/* A socket pair between two roles. Messages of one table of types go both ways; both ends distrust
   each other: every message is checked against its table row (who may send it, its bounds) before a
   handler sees it.

   Frame: length 4 (of what follows), type 2, flags 1, descriptors 1, id 4, then the packed struct.
   Frames are collected and written once per loop turn, so a batch costs one system call. */
#pragma once

#include "lib/task.h"
#include "lib/wire.h"

enum { LINK_MSG_MAX = 2 * 1024 * 1024, LINK_FDS_MAX = 16 };

enum role_id {
	ROLE_SUPERVISOR,
	ROLE_STORE,
	ROLE_AUTH,
	ROLE_MX,
	ROLE_SUBMIT,
	ROLE_IMAP,
	ROLE_RELAY,
	ROLE_CONTROL, /* a command of the administrator, through the control socket */
	ROLE_N
};
const char *role_name(enum role_id id);

struct link;
struct link_msg;

/* One row per message type. What link_call sends is answered by exactly one reply (`reply` NULL: a
   code and nothing else); what link_send sends has no id and no reply. Types are numbers so that
   they stay when rows move. */
struct msg_type {
	uint16_t type;
	const char *name;
	const struct wire *request;
	const struct wire *reply; /* NULL: only a code, or one-way */
	uint32_t from;            /* mask of 1 << role_id that may send it */
	enum role_id to;          /* ROLE_N: any role */
	bool secret;              /* never logged */
};

/* A message as a handler gets it. The struct and its strings live until the handler returns, or
   until link_reply when the handler calls link_keep. */
struct link_msg {
	struct list node;  /* among the link's kept requests */
	struct link *link; /* NULL once it went down */
	bool kept;
	const struct msg_type *type;
	enum role_id from;
	uint32_t id;
	void *request;         /* unpacked */
	int fds[LINK_FDS_MAX]; /* closed with the message; a handler that keeps them all sets
				  fds_n = 0 */
	unsigned fds_n;
	struct arena arena; /* behind `request`; the handler may use it for the reply */
};

struct link_ops {
	/* Every message that is not a reply. Requests must be answered by link_reply, now or later.
	 */
	void (*handle)(void *ctx, struct link_msg *m);
	/* The peer is gone; all calls have been woken with ERR_AGAIN. Called from the loop, never
	   from within link_send and the like. The owner frees the link. */
	void (*down)(void *ctx, struct link *l);
};

/* Takes over `fd`. `self` and `peer` decide which rows are acceptable. `types` is a table of n
 * rows. */
struct link *link_new(struct loop *l, int fd, enum role_id self, enum role_id peer,
	const struct link_ops *ops, void *ctx);
/* Read nothing until link_go_on: what the peer sends waits. For an owner that cannot serve yet. */
void link_hold(struct link *l);
void link_go_on(struct link *l);
/* Cancels nothing: open calls are woken with ERR_AGAIN first. */
void link_free(struct link *l);
/* Unsent octets above a bound: hold back before sending more bulk. */
bool link_full(const struct link *l);

/* The table of all types, registered once at start by each folder that defines some. */
void link_register(const struct msg_type *types, size_t n);
/* The row of a number, NULL when there is none. */
const struct msg_type *link_type(unsigned number);

/* A request on its way. Lives in the caller; all zeros = idle. */
struct call {
	struct list node;
	struct link *link;
	struct task *task; /* woken with the reply's rc */
	const struct msg_type *type;
	uint32_t id;
	int rc;             /* 0 or ERR_*, from the peer or ours */
	void *reply;        /* unpacked reply struct when rc == 0; lives in `arena` */
	struct arena arena; /* freed by call_fini */
	struct timer timeout;
};
/* Send; return STEP_WAIT. `l` may be NULL (the peer role is away): woken with ERR_AGAIN. `req` is
   packed before this returns. `timeout_us` 0 = LINK_TIMEOUT. */
void link_call(struct link *l, struct call *c, struct task *t, const struct msg_type *type,
	const void *req, int64_t timeout_us);
enum { LINK_TIMEOUT_S = 60 };
/* Forget a call that is still out (its reply is dropped) and free what it holds. Harmless when
 * idle. */
void call_fini(struct call *c);

/* One-way, optionally with descriptors (which are closed here after sending). */
void link_send(struct link *l, const struct msg_type *type, const void *msg, const int *fds,
	unsigned fds_n);
/* Keep `m` beyond the handler: returns a heap copy that link_reply frees. `m` itself must not be
 * used any more. */
struct link_msg *link_keep(struct link_msg *m);
/* Answer; `rc` 0 with `reply`, or ERR_* with NULL. A link that went down meanwhile is fine. */
void link_reply(struct link_msg *m, int rc, const void *reply);
