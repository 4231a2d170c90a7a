/* lib: connections over a socket pair: lines, limits, back-pressure, deadlines, closing. TLS is in
   00lib-tls.c. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fault.h"
#include "t/conn_fixture.h"

/* --- lines --- */

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

/* --- connecting and accepting --- */

static struct side accepted;

static void on_fresh(struct listener *ln, struct conn *c)
{
	(void)ln; /* there is one */
	CHECK(net_addr_is_loopback(conn_peer(c)));
	accepted = (struct side){.line_max = 20};
	task_start(l, &accepted.task, c, log_lines, side_ended);
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
	task_start(l, &s.task, NULL, connecting, side_ended);
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
	task_start(l, &s.task, NULL, connecting, side_ended);
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
		{"connect and accept", test_connect},
#ifdef POSTHOUSE_FAULTS
		{"reads and writes that fail", test_faults},
		{"no descriptor for a new connection", test_accept_fault},
#endif
	};
	big_fill();
	return tap_run(cases, COUNT(cases), argc, argv);
}
