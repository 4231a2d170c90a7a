/* Mode login: connect (with a full TLS handshake), LOGIN, LOGOUT, over and over. */
#include "t/bench/imap.h"

struct visitor {
	struct imap imap;
	struct visits *all;
	bool leaving;
	int64_t begun_us;
};

struct visits {
	struct bench *bench;
	uint64_t next;
};

static void visit(struct visitor *v)
{
	struct bench *b = v->all->bench;
	if (v->all->next == b->opt.ops) {
		bench_leave(b);
		return;
	}
	v->imap.user = v->all->next++;
	v->leaving = false;
	v->begun_us = now_us();
	imap_open(&v->imap, b);
}

static void visitor_next(struct imap *s)
{
	struct visitor *v = container_of(s, struct visitor, imap);
	if (!v->leaving) {
		v->leaving = true;
		imap_command(s, "LOGOUT");
		imap_flush(s);
		return;
	}
	latency_add(&s->bench->latency, now_us() - v->begun_us);
	s->bench->ops++;
	peer_close(&s->peer);
	visit(v);
}

static void visitor_broken(struct imap *s)
{
	bench_leave(s->bench);
}

void mode_login(struct bench *b)
{
	struct visits all = {.bench = b};
	struct visitor *visitors = xcalloc(b->opt.connections, sizeof *visitors);
	b->live = b->opt.connections;
	bench_start(b);
	for (uint64_t i = 0; i < b->opt.connections; i++) {
		struct visitor *v = &visitors[i];
		v->all = &all;
		v->imap.port = b->opt.port;
		v->imap.tls = b->opt.tls;
		v->imap.next = visitor_next;
		v->imap.broken = visitor_broken;
		visit(v);
	}
	bench_run(b);
	bench_stop(b);
	for (uint64_t i = 0; i < b->opt.connections; i++) { imap_fini(&visitors[i].imap); }
	free(visitors);
}
