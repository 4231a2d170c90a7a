/* The event loop: libev for readiness, a heap of our own for timers so that real and fake clocks
   share every line. Every role. Order of a turn: input and output, tasks that became ready, jobs,
   tasks the jobs woke; then wait. */
#include "lib/loop.h"

#include <ev.h>
#include <signal.h>
#include <time.h>

#include "lib/loop_private.h"

enum { SIGNALS_MAX = 8 };

struct signal_slot {
	struct ev_signal ev;
	struct loop *loop;
	void (*fn)(void *ctx, int signo);
	void *ctx;
};

struct loop {
	struct ev_loop *ev;
	struct ev_prepare prepare;
	struct ev_timer sleep;
	struct timer **heap;
	size_t heap_n, heap_cap;
	struct list ready, jobs, closing;
	bool fake, served;
	int64_t wall_us, mono_us, shift_us;
	struct signal_slot signals[SIGNALS_MAX];
	size_t signals_n;
};

/* --- clock --- */

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return ts.tv_sec * SECOND_US + ts.tv_nsec / 1000;
}

static void read_clock(struct loop *l)
{
	if (l->fake) { return; }
	l->wall_us = clock_us(CLOCK_REALTIME) + l->shift_us;
	l->mono_us = clock_us(CLOCK_MONOTONIC);
}

int64_t loop_now_us(const struct loop *l)
{
	return l->wall_us;
}

int64_t loop_mono_us(const struct loop *l)
{
	return l->mono_us;
}

void loop_shift_wall(struct loop *l, int64_t us)
{
	l->shift_us += us;
	l->wall_us += us;
}

/* --- timers: a binary heap by due time --- */

static void heap_set(struct loop *l, size_t at, struct timer *t)
{
	l->heap[at] = t;
	t->slot = at + 1;
}

static void sift_up(struct loop *l, size_t at, struct timer *t)
{
	while (at > 0 && l->heap[(at - 1) / 2]->due_us > t->due_us) {
		heap_set(l, at, l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(l, at, t);
}

static void sift_down(struct loop *l, size_t at, struct timer *t)
{
	for (size_t child; (child = 2 * at + 1) < l->heap_n; at = child) {
		if (child + 1 < l->heap_n && l->heap[child + 1]->due_us < l->heap[child]->due_us) {
			child++;
		}
		if (l->heap[child]->due_us >= t->due_us) { break; }
		heap_set(l, at, l->heap[child]);
	}
	heap_set(l, at, t);
}

void timer_start(struct loop *l, struct timer *t, int64_t after_us, void (*fire)(struct timer *t))
{
	timer_stop(t);
	t->loop = l;
	t->fire = fire;
	t->due_us = l->mono_us + MAX(after_us, 0);
	if (l->heap_n == l->heap_cap) {
		l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 64;
		l->heap = realloc(l->heap, l->heap_cap * sizeof(struct timer *));
		if (!l->heap) { abort(); }
	}
	l->heap_n++;
	sift_up(l, l->heap_n - 1, t);
}

void timer_stop(struct timer *t)
{
	if (!t->slot) { return; }
	struct loop *l = t->loop;
	size_t at = t->slot - 1;
	struct timer *last = l->heap[--l->heap_n];
	t->slot = 0;
	if (last == t) { return; }
	if (at > 0 && l->heap[(at - 1) / 2]->due_us > last->due_us) {
		sift_up(l, at, last);
	} else {
		sift_down(l, at, last);
	}
}

static bool fire_due(struct loop *l)
{
	bool any = false;
	while (l->heap_n && l->heap[0]->due_us <= l->mono_us) {
		struct timer *t = l->heap[0];
		timer_stop(t);
		t->fire(t);
		any = true;
	}
	return any;
}

/* --- tasks and jobs --- */

void loop_ready(struct loop *l, struct list *node)
{
	list_add(&l->ready, node);
}

struct list *loop_closing(struct loop *l)
{
	return &l->closing;
}

static bool run_ready(struct loop *l)
{
	bool any = false;
	struct list *node;
	while ((node = list_pop(&l->ready))) {
		task_run(list_entry(node, struct task, ready));
		any = true;
	}
	return any;
}

void job_start(struct loop *l, struct job *j, void (*run)(struct job *j))
{
	j->run = run;
	if (!j->node.next) { list_init(&j->node); }
	if (list_empty(&j->node)) { list_add(&l->jobs, &j->node); }
}

void job_cancel(struct job *j)
{
	if (j->node.next) { list_del(&j->node); }
}

static bool run_jobs(struct loop *l)
{
	struct list batch;
	if (list_empty(&l->jobs)) { return false; }
	batch = l->jobs; /* those started from here on belong to the next round */
	batch.next->prev = batch.prev->next = &batch;
	list_init(&l->jobs);
	struct list *node;
	while ((node = list_pop(&batch))) {
		struct job *j = container_of(node, struct job, node);
		j->run(j);
	}
	return true;
}

/* Everything that can be done without waiting for the kernel. */
static void settle(struct loop *l)
{
	for (bool more = true; more;) {
		more = fire_due(l);
		more |= run_ready(l);
		more |= run_jobs(l);
		l->served |= more;
	}
}

/* Called by libev before it waits: settle, then say how long it may wait. */
static void on_prepare(struct ev_loop *ev, struct ev_prepare *w, int events)
{
	struct loop *l = w->data;
	(void)events; /* always EV_PREPARE */
	read_clock(l);
	settle(l);
	ev_timer_stop(ev, &l->sleep);
	if (l->heap_n && !l->fake) {
		int64_t left = l->heap[0]->due_us - l->mono_us;
		ev_timer_set(&l->sleep, (double)MAX(left, 0) / 1e6 + 1e-6, 0);
		ev_timer_start(ev, &l->sleep);
	}
}

static void on_sleep(struct ev_loop *ev, struct ev_timer *w, int events)
{
	(void)ev;
	(void)w;
	(void)events; /* waking up was the point; on_prepare looks at the heap */
}

/* --- descriptors --- */

static void on_io(struct ev_loop *ev, struct ev_io *io, int events)
{
	struct watch *w = io->data;
	(void)ev;
	w->loop->served = true;
	read_clock(w->loop);
	w->ready(w, (events & EV_READ ? WATCH_READ : 0) | (events & EV_WRITE ? WATCH_WRITE : 0));
}

void watch_set(
	struct loop *l, struct watch *w, int fd, int events, void (*ready)(struct watch *, int))
{
	struct ev_io *io = w->ev;
	if (io && w->events == events && w->fd == fd) {
		w->ready = ready;
		return;
	}
	if (!io) {
		if (!events) { return; }
		io = w->ev = xcalloc(1, sizeof *io);
		ev_init(io, on_io);
		io->data = w;
	}
	ev_io_stop(l->ev, io);
	w->loop = l;
	w->fd = fd;
	w->events = events;
	w->ready = ready;
	if (events) {
		ev_io_set(io, fd,
			(events & WATCH_READ ? EV_READ : 0) |
				(events & WATCH_WRITE ? EV_WRITE : 0));
		ev_io_start(l->ev, io);
	}
}

void watch_stop(struct watch *w)
{
	if (!w->ev) { return; }
	ev_io_stop(w->loop->ev, w->ev);
	free(w->ev);
	w->ev = NULL;
	w->events = 0;
}

/* --- other threads, signals --- */

static void on_wake(struct ev_loop *ev, struct ev_async *a, int events)
{
	struct waker *w = a->data;
	(void)ev;
	(void)events;
	w->loop->served = true;
	read_clock(w->loop);
	w->ready(w);
}

void waker_start(struct loop *l, struct waker *w, void (*ready)(struct waker *w))
{
	struct ev_async *a = xcalloc(1, sizeof *a);
	ev_async_init(a, on_wake);
	a->data = w;
	w->ev = a;
	w->loop = l;
	w->ready = ready;
	ev_async_start(l->ev, a);
}

void waker_stop(struct waker *w)
{
	if (!w->ev) { return; }
	ev_async_stop(w->loop->ev, w->ev);
	free(w->ev);
	w->ev = NULL;
}

void loop_wake(struct waker *w)
{
	ev_async_send(w->loop->ev, w->ev);
}

static void on_signal(struct ev_loop *ev, struct ev_signal *s, int events)
{
	struct signal_slot *slot = s->data;
	(void)ev;
	(void)events;
	slot->loop->served = true;
	read_clock(slot->loop);
	slot->fn(slot->ctx, s->signum);
}

void loop_on_signal(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
	assert(l->signals_n < SIGNALS_MAX);
	struct signal_slot *slot = &l->signals[l->signals_n++];
	slot->loop = l;
	slot->fn = fn;
	slot->ctx = ctx;
	ev_signal_init(&slot->ev, on_signal, signo);
	slot->ev.data = slot;
	ev_signal_start(l->ev, &slot->ev);
}

/* --- life --- */

static struct loop *make(bool fake, int64_t now_us)
{
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	struct loop *l = xnew(struct loop);
	l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!l->ev) { l->ev = ev_loop_new(EVFLAG_AUTO); }
	if (!l->ev) { abort(); }
	list_init(&l->ready);
	list_init(&l->jobs);
	list_init(&l->closing);
	l->fake = fake;
	l->wall_us = now_us;
	l->mono_us = SECOND_US;
	read_clock(l);
	ev_prepare_init(&l->prepare, on_prepare);
	l->prepare.data = l;
	ev_prepare_start(l->ev, &l->prepare);
	ev_timer_init(&l->sleep, on_sleep, 0, 0);
	return l;
}

struct loop *loop_new(void)
{
	return make(false, 0);
}

struct loop *loop_new_fake(int64_t now_us)
{
	return make(true, now_us);
}

void loop_free(struct loop *l)
{
	settle(l); /* tasks that were killed still end */
	conn_free_closing(l);
	for (size_t i = 0; i < l->signals_n; i++) { ev_signal_stop(l->ev, &l->signals[i].ev); }
	ev_loop_destroy(l->ev);
	free(l->heap);
	free(l);
}

void loop_run(struct loop *l)
{
	ev_run(l->ev, 0);
}

bool loop_turn(struct loop *l)
{
	l->served = false;
	ev_run(l->ev, EVRUN_NOWAIT);
	read_clock(l);
	settle(l);
	return l->served;
}

void loop_stop(struct loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

void loop_advance(struct loop *l, int64_t us)
{
	int64_t end = l->mono_us + us;
	assert(l->fake);
	while (loop_turn(l)) {}
	while (l->heap_n && l->heap[0]->due_us <= end) {
		l->wall_us += l->heap[0]->due_us - l->mono_us;
		l->mono_us = l->heap[0]->due_us;
		while (loop_turn(l)) {}
	}
	l->wall_us += end - l->mono_us;
	l->mono_us = end;
}
