/* lib: links between roles: calls, replies, descriptors, rights, and peers that break the rules. */
#include "t/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/link.h"
#include "lib/log.h"
#include "lib/net.h"

struct ask {
	struct str text;
	uint32_t n;
};
struct answer {
	struct str text;
};
WIRE_TABLE(ask, ask_wire, WIRE_STR(struct ask, text, LINK_MSG_MAX), WIRE_U32(struct ask, n));
WIRE_TABLE(answer, answer_wire, WIRE_STR(struct answer, text, LINK_MSG_MAX));

#define FROM(role) (UINT32_C(1) << (role))

static const struct msg_type rows[] = {
	{.type = 400,
		.name = "ask",
		.request = &ask_wire,
		.reply = &answer_wire,
		.from = FROM(ROLE_MX),
		.to = ROLE_STORE},
	{.type = 401, .name = "tell", .request = &ask_wire, .from = FROM(ROLE_MX), .to = ROLE_N},
	{.type = 402,
		.name = "admin",
		.request = &ask_wire,
		.reply = &answer_wire,
		.from = FROM(ROLE_SUPERVISOR),
		.to = ROLE_STORE},
	{.type = 403,
		.name = "code",
		.request = &ask_wire,
		.from = FROM(ROLE_MX),
		.to = ROLE_STORE},
};
static const struct msg_type *const ASK = &rows[0], *const TELL = &rows[1], *const CODE = &rows[3];

static struct loop *l;
static struct link *mx, *store;
static struct buf seen; /* what the store's handler saw */
static struct list kept;
static struct link_msg *kept_msg[8];
static unsigned kept_n;
static int mx_down, store_down;
static int got_fds[LINK_FDS_MAX];
static unsigned got_fds_n;
static enum { REPLY, KEEP, REFUSE, IGNORE, FREE_LINK } mode;

static void on_store(void *ctx, struct link_msg *m)
{
	const struct ask *a = m->request;
	(void)ctx; /* globals will do */
	buf_fmt(&seen, "%s:%.*s;", m->type->name, (int)MIN(a->text.n, 20), a->text.p);
	for (; got_fds_n < m->fds_n; got_fds_n++) { got_fds[got_fds_n] = m->fds[got_fds_n]; }
	m->fds_n = 0;
	switch (mode) {
	case REPLY: link_reply(m, 0, &(struct answer){a->text}); break;
	case REFUSE: link_reply(m, ERR_QUOTA, NULL); break;
	case KEEP: kept_msg[kept_n++] = link_keep(m); break;
	case FREE_LINK:
		link_free(store);
		store = NULL;
		break;
	case IGNORE: break;
	}
}

static void on_mx(void *ctx, struct link_msg *m)
{
	(void)ctx, (void)m;
	buf_str(&seen, STR("mx got it;"));
}

static void on_mx_down(void *ctx, struct link *gone)
{
	(void)ctx;
	CHECK(gone == mx);
	mx_down++;
	link_free(mx); /* allowed here */
	mx = NULL;
}

static void on_store_down(void *ctx, struct link *gone)
{
	(void)ctx;
	CHECK(gone == store);
	store_down++;
	link_free(store);
	store = NULL;
}

static const struct link_ops mx_ops = {on_mx, on_mx_down}, store_ops = {on_store, on_store_down};

static void settle(void)
{
	for (int i = 0; i < 100000 && loop_turn(l); i++) {}
}

static void reset(void)
{
	buf_reset(&seen);
	list_init(&kept);
	kept_n = got_fds_n = 0;
	mx_down = store_down = 0;
	mode = REPLY;
	l = loop_new_fake(0);
}

static void setup(void)
{
	int fd[2];
	reset();
	CHECK_INT(net_pair(fd), 0);
	mx = link_new(l, fd[0], ROLE_MX, ROLE_STORE, &mx_ops, NULL);
	store = link_new(l, fd[1], ROLE_STORE, ROLE_MX, &store_ops, NULL);
}

static void teardown(void)
{
	link_free(mx);
	link_free(store);
	mx = store = NULL;
	settle();
	loop_free(l);
	buf_fini(&seen);
}

/* --- a caller --- */

struct caller {
	struct task task;
	struct call call;
	const struct msg_type *type;
	struct str text;
	int64_t timeout_us;
	struct buf got;
	int woken, rc;
};

static void on_ended(struct task *t)
{
	call_fini(&task_of(t, struct caller, task)->call);
}

static enum step call_done(struct task *t)
{
	struct caller *c = task_of(t, struct caller, task);
	c->woken++;
	c->rc = t->rc;
	if (c->call.reply) {
		buf_str(&c->got, ((struct answer *)c->call.reply)->text);
		CHECK_INT(t->rc, 0);
	}
	return STEP_DONE;
}

static enum step call_out(struct task *t)
{
	struct caller *c = task_of(t, struct caller, task);
	link_call(mx, &c->call, t, c->type, &(struct ask){c->text, 1}, c->timeout_us);
	t->step = call_done;
	return STEP_WAIT;
}

static void call_start(struct caller *c, const struct msg_type *type, struct str text)
{
	*c = (struct caller){.type = type, .text = text};
	task_start(l, &c->task, NULL, call_out, on_ended);
}

static void test_calls(void)
{
	struct caller a, b, c;
	setup();
	call_start(&a, ASK, STR("one"));
	call_start(&b, ASK, STR(""));
	settle();
	CHECK_STR(buf_view(&seen), STR("ask:one;ask:;"));
	CHECK_STR(buf_view(&a.got), STR("one"));
	CHECK_INT(a.woken, 1);
	CHECK_INT(b.rc, 0);
	mode = REFUSE;
	call_start(&c, ASK, STR("two"));
	settle();
	CHECK_INT(c.rc, ERR_QUOTA);
	CHECK_INT(c.got.n, 0);
	mode = KEEP; /* answered later and in another order */
	buf_fini(&a.got);
	call_start(&a, ASK, STR("first"));
	call_start(&b, ASK, STR("second"));
	call_start(&c, CODE, STR("third"));
	settle();
	CHECK_INT(a.woken + b.woken + c.woken, 0);
	CHECK_INT(kept_n, 3);
	link_reply(kept_msg[2], 0, NULL);
	const struct ask *second = kept_msg[1]->request;
	CHECK_STR(second->text, STR("second"));
	link_reply(kept_msg[1], 0, &(struct answer){second->text});
	link_reply(kept_msg[0], ERR_GONE, NULL);
	settle();
	CHECK_INT(a.rc, ERR_GONE);
	CHECK_STR(buf_view(&b.got), STR("second"));
	CHECK_INT(c.rc, 0);
	CHECK_INT(c.woken, 1);
	buf_fini(&b.got);
	teardown();
}

static void test_one_way(void)
{
	setup();
	link_send(NULL, TELL, &(struct ask){STR("nobody"), 1}, NULL, 0);
	link_send(mx, TELL, &(struct ask){STR("news"), 1}, NULL, 0);
	settle();
	CHECK_STR(buf_view(&seen), STR("tell:news;"));
	mode = KEEP;
	link_send(mx, TELL, &(struct ask){STR("more"), 1}, NULL, 0);
	settle();
	CHECK_INT(kept_n, 1);
	link_reply(kept_msg[0], 0, NULL); /* frees it, sends nothing */
	settle();
	CHECK_INT(mx_down + store_down, 0);
	teardown();
}

static void test_held(void)
{
	setup();
	link_hold(store);
	link_send(mx, TELL, &(struct ask){STR("early"), 1}, NULL, 0);
	settle();
	CHECK_INT(seen.n, 0);
	link_go_on(store);
	settle();
	CHECK_STR(buf_view(&seen), STR("tell:early;"));
	teardown();
}

static void test_timeout(void)
{
	struct caller a;
	setup();
	mode = KEEP;
	call_start(&a, ASK, STR("slow"));
	settle();
	loop_advance(l, 59 * SECOND_US);
	CHECK_INT(a.woken, 0);
	loop_advance(l, 2 * SECOND_US);
	CHECK_INT(a.rc, ERR_AGAIN);
	CHECK_INT(a.woken, 1);
	link_reply(kept_msg[0], 0, &(struct answer){STR("late")}); /* dropped */
	settle();
	CHECK_INT(mx_down + store_down, 0);
	mode = REPLY;
	call_start(&a, ASK, STR("again"));
	settle();
	CHECK_STR(buf_view(&a.got), STR("again"));
	buf_fini(&a.got);
	teardown();
}

static void test_peer_gone(void)
{
	struct caller a, b;
	setup();
	mode = KEEP;
	call_start(&a, ASK, STR("x"));
	settle();
	link_free(store); /* dies with a request in its hands */
	store = NULL;
	CHECK(!kept_msg[0]->link);
	settle();
	CHECK_INT(a.rc, ERR_AGAIN);
	CHECK_INT(a.woken, 1);
	CHECK_INT(mx_down, 1);
	link_reply(kept_msg[0], 0, &(struct answer){STR("into the void")});
	call_start(&b, ASK, STR("y")); /* mx is NULL now */
	settle();
	CHECK_INT(b.rc, ERR_AGAIN);
	teardown();
}

/* Freed by its own handler. */
static void test_freed_in_handler(void)
{
	struct caller a;
	setup();
	mode = FREE_LINK;
	call_start(&a, ASK, STR("x"));
	settle();
	CHECK_INT(a.rc, ERR_AGAIN);
	CHECK(!store);
	teardown();
}

static void test_cancelled(void)
{
	struct caller a;
	setup();
	mode = KEEP;
	call_start(&a, ASK, STR("x"));
	settle();
	task_kill(&a.task);
	settle();
	link_reply(kept_msg[0], 0, &(struct answer){STR("too late")});
	settle();
	CHECK_INT(a.woken, 0);
	CHECK_INT(mx_down, 0);
	call_fini(&a.call); /* again: harmless */
	struct call idle = {0};
	call_fini(&idle);
	teardown();
}

/* --- size --- */

static void test_big(void)
{
	static char big[LINK_MSG_MAX - 100];
	struct caller a, b;
	setup();
	memset(big, 'x', sizeof big);
	call_start(&a, ASK, str_make(big, sizeof big));
	call_start(&b, ASK, STR("behind"));
	settle();
	CHECK_INT(a.got.n, sizeof big);
	CHECK(a.got.n == sizeof big && memcmp(a.got.p, big, sizeof big) == 0);
	CHECK_STR(buf_view(&b.got), STR("behind"));
	buf_fini(&a.got);
	buf_fini(&b.got);
	teardown();
}

static void test_full(void)
{
	int fd[2];
	static char piece[60000];
	reset(); /* a peer that never reads */
	CHECK_INT(net_pair(fd), 0);
	mx = link_new(l, fd[0], ROLE_MX, ROLE_STORE, &mx_ops, NULL);
	CHECK(!link_full(mx));
	CHECK(!link_full(NULL));
	int n = 0;
	while (!link_full(mx) && n < 1000) {
		link_send(mx, TELL, &(struct ask){str_make(piece, sizeof piece), 1}, NULL, 0);
		settle();
		n++;
	}
	CHECK(n < 100);
	close(fd[1]);
	settle();
	CHECK_INT(mx_down, 1);
	teardown();
}

/* --- descriptors --- */

static void test_descriptors(void)
{
	int p[2], q[2];
	char c = 0;
	setup();
	CHECK_INT(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	CHECK_INT(pipe2(q, O_CLOEXEC | O_NONBLOCK), 0);
	link_send(mx, TELL, &(struct ask){STR("before"), 1}, NULL, 0);
	link_send(mx, TELL, &(struct ask){STR("two"), 1}, (int[]){p[1], q[1]}, 2);
	link_send(mx, TELL, &(struct ask){STR("after"), 1}, NULL, 0);
	settle();
	CHECK_STR(buf_view(&seen), STR("tell:before;tell:two;tell:after;"));
	CHECK_INT(got_fds_n, 2);
	CHECK(fcntl(got_fds[0], F_GETFD) & FD_CLOEXEC);
	CHECK_INT(write(got_fds[0], "p", 1), 1);
	CHECK_INT(write(got_fds[1], "q", 1), 1);
	CHECK_INT(read(p[0], &c, 1), 1);
	CHECK_INT(c, 'p');
	CHECK_INT(read(q[0], &c, 1), 1);
	CHECK_INT(c, 'q');
	close(got_fds[0]);
	close(got_fds[1]);
	CHECK_INT(read(p[0], &c, 1), 0); /* the sender's copy is closed */
	CHECK_INT(read(q[0], &c, 1), 0);
	close(q[0]);
	int r[2];
	CHECK_INT(pipe2(r, O_CLOEXEC | O_NONBLOCK), 0);
	link_send(NULL, TELL, &(struct ask){STR(""), 1}, &r[1], 1); /* closed as well */
	CHECK_INT(read(r[0], &c, 1), 0);
	close(r[0]);
	close(p[0]);
	teardown();
}

/* --- peers that break the rules --- */

static struct buf frame_of(
	unsigned type, unsigned flags, unsigned fds, uint32_t id, struct str body)
{
	struct buf b = {0};
	char *p = buf_reserve(&b, 12);
	put_be32(p, (uint32_t)(8 + body.n));
	p[4] = (char)(type >> 8);
	p[5] = (char)type;
	p[6] = (char)flags;
	p[7] = (char)fds;
	put_be32(p + 8, id);
	buf_grow(&b, 12);
	buf_str(&b, body);
	return b;
}

/* The store's link with a hostile peer on the other end: does the frame end it? */
static bool drops(struct str bytes)
{
	int fd[2];
	reset();
	CHECK_INT(net_pair(fd), 0);
	store = link_new(l, fd[1], ROLE_STORE, ROLE_MX, &store_ops, NULL);
	CHECK_INT(send(fd[0], bytes.p, bytes.n, MSG_NOSIGNAL), (ssize_t)bytes.n);
	settle();
	bool down = store_down == 1;
	CHECK(down == !store);
	if (down) { CHECK_INT(seen.n, 0); }
	close(fd[0]);
	teardown();
	return down;
}

static void no_log(void *ctx, struct str line)
{
	(void)ctx, (void)line;
}

static void test_hostile(void)
{
	static const struct {
		unsigned type, flags, fds;
		uint32_t id;
		struct str body;
		bool drop;
	} cases[] = {
		{400, 0, 0, 1, STR("\0\0\0\1x\0\0\0\1"), false},
		{400, 0, 0, 1, STR(""), false},                  /* an older peer's empty record */
		{400, 0, 0, 1, STR("\0\0\0\1x\0\0\0\1y"), true}, /* more than the table knows */
		{400, 0, 0, 1, STR("\0\0\0\2x"), true},
		{400, 0, 0, 1, STR("\377\377\377\377x"), true},
		{402, 0, 0, 1, STR("\0\0\0\1x\0\0\0\1"), true}, /* mx may not send that */
		{399, 0, 0, 1, STR(""), true},                  /* no such type */
		{65535, 0, 0, 1, STR(""), true},
		{401, 0, 1, 0, STR(""), true}, /* a descriptor is claimed that did not come */
		{401, 0, 255, 0, STR(""), true},
		{400, 1, 0, 77, STR("\0\0\0\0"), false}, /* a reply to a call given up: ignored */
		{400, 1, 0, 77, STR("\0\0"), true},
	};
	log_sink(no_log, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf f = frame_of(
			cases[i].type, cases[i].flags, cases[i].fds, cases[i].id, cases[i].body);
		bool did = drops(buf_view(&f));
		if (did != cases[i].drop) { tap_fail(__FILE__, __LINE__, "case %zu", i); }
		buf_fini(&f);
	}
	CHECK(drops(STR("\0\0\0\7\1\220\0\0\0\0\0\1")));  /* shorter than a header */
	CHECK(drops(STR("\0\40\0\1\1\220\0\0\0\0\0\1"))); /* LINK_MSG_MAX + 1 */
	CHECK(drops(STR("GET / HTTP/1.0\r\n\r\n")));
	CHECK(!drops(STR("\0\0\0\11\1\220\0\0\0\0\0\1"))); /* the rest may still come */
	log_sink(NULL, NULL);
}

/* A caller whose peer answers with rubbish is woken, once. */
static void test_bad_replies(void)
{
	static const struct {
		unsigned type;
		struct str body;
		int rc;
		bool down;
	} cases[] = {
		{400, STR("\0\0\0\0\0\0\0\1a"), 0, false}, {400, STR("\0\0\0\5"), ERR_QUOTA, false},
		{400, STR("\377\377\377\377"), ERR_AGAIN, false},
		{400, STR("\0\0\0\0\0\0\0\2a"), ERR_AGAIN, true},
		{400, STR("\0\0"), ERR_AGAIN, true},
		{403, STR("\0\0\0\0"), ERR_AGAIN, true}, /* the answer to another question */
	};
	log_sink(no_log, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		int fd[2];
		struct caller a;
		char sink[100];
		reset();
		CHECK_INT(net_pair(fd), 0);
		mx = link_new(l, fd[0], ROLE_MX, ROLE_STORE, &mx_ops, NULL);
		call_start(&a, ASK, STR("x"));
		settle();
		CHECK(recv(fd[1], sink, sizeof sink, MSG_DONTWAIT) > 12);
		struct buf f = frame_of(cases[i].type, 1, 0, get_be32(sink + 8), cases[i].body);
		CHECK_INT(send(fd[1], f.p, f.n, MSG_NOSIGNAL), (ssize_t)f.n);
		settle();
		CHECK_INT(a.woken, 1);
		CHECK_INT(a.rc, cases[i].rc);
		CHECK_INT(mx_down, cases[i].down);
		buf_fini(&f);
		buf_fini(&a.got);
		close(fd[1]);
		settle();
		teardown();
	}
	log_sink(NULL, NULL);
}

#ifdef POSTHOUSE_FAULTS

static void test_send_fault(void)
{
	struct caller a;
	setup();
	fault_plan("link.send:1");
	call_start(&a, ASK, STR("x"));
	settle();
	fault_plan("");
	CHECK_INT(a.woken, 1);
	CHECK_INT(a.rc, ERR_AGAIN);
	CHECK_INT(mx_down, 1);
	CHECK_INT(store_down, 1);
	teardown();
}

#endif

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"calls and replies, now and later", test_calls},
		{"one-way messages", test_one_way},
		{"a link that is held", test_held},
		{"a call that takes too long", test_timeout},
		{"the peer goes with a request in hand", test_peer_gone},
		{"a link freed by its own handler", test_freed_in_handler},
		{"a cancelled call", test_cancelled},
		{"a message of the largest size", test_big},
		{"a peer that does not read", test_full},
		{"descriptors", test_descriptors},
		{"frames that end a link", test_hostile},
		{"replies that end a link", test_bad_replies},
#ifdef POSTHOUSE_FAULTS
		{"a link that cannot send", test_send_fault},
#endif
	};
	link_register(rows, COUNT(rows));
	link_register(rows, COUNT(rows)); /* twice is harmless */
	return tap_run(cases, COUNT(cases), argc, argv);
}
