/* lib: clock, timers, jobs, watches, tasks. */
#include "t/tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "lib/task.h"

static struct buf seen;

/* --- timers --- */

struct named {
	struct timer timer;
	char name;
};

static void on_named(struct timer *t)
{
	buf_chr(&seen, container_of(t, struct named, timer)->name);
}

static void on_stop_other(struct timer *t);
static struct named names[26];

static void on_stop_other(struct timer *t)
{
	on_named(t);
	timer_stop(&names[3].timer);
	timer_start(t->loop, &names[4].timer, 0, on_named);
}

static void test_timers(void)
{
	struct loop *l = loop_new_fake(INT64_C(1000000000) * SECOND_US);
	for (int i = 0; i < 26; i++) { names[i] = (struct named){.name = (char)('a' + i)}; }
	buf_reset(&seen);
	timer_start(l, &names[1].timer, 20, on_named);
	timer_start(l, &names[0].timer, 10, on_named);
	timer_start(l, &names[2].timer, 30, on_stop_other);
	timer_start(l, &names[3].timer, 35, on_named);
	CHECK(timer_armed(&names[3].timer));
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR(""));
	loop_advance(l, 9);
	CHECK_STR(buf_view(&seen), STR(""));
	loop_advance(l, 1);
	CHECK_STR(buf_view(&seen), STR("a"));
	loop_advance(l, 100);
	CHECK_STR(buf_view(&seen), STR("abce"));
	CHECK(!timer_armed(&names[3].timer));
	CHECK_INT(loop_now_us(l), INT64_C(1000000000) * SECOND_US + 110);
	CHECK_INT(loop_mono_us(l), SECOND_US + 110);
	loop_shift_wall(l, -50);
	CHECK_INT(loop_now_us(l), INT64_C(1000000000) * SECOND_US + 60);
	CHECK_INT(loop_mono_us(l), SECOND_US + 110);
	loop_free(l);
}

/* Many timers started, moved and stopped fire in the order of their times. */
enum { MANY = 2000 };
static int64_t last_fired;
static int fired;

static void on_many(struct timer *t)
{
	CHECK(t->due_us >= last_fired);
	last_fired = t->due_us;
	fired++;
}

static void test_heap(void)
{
	static struct timer many[MANY];
	struct loop *l = loop_new_fake(0);
	uint32_t x = 12345;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			x = x * 1664525 + 1013904223;
			timer_start(l, &many[i], x >> 16, on_many);
		}
	}
	int stopped = 0;
	for (int i = 0; i < MANY; i += 3, stopped++) { timer_stop(&many[i]); }
	for (int i = 0; i < 20; i++) { loop_advance(l, 10000); }
	CHECK_INT(fired, MANY - stopped);
	loop_free(l);
}

/* --- jobs --- */

static struct job job_a, job_b, job_c;
static struct loop *job_loop;

static void run_a(struct job *j)
{
	buf_chr(&seen, 'a');
	if (seen.n < 3) { job_start(job_loop, j, run_a); }
}

static void run_b(struct job *j)
{
	(void)j;
	buf_chr(&seen, 'b');
	job_cancel(&job_c);
}

static void test_jobs(void)
{
	struct loop *l = job_loop = loop_new_fake(0);
	buf_reset(&seen);
	job_start(l, &job_a, run_a);
	job_start(l, &job_b, run_b);
	job_start(l, &job_c, run_a);
	job_start(l, &job_a, run_a);
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("aba"));
	loop_free(l);
}

/* --- watches, wakers, signals, a real clock --- */

static void on_pipe(struct watch *w, int events)
{
	char c;
	CHECK_INT(events, WATCH_READ);
	if (read(w->fd, &c, 1) == 1) { buf_chr(&seen, c); }
	if (c == 'x') { watch_stop(w); }
}

static void test_watch(void)
{
	int p[2];
	struct loop *l = loop_new_fake(0);
	struct watch w = {0};
	buf_reset(&seen);
	CHECK_INT(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	watch_stop(&w);
	watch_set(l, &w, p[0], 0, on_pipe);
	watch_set(l, &w, p[0], WATCH_READ, on_pipe);
	CHECK(!loop_turn(l));
	CHECK_INT(write(p[1], "abxd", 4), 4);
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("abx"));
	watch_set(l, &w, p[0], WATCH_READ, on_pipe); /* registered anew */
	CHECK(loop_turn(l));
	CHECK_STR(buf_view(&seen), STR("abxd"));
	watch_set(l, &w, p[0], 0, on_pipe);
	CHECK_INT(write(p[1], "e", 1), 1);
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("abxd"));
	watch_stop(&w);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

struct threads {
	struct waker waker;
	struct timer timer;
	int wakes, signals;
};

static void *wake_it(void *arg)
{
	loop_wake(arg);
	return NULL;
}

static void on_wake(struct waker *w)
{
	struct threads *th = container_of(w, struct threads, waker);
	th->wakes++;
	raise(SIGUSR1);
}

static void on_usr1(void *ctx, int signo)
{
	struct threads *th = ctx;
	CHECK_INT(signo, SIGUSR1);
	th->signals++;
}

static void on_late(struct timer *t)
{
	struct threads *th = container_of(t, struct threads, timer);
	if (th->wakes && th->signals) {
		loop_stop(t->loop);
	} else {
		timer_start(t->loop, t, 1000, on_late);
	}
}

static void test_real(void)
{
	struct loop *l = loop_new();
	struct threads th = {0};
	pthread_t id;
	int64_t before = loop_mono_us(l);
	waker_start(l, &th.waker, on_wake);
	loop_on_signal(l, SIGUSR1, on_usr1, &th);
	timer_start(l, &th.timer, 5000, on_late);
	CHECK_INT(pthread_create(&id, NULL, wake_it, &th.waker), 0);
	loop_run(l);
	pthread_join(id, NULL);
	CHECK(loop_mono_us(l) - before >= 5000);
	CHECK_INT(th.signals, 1);
	waker_stop(&th.waker);
	loop_free(l);
}

/* --- tasks --- */

struct work {
	struct task task;
	int steps, ended;
};

static void on_ended(struct task *t)
{
	task_of(t, struct work, task)->ended++;
}

static enum step last(struct task *t)
{
	buf_fmt(&seen, "(%d)", t->rc);
	return STEP_DONE;
}

static enum step first(struct task *t)
{
	struct work *w = task_of(t, struct work, task);
	buf_chr(&seen, '1');
	if (++w->steps < 3) { return STEP_MORE; }
	t->step = last;
	return STEP_WAIT;
}

static void test_task_wake(void)
{
	struct loop *l = loop_new_fake(0);
	struct work w = {0};
	buf_reset(&seen);
	task_start(l, &w.task, NULL, first, on_ended);
	CHECK_INT(seen.n, 0); /* nothing runs before the loop does */
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("111"));
	task_wake(&w.task, ERR_GONE);
	task_wake(&w.task, ERR_QUOTA);
	CHECK_STR(buf_view(&seen), STR("111"));
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("111(-5)"));
	CHECK_INT(w.ended, 1);
	loop_free(l);
}

static enum step wakes_itself(struct task *t)
{
	task_wake(t, 7);
	t->step = last;
	return STEP_WAIT;
}

static void test_task_early_wake(void)
{
	struct loop *l = loop_new_fake(0);
	struct work w = {0};
	buf_reset(&seen);
	task_start(l, &w.task, NULL, wakes_itself, on_ended);
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("(7)"));
	CHECK_INT(w.ended, 1);
	loop_free(l);
}

static enum step sleeps(struct task *t)
{
	task_sleep(t, 1000);
	t->step = last;
	return STEP_WAIT;
}

static void test_task_sleep(void)
{
	struct loop *l = loop_new_fake(0);
	struct work w = {0}, v = {0}, k = {0};
	buf_reset(&seen);
	task_start(l, &w.task, NULL, sleeps, on_ended);
	task_start(l, &v.task, NULL, sleeps, on_ended);
	task_start(l, &k.task, NULL, sleeps, on_ended);
	loop_advance(l, 999);
	CHECK_STR(buf_view(&seen), STR(""));
	task_wake(&v.task, 3); /* disarms */
	task_kill(&k.task);
	while (loop_turn(l)) {}
	CHECK_STR(buf_view(&seen), STR("(3)"));
	CHECK_INT(k.ended, 1);
	loop_advance(l, 1000);
	CHECK_STR(buf_view(&seen), STR("(3)(-11)"));
	CHECK_INT(w.ended, 1);
	CHECK_INT(v.ended, 1);
	CHECK_INT(k.ended, 1);
	loop_free(l);
}

static void on_ended_free(struct task *t)
{
	buf_chr(&seen, 'f');
	free(task_of(t, struct work, task));
}

static void test_task_killed_at_end(void)
{
	struct loop *l = loop_new_fake(0);
	struct work *w = xnew(struct work);
	buf_reset(&seen);
	task_start(l, &w->task, NULL, sleeps, on_ended_free);
	while (loop_turn(l)) {}
	task_kill(&w->task);
	loop_free(l);
	CHECK_STR(buf_view(&seen), STR("f"));
	buf_fini(&seen);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"timers fire in order on a clock that stands still", test_timers},
		{"a heap of many timers", test_heap},
		{"jobs run once a round, may start and cancel each other", test_jobs},
		{"a watch can be stopped in its own callback", test_watch},
		{"real clock, waker from a thread, signal", test_real},
		{"a wake ends a wait, the last code counts", test_task_wake},
		{"a wake before the wait is kept", test_task_early_wake},
		{"sleep, early wake and kill", test_task_sleep},
		{"freeing the loop ends killed tasks", test_task_killed_at_end},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
