/* Modes smtp, submission and lmtp: messages in, until the last 250, and with --imap-port until all
   of them are seen in their mailboxes. */
#include <stdio.h>

#include "t/bench/smtp.h"
#include "t/bench/watch.h"

struct sender {
	struct buf from; /* author of its message */
	struct smtp smtp;
	struct delivery *all;
	enum {
		SENDER_START,
		SENDER_RCPT,
		SENDER_DATA,
		SENDER_CONTENT,
		SENDER_SENT,
		SENDER_QUIT
	} phase;
	uint64_t number;    /* of the message under way */
	uint64_t rcpts;     /* of it, sent so far */
	uint64_t delivered; /* messages of this connection */
	int64_t begun_us;
};

struct delivery {
	struct bench *bench;
	struct sender *senders;
	uint64_t next;   /* number of the next message */
	uint64_t *added; /* per user: messages that must arrive */
};

static void sender_leave(struct sender *s)
{
	peer_close(&s->smtp.peer);
	bench_leave(s->all->bench);
}

static void sender_broken(struct smtp *smtp)
{
	bench_leave(smtp->bench);
}

static void add_rcpt(struct sender *s)
{
	struct bench *b = s->all->bench;
	struct buf address = {0};
	uint64_t user = (s->number * b->opt.recipients + s->rcpts) % b->opt.users;
	bench_user(b, user, &address);
	smtp_command(&s->smtp, 250, "RCPT TO:<%s>", buf_cstr(&address));
	buf_fini(&address);
	s->rcpts++;
}

static void add_mail(struct sender *s)
{
	struct bench *b = s->all->bench;
	struct buf from = {0};
	if (s->smtp.login) {
		bench_user(b, 0, &from);
	} else {
		buf_str(&from, str_of(b->opt.sender));
	}
	smtp_command(&s->smtp, 250, "MAIL FROM:<%s>", buf_cstr(&from));
	buf_fini(&s->from);
	s->from = from;
}

/* The next message, or QUIT when there is none or the connection has had its share. */
static void begin(struct sender *s)
{
	struct bench *b = s->all->bench;
	uint64_t share = b->opt.per_connection;
	if (s->all->next == b->opt.messages || (share && s->delivered == share)) {
		smtp_command(&s->smtp, 221, "QUIT");
		s->phase = SENDER_QUIT;
		return;
	}
	s->number = s->all->next++;
	s->rcpts = 0;
	s->begun_us = now_us();
	add_mail(s);
	if (b->opt.no_pipelining) {
		s->phase = SENDER_RCPT;
		return;
	}
	while (s->rcpts < b->opt.recipients) { add_rcpt(s); }
	smtp_command(&s->smtp, 354, "DATA");
	s->phase = SENDER_CONTENT;
}

static void add_content(struct sender *s)
{
	struct bench *b = s->all->bench;
	size_t before = s->smtp.peer.out.n;
	message_author(&b->message, buf_view(&s->from));
	message_render(&b->message, s->number, &s->smtp.peer.out);
	b->bytes += s->smtp.peer.out.n - before;
	buf_str(&s->smtp.peer.out, STR(".\r\n"));
	uint64_t replies = s->smtp.lmtp ? b->opt.recipients : 1;
	while (replies--) { smtp_expect(&s->smtp, 250); }
}

static void account(struct sender *s)
{
	struct bench *b = s->all->bench;
	latency_add(&b->latency, now_us() - s->begun_us);
	b->ops++;
	s->delivered++;
	for (uint64_t r = 0; r < b->opt.recipients; r++) {
		s->all->added[(s->number * b->opt.recipients + r) % b->opt.users]++;
	}
}

static void sender_open(struct sender *s)
{
	s->phase = SENDER_START;
	s->delivered = 0;
	smtp_open(&s->smtp, s->all->bench);
}

static void sender_next(struct smtp *smtp)
{
	struct sender *s = container_of(smtp, struct sender, smtp);
	struct delivery *all = s->all;
	switch (s->phase) {
	case SENDER_SENT: account(s); /* fall through */
	case SENDER_START: begin(s); break;
	case SENDER_RCPT:
		add_rcpt(s);
		if (s->rcpts == all->bench->opt.recipients) { s->phase = SENDER_DATA; }
		break;
	case SENDER_DATA:
		smtp_command(smtp, 354, "DATA");
		s->phase = SENDER_CONTENT;
		break;
	case SENDER_CONTENT:
		add_content(s);
		s->phase = SENDER_SENT;
		break;
	case SENDER_QUIT:
		peer_close(&smtp->peer);
		if (all->next < all->bench->opt.messages) {
			sender_open(s);
		} else {
			sender_leave(s);
		}
		return;
	}
	smtp_flush(smtp);
}

static void send_all(struct delivery *all, bool lmtp, bool login)
{
	struct bench *b = all->bench;
	b->live = b->opt.connections;
	for (uint64_t i = 0; i < b->opt.connections; i++) {
		struct sender *s = &all->senders[i];
		s->all = all;
		s->smtp.next = sender_next;
		s->smtp.broken = sender_broken;
		s->smtp.lmtp = lmtp;
		s->smtp.login = login;
		s->smtp.tls = b->opt.tls;
		s->smtp.port = b->opt.port;
		sender_open(s);
	}
	bench_run(b);
}

static void deliver(struct bench *b, bool lmtp, bool login)
{
	struct delivery all = {.bench = b};
	struct watch *watch = b->opt.imap_port ? watch_new(b) : NULL;
	all.senders = xcalloc(b->opt.connections, sizeof *all.senders);
	all.added = xcalloc(b->opt.users, sizeof *all.added);
	bench_start(b);
	send_all(&all, lmtp, login);
	double accepted_s = (double)(now_us() - b->start_us) / 1e6;
	bench_extra(b, "accepted_s", accepted_s);
	bench_extra(b, "accepted_rate", (double)b->ops / accepted_s);
	if (watch && b->errors == 0) { watch_wait(watch, all.added); }
	bench_stop(b);
	bench_extra(b, "mailboxes_rate",
		(double)(b->ops * b->opt.recipients) / ((double)(b->end_us - b->start_us) / 1e6));
	watch_free(watch);
	for (uint64_t i = 0; i < b->opt.connections; i++) {
		smtp_fini(&all.senders[i].smtp);
		buf_fini(&all.senders[i].from);
	}
	free(all.senders);
	free(all.added);
}

void mode_message(struct bench *b)
{
	struct buf out = {0};
	message_author(&b->message, str_of(b->opt.sender));
	message_render(&b->message, 0, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
}

void mode_smtp(struct bench *b)
{
	deliver(b, false, false);
}

void mode_submission(struct bench *b)
{
	deliver(b, false, true);
}

void mode_lmtp(struct bench *b)
{
	deliver(b, true, false);
}
