/* Owns the clock, the counters and the loop of a run. */
#include "t/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "t/bench/proc.h"

enum { ERRORS_SHOWN = 10 };

int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

void bench_fail(struct bench *b, const char *fmt, ...)
{
	va_list ap;
	if (b->errors++ >= ERRORS_SHOWN) { return; }
	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void bench_start(struct bench *b)
{
	b->cpu_start_us = proc_cpu_us(b->opt.pids);
	b->bytes = 0;
	b->start_us = now_us();
}

void bench_stop(struct bench *b)
{
	b->end_us = now_us();
	b->cpu_us = proc_cpu_us(b->opt.pids) - b->cpu_start_us;
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct bench *b = container_of(timer, struct bench, deadline);
	(void)events; /* one timer, one meaning */
	bench_fail(b, "not finished after %llu s: %llu done", (unsigned long long)b->opt.timeout_s,
		(unsigned long long)b->ops);
	ev_break(loop, EVBREAK_ALL);
}

void bench_run(struct bench *b)
{
	if (b->live == 0) { return; }
	ev_now_update(b->loop);
	ev_timer_init(&b->deadline, on_deadline, (double)b->opt.timeout_s, 0.);
	ev_timer_start(b->loop, &b->deadline);
	ev_run(b->loop, 0);
	ev_timer_stop(b->loop, &b->deadline);
}

void bench_leave(struct bench *b)
{
	if (b->live) { b->live--; }
	if (b->live == 0) { ev_break(b->loop, EVBREAK_ALL); }
}

void bench_extra(struct bench *b, const char *name, double value)
{
	buf_fmt(&b->extras, ",\"%s\":%.6f", name, value);
}

void bench_user(const struct bench *b, uint64_t n, struct buf *out)
{
	struct str tail = str_of(b->opt.user), head;
	bool numbered = str_cut(&tail, '%', &head);
	buf_str(out, head);
	if (!numbered) { return; }
	buf_u64(out, n % b->opt.users);
	buf_str(out, tail);
}
