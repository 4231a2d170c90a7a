/* Resumable work: a step does what it can and says what it needs. Only the loop calls steps; waking
   only schedules.

   A task that talks to a peer owns a conn; STEP_IN and STEP_OUT wait on it. Waiting for a role, a
   resolver or a timer is STEP_WAIT: whoever answers calls task_wake. A wake that comes before the
   step has returned STEP_WAIT is kept, not lost. */
#pragma once

#include "lib/loop.h"

enum step {
	STEP_MORE, /* call t->step again at once (it may have been changed) */
	STEP_IN,   /* when the conn has input, ended or failed (see conn_status) */
	STEP_OUT,  /* when the conn's output has drained below its low mark */
	STEP_WAIT, /* when somebody calls task_wake */
	STEP_DONE, /* finished: `ended` is called, the task may free itself there */
	STEP_CLOSE /* as DONE, but first flush what is in the conn's output, then close it */
};

struct conn;

struct task {
	enum step (*step)(struct task *t);
	/* Called last, from the loop; may free the owner. The conn is closed before. */
	void (*ended)(struct task *t);
	struct loop *loop;
	struct conn *conn; /* NULL for work without a peer */
	int rc;            /* what the last wait ended with: 0 or ERR_* */
	enum step waiting;
	bool woken, running, dead;
	struct list ready; /* in the loop's queue */
	struct timer timer;
};

#define task_of(t, type, member) container_of(t, type, member)

/* Prepare; the first step runs in the loop's next turn. `conn` may be NULL; the task takes it over.
 */
void task_start(struct loop *l, struct task *t, struct conn *conn, enum step (*step)(struct task *),
	void (*ended)(struct task *));
/* End the STEP_WAIT of `t` with `rc`. May be called from anywhere in the loop's thread. */
void task_wake(struct task *t, int rc);
/* Return STEP_WAIT after this and be woken with ERR_TIMEOUT in `us`, unless woken before (which
 * disarms it). */
void task_sleep(struct task *t, int64_t us);
/* End from outside: no further step runs, `ended` is called from the loop. Whoever holds a wake for
   it (calls, queries) must have been cancelled in `ended`. */
void task_kill(struct task *t);
