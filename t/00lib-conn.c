/* lib: connections over a socket pair: lines, limits, back-pressure, deadlines, TLS, closing. */
#include "t/tap.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/conn.h"
#include "lib/fault.h"
#include "lib/tls_private.h"

enum { BIG = 3 * 1024 * 1024 };

/* A server task that logs what happens into `log`; the test holds the other end. */
struct side {
	struct task task;
	struct buf log;
	struct buf got; /* octets read */
	size_t sent;
	int ended;
	size_t line_max;
	enum step then;
	struct tls_ctx *tls;
	struct str sni;
};

static struct loop *l;
static struct str cert, key, ca;
static char big[BIG];

static void settle(void)
{
	for (int i = 0; i < 100000 && loop_turn(l); i++) {}
}

static void on_ended(struct task *t)
{
	task_of(t, struct side, task)->ended++;
}

static void side_start(struct side *s, int fd, bool server, enum step (*step)(struct task *))
{
	*s = (struct side){.line_max = 20, .then = STEP_DONE};
	task_start(l, &s->task, conn_new(l, fd, server), step, on_ended);
}

static void side_fini(struct side *s)
{
	if (!s->ended) {
		task_kill(&s->task);
		settle();
	}
	CHECK_INT(s->ended, 1);
	buf_fini(&s->log);
	buf_fini(&s->got);
	tls_put(s->tls);
}

/* One end is a task's, the other a plain descriptor. */
static int setup(struct side *s, enum step (*step)(struct task *))
{
	int fd[2];
	l = loop_new_fake(0);
	CHECK_INT(net_pair(fd), 0);
	side_start(s, fd[0], true, step);
	return fd[1];
}

static void teardown(struct side *s, int fd)
{
	side_fini(s);
	if (fd >= 0) { close(fd); }
	loop_free(l);
}

static void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	settle();
}

/* All that can be read now; "<end>" at the end of file. */
static struct str hear(int fd)
{
	static char text[70000];
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(fd, text + n, sizeof text - n - 5, MSG_DONTWAIT);
		if (got < 0) { return str_make(text, n); }
		if (got == 0) { break; }
		n += (size_t)got;
	}
	memcpy(text + n, "<end>", 5);
	return str_make(text, n + 5);
}

/* --- lines --- */

static enum step log_lines(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	struct str line;
	int rc;
	while ((rc = conn_line(t->conn, s->line_max, &line)) > 0) {
		buf_fmt(&s->log, "[%.*s]", STR_ARG(line));
		conn_fmt(t->conn, "%zu\r\n", line.n);
	}
	if (rc < 0) {
		buf_str(&s->log, str_of(err_name(rc)));
		conn_put(t->conn, STR("bye\r\n"));
		return STEP_CLOSE;
	}
	switch (conn_status(t->conn)) {
	case CONN_OPEN: return STEP_IN;
	case CONN_EOF: buf_str(&s->log, STR("eof")); break;
	case CONN_FAILED: buf_str(&s->log, STR("failed")); break;
	case CONN_TIMEOUT: buf_str(&s->log, STR("timeout")); break;
	}
	conn_put(t->conn, STR("bye\r\n"));
	return STEP_CLOSE;
}

static void test_lines(void)
{
	struct side s;
	int fd = setup(&s, log_lines);
	settle();
	say(fd, "one\r\ntwo\r\nthr");
	CHECK_STR(buf_view(&s.log), STR("[one][two]"));
	CHECK_STR(hear(fd), STR("3\r\n3\r\n"));
	say(fd, "ee\r");
	say(fd, "\n\r\n");
	CHECK_STR(buf_view(&s.log), STR("[one][two][three][]"));
	CHECK_STR(hear(fd), STR("5\r\n0\r\n"));
	say(fd, "last\r\nhalf");
	shutdown(fd, SHUT_WR);
	settle();
	CHECK_STR(buf_view(&s.log), STR("[one][two][three][][last]eof"));
	CHECK_STR(hear(fd), STR("4\r\nbye\r\n<end>"));
	CHECK_INT(s.ended, 1);
	teardown(&s, fd);
}

static const struct {
	const char *in, *log;
} strict[] = {
	{"a\nb\r\n", "syntax"},
	{"\n", "syntax"},
	{"ok\r\nbad\n", "[ok]syntax"},
	{"12345678901234567890\r\n", "[12345678901234567890]"},
	{"123456789012345678901\r\n", "limit"},
	{"1234567890123456789012", "limit"},
	{"123456789012345678901",
		""}, /* may still become ...\r\n? No: but not known to be too long */
	{"a\rb\r\n", "[a\rb]"},
	{"a\r\r\n", "[a\r]"},
};

static void test_strict_lines(void)
{
	for (size_t i = 0; i < COUNT(strict); i++) {
		struct side s;
		int fd = setup(&s, log_lines);
		say(fd, strict[i].in);
		if (!str_eq(buf_view(&s.log), str_of(strict[i].log))) {
			tap_fail(
				__FILE__, __LINE__, "case %zu: %.*s", i, STR_ARG(buf_view(&s.log)));
		}
		teardown(&s, fd);
	}
	for (size_t cut = 1; cut < 12; cut++) { /* the cut of packets makes no difference */
		struct side s;
		char one[13] = "ab\r\n\r\ncdef\r\n", two[13];
		int fd = setup(&s, log_lines);
		memcpy(two, one + cut, sizeof one - cut);
		one[cut] = '\0';
		say(fd, one);
		say(fd, two);
		CHECK_STR(buf_view(&s.log), STR("[ab][][cdef]"));
		teardown(&s, fd);
	}
}

/* --- ends --- */

static void test_gone_peer(void)
{
	struct side s;
	int fd = setup(&s, log_lines);
	settle();
	close(fd);
	settle();
	CHECK_STR(buf_view(&s.log), STR("eof"));
	CHECK_INT(s.ended, 1);
	teardown(&s, -1);
}

static enum step ignore_end(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	buf_chr(&s->log, '.');
	return STEP_IN;
}

static void test_ignored_end(void)
{
	struct side s;
	int fd = setup(&s, ignore_end);
	settle();
	close(fd);
	settle();
	CHECK_INT(s.ended, 1); /* asked again after the end was told: ended, not spinning */
	CHECK_STR(buf_view(&s.log), STR(".."));
	teardown(&s, -1);
}

static enum step close_big(struct task *t)
{
	conn_put(t->conn, str_make(big, BIG));
	return STEP_CLOSE;
}

static size_t drain(int fd, bool *end_out)
{
	static char sink[100000];
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(fd, sink, sizeof sink, MSG_DONTWAIT);
		*end_out = got == 0;
		if (got <= 0) { return n; }
		n += (size_t)got;
		settle();
	}
}

static void test_close_with_output(void)
{
	struct side s;
	bool end;
	int fd = setup(&s, close_big);
	settle();
	CHECK_INT(s.ended, 1); /* the owner is free; the output goes on by itself */
	CHECK_INT(drain(fd, &end), BIG);
	CHECK(end);
	close(fd);
	teardown(&s, -1);
}

static void test_close_peer_never_reads(void)
{
	struct side s;
	int fd = setup(&s, close_big);
	settle();
	loop_advance(l, 11 * SECOND_US); /* given up */
	bool end;
	CHECK(drain(fd, &end) < BIG);
	CHECK(end);
	teardown(&s, fd);
}

/* --- back-pressure --- */

static enum step put_until_full(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	while (s->sent < BIG) {
		if (conn_out_full(t->conn)) { return STEP_OUT; }
		conn_put(t->conn, str_make(big + s->sent, 1024));
		s->sent += 1024;
	}
	if (conn_status(t->conn) == CONN_TIMEOUT) {
		buf_str(&s->log, STR("timeout"));
		return STEP_DONE;
	}
	return STEP_CLOSE;
}

static enum step send_until_full(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	if (s->sent == 0) {
		conn_put(t->conn, str_make(big, 100));
		s->sent = 100;
	}
	while (s->sent < BIG) {
		size_t want = MIN((size_t)50000, BIG - s->sent);
		size_t n = conn_send(t->conn, str_make(big + s->sent, want));
		s->sent += n;
		if (n < want) { return STEP_OUT; }
	}
	return STEP_CLOSE;
}

/* A little output before every piece: what blocks is now this, now that. */
static enum step send_behind_output(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	if (s->line_max++ > 100000) { return STEP_DONE; } /* woken for nothing */
	while (s->sent < BIG) {
		size_t at = s->sent % 4096;
		if (at == 0) {
			conn_put(t->conn, str_make(big + s->sent, 2048));
			s->sent += 2048;
			at = 2048;
		}
		size_t n = conn_send(t->conn, str_make(big + s->sent, 4096 - at));
		s->sent += n;
		if (n < 4096 - at) { return STEP_OUT; }
	}
	return STEP_CLOSE;
}

static void big_compare(int fd)
{
	static char in[BIG + 1];
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(fd, in + n, MIN(sizeof in - n, 30000), MSG_DONTWAIT);
		if (got <= 0) { break; }
		n += (size_t)got;
		settle();
	}
	CHECK_INT(n, BIG);
	CHECK(memcmp(in, big, BIG) == 0);
}

static void test_back_pressure(void)
{
	struct side s;
	int fd = setup(&s, put_until_full);
	settle();
	CHECK(s.sent > 0 && s.sent < BIG / 2);
	CHECK(conn_out_len(s.task.conn) <= CONN_OUT_HIGH + 1024);
	big_compare(fd);
	teardown(&s, fd);
	fd = setup(&s, send_until_full);
	settle();
	CHECK(s.sent > 0 && s.sent < BIG / 2);
	CHECK_INT(conn_out_len(s.task.conn), 0);
	big_compare(fd);
	teardown(&s, fd);
	fd = setup(&s, send_behind_output);
	settle();
	CHECK(s.sent > 0 && s.sent < BIG / 2);
	big_compare(fd);
	CHECK(s.line_max < 10000);
	teardown(&s, fd);
}

static void test_reset_while_sending(void)
{
	struct side s;
	int fd = setup(&s, send_until_full);
	settle();
	close(fd);
	settle();
	CHECK_INT(s.ended, 1);
	teardown(&s, -1);
	fd = setup(&s, put_until_full);
	settle();
	close(fd);
	settle();
	CHECK_INT(s.ended, 1);
	teardown(&s, -1);
}

/* Sends until the peer takes no more, then hears it out. */
static enum step send_then_hear(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	while (conn_read_now(t->conn)) {
		buf_str(&s->log, conn_in(t->conn));
		conn_eat(t->conn, conn_in(t->conn).n);
	}
	if (conn_status(t->conn) != CONN_OPEN) { return STEP_DONE; }
	while (!conn_out_full(t->conn)) { conn_put(t->conn, str_make(big, 4096)); }
	return STEP_OUT;
}

/* What a peer said before it closed is there though nothing can be sent to it any more. */
static void test_last_words(void)
{
	struct side s;
	int fd = setup(&s, send_then_hear);
	settle();
	CHECK_INT(s.log.n, 0);
	say(fd, "552 too");
	say(fd, " big\r\n");
	close(fd);
	settle();
	CHECK_INT(s.ended, 1);
	CHECK_STR(buf_view(&s.log), STR("552 too big\r\n"));
	teardown(&s, -1);
}

static void test_input_waits(void)
{
	struct side s;
	int fd = setup(&s, put_until_full);
	ssize_t n, total = 0;
	settle(); /* the task does not ask for input: what we write stays in the kernel */
	while ((n = send(fd, big, 4096, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
		total += n;
		settle();
	}
	CHECK(n < 0 && errno == EAGAIN);
	CHECK(total < BIG);
	CHECK_INT(conn_in(s.task.conn).n, 0);
	teardown(&s, fd);
}

/* --- deadlines --- */

static enum step lines_in_time(struct task *t)
{
	conn_deadline(t->conn, 5 * SECOND_US);
	t->step = log_lines;
	return STEP_MORE;
}

static void test_deadline_in(void)
{
	struct side s;
	int fd = setup(&s, lines_in_time);
	settle();
	loop_advance(l, 4 * SECOND_US);
	say(fd, "x\r\n");
	CHECK_STR(buf_view(&s.log), STR("[x]"));
	loop_advance(l, SECOND_US);
	CHECK_STR(buf_view(&s.log), STR("[x]timeout"));
	CHECK_STR(hear(fd), STR("1\r\nbye\r\n<end>")); /* the last words arrive */
	teardown(&s, fd);
}

static enum step put_in_time(struct task *t)
{
	conn_deadline(t->conn, 5 * SECOND_US);
	t->step = put_until_full;
	return STEP_MORE;
}

static void test_deadline_out(void)
{
	struct side s;
	int fd = setup(&s, put_in_time);
	settle();
	CHECK(s.sent < BIG);
	loop_advance(l, 5 * SECOND_US);
	CHECK_STR(buf_view(&s.log), STR("timeout"));
	CHECK_INT(s.ended, 1);
	teardown(&s, fd);
}

static enum step busy_past(struct task *t)
{
	conn_deadline(t->conn, 5 * SECOND_US);
	task_sleep(t, 8 * SECOND_US);
	t->step = log_lines;
	return STEP_WAIT;
}

static enum step busy_then_new(struct task *t)
{
	conn_deadline(t->conn, 5 * SECOND_US);
	t->step = log_lines;
	return STEP_MORE;
}

static enum step busy_past_renewed(struct task *t)
{
	enum step want = busy_past(t);
	t->step = busy_then_new;
	return want;
}

static void test_deadline_busy(void)
{
	struct side s;
	int fd = setup(&s, busy_past);
	settle();
	loop_advance(l, 6 * SECOND_US);
	CHECK_STR(buf_view(&s.log), STR(""));
	loop_advance(l, 3 * SECOND_US);
	CHECK_STR(buf_view(&s.log), STR("timeout"));
	teardown(&s, fd);
	fd = setup(&s, busy_past_renewed);
	settle();
	loop_advance(l, 9 * SECOND_US);
	CHECK_STR(buf_view(&s.log), STR(""));
	loop_advance(l, 4 * SECOND_US);
	CHECK_STR(buf_view(&s.log), STR("timeout"));
	teardown(&s, fd);
}

static enum step waits_for_role(struct task *t)
{
	task_sleep(t, SECOND_US);
	t->step = log_lines;
	return STEP_WAIT;
}

static enum step input_then_role(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	if (conn_in(t->conn).n == 0) { return STEP_IN; }
	buf_chr(&s->log, '!');
	return waits_for_role(t);
}

static void test_end_while_busy(void)
{
	struct side s;
	int fd = setup(&s, input_then_role);
	say(fd, "a\r\n");
	say(fd, "b\r\n");
	shutdown(fd, SHUT_WR);
	settle();
	CHECK_STR(buf_view(&s.log), STR("!"));
	loop_advance(l, SECOND_US); /* everything is told in order when it waits again */
	CHECK_STR(buf_view(&s.log), STR("![a][b]eof"));
	CHECK_STR(hear(fd), STR("1\r\n1\r\nbye\r\n<end>"));
	teardown(&s, fd);
}

/* --- TLS --- */

static struct tls_ctx *server_ctx(void)
{
	struct err e = {0};
	struct tls_ctx *c = tls_server_new(cert, key, &e);
	if (!c) { tap_fail(__FILE__, __LINE__, "%s", e.text); }
	return c;
}

static const char *want_version = "TLSv1.3";

static enum step tls_done(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	if (t->rc < 0) {
		buf_fmt(&s->log, "%s;", err_name(t->rc));
		return STEP_DONE;
	}
	CHECK(conn_is_tls(t->conn));
	CHECK_STR(conn_tls_version(t->conn), str_of(want_version));
	buf_fmt(&s->log, "%s;", conn_tls_verified(t->conn) ? "verified" : "tls");
	if (s->then == STEP_IN) {
		t->step = log_lines;
	} else if (s->then == STEP_OUT) {
		t->step = send_until_full;
	} else {
		conn_put(t->conn, STR("hello\r\nyou\r\n"));
		return STEP_CLOSE;
	}
	return STEP_MORE;
}

static enum step tls_begin(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	int rc = conn_start_tls(t->conn, t, s->tls, s->sni);
	if (rc < 0) {
		buf_fmt(&s->log, "refused %s;", err_name(rc));
		return STEP_CLOSE;
	}
	t->step = tls_done;
	return STEP_WAIT;
}

static enum step starttls(struct task *t)
{
	struct str line;
	if (conn_line(t->conn, 100, &line) == 0) { return STEP_IN; }
	conn_put(t->conn, STR("go\r\n"));
	t->step = tls_begin;
	return STEP_MORE;
}

static void pair_start(
	struct side *server, struct side *client, struct tls_ctx *client_ctx, const char *sni)
{
	int fd[2];
	l = loop_new_fake(0);
	CHECK_INT(net_pair(fd), 0);
	side_start(server, fd[0], true, tls_begin);
	side_start(client, fd[1], false, tls_begin);
	server->tls = server_ctx();
	client->tls = client_ctx;
	client->sni = str_of(sni);
}

static void pair_end(struct side *server, struct side *client)
{
	side_fini(server);
	side_fini(client);
	loop_free(l);
}

static void test_tls(void)
{
	static const struct {
		const char *sni, *client;
		bool verify;
	} cases[] = {
		{"mail.example", "verified;[hello][you]eof", true},
		{"127.0.0.1", "verified;[hello][you]eof", true},
		{"other.example", "tls;", true}, /* ERR_TLS is named "tls", too */
		{"mail.example", "tls;[hello][you]eof", false},
		{"other.example", "tls;[hello][you]eof", false},
		{"", "tls;[hello][you]eof", false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct side server, client;
		struct err e;
		pair_start(&server, &client,
			tls_client_new(cases[i].verify ? TLS_VERIFY : TLS_OPPORTUNISTIC, ca, &e),
			cases[i].sni);
		client.then = STEP_IN;
		settle();
		CHECK_STR(buf_view(&client.log), str_of(cases[i].client));
		CHECK_INT(server.ended, 1);
		pair_end(&server, &client);
	}
}

static enum step collect(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	struct str in = conn_in(t->conn);
	buf_str(&s->got, in);
	conn_eat(t->conn, in.n);
	return conn_status(t->conn) == CONN_OPEN ? STEP_IN : STEP_DONE;
}

static enum step collect_begin(struct task *t)
{
	CHECK_INT(t->rc, 0);
	t->step = collect;
	return STEP_MORE;
}

static enum step tls_collect(struct task *t)
{
	enum step want = tls_begin(t);
	t->step = collect_begin;
	return want;
}

static void test_tls_big(void)
{
	for (int way = 0; way < 2; way++) {
		struct side server, client;
		struct err e;
		pair_start(&server, &client, tls_client_new(TLS_OPPORTUNISTIC, STR(""), &e), "");
		client.task.step = tls_collect;
		server.then = way ? STEP_OUT : STEP_DONE;
		if (!way) { server.task.step = tls_begin; }
		settle();
		if (way) {
			CHECK_INT(client.got.n, BIG);
			CHECK(client.got.n == BIG && memcmp(client.got.p, big, BIG) == 0);
		} else {
			CHECK_STR(buf_view(&client.got), STR("hello\r\nyou\r\n"));
		}
		pair_end(&server, &client);
	}
}

static void test_starttls_injection(void)
{
	struct side s;
	int fd = setup(&s, starttls);
	s.tls = server_ctx();
	say(fd, "STARTTLS\r\nEHLO x\r\n");
	CHECK_STR(buf_view(&s.log), STR("refused syntax;"));
	CHECK_STR(hear(fd), STR("go\r\n<end>"));
	teardown(&s, fd);
}

static void test_handshake_trouble(void)
{
	struct side s;
	int fd = setup(&s, starttls); /* silence */
	s.tls = server_ctx();
	say(fd, "STARTTLS\r\n");
	CHECK_STR(hear(fd), STR("go\r\n"));
	loop_advance(l, 16 * SECOND_US);
	CHECK_STR(buf_view(&s.log), STR("timeout;"));
	teardown(&s, fd);
	fd = setup(&s, starttls); /* rubbish */
	s.tls = server_ctx();
	say(fd, "STARTTLS\r\n");
	say(fd, "GET / HTTP/1.0\r\n\r\n");
	CHECK_STR(buf_view(&s.log), STR("tls;"));
	teardown(&s, fd);
	fd = setup(&s, starttls); /* hang up */
	s.tls = server_ctx();
	say(fd, "STARTTLS\r\n");
	CHECK_STR(hear(fd), STR("go\r\n"));
	close(fd);
	settle();
	CHECK_STR(buf_view(&s.log), STR("closed;"));
	teardown(&s, -1);
}

/* A peer that ends the TCP stream without close_notify has ended, not failed. */
static enum step tls_bare_end(struct task *t)
{
	CHECK_INT(t->rc, 0);
	conn_put(t->conn, STR("x\r\n"));
	return STEP_DONE; /* conn_free: no goodbye */
}

static enum step tls_bare_begin(struct task *t)
{
	enum step want = tls_begin(t);
	t->step = tls_bare_end;
	return want;
}

static void test_tls_bare_end(void)
{
	struct side server, client;
	struct err e;
	pair_start(&server, &client, tls_client_new(TLS_OPPORTUNISTIC, STR(""), &e), "");
	server.then = STEP_IN;
	client.task.step = tls_bare_begin;
	settle();
	CHECK_STR(buf_view(&server.log), STR("tls;eof"));
	pair_end(&server, &client);
}

static void test_tls_contexts(void)
{
	struct err e = {0};
	CHECK(!tls_server_new(STR(""), STR(""), &e));
	CHECK(e.text[0]);
	CHECK(!tls_server_new(STR("nonsense"), key, &e));
	CHECK(!tls_server_new((struct str){0}, (struct str){0}, &e));
	struct buf ca2 = {0}, cert2 = {0}, key2 = {0};
	CHECK_INT(tls_make_certificate(&STR("a.example"), 1, &ca2, &cert2, &key2, &e), 0);
	CHECK(!tls_server_new(cert, buf_view(&key2), &e));
	CHECK(str_find(str_of(e.text), STR("does not belong")) >= 0);
	CHECK(!tls_client_new(TLS_VERIFY, STR("nonsense"), &e));
	struct tls_ctx *a = server_ctx(), *b = server_ctx();
	tls_share_tickets(b, a);
	tls_put(tls_get(a));
	tls_put(a);
	tls_put(b);
	tls_put(NULL);
	struct side server, client; /* signed by another CA */
	pair_start(
		&server, &client, tls_client_new(TLS_VERIFY, buf_view(&ca2), &e), "mail.example");
	settle();
	CHECK_STR(buf_view(&client.log), STR("tls;"));
	CHECK_STR(buf_view(&server.log), STR("tls;"));
	pair_end(&server, &client);
	buf_fini(&ca2);
	buf_fini(&cert2);
	buf_fini(&key2);
}

/* Two ends that talk in turns, in pieces of any size, some copied and some borrowed: every octet
   arrives once and in order. */
enum { TURNS = 60 };

struct talker {
	struct task task;
	struct tls_ctx *tls; /* NULL: raw */
	uint32_t random;     /* sizes of pieces */
	uint32_t *turn_len;  /* both ends know how much each turn has */
	unsigned turn, first, ended;
	size_t sent, received;
	size_t owed; /* the rest of an incomplete conn_send: nothing else may come between */
};

static size_t piece(struct talker *k, size_t most)
{
	static const size_t scale[] = {1, 10, 1000, 16384, 16385, 70000};
	k->random = k->random * 1664525 + 1013904223;
	return MIN(most, 1 + (k->random >> 8) % scale[(k->random >> 4) % COUNT(scale)]);
}

static enum step speak(struct talker *k)
{
	struct conn *c = k->task.conn;
	size_t len = k->turn_len[k->turn];
	while (k->sent < len) {
		if (conn_out_full(c)) { return STEP_OUT; }
		size_t n = k->owed ? k->owed : piece(k, len - k->sent);
		struct str s = str_make(big + k->turn * 1000 + k->sent, n);
		if (!k->owed && (k->random & 1)) {
			conn_put(c, s);
			k->sent += n;
			continue;
		}
		size_t took = conn_send(c, s);
		k->sent += took;
		k->owed = n - took;
		if (k->owed) { return STEP_OUT; }
	}
	k->sent = 0;
	k->turn++;
	return STEP_MORE;
}

static enum step listen_to(struct talker *k)
{
	struct str in = conn_in(k->task.conn);
	size_t want = k->turn_len[k->turn] - k->received;
	CHECK(in.n <= want);
	size_t n = piece(k, MIN(in.n, want));
	CHECK(n == 0 || memcmp(in.p, big + k->turn * 1000 + k->received, n) == 0);
	conn_eat(k->task.conn, n);
	k->received += n;
	if (k->received < k->turn_len[k->turn]) { return in.n > n ? STEP_MORE : STEP_IN; }
	k->received = 0;
	k->turn++;
	return STEP_MORE;
}

static enum step talk(struct task *t)
{
	struct talker *k = task_of(t, struct talker, task);
	if (conn_status(t->conn) != CONN_OPEN && k->turn < TURNS) { return STEP_DONE; }
	if (k->turn == TURNS) { return STEP_CLOSE; }
	return k->turn % 2 == k->first ? speak(k) : listen_to(k);
}

static enum step talk_begin(struct task *t)
{
	struct talker *k = task_of(t, struct talker, task);
	t->step = talk;
	if (!k->tls) { return STEP_MORE; }
	CHECK_INT(conn_start_tls(t->conn, t, k->tls, STR("")), 0);
	return STEP_WAIT;
}

static void on_talker_ended(struct task *t)
{
	task_of(t, struct talker, task)->ended++;
}

static void talk_round(uint32_t seed, bool tls)
{
	static uint32_t lens[TURNS];
	struct talker k[2];
	struct err e;
	int fd[2], small = 4096;
	l = loop_new_fake(0);
	CHECK_INT(net_pair(fd), 0);
	uint32_t x = seed;
	for (int i = 0; i < TURNS; i++) {
		x = x * 1664525 + 1013904223;
		lens[i] = 1 + (x >> 8) % (i % 5 == 0 ? 400000 : 3000);
	}
	for (unsigned i = 0; i < 2; i++) {
		setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
		k[i] = (struct talker){.random = seed + i, .turn_len = lens, .first = i};
		if (tls) {
			k[i].tls =
				i ? tls_client_new(TLS_OPPORTUNISTIC, STR(""), &e) : server_ctx();
		}
		task_start(l, &k[i].task, conn_new(l, fd[i], i == 0), talk_begin, on_talker_ended);
	}
	settle();
	for (unsigned i = 0; i < 2; i++) {
		CHECK_INT(k[i].turn, TURNS);
		CHECK_INT(k[i].ended, 1);
		tls_put(k[i].tls);
	}
	loop_free(l);
}

static void test_talk(void)
{
	for (uint32_t seed = 1; seed <= 6; seed++) {
		talk_round(seed, false);
		talk_round(seed, true);
	}
}

/* A client of OpenSSL's own that resumes: true when the server took its ticket. */
static bool resumes(struct tls_ctx *server, SSL_CTX *client_ctx, SSL_SESSION **session)
{
	struct side s;
	char text[100];
	int fd = setup(&s, tls_begin);
	s.tls = tls_get(server);
	SSL *ssl = SSL_new(client_ctx);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	if (*session) { CHECK_INT(SSL_set_session(ssl, *session), 1); }
	int got = -1;
	for (int i = 0; i < 100 && got <= 0; i++) {
		got = SSL_read(ssl, text, sizeof text); /* handshakes, takes tickets */
		settle();
	}
	CHECK(got > 0);
	bool reused = SSL_session_reused(ssl);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(ssl);
	SSL_shutdown(ssl);
	SSL_free(ssl);
	settle();
	teardown(&s, fd);
	return reused;
}

static void test_tls_tickets(void)
{
	struct tls_ctx *a = server_ctx(), *reloaded = server_ctx(), *stranger = server_ctx();
	tls_share_tickets(reloaded, a);
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_SESSION *session = NULL;
		SSL_CTX_set_min_proto_version(client, version);
		SSL_CTX_set_max_proto_version(client, version);
		want_version = version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3";
		CHECK(!resumes(a, client, &session));
		CHECK(resumes(a, client, &session));
		CHECK(resumes(reloaded, client, &session));
		CHECK(!resumes(stranger, client, &session));
		SSL_SESSION_free(session);
	}
	want_version = "TLSv1.3";
	SSL_CTX_free(client);
	tls_put(a);
	tls_put(reloaded);
	tls_put(stranger);
}

/* --- connecting and accepting --- */

static struct side accepted;

static void on_fresh(struct listener *ln, struct conn *c)
{
	(void)ln; /* there is one */
	CHECK(net_addr_is_loopback(conn_peer(c)));
	accepted = (struct side){.line_max = 20};
	task_start(l, &accepted.task, c, log_lines, on_ended);
}

static enum step connected(struct task *t)
{
	struct side *s = task_of(t, struct side, task);
	buf_fmt(&s->log, "rc=%d;", t->rc);
	if (t->rc < 0) { return STEP_DONE; }
	conn_put(t->conn, STR("ping\r\n"));
	t->step = log_lines;
	return STEP_MORE;
}

static struct net_addr target;

static enum step connecting(struct task *t)
{
	t->conn = conn_connect(l, t, &target, NULL);
	t->step = connected;
	return STEP_WAIT;
}

static void test_connect(void)
{
	struct listener ln = {0};
	struct err e;
	struct side s = {.line_max = 20};
	socklen_t n = sizeof target;
	l = loop_new_fake(0);
	listener_stop(&ln); /* never started: harmless */
	CHECK_INT(net_addr_parse(STR("127.0.0.1:0"), 0, &target), 0);
	int fd = net_listen(&target, &e);
	CHECK(fd >= 0);
	CHECK_INT(getsockname(fd, &target.sa, &n), 0);
	listener_start(l, &ln, fd, on_fresh);
	task_start(l, &s.task, NULL, connecting, on_ended);
	for (int i = 0; i < 2000 && accepted.log.n < 6; i++) {
		if (!loop_turn(l)) { usleep(1000); }
	}
	CHECK_STR(buf_view(&accepted.log), STR("[ping]"));
	listener_stop(&ln);
	task_kill(&accepted.task);
	for (int i = 0; i < 2000 && !s.ended; i++) {
		if (!loop_turn(l)) { usleep(1000); }
	}
	CHECK_STR(str_sub(buf_view(&s.log), 0, 5), STR("rc=0;"));
	buf_reset(&s.log);
	s.ended = 0; /* nobody listens there any more */
	task_start(l, &s.task, NULL, connecting, on_ended);
	for (int i = 0; i < 2000 && !s.ended; i++) {
		if (!loop_turn(l)) { usleep(1000); }
	}
	CHECK_STR(buf_view(&s.log), STR("rc=-2;"));
	buf_fini(&s.log);
	buf_fini(&accepted.log);
	loop_free(l);
}

/* --- what the system refuses --- */

#ifdef POSTHOUSE_FAULTS

static void test_faults(void)
{
	struct side s;
	int fd = setup(&s, log_lines);
	settle();
	fault_plan("conn.read:2");
	say(fd, "a\r\n");
	say(fd, "b\r\n");
	CHECK_STR(buf_view(&s.log), STR("[a]failed"));
	CHECK_STR(hear(fd), STR("1\r\n")); /* and a reset: no goodbye to one that failed */
	teardown(&s, fd);
	fd = setup(&s, log_lines);
	settle();
	fault_plan("conn.write:1");
	say(fd, "a\r\n");
	CHECK_STR(buf_view(&s.log), STR("[a]failed"));
	teardown(&s, fd);
	for (unsigned i = 1; i < 6; i++) { /* whatever write fails, the task comes to its end */
		char plan[40];
		snprintf(plan, sizeof plan, "conn.write:%u", i);
		fd = setup(&s, i % 2 ? send_until_full : put_until_full);
		fault_plan(plan);
		settle();
		char sink[4096];
		while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0) { settle(); }
		CHECK_INT(s.ended, 1);
		teardown(&s, fd);
	}
	fault_plan("");
}

static void test_accept_fault(void)
{
	struct listener ln = {0};
	struct net_addr a;
	struct err e;
	socklen_t n = sizeof a;
	l = loop_new_fake(0);
	CHECK_INT(net_addr_parse(STR("127.0.0.1:0"), 0, &a), 0);
	int fd = net_listen(&a, &e);
	CHECK_INT(getsockname(fd, &a.sa, &n), 0);
	accepted.ended = 0;
	accepted.task.conn = NULL;
	listener_start(l, &ln, fd, on_fresh);
	fault_plan("conn.accept:1");
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(c, &a.sa, net_addr_len(&a)), 0);
	settle();
	CHECK(!accepted.task.conn); /* out of descriptors: it waits and does not spin */
	loop_advance(l, SECOND_US / 10);
	CHECK(accepted.task.conn != NULL);
	close(c);
	settle();
	CHECK_INT(accepted.ended, 1);
	listener_stop(&ln);
	buf_fini(&accepted.log);
	fault_plan("");
	loop_free(l);
}

#endif

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"lines in, replies out, end of input", test_lines},
		{"only CRLF ends a line; limits; any cut of packets", test_strict_lines},
		{"a peer that goes", test_gone_peer},
		{"a task that ignores the end is ended", test_ignored_end},
		{"closing sends what is pending", test_close_with_output},
		{"closing gives up on a peer that never reads", test_close_peer_never_reads},
		{"output waits for a slow reader", test_back_pressure},
		{"a reset while sending ends the task", test_reset_while_sending},
		{"the last words of a peer that takes nothing more", test_last_words},
		{"input that nobody asked for stays in the kernel", test_input_waits},
		{"deadline on input, last words arrive", test_deadline_in},
		{"deadline on output", test_deadline_out},
		{"a deadline that passes while the task is busy", test_deadline_busy},
		{"input and end while the task is busy", test_end_while_busy},
		{"TLS: names, trust, data", test_tls},
		{"TLS: megabytes without a copy", test_tls_big},
		{"STARTTLS with plaintext behind it is refused", test_starttls_injection},
		{"handshake: silence, rubbish, hang-up", test_handshake_trouble},
		{"TLS: an end without goodbye is an end", test_tls_bare_end},
		{"TLS contexts: bad keys, wrong CA, tickets", test_tls_contexts},
		{"talking in turns, pieces of any size, raw and TLS", test_talk},
		{"TLS tickets survive a reload", test_tls_tickets},
		{"connect and accept", test_connect},
#ifdef POSTHOUSE_FAULTS
		{"reads and writes that fail", test_faults},
		{"no descriptor for a new connection", test_accept_fault},
#endif
	};
	struct buf ca_pem = {0}, cert_pem = {0}, key_pem = {0};
	struct err e;
	const struct str hosts[] = {STR("mail.example"), STR("127.0.0.1")};
	for (size_t i = 0; i < BIG; i++) { big[i] = (char)(i * 2654435761U >> 13); }
	if (tls_make_certificate(hosts, 2, &ca_pem, &cert_pem, &key_pem, &e) < 0) { return 1; }
	ca = buf_view(&ca_pem), cert = buf_view(&cert_pem), key = buf_view(&key_pem);
	int rc = tap_run(cases, COUNT(cases), argc, argv);
	buf_fini(&ca_pem);
	buf_fini(&cert_pem);
	buf_fini(&key_pem);
	return rc;
}
