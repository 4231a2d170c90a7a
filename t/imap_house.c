/* The roles behind an IMAP client, on one loop. For tests. */
#include "t/imap_house.h"

#include <fcntl.h>
#include <unistd.h>

#include "auth/auth.h"
#include "lib/log.h"
#include "store/role.h"
#include "t/tap.h"

struct house house;

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

void house_settle(void)
{
	for (int i = 0; i < 100000 && loop_turn(house.loop); i++) {}
}

static void join(enum role_id a, enum role_id b)
{
	int fd[2];
	CHECK_INT(net_pair(fd), 0);
	house.roles[a].peer[b] = link_new(house.loop, fd[0], a, b, &link_ops, &house.roles[a]);
	house.roles[b].peer[a] = link_new(house.loop, fd[1], b, a, &link_ops, &house.roles[b]);
}

static void add_role(const struct role_ops *ops)
{
	house.roles[ops->id] = (struct role){.ops = ops,
		.id = ops->id,
		.loop = house.loop,
		.conf = house.conf,
		.store = house.fx.s};
}

void house_set(const char *key, const char *value)
{
	struct err e = {{0}};
	CHECK_INT(conf_set(house.conf, str_of(key), str_of(value), &e), 0);
}

static void certify(void)
{
	struct buf ca = {0}, cert = {0}, key = {0};
	struct err e = {{0}};
	CHECK_INT(tls_make_certificate(&STR("imap.example.test"), 1, &ca, &cert, &key, &e), 0);
	house.roles[ROLE_IMAP].tls = tls_server_new(buf_view(&cert), buf_view(&key), &e);
	house.client_tls = tls_client_new(TLS_OPPORTUNISTIC, STR(""), &e);
	buf_fini(&ca);
	buf_fini(&cert);
	buf_fini(&key);
}

void house_start(void)
{
	static const struct conf_section *const sections[] = {
		&top_conf_section, &store_conf_section, &auth_conf_section, &imap_conf_section};
	static const enum role_id order[] = {ROLE_STORE, ROLE_AUTH, ROLE_IMAP};
	struct err e = {{0}};
	fixture_start(&house.fx);
	struct op_domain_set domain = {.name = STR("example.test")};
	char nothing[16];
	CHECK_INT(store_apply(house.fx.s, &OP_DOMAIN_SET, &domain, &house.fx.a, nothing), 0);
	house.loop = loop_new_fake(INT64_C(1790000000) * SECOND_US);
	house.conf = conf_new(sections, COUNT(sections));
	house_set("hostname", "imap.example.test");
	house_set("auth.any_password", "yes");
	house_set("auth.failure_delay", "0s");
	house_set("imap.login_without_tls", "loopback");
	add_role(&store_role);
	add_role(&auth_role);
	add_role(&imap_role);
	join(ROLE_STORE, ROLE_AUTH);
	join(ROLE_STORE, ROLE_IMAP);
	join(ROLE_AUTH, ROLE_IMAP);
	certify();
	for (size_t i = 0; i < COUNT(order); i++) {
		struct role *r = &house.roles[order[i]];
		CHECK_INT(r->ops->start(r, &e), 0);
	}
}

void house_end(void)
{
	static const enum role_id order[] = {ROLE_IMAP, ROLE_AUTH, ROLE_STORE};
	house_settle();
	for (size_t i = 0; i < COUNT(order); i++) {
		house.roles[order[i]].ops->fini(&house.roles[order[i]]);
		house_settle();
	}
	for (int i = 0; i < ROLE_N; i++) {
		for (int j = 0; j < ROLE_N; j++) { link_free(house.roles[i].peer[j]); }
	}
	house_settle();
	tls_put(house.roles[ROLE_IMAP].tls);
	tls_put(house.client_tls);
	loop_free(house.loop);
	conf_free(house.conf);
	CHECK_INT(fixture_fsck(&house.fx, false), 0);
	fixture_end(&house.fx);
	memset(house.roles, 0, sizeof house.roles);
}

/* --- a client --- */

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
	return conn_start_tls(t->conn, t, house.client_tls, STR("")) < 0 ? STEP_DONE : STEP_WAIT;
}

struct str client_tls(struct client *c)
{
	buf_reset(&c->heard);
	c->task.step = client_begin_tls;
	task_wake(&c->task, 0);
	house_settle();
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

struct str client_start(struct client *c, bool tls)
{
	int fd[2] = {-1, -1};
	*c = (struct client){.tls_rc = 1};
	CHECK_INT(tcp_pair(fd), 0);
	task_start(house.loop, &c->task, conn_new(house.loop, fd[1], false), client_read,
		client_ended);
	imap_session_start(house.roles[ROLE_IMAP].state, conn_new(house.loop, fd[0], true), tls);
	if (tls) { return client_tls(c); }
	house_settle();
	return buf_view(&c->heard);
}

struct str client_say(struct client *c, struct str octets)
{
	buf_reset(&c->heard);
	if (c->gone) { return STR("gone"); }
	conn_put(c->task.conn, octets);
	task_wake(&c->task, 0);
	house_settle();
	return buf_view(&c->heard);
}

/* As say, for what is answered by a thread: a password is hashed. */
struct str client_say_slow(struct client *c, struct str octets)
{
	client_say(c, octets);
	for (int ms = 0; ms < 30000 && !c->heard.n; ms++) {
		usleep(1000);
		house_settle();
	}
	return buf_view(&c->heard);
}

void client_end(struct client *c)
{
	if (!c->gone) { task_kill(&c->task); }
	house_settle();
	buf_fini(&c->heard);
}

void client_log_in(struct client *c)
{
	client_start(c, false);
	CHECK(str_starts(SAY(c, "L LOGIN u@example.test x\r\n"), STR("L OK [CAPABILITY ")));
}

bool has(struct str text, const char *needle)
{
	bool found = str_find(text, str_of(needle)) >= 0;
	if (!found) { printf("# no \"%s\" in \"%.*s\"\n", needle, STR_ARG(text)); }
	return found;
}
