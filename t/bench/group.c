/* Owns the IMAP sessions of a mode and the starting line between its rounds. */
#include "t/bench/group.h"

static void work(struct member *m);

static void begin_round(struct group *g)
{
	g->round++;
	g->waiting = 0;
	if (g->round == 1) { bench_start(g->bench); }
	g->round_us = now_us();
	g->round_bytes = g->bench->bytes;
	for (uint64_t i = 0; i < g->n; i++) {
		struct member *m = &g->members[i];
		if (m->imap.peer.fd < 0) { continue; }
		m->phase = MEMBER_WORK;
		m->step = 0;
		work(m);
	}
}

/* At the starting line when all that live are there: the next round, or the end. */
static void check_line(struct group *g)
{
	if (g->waiting < g->alive) { return; }
	if (g->round && g->over) { g->over(g, (double)(now_us() - g->round_us) / 1e6); }
	if (g->round < g->rounds && g->alive) {
		begin_round(g);
	} else {
		ev_break(g->bench->loop, EVBREAK_ALL);
	}
}

static void work(struct member *m)
{
	if (m->group->work(m)) {
		m->begun_us = now_us();
		m->step++;
		m->lines = 0;
		imap_flush(&m->imap);
		return;
	}
	m->phase = MEMBER_WAIT;
	m->group->waiting++;
	check_line(m->group);
}

static void member_next(struct imap *s)
{
	struct member *m = container_of(s, struct member, imap);
	switch (m->phase) {
	case MEMBER_LOGIN:
		m->phase = MEMBER_PREPARE;
		m->group->prepare(m);
		imap_flush(s);
		break;
	case MEMBER_PREPARE:
		m->phase = MEMBER_WAIT;
		m->group->waiting++;
		check_line(m->group);
		break;
	case MEMBER_WORK: work(m); break;
	case MEMBER_WAIT: break;
	}
}

static void member_line(struct imap *s, struct str line)
{
	struct member *m = container_of(s, struct member, imap);
	if (m->group->line && m->phase != MEMBER_LOGIN) { m->group->line(m, line); }
}

static void member_broken(struct imap *s)
{
	struct member *m = container_of(s, struct member, imap);
	m->group->alive--;
	if (m->phase == MEMBER_WAIT) { m->group->waiting--; }
	check_line(m->group);
}

void group_run(struct group *g, struct bench *b)
{
	g->bench = b;
	g->n = g->alive = b->opt.connections;
	g->members = xcalloc(g->n, sizeof *g->members);
	b->live = g->n;
	for (uint64_t i = 0; i < g->n; i++) {
		struct member *m = &g->members[i];
		m->group = g;
		m->index = i;
		m->imap.port = b->opt.port;
		m->imap.tls = b->opt.tls;
		m->imap.user = i;
		m->imap.next = member_next;
		m->imap.untagged = member_line;
		m->imap.broken = member_broken;
		imap_open(&m->imap, b);
	}
	bench_run(b);
	bench_stop(b);
	for (uint64_t i = 0; i < g->n; i++) {
		imap_fini(&g->members[i].imap);
		free(g->members[i].sizes);
	}
	free(g->members);
}
