/* What the tests of connections share. */
#include "t/conn_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

struct loop *l;
char big[BIG];

void big_fill(void)
{
	for (size_t i = 0; i < BIG; i++) { big[i] = (char)(i * 2654435761U >> 13); }
}

void settle(void)
{
	for (int i = 0; i < 100000 && loop_turn(l); i++) {}
}

void side_ended(struct task *t)
{
	task_of(t, struct side, task)->ended++;
}

void side_start(struct side *s, int fd, bool server, enum step (*step)(struct task *))
{
	*s = (struct side){.line_max = 20, .then = STEP_DONE};
	task_start(l, &s->task, conn_new(l, fd, server), step, side_ended);
}

void side_fini(struct side *s)
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

int setup(struct side *s, enum step (*step)(struct task *))
{
	int fd[2];
	l = loop_new_fake(0);
	CHECK_INT(net_pair(fd), 0);
	side_start(s, fd[0], true, step);
	return fd[1];
}

void teardown(struct side *s, int fd)
{
	side_fini(s);
	if (fd >= 0) { close(fd); }
	loop_free(l);
}

void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	settle();
}

struct str hear(int fd)
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

enum step log_lines(struct task *t)
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

enum step send_until_full(struct task *t)
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
