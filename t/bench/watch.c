/* Owns the IMAP sessions that see deliveries arrive. */
#include "t/bench/watch.h"

#define ASK_AGAIN_S 0.005

struct watched {
	struct imap imap;
	uint64_t wanted, seen;
	bool counted;
	ev_timer again;
};

struct watch {
	struct bench *bench;
	struct watched *users;
};

static void ask(struct watched *u)
{
	imap_command(&u->imap, "STATUS INBOX (MESSAGES)");
	imap_flush(&u->imap);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events; /* one timer, one meaning */
	ask(container_of(timer, struct watched, again));
}

static void watched_next(struct imap *s)
{
	struct watched *u = container_of(s, struct watched, imap);
	if (!u->counted) {
		u->counted = true;
		ask(u);
	} else if (u->seen < u->wanted) {
		ev_timer_set(&u->again, ASK_AGAIN_S, 0.);
		ev_timer_start(s->bench->loop, &u->again);
	} else {
		if (u->wanted && u->seen > u->wanted) {
			bench_fail(s->bench, "user %llu has %llu messages, not %llu",
				(unsigned long long)s->user, (unsigned long long)u->seen,
				(unsigned long long)u->wanted);
		}
		bench_leave(s->bench);
	}
}

static void watched_line(struct imap *s, struct str line)
{
	struct watched *u = container_of(s, struct watched, imap);
	if (str_istarts(line, STR("STATUS "))) { (void)imap_item(line, STR("MESSAGES"), &u->seen); }
}

static void watched_broken(struct imap *s)
{
	bench_leave(s->bench);
}

struct watch *watch_new(struct bench *b)
{
	struct watch *w = xnew(struct watch);
	w->bench = b;
	w->users = xcalloc(b->opt.users, sizeof *w->users);
	b->live = b->opt.users;
	for (uint64_t i = 0; i < b->opt.users; i++) {
		struct watched *u = &w->users[i];
		u->imap.port = b->opt.imap_port;
		u->imap.tls = b->opt.imap_tls;
		u->imap.user = i;
		u->imap.next = watched_next;
		u->imap.untagged = watched_line;
		u->imap.broken = watched_broken;
		ev_timer_init(&u->again, on_again, 0., 0.);
		imap_open(&u->imap, b);
	}
	bench_run(b);
	b->bytes = 0; /* what was read here does not count */
	return w;
}

void watch_wait(struct watch *w, const uint64_t *added)
{
	struct bench *b = w->bench;
	uint64_t bytes = b->bytes;
	b->live = b->opt.users;
	for (uint64_t i = 0; i < b->opt.users; i++) {
		w->users[i].wanted = w->users[i].seen + added[i];
		ask(&w->users[i]);
	}
	bench_run(b);
	b->bytes = bytes;
}

void watch_free(struct watch *w)
{
	if (!w) { return; }
	for (uint64_t i = 0; i < w->bench->opt.users; i++) {
		ev_timer_stop(w->bench->loop, &w->users[i].again);
		imap_fini(&w->users[i].imap);
	}
	free(w->users);
	free(w);
}
