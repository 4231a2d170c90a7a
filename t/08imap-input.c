/* Commands as they come in: whole, whatever the network cuts; nothing of a literal is ever taken
   for a command. */
#include "t/tap.h"

#include "imap/input.h"
#include "imap/server.h"
#include <unistd.h>

/* A session without a server: what it read stands in `seen`, what it said in `said`. */
struct rig {
	struct loop *loop;
	struct imap_server server;
	struct imap_conf conf;
	struct role role;
	struct session s;
	bool refuses; /* messages of APPEND */
	bool reading; /* a message */
	struct buf seen, said;
	int fd;
};

static struct rig rig;

static void seen(const char *what, struct str text)
{
	buf_str(&rig.seen, str_of(what));
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		buf_chr(&rig.seen, c == '\r' ? '^' : c == '\n' ? '/' : c);
	}
	buf_chr(&rig.seen, ';');
}

static enum step on_message(struct session *s)
{
	seen(s->input->message.binary ? "binary " : "message ", buf_view(&s->input->text));
	s->tag = STR("A");
	if (rig.refuses) {
		imap_input_end(s);
	} else {
		imap_input_accept(s);
		rig.reading = true;
	}
	return STEP_MORE;
}

static enum step read_message(struct session *s)
{
	struct str got = imap_input_message(s);
	buf_str(&rig.seen, got);
	if (s->input->left) { return got.n ? STEP_MORE : STEP_IN; }
	buf_chr(&rig.seen, ';');
	rig.reading = false;
	imap_input_message_end(s);
	return STEP_MORE;
}

static enum step rig_step(struct task *t)
{
	struct session *s = task_of(t, struct session, task);
	if (rig.reading) { return read_message(s); }
	switch (imap_input_read(s)) {
	case INPUT_WAIT: return conn_status(t->conn) == CONN_OPEN ? STEP_IN : STEP_DONE;
	case INPUT_COMMAND: seen("", buf_view(&s->input->text)); break;
	case INPUT_MESSAGE: return on_message(s);
	case INPUT_BAD: seen(s->input->code ? "toobig " : "bad ", s->input->tag); break;
	case INPUT_SKIPPED: imap_input_free(s); return STEP_MORE;
	case INPUT_HOPELESS: seen("hopeless", STR("")); return STEP_DONE;
	}
	imap_input_end(s);
	arena_reset(&s->arena);
	return STEP_MORE;
}

static void rig_ended(struct task *t)
{
	(void)t; /* part of the rig */
}

static void settle(void)
{
	char piece[4096];
	ssize_t n;
	for (int i = 0; i < 10000 && loop_turn(rig.loop); i++) {}
	while ((n = recv(rig.fd, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
		buf_add(&rig.said, piece, (size_t)n);
	}
}

static void start(enum imap_state state, bool refuses)
{
	int fds[2];
	rig = (struct rig){.refuses = refuses};
	rig.loop = loop_new_fake(0);
	rig.conf.append_max = 1000;
	rig.server = (struct imap_server){.role = &rig.role, .conf = &rig.conf};
	rig.s.server = &rig.server;
	rig.s.state = state;
	CHECK_INT(net_pair(fds), 0);
	rig.fd = fds[1];
	task_start(rig.loop, &rig.s.task, conn_new(rig.loop, fds[0], true), rig_step, rig_ended);
	settle();
}

static void feed(struct str octets)
{
	while (octets.n) {
		ssize_t n = send(rig.fd, octets.p, octets.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) { octets = str_skip(octets, (size_t)n); }
		settle();
		if (n <= 0 && rig.s.task.dead) { return; }
	}
}

static void end(void)
{
	if (!rig.s.task.dead) { task_kill(&rig.s.task); }
	settle();
	imap_input_free(&rig.s);
	arena_fini(&rig.s.arena);
	buf_fini(&rig.seen);
	buf_fini(&rig.said);
	close(rig.fd);
	loop_free(rig.loop);
}

static void expect(
	enum imap_state state, bool refuses, struct str octets, struct str want, const char *said)
{
	for (size_t cut = 0; cut <= octets.n; cut++) {
		start(state, refuses);
		feed(str_sub(octets, 0, cut));
		feed(str_skip(octets, cut));
		CHECK_STR(buf_view(&rig.seen), want);
		CHECK_STR(buf_view(&rig.said), str_of(said));
		end();
	}
}
#define EARLY(octets, want, said) \
	expect(IMAP_NOT_AUTHENTICATED, false, STR(octets), STR(want), said)
#define IN(octets, want, said) expect(IMAP_AUTHENTICATED, false, STR(octets), STR(want), said)
#define REFUSED(octets, want, said) expect(IMAP_AUTHENTICATED, true, STR(octets), STR(want), said)

static void test_lines(void)
{
	EARLY("A NOOP\r\nB CAPABILITY\r\n\r\n", "A NOOP;B CAPABILITY;;", "");
	EARLY("A NOOP\nB X\r\n", "bad A;B X;", "");
	EARLY("A NO\rOP\r\nB X\r\n", "bad A;B X;", "");
	EARLY("A NO\0P\r\nB X\r\n", "bad A;B X;", "");
	EARLY("( NOOP\n", "bad ;", "");
}

static void test_literals(void)
{
	EARLY("A LOGIN {3}\r\na\r\n {0}\r\n\r\nB X\r\n", "A LOGIN {3}^/a^/ {0}^/;B X;",
		"+ OK\r\n+ OK\r\n");
	EARLY("A LOGIN {3+}\r\nabc {2+}\r\nde\r\nB X\r\n", "A LOGIN {3+}^/abc {2+}^/de;B X;", "");
	EARLY("A X {3+}\r\na\0c\r\nB X\r\n", "bad A;B X;", "");
	EARLY("A X {3\r\nA X {}\r\nA X {x}\r\nA X {-1}\r\nA X {99999999999999999999}\r\n",
		"A X {3;A X {};A X {x};A X {-1};A X {99999999999999999999};", "");
	/* the octets of a refused literal are no commands */
	EARLY("A X {9000+}\r\nB NOOP\r\n", "", "");
	EARLY("A X {9000}\r\nB X\r\n", "toobig A;B X;", "");
	EARLY("A X\rY {8+}\r\nB NOOP\r\n {3+}\r\nabc\r\nC X\r\n", "bad A;C X;", "");
	EARLY("A X {999999999}\r\n", "toobig A;", "");
	EARLY("A X {999999999+}\r\n", "hopeless;", "");
}

static void test_long(void)
{
	struct buf line = {0};
	buf_str(&line, STR("A X "));
	for (int i = 0; i < 9000; i++) { buf_chr(&line, 'x'); }
	buf_str(&line, STR(" {8+}\r\nB NOOP\r\n\r\nC X\r\n"));
	start(IMAP_NOT_AUTHENTICATED, false);
	feed(buf_view(&line));
	CHECK_STR(buf_view(&rig.seen), STR("toobig A;C X;"));
	end();
	start(IMAP_AUTHENTICATED, false);
	feed(buf_view(&line));
	CHECK_INT(rig.seen.n, line.n - 2);
	end();
	buf_fini(&line);
}

static void test_append(void)
{
	IN("A APPEND box {3}\r\nabc\r\nB X\r\n", "message A APPEND box ;abc;;B X;", "+ OK\r\n");
	IN("A append {3+}\r\nbox (\\Seen) ~{4+}\r\na\0bc\r\n",
		"binary A append {3+}^/box (\\Seen) ;a\0bc;;", "");
	IN("A APPEND box {1+}\r\na (\\Seen) {2}\r\nbc\r\nB X\r\n",
		"message A APPEND box ;a;message  (\\Seen) ;bc;;B X;", "+ OK\r\n");
	IN("A APPEND box {1+}\r\na\nB X\r\n", "message A APPEND box ;a;bad A;B X;", "");
	EARLY("A APPEND box {3}\r\nabc\r\n", "A APPEND box {3}^/abc;", "+ OK\r\n");
}

static void test_refused_append(void)
{
	REFUSED("A APPEND box {3}\r\nB X\r\n", "message A APPEND box ;B X;", "");
	REFUSED("A APPEND box {8+}\r\nB NOOP\r\n {2+}\r\nxy\r\nB X\r\n",
		"message A APPEND box ;B X;", "");
	REFUSED("A APPEND box {0+}\r\n\r\nB X\r\n", "message A APPEND box ;B X;", "");
	REFUSED("A APPEND box {1+}\r\nx {2}\r\nB X\r\n", "message A APPEND box ;B X;", "");
	REFUSED("A APPEND box {2001+}\r\nB X\r\n", "message A APPEND box ;hopeless;", "");
}

static void test_idle_holds_nothing(void)
{
	start(IMAP_AUTHENTICATED, false);
	feed(STR("A NOOP\r\n"));
	CHECK(rig.s.input == NULL);
	feed(STR("B"));
	CHECK(rig.s.input != NULL);
	end();
}

static const struct tap_case cases[] = {
	{"lines", test_lines},
	{"literals", test_literals},
	{"a line that is too long", test_long},
	{"messages of APPEND", test_append},
	{"messages that are refused", test_refused_append},
	{"between commands", test_idle_holds_nothing},
};

int main(int argc, char **argv)
{
	return tap_run(cases, COUNT(cases), argc, argv);
}
