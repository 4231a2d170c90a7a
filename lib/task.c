/* Tasks: who runs next, who waits for what. Every role. */
#include "lib/task.h"

#include "lib/conn.h"
#include "lib/loop_private.h"

static void schedule(struct task *t)
{
	if (list_empty(&t->ready) && !t->running) { loop_ready(t->loop, &t->ready); }
}

void task_start(struct loop *l, struct task *t, struct conn *conn, enum step (*step)(struct task *),
	void (*ended)(struct task *))
{
	*t = (struct task){
		.step = step, .ended = ended, .loop = l, .conn = conn, .waiting = STEP_MORE};
	list_init(&t->ready);
	if (conn) { conn_attach(conn, t); }
	schedule(t);
}

void task_wake(struct task *t, int rc)
{
	t->rc = rc;
	t->woken = true;
	timer_stop(&t->timer);
	schedule(t);
}

void task_io(struct task *t)
{
	if (t->waiting == STEP_IN || t->waiting == STEP_OUT) { schedule(t); }
}

static void on_sleep(struct timer *timer)
{
	task_wake(container_of(timer, struct task, timer), ERR_TIMEOUT);
}

void task_sleep(struct task *t, int64_t us)
{
	timer_start(t->loop, &t->timer, us, on_sleep);
}

void task_kill(struct task *t)
{
	t->dead = true;
	schedule(t);
}

static void end(struct task *t, enum step how)
{
	struct conn *c = t->conn;
	t->conn = NULL;
	t->dead = true;
	timer_stop(&t->timer);
	list_del(&t->ready);
	if (c && how == STEP_CLOSE) {
		conn_close(c);
	} else if (c) {
		conn_free(c);
	}
	t->ended(t);
}

/* True when what the task asked for is there already, so that it goes on at once. */
static bool satisfied(struct task *t, enum step want)
{
	t->waiting = want;
	if (want == STEP_MORE) { return true; }
	if (t->woken) { /* a wake that came while the step ran; news may come to one that waits for
			   input, too */
		t->woken = false;
		return true;
	}
	if (want == STEP_WAIT) { return false; }
	assert(t->conn);
	return !conn_wait(t->conn, want);
}

void task_run(struct task *t)
{
	enum step want = STEP_MORE;
	t->woken = false;
	t->running = true;
	if (t->conn) { conn_unwait(t->conn); }
	while (!t->dead) {
		want = t->step(t);
		if (want == STEP_DONE || want == STEP_CLOSE || !satisfied(t, want)) { break; }
	}
	t->running = false;
	if (t->dead || want == STEP_DONE || want == STEP_CLOSE) {
		end(t, t->dead ? STEP_DONE : want);
		return;
	}
	if (t->conn) { conn_flush(t->conn); }
}
