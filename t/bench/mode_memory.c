/* Mode idle-memory: what the server's processes weigh (proportional set size) when nobody is there
   and when --connections sessions sit in IDLE. */
#include "t/bench/imap.h"
#include "t/bench/proc.h"

enum { OPENING_MAX = 16 };
#define SETTLE_S 1.0

struct sleepers;

struct sleeper {
	struct imap imap;
	struct sleepers *all;
};

struct sleepers {
	struct bench *bench;
	struct sleeper *s;
	uint64_t opened, asleep;
	ev_timer settle;
};

static void sleeper_next(struct imap *s)
{
	imap_command(s, "SELECT INBOX");
	imap_command(s, "IDLE");
	imap_flush(s);
}

static void open_next(struct sleepers *all)
{
	struct sleeper *s = &all->s[all->opened];
	s->imap.user = all->opened++;
	imap_open(&s->imap, all->bench);
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer, (void)events; /* one timer, one meaning */
	ev_break(loop, EVBREAK_ALL);
}

static void sleeper_plus(struct imap *s)
{
	struct sleepers *all = container_of(s, struct sleeper, imap)->all;
	struct bench *b = all->bench;
	b->ops++;
	all->asleep++;
	if (all->opened < b->opt.connections) {
		open_next(all);
	} else if (all->asleep == all->opened) {
		ev_timer_init(&all->settle, on_settled, SETTLE_S, 0.);
		ev_timer_start(b->loop, &all->settle);
	}
}

static void sleeper_broken(struct imap *s)
{
	ev_break(s->bench->loop, EVBREAK_ALL);
}

void mode_idle_memory(struct bench *b)
{
	struct sleepers all = {.bench = b};
	unsigned processes;
	uint64_t before = proc_pss_kib(b->opt.pids, &processes), own = proc_own_kib(b->opt.pids);
	all.s = xcalloc(b->opt.connections, sizeof *all.s);
	for (uint64_t i = 0; i < b->opt.connections; i++) {
		struct sleeper *s = &all.s[i];
		s->all = &all;
		s->imap.port = b->opt.port;
		s->imap.tls = b->opt.tls;
		s->imap.next = sleeper_next;
		s->imap.plus = sleeper_plus;
		s->imap.broken = sleeper_broken;
		s->imap.peer.fd = -1;
	}
	bench_extra(b, "idle_pss_kib", (double)before);
	bench_extra(b, "idle_processes", processes);
	b->live = b->opt.connections;
	bench_start(b);
	for (unsigned i = 0; i < OPENING_MAX && all.opened < b->opt.connections; i++) {
		open_next(&all);
	}
	bench_run(b);
	bench_stop(b);
	uint64_t after = proc_pss_kib(b->opt.pids, &processes);
	bench_extra(b, "full_pss_kib", (double)after);
	bench_extra(b, "full_processes", processes);
	bench_extra(b, "session_own_kib",
		((double)proc_own_kib(b->opt.pids) - (double)own) / (double)b->opt.connections);
	bench_extra(b, "session_pss_kib",
		((double)after - (double)before) / (double)b->opt.connections);
	for (uint64_t i = 0; i < b->opt.connections; i++) { imap_fini(&all.s[i].imap); }
	free(all.s);
}
