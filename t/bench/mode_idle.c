/* Mode idle: one session in IDLE (RFC 2177) per user, messages sent by SMTP one at a time: how long
   after its 250 does a message show as EXISTS. News that comes before the 250 counts as 0. */
#include "t/bench/imap.h"
#include "t/bench/smtp.h"

#define PAUSE_S 0.02

struct listener {
	struct imap imap;
	struct news *all;
};

struct news {
	struct bench *bench;
	struct listener *listeners;
	struct smtp smtp;
	uint64_t listening; /* sessions in IDLE */
	uint64_t number;    /* of the message under way */
	enum { NEWS_ENVELOPE, NEWS_CONTENT, NEWS_SENT, NEWS_QUIT } phase;
	bool accepted, seen;
	int64_t accepted_us;
	uint64_t exists_before;
	ev_timer pause;
};

static struct listener *receiver(struct news *n)
{
	return &n->listeners[n->number % n->bench->opt.users];
}

static void finish(struct news *n)
{
	n->phase = NEWS_QUIT;
	smtp_command(&n->smtp, 221, "QUIT");
	smtp_flush(&n->smtp);
}

static void send_next(struct news *n)
{
	struct bench *b = n->bench;
	struct buf to = {0};
	if (n->number == b->opt.messages) {
		finish(n);
		return;
	}
	n->accepted = n->seen = false;
	n->exists_before = receiver(n)->imap.exists;
	bench_user(b, n->number, &to);
	smtp_command(&n->smtp, 250, "MAIL FROM:<%s>", b->opt.sender);
	smtp_command(&n->smtp, 250, "RCPT TO:<%s>", buf_cstr(&to));
	smtp_command(&n->smtp, 354, "DATA");
	n->phase = NEWS_CONTENT;
	smtp_flush(&n->smtp);
	buf_fini(&to);
}

static void on_pause(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events; /* one timer, one meaning */
	send_next(container_of(timer, struct news, pause));
}

/* Both the 250 and the EXISTS are there: account, and after a pause the next one. */
static void check_both(struct news *n, int64_t waited_us)
{
	if (!n->accepted || !n->seen) { return; }
	latency_add(&n->bench->latency, waited_us);
	n->bench->ops++;
	n->number++;
	ev_timer_set(&n->pause, PAUSE_S, 0.);
	ev_timer_start(n->bench->loop, &n->pause);
}

static void smtp_next(struct smtp *s)
{
	struct news *n = container_of(s, struct news, smtp);
	switch (n->phase) {
	case NEWS_ENVELOPE: send_next(n); break;
	case NEWS_CONTENT:
		message_render(&n->bench->message, n->number, &s->peer.out);
		buf_str(&s->peer.out, STR(".\r\n"));
		smtp_expect(s, 250);
		n->phase = NEWS_SENT;
		smtp_flush(s);
		break;
	case NEWS_SENT:
		n->accepted = true;
		n->accepted_us = now_us();
		check_both(n, 0);
		break;
	case NEWS_QUIT: peer_close(&s->peer); ev_break(n->bench->loop, EVBREAK_ALL);
	}
}

static void listener_line(struct imap *s, struct str line)
{
	struct listener *l = container_of(s, struct listener, imap);
	struct news *n = l->all;
	uint64_t exists;
	if (n->phase == NEWS_ENVELOPE || l != receiver(n) || n->seen ||
		!imap_numbered(line, STR("EXISTS"), &exists) || exists == n->exists_before) {
		return;
	}
	if (exists != n->exists_before + 1) {
		imap_fail(s, "more messages than were sent", line);
		return;
	}
	n->seen = true;
	check_both(n, n->accepted ? now_us() - n->accepted_us : 0);
}

/* Logged in. IDLE is never ended, so this is called once. */
static void listener_next(struct imap *s)
{
	imap_command(s, "SELECT INBOX");
	imap_command(s, "IDLE");
	imap_flush(s);
}

static void listener_plus(struct imap *s)
{
	struct news *n = container_of(s, struct listener, imap)->all;
	if (++n->listening < n->bench->opt.users) { return; }
	bench_start(n->bench);
	smtp_open(&n->smtp, n->bench);
}

static void listener_broken(struct imap *s)
{
	ev_break(s->bench->loop, EVBREAK_ALL);
}

static void sender_broken(struct smtp *s)
{
	ev_break(s->bench->loop, EVBREAK_ALL);
}

void mode_idle(struct bench *b)
{
	struct news n = {.bench = b};
	n.listeners = xcalloc(b->opt.users, sizeof *n.listeners);
	n.smtp.tls = TLS_NONE;
	n.smtp.port = b->opt.smtp_port;
	n.smtp.next = smtp_next;
	n.smtp.broken = sender_broken;
	n.smtp.peer.fd = -1;
	ev_timer_init(&n.pause, on_pause, 0., 0.);
	b->live = b->opt.users;
	for (uint64_t i = 0; i < b->opt.users; i++) {
		struct listener *l = &n.listeners[i];
		l->all = &n;
		l->imap.port = b->opt.port;
		l->imap.tls = b->opt.tls;
		l->imap.user = i;
		l->imap.next = listener_next;
		l->imap.untagged = listener_line;
		l->imap.plus = listener_plus;
		l->imap.broken = listener_broken;
		imap_open(&l->imap, b);
	}
	bench_run(b);
	bench_stop(b);
	ev_timer_stop(b->loop, &n.pause);
	for (uint64_t i = 0; i < b->opt.users; i++) { imap_fini(&n.listeners[i].imap); }
	smtp_fini(&n.smtp);
	free(n.listeners);
}
