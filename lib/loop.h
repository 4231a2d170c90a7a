/* The event loop of a role: libev behind a clock that tests can hold still. One loop per thread;
   nothing here is thread-safe but loop_wake. */
#pragma once

#include "lib/lib.h"

struct loop;

struct loop *loop_new(void);
/* A loop whose clock stands at `now_us` until loop_advance: timers fire only by it. For tests. */
struct loop *loop_new_fake(int64_t now_us);
void loop_free(struct loop *l);
/* Serve until loop_stop. */
void loop_run(struct loop *l);
/* Serve what is ready now, without waiting; false when nothing was. */
bool loop_turn(struct loop *l);
void loop_stop(struct loop *l);
/* Move a fake clock forward, firing timers in their order, and serve until nothing is ready. */
void loop_advance(struct loop *l, int64_t us);

/* Wall clock, microseconds since the epoch. Read once per turn. */
int64_t loop_now_us(const struct loop *l);
/* Monotonic clock, microseconds since some start; never jumps. */
int64_t loop_mono_us(const struct loop *l);
/* Add to the wall clock (tests and `dev`): the monotonic clock and timers do not notice. */
void loop_shift_wall(struct loop *l, int64_t us);

/* One shot. All zeros = not armed. */
struct timer {
	void (*fire)(struct timer *t);
	struct loop *loop;
	int64_t due_us; /* monotonic */
	size_t slot;    /* heap position + 1, 0 = not armed */
};
/* Arm (again) to fire `after_us` from now. */
void timer_start(struct loop *l, struct timer *t, int64_t after_us, void (*fire)(struct timer *t));
/* Harmless when not armed. */
void timer_stop(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
	return t->slot != 0;
}

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

/* Readiness of a descriptor. All zeros = idle. Lives in its owner; stopped before it dies. */
struct watch {
	void (*ready)(struct watch *w, int events);
	struct loop *loop;
	int fd, events;
	void *ev; /* libev's watcher, owned by the loop */
};
/* Watch `fd` for exactly `events` (0 = stop watching, keep the registration cheap to change). */
void watch_set(
	struct loop *l, struct watch *w, int fd, int events, void (*ready)(struct watch *, int));
void watch_stop(struct watch *w);

/* Work done once, after all that was ready in this turn has been served and before waiting again:
   the place where a batch is committed or output is flushed. Starting one that is started is
   harmless. */
struct job {
	struct list node;
	void (*run)(struct job *j);
};
void job_start(struct loop *l, struct job *j, void (*run)(struct job *j));
void job_cancel(struct job *j);

/* Wake the loop from another thread (the password pool): `w->ready` runs in the loop. */
struct waker {
	void (*ready)(struct waker *w);
	void *ev;
	struct loop *loop;
};
void waker_start(struct loop *l, struct waker *w, void (*ready)(struct waker *w));
void waker_stop(struct waker *w);
void loop_wake(struct waker *w);

/* A signal, delivered in the loop. */
void loop_on_signal(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx);
