/* imap, auth and store together on one loop: sessions, logins, APPEND, news. */
#include "t/tap.h"

#include "auth/auth.h"
#include "imap/server.h"
#include "lib/log.h"
#include "store/role.h"
#include "t/store_fixture.h"
#include <fcntl.h>
#include <unistd.h>

static struct fixture fx;
static struct loop *loop;
static struct conf *conf;
static struct role roles[ROLE_N];

/* --- roles --- */

static void on_message(void *ctx, struct link_msg *m)
{
	struct role *r = ctx;
	r->ops->handle(r, m);
}

static void on_down(void *ctx, struct link *gone)
{
	(void)ctx, (void)gone; /* freed at the end */
}

static const struct link_ops link_ops = {on_message, on_down};

static void settle(void)
{
	for (int i = 0; i < 100000 && loop_turn(loop); i++) {}
}

static void join(enum role_id a, enum role_id b)
{
	int fd[2];
	CHECK_INT(net_pair(fd), 0);
	roles[a].peer[b] = link_new(loop, fd[0], a, b, &link_ops, &roles[a]);
	roles[b].peer[a] = link_new(loop, fd[1], b, a, &link_ops, &roles[b]);
}

static void add_role(const struct role_ops *ops)
{
	roles[ops->id] =
		(struct role){.ops = ops, .id = ops->id, .loop = loop, .conf = conf, .store = fx.s};
}

static void set(const char *key, const char *value)
{
	struct err e = {{0}};
	CHECK_INT(conf_set(conf, str_of(key), str_of(value), &e), 0);
}

static struct tls_ctx *client_tls;

static void certify(void)
{
	struct buf ca = {0}, cert = {0}, key = {0};
	struct err e = {{0}};
	CHECK_INT(tls_make_certificate(&STR("imap.example.test"), 1, &ca, &cert, &key, &e), 0);
	roles[ROLE_IMAP].tls = tls_server_new(buf_view(&cert), buf_view(&key), &e);
	client_tls = tls_client_new(TLS_OPPORTUNISTIC, STR(""), &e);
	buf_fini(&ca);
	buf_fini(&cert);
	buf_fini(&key);
}

static void start(void)
{
	static const struct conf_section *const sections[] = {
		&top_conf_section, &store_conf_section, &auth_conf_section, &imap_conf_section};
	static const enum role_id order[] = {ROLE_STORE, ROLE_AUTH, ROLE_IMAP};
	struct err e = {{0}};
	fixture_start(&fx);
	struct op_domain_set domain = {.name = STR("example.test")};
	char nothing[16];
	CHECK_INT(store_apply(fx.s, &OP_DOMAIN_SET, &domain, &fx.a, nothing), 0);
	loop = loop_new_fake(INT64_C(1790000000) * SECOND_US);
	conf = conf_new(sections, COUNT(sections));
	set("hostname", "imap.example.test");
	set("auth.any_password", "yes");
	set("auth.failure_delay", "0s");
	set("imap.login_without_tls", "loopback");
	add_role(&store_role);
	add_role(&auth_role);
	add_role(&imap_role);
	join(ROLE_STORE, ROLE_AUTH);
	join(ROLE_STORE, ROLE_IMAP);
	join(ROLE_AUTH, ROLE_IMAP);
	certify();
	for (size_t i = 0; i < COUNT(order); i++) {
		struct role *r = &roles[order[i]];
		CHECK_INT(r->ops->start(r, &e), 0);
	}
}

static void end(void)
{
	static const enum role_id order[] = {ROLE_IMAP, ROLE_AUTH, ROLE_STORE};
	settle();
	for (size_t i = 0; i < COUNT(order); i++) {
		roles[order[i]].ops->fini(&roles[order[i]]);
		settle();
	}
	for (int i = 0; i < ROLE_N; i++) {
		for (int j = 0; j < ROLE_N; j++) { link_free(roles[i].peer[j]); }
	}
	settle();
	tls_put(roles[ROLE_IMAP].tls);
	tls_put(client_tls);
	loop_free(loop);
	conf_free(conf);
	CHECK_INT(fixture_fsck(&fx, false), 0);
	fixture_end(&fx);
	memset(roles, 0, sizeof roles);
}

/* --- a client --- */

struct client {
	struct task task;
	struct buf heard;
	bool gone;
	int tls_rc; /* 1 = no handshake yet */
};

static void client_ended(struct task *t)
{
	task_of(t, struct client, task)->gone = true;
}

static enum step client_read(struct task *t)
{
	struct client *c = task_of(t, struct client, task);
	struct str in = conn_in(t->conn);
	buf_str(&c->heard, in);
	conn_eat(t->conn, in.n);
	return conn_status(t->conn) == CONN_OPEN ? STEP_IN : STEP_DONE;
}

static enum step client_tls_done(struct task *t)
{
	task_of(t, struct client, task)->tls_rc = t->rc;
	t->step = client_read;
	return t->rc < 0 ? STEP_DONE : STEP_MORE;
}

static enum step client_begin_tls(struct task *t)
{
	t->step = client_tls_done;
	return conn_start_tls(t->conn, t, client_tls, STR("")) < 0 ? STEP_DONE : STEP_WAIT;
}

static struct str begin_tls(struct client *c)
{
	buf_reset(&c->heard);
	c->task.step = client_begin_tls;
	task_wake(&c->task, 0);
	settle();
	return buf_view(&c->heard);
}

/* Both ends of a connection over TCP. */
static int tcp_pair(int fd[2])
{
	struct sockaddr_storage sa = {0};
	struct net_addr any;
	socklen_t n = sizeof sa;
	net_addr_parse(STR("127.0.0.1"), 0, &any);
	int ln = net_listen(&any, NULL);
	if (ln < 0 || getsockname(ln, (struct sockaddr *)&sa, &n) < 0) { return ERR_IO; }
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = connect(fd[1], (struct sockaddr *)&sa, n);
	fd[0] = accept4(ln, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	close(ln);
	return rc < 0 || fd[0] < 0 ? ERR_IO : 0;
}

static struct str client_start(struct client *c, bool tls)
{
	int fd[2];
	*c = (struct client){.tls_rc = 1};
	CHECK_INT(tcp_pair(fd), 0);
	task_start(loop, &c->task, conn_new(loop, fd[1], false), client_read, client_ended);
	imap_session_start(roles[ROLE_IMAP].state, conn_new(loop, fd[0], true), tls);
	if (tls) { return begin_tls(c); }
	settle();
	return buf_view(&c->heard);
}

static struct str say(struct client *c, struct str octets)
{
	buf_reset(&c->heard);
	if (c->gone) { return STR("gone"); }
	conn_put(c->task.conn, octets);
	task_wake(&c->task, 0);
	settle();
	return buf_view(&c->heard);
}
#define SAY(c, lit) say((c), STR(lit))

/* As say, for what is answered by a thread: a password is hashed. */
static struct str say_and_wait(struct client *c, struct str octets)
{
	say(c, octets);
	for (int ms = 0; ms < 30000 && !c->heard.n; ms++) {
		usleep(1000);
		settle();
	}
	return buf_view(&c->heard);
}
#define GUESS(c) say_and_wait((c), STR("A LOGIN nobody@example.test x\r\n"))

static void client_end(struct client *c)
{
	if (!c->gone) { task_kill(&c->task); }
	settle();
	buf_fini(&c->heard);
}

static void log_in(struct client *c)
{
	client_start(c, false);
	CHECK(str_starts(SAY(c, "L LOGIN u@example.test x\r\n"), STR("L OK [CAPABILITY ")));
}

static bool has(struct str text, const char *needle)
{
	bool found = str_find(text, str_of(needle)) >= 0;
	if (!found) { printf("# no \"%s\" in \"%.*s\"\n", needle, STR_ARG(text)); }
	return found;
}

/* --- any state --- */

static void test_greeting(void)
{
	struct client c;
	start();
	struct str hello = client_start(&c, false);
	CHECK(str_starts(hello, STR("* OK [CAPABILITY IMAP4rev2 IMAP4rev1 ")));
	CHECK(has(hello, " STARTTLS AUTH=PLAIN] imap.example.test "));
	CHECK_STR(SAY(&c, "A NOOP\r\n"), STR("A OK Completed\r\n"));
	CHECK_STR(SAY(&c, "A NOOP x\r\n"), STR("A BAD No arguments expected\r\n"));
	CHECK_STR(SAY(&c, "A SELECT INBOX\r\n"), STR("A BAD Not in this state\r\n"));
	CHECK_STR(SAY(&c, "A NOPE\r\n"), STR("A BAD No such command\r\n"));
	CHECK_STR(SAY(&c, "NOOP\r\n"), STR("* BAD A command begins with a tag and a space\r\n"));
	CHECK_STR(SAY(&c, "A ID NIL\r\nB ID (\"name\" \"x\" \"os\" NIL)\r\nC ID (x)\r\n"),
		STR("* ID (\"name\" \"posthouse\")\r\nA OK ID completed\r\n"
		    "* ID (\"name\" \"posthouse\")\r\nB OK ID completed\r\n"
		    "C BAD Bad arguments: expected a string\r\n"));
	CHECK_STR(SAY(&c, "A LOGOUT\r\nB NOOP\r\n"),
		STR("* BYE Logging out\r\nA OK LOGOUT completed\r\n"));
	CHECK(c.gone);
	client_end(&c);
	end();
}

static void test_errors(void)
{
	struct client c;
	start();
	client_start(&c, false);
	for (int i = 0; i < 9; i++) { SAY(&c, "A X\r\n"); }
	CHECK(!c.gone);
	CHECK_STR(SAY(&c, "A X\r\n"), STR("A BAD No such command\r\n* BYE Too many errors\r\n"));
	CHECK(c.gone);
	client_end(&c);
	end();
}

static void test_timeouts(void)
{
	struct client c;
	start();
	client_start(&c, false);
	loop_advance(loop, 59 * SECOND_US);
	SAY(&c, "A NOOP\r\n");
	CHECK(!c.gone);
	loop_advance(loop, 2 * SECOND_US);
	CHECK_STR(buf_view(&c.heard), STR("A OK Completed\r\n* BYE No login in time\r\n"));
	CHECK(c.gone);
	client_end(&c);
	log_in(&c);
	loop_advance(loop, 29 * 60 * SECOND_US);
	SAY(&c, "A NOOP\r\n");
	loop_advance(loop, 29 * 60 * SECOND_US);
	SAY(&c, "A IDLE\r\n");
	loop_advance(loop, 29 * 60 * SECOND_US);
	CHECK(!c.gone);
	loop_advance(loop, 2 * 60 * SECOND_US);
	CHECK_STR(buf_view(&c.heard), STR("+ idling\r\n* BYE Idle for too long\r\n"));
	CHECK(c.gone);
	client_end(&c);
	end();
}

/* --- logins --- */

static void test_login(void)
{
	struct client c;
	start();
	client_start(&c, false);
	CHECK(has(GUESS(&c), "A NO [AUTHENTICATIONFAILED] "));
	CHECK(has(SAY(&c, "A LOGIN u@example.test \"\"\r\n"), "A NO [AUTHENTICATIONFAILED] "));
	CHECK(has(SAY(&c, "A LOGIN u\r\n"), "A BAD "));
	CHECK_STR(SAY(&c, "A LOGIN {14}\r\n"), STR("+ OK\r\n"));
	CHECK(has(SAY(&c, "u@example.test {1+}\r\nx\r\n"), "A OK [CAPABILITY IMAP4rev2 "));
	CHECK(has(SAY(&c, "A CAPABILITY\r\n"), " APPENDLIMIT=52428800"));
	CHECK_STR(SAY(&c, "A LOGIN u x\r\n"), STR("A BAD Not in this state\r\n"));
	client_end(&c);
	end();
}

static void test_plain(void)
{
	struct client c;
	start();
	client_start(&c, false);
	CHECK_STR(SAY(&c, "A AUTHENTICATE PLAIN\r\n"), STR("+ \r\n"));
	CHECK_STR(SAY(&c, "*\r\n"), STR("A BAD Cancelled\r\n"));
	CHECK_STR(SAY(&c, "A AUTHENTICATE PLAIN !\r\n"), STR("A BAD Malformed response\r\n"));
	CHECK_STR(SAY(&c, "A AUTHENTICATE PLAIN =\r\n"), STR("A BAD Malformed response\r\n"));
	CHECK(has(SAY(&c, "A AUTHENTICATE X\r\n"), "A NO [CANNOT] "));
	SAY(&c, "A AUTHENTICATE PLAIN\r\n");
	CHECK(has(SAY(&c, "AHVAZXhhbXBsZS50ZXN0AHg=\r\n"), "A OK [CAPABILITY "));
	client_end(&c);
	client_start(&c, false);
	CHECK(has(SAY(&c, "A AUTHENTICATE PLAIN AHVAZXhhbXBsZS50ZXN0AHg=\r\n"), "A OK "));
	client_end(&c);
	end();
}

static void test_guessing(void)
{
	struct client c;
	start();
	set("imap.login_failures", "2");
	client_start(&c, false);
	CHECK(has(GUESS(&c), "A NO "));
	CHECK(!c.gone);
	CHECK(has(GUESS(&c), "* BYE Too many failed logins"));
	CHECK(c.gone);
	client_end(&c);
	end();
}

static void test_clear(void)
{
	struct client c;
	start();
	set("imap.login_without_tls", "no");
	CHECK(has(client_start(&c, false), " STARTTLS LOGINDISABLED]"));
	CHECK(has(SAY(&c, "A LOGIN u@example.test x\r\n"), "A NO [PRIVACYREQUIRED] "));
	CHECK(has(SAY(&c, "A AUTHENTICATE PLAIN\r\n"), "A NO [PRIVACYREQUIRED] "));
	CHECK_STR(SAY(&c, "A STARTTLS\r\n"), STR("A OK Begin TLS now\r\n"));
	begin_tls(&c);
	CHECK_INT(c.tls_rc, 0);
	CHECK(has(SAY(&c, "A CAPABILITY\r\n"), " ID AUTH=PLAIN\r\n"));
	CHECK(has(SAY(&c, "A STARTTLS\r\n"), "A BAD "));
	CHECK(has(SAY(&c, "A LOGIN u@example.test x\r\n"), "A OK "));
	client_end(&c);
	/* what came in clear behind STARTTLS is not run */
	client_start(&c, false);
	CHECK_STR(SAY(&c, "A STARTTLS\r\nB NOOP\r\n"), STR(""));
	CHECK(c.gone);
	client_end(&c);
	CHECK(has(client_start(&c, true), "* OK [CAPABILITY "));
	CHECK_INT(c.tls_rc, 0);
	client_end(&c);
	end();
}

static void test_limits(void)
{
	struct client a, b;
	start();
	set("imap.sessions_per_user", "1");
	log_in(&a);
	client_start(&b, false);
	CHECK(has(SAY(&b, "A LOGIN u@example.test x\r\n"), "A NO [LIMIT] "));
	client_end(&a);
	CHECK(has(SAY(&b, "A LOGIN u@example.test x\r\n"), "A OK "));
	set("imap.sessions_max", "1");
	CHECK_STR(client_start(&a, false), STR("* BYE Too many sessions, try again later\r\n"));
	CHECK(a.gone);
	client_end(&a);
	client_end(&b);
	end();
}

/* --- APPEND --- */

static void test_append(void)
{
	struct client c;
	start();
	log_in(&c);
	CHECK_STR(SAY(&c, "A APPEND INBOX {14}\r\n"), STR("+ OK\r\n"));
	CHECK(has(SAY(&c, "Subject: x\r\n\r\n\r\n"), "A OK [APPENDUID "));
	CHECK(has(SAY(&c, "A APPEND Nowhere {14}\r\n"), "A NO [TRYCREATE] "));
	CHECK(has(SAY(&c, "A APPEND Nowhere {14+}\r\nSubject: x\r\n\r\n\r\nB NOOP\r\n"),
		"A NO [TRYCREATE] No such mailbox\r\nB OK"));
	CHECK(has(SAY(&c, "A APPEND INBOX {99999999}\r\n"), "A NO [TOOBIG] "));
	CHECK(has(SAY(&c, "A APPEND INBOX\r\n"), "A BAD "));
	CHECK(has(SAY(&c, "A APPEND INBOX (\\Nope) {3+}\r\nabc\r\n"), "A BAD "));
	CHECK(has(SAY(&c, "A APPEND INBOX \"yesterday\" {3+}\r\nabc\r\n"), "A BAD "));
	CHECK(has(SAY(&c, "A APPEND INBOX {3+}\r\na\0c\r\nB NOOP\r\n"), "A BAD NUL"));
	CHECK(has(SAY(&c, "A APPEND INBOX {3+}\r\nabc x\r\nB NOOP\r\n"), "A BAD "));
	CHECK(has(SAY(&c, "A APPEND INBOX {0+}\r\n\r\n"), "A NO "));
	CHECK(has(SAY(&c, "A APPEND INBOX (\\Seen foo) \"17-Jul-1996 02:44:25 -0700\" {14+}\r\n"
			  "Subject: x\r\n\r\n (bar) ~{14}\r\n"),
		"+ OK\r\n"));
	CHECK(has(SAY(&c, "Subject: y\r\n\r\n\r\n"), " 2:3] APPEND completed\r\n"));
	client_end(&c);
	end();
}

static void test_append_big(void)
{
	struct client c;
	struct buf cmd = {0}, body = {0};
	struct snap sn;
	struct mbox mb;
	struct msg m;
	start();
	log_in(&c);
	while (body.n < 3000000) { buf_fmt(&body, "line at %zu of a long text\r\n", body.n); }
	buf_fmt(&cmd, "A APPEND INBOX {%zu+}\r\n", body.n);
	say(&c, buf_view(&cmd));
	say(&c, buf_view(&body));
	CHECK(has(SAY(&c, "\r\n"), "A OK [APPENDUID "));
	CHECK_INT(snap_begin(fx.s, &sn), 0);
	CHECK_INT(snap_mbox(&sn, fx.inbox, &mb), 0);
	CHECK_INT(mb.total, 1);
	CHECK_INT(snap_msg(&sn, fx.inbox, 1, &m), 0);
	CHECK_INT(m.size, body.n);
	snap_end(&sn);
	/* a client that goes away in the middle leaves nothing */
	say(&c, buf_view(&cmd));
	say(&c, str_sub(buf_view(&body), 0, 1000000));
	client_end(&c);
	/* many, small and large, in one command */
	log_in(&c);
	buf_reset(&cmd);
	buf_fmt(&cmd, "A APPEND INBOX");
	for (int i = 0; i < 60; i++) {
		buf_fmt(&cmd, " {60000+}\r\n");
		buf_str(&cmd, str_sub(buf_view(&body), 0, 60000));
	}
	buf_str(&cmd, STR("\r\n"));
	CHECK(has(say(&c, buf_view(&cmd)), " 2:61] APPEND completed"));
	client_end(&c);
	buf_fini(&cmd);
	buf_fini(&body);
	end();
}

/* --- a selected mailbox --- */

static void test_selected(void)
{
	struct client c;
	start();
	log_in(&c);
	CHECK(has(SAY(&c, "A SELECT INBOX\r\n"), "A OK [READ-WRITE] "));
	SAY(&c, "B APPEND INBOX {14+}\r\nSubject: x\r\n\r\n\r\n");
	CHECK(has(buf_view(&c.heard), "* 1 EXISTS\r\n"));
	CHECK(str_find(buf_view(&c.heard), STR("EXISTS")) <
		str_find(buf_view(&c.heard), STR("B OK [APPENDUID ")));
	/* a batch of commands is answered in its order */
	CHECK(has(SAY(&c, "C STORE 1 +FLAGS.SILENT (\\Deleted)\r\nD EXPUNGE\r\nE NOOP\r\n"),
		"D OK "));
	CHECK(has(buf_view(&c.heard), "* 1 EXPUNGE\r\n"));
	CHECK(str_ends(buf_view(&c.heard), STR("E OK Completed\r\n")));
	CHECK(has(SAY(&c, "F UID NOOP\r\n"), "F BAD No such command"));
	CHECK(has(SAY(&c, "F ENABLE CONDSTORE X-NOPE IMAP4rev2\r\n"),
		"* ENABLED IMAP4rev2 CONDSTORE\r\n"));
	client_end(&c);
	end();
}

static void test_idle(void)
{
	struct client a, b;
	start();
	log_in(&a);
	log_in(&b);
	SAY(&a, "A SELECT INBOX\r\n");
	CHECK_STR(SAY(&a, "A IDLE\r\n"), STR("+ idling\r\n"));
	SAY(&b, "B APPEND INBOX {14+}\r\nSubject: x\r\n\r\n\r\n");
	CHECK(has(buf_view(&a.heard), "* 1 EXISTS\r\n"));
	CHECK_STR(SAY(&a, "DONE\r\n"), STR("A OK IDLE completed\r\n"));
	/* no news for who has left the mailbox */
	SAY(&a, "A UNSELECT\r\nA IDLE\r\n");
	SAY(&b, "B APPEND INBOX {14+}\r\nSubject: y\r\n\r\n\r\n");
	CHECK(str_ends(buf_view(&a.heard), STR("+ idling\r\n")));
	CHECK(has(SAY(&a, "NOOP\r\n"), "A BAD Expected DONE"));
	client_end(&a);
	client_end(&b);
	end();
}

/* --- the end --- */

static void on_stopped(struct role *r)
{
	(void)r; /* seen by the test through its clients */
}

static void test_stop(void)
{
	struct client a, b;
	start();
	client_start(&a, false);
	log_in(&b);
	SAY(&b, "A IDLE\r\n");
	roles[ROLE_IMAP].stopped = on_stopped;
	roles[ROLE_IMAP].stopping = true;
	roles[ROLE_IMAP].ops->stop(&roles[ROLE_IMAP]);
	settle();
	CHECK(a.gone && b.gone);
	CHECK(has(buf_view(&b.heard), "* BYE The server stops\r\n"));
	client_end(&a);
	client_end(&b);
	end();
}

static const struct tap_case cases[] = {
	{"greeting", test_greeting},
	{"errors", test_errors},
	{"timeouts", test_timeouts},
	{"LOGIN", test_login},
	{"AUTHENTICATE PLAIN", test_plain},
	{"guessing", test_guessing},
	{"without and with TLS", test_clear},
	{"limits", test_limits},
	{"APPEND", test_append},
	{"APPEND of much", test_append_big},
	{"a selected mailbox", test_selected},
	{"IDLE", test_idle},
	{"stop", test_stop},
};

int main(int argc, char **argv)
{
	log_set_level(LOG_ERROR);
	op_register();
	auth_register();
	return tap_run(cases, COUNT(cases), argc, argv);
}
