#include "t/smtp_fixture.h"

#include "auth/auth.h"
#include "lib/dns_conf.h"
#include "smtp/session.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
	if (good) { return; }
	printf("Bail out! %s\n", what);
	abort();
}

static void settle(struct smtp_fixture *f)
{
	for (int i = 0; i < 100000 && loop_turn(f->loop); i++) {}
}

/* --- auth --- */

static void fake_resolve(struct link_msg *m)
{
	const struct auth_resolve *ask = m->request;
	struct str local = ask->address, domain;
	ptrdiff_t at = str_rchr(ask->address, '@');
	local = at < 0 ? ask->address : str_sub(ask->address, 0, (size_t)at);
	domain = at < 0 ? STR("example.test") : str_skip(ask->address, (size_t)at + 1);
	struct auth_target to[2] = {{.address = ask->address}, {.address = STR("far@example.org")}};
	struct auth_resolve_reply reply = {.local_domain = str_eq(domain, STR("example.test")),
		.targets = to,
		.targets_n = str_eq(local, STR("nobody")) ? 0 : 1};
	if (reply.local_domain) {
		/* accounts by the first letter: "one" and "other" are the same */
		to[0].aid = (unsigned char)(local.n ? local.p[0] : 1);
		to[0].room = str_eq(local, STR("full")) ? ROOM_FULL : ROOM_ENOUGH;
		if (str_eq(local, STR("both"))) {
			to[0].aid = 'o';
			reply.targets_n = 2;
		}
	}
	link_reply(m, str_eq(local, STR("again")) ? ERR_AGAIN : 0, &reply);
}

static void fake_login(struct link_msg *m)
{
	const struct auth_login *ask = m->request;
	struct auth_login_reply reply = {.aid = 'o', .login = STR("one@example.test")};
	bool good = str_eq(ask->user, STR("one")) && str_eq(ask->password, STR("secret"));
	link_reply(m, good ? 0 : ERR_DENIED, &reply);
}

static void fake_may_send(const struct smtp_fixture *f, struct link_msg *m)
{
	const struct auth_may_send *ask = m->request;
	struct auth_may_send_reply reply = {
		.allowed = ask->address.n == 0 ||
			   (str_istarts(ask->address, STR("o")) &&
				   str_iends(ask->address, STR("@example.test")))};
	link_reply(m, f->disabled ? ERR_DENIED : 0, &reply);
}

static void on_auth(void *ctx, struct link_msg *m)
{
	if (m->type == &AUTH_RESOLVE) {
		fake_resolve(m);
	} else if (m->type == &AUTH_LOGIN) {
		fake_login(m);
	} else {
		fake_may_send(ctx, m);
	}
}

/* --- store --- */

static void describe(struct smtp_fixture *f, const struct op_deliver *op)
{
	buf_reset(&f->envelope);
	buf_fmt(&f->envelope, "from=%.*s", STR_ARG(op->from));
	for (uint32_t i = 0; i < op->locals_n; i++) {
		buf_fmt(&f->envelope, " local=%.*s%s", STR_ARG(op->locals[i].rcpt),
			op->locals[i].use == USE_JUNK ? "(junk)" : "");
	}
	for (uint32_t i = 0; i < op->remotes_n; i++) {
		buf_fmt(&f->envelope, " remote=%.*s", STR_ARG(op->remotes[i].rcpt));
	}
	buf_reset(&f->body);
	buf_str(&f->body, op->body.top);
	buf_str(&f->body, op->body.oid ? buf_view(&f->upload) : op->body.data);
	must(f->body.n == op->body.size, "the body has the size that was told");
	must(op->audit.id != 0, "there is an audit record");
}

static void describe_checks(struct smtp_fixture *f, const struct audit *au)
{
	buf_reset(&f->checks);
	buf_reset(&f->details);
	for (uint32_t i = 0; i < au->checks_n; i++) {
		const struct audit_check *c = &au->checks[i];
		buf_fmt(&f->checks, "%s%.*s=%.*s", i ? " " : "", STR_ARG(c->name),
			STR_ARG(c->result));
		if (c->action.n) { buf_fmt(&f->checks, "(%.*s)", STR_ARG(c->action)); }
		if (c->except.n) { buf_fmt(&f->checks, "[%.*s]", STR_ARG(c->except)); }
		buf_fmt(&f->details, "%.*s: %.*s\n", STR_ARG(c->name), STR_ARG(c->detail));
	}
}

static void fake_deliver(struct smtp_fixture *f, struct link_msg *m)
{
	const struct op_deliver *op = m->request;
	struct op_rcpt_result results[OP_RCPTS_MAX] = {{0}};
	struct op_deliver_reply reply = {.oid = 1, .results = results, .results_n = op->locals_n};
	f->delivers++;
	describe(f, op);
	describe_checks(f, &op->audit);
	for (uint32_t i = 0; i < op->locals_n; i++) {
		results[i].rc = (int)op->locals[i].aid == f->full_aid ? -ERR_QUOTA : 0;
		if (results[i].rc && !op->partial) { reply.oid = 0; }
	}
	if (f->silent) {
		f->held = link_keep(m);
	} else {
		link_reply(m, f->deliver_rc, &reply);
	}
}

static void fake_upload(struct smtp_fixture *f, struct link_msg *m)
{
	const struct op_upload *op = m->request;
	if (op->oid == 0) {
		buf_reset(&f->upload);
		f->first_chunk = op->chunk;
	}
	must(f->upload.n == (size_t)(op->chunk - f->first_chunk) * CHUNK_DATA,
		"chunks come in order");
	buf_str(&f->upload, op->data);
	link_reply(m, 0, &(struct op_upload_reply){.oid = 7});
}

static void on_store(void *ctx, struct link_msg *m)
{
	struct smtp_fixture *f = ctx;
	if (m->type == &OP_DELIVER) {
		fake_deliver(f, m);
	} else if (m->type == &OP_UPLOAD) {
		fake_upload(f, m);
	} else if (m->type == &OP_AUDIT) {
		const struct op_audit *op = m->request;
		f->audits += op->records_n;
		describe_checks(f, &op->records[op->records_n - 1]);
		f->audit_ops++;
		link_reply(m, 0, NULL);
	}
}

void smtp_answer_held(struct smtp_fixture *f)
{
	struct op_deliver_reply reply = {.oid = 1};
	link_reply(f->held, 0, &reply);
	f->held = NULL;
}

/* --- the role --- */

static void on_role(void *ctx, struct link_msg *m)
{
	struct role *r = ctx;
	r->ops->handle(r, m);
}

static void on_down(void *ctx, struct link *gone)
{
	(void)ctx, (void)gone; /* freed at the end */
}

static const struct link_ops auth_ops = {on_auth, on_down}, store_ops = {on_store, on_down},
			     role_links = {on_role, on_down};

static struct link *link_pair(struct smtp_fixture *f, enum role_id peer, const struct link_ops *ops)
{
	int fd[2];
	if (net_pair(fd) < 0) { abort(); }
	f->role.peer[peer] = link_new(f->loop, fd[0], f->role.id, peer, &role_links, &f->role);
	return link_new(f->loop, fd[1], peer, f->role.id, ops, f);
}

static void configure(struct smtp_fixture *f, const char *settings)
{
	static const struct conf_section *const sections[] = {&top_conf_section, &smtp_conf_section,
		&policy_conf_section, &relay_conf_section, &dns_conf_section};
	struct str rest = str_of(settings), word, key;
	struct err e = {{0}};
	f->conf = conf_new(sections, COUNT(sections));
	must(conf_set(f->conf, STR("hostname"), STR("mx.example.test"), &e) == 0,
		"the host name is set");
	must(conf_set(f->conf, STR("dns.forward"), STR("none"), &e) == 0, e.text);
	while (rest.n) {
		char value[512];
		str_cut(&rest, ' ', &word);
		str_cut(&word, '=', &key);
		must(word.n <= sizeof value, "a setting is short");
		for (size_t i = 0; i < word.n; i++) {
			value[i] = word.p[i] == '~' ? ' ' : word.p[i];
		}
		must(conf_set(f->conf, key, str_make(value, word.n), &e) == 0, e.text);
	}
	f->role.conf = f->conf;
}

/* Made once: it takes longer than a session. */
static void certify(struct smtp_fixture *f)
{
	static struct tls_ctx *server, *client;
	struct buf ca = {0}, cert = {0}, key = {0};
	struct err e = {{0}};
	if (!server) {
		int rc = tls_make_certificate(&STR("mx.example.test"), 1, &ca, &cert, &key, &e);
		must(rc == 0, e.text);
		server = tls_server_new(buf_view(&cert), buf_view(&key), &e);
		client = tls_client_new(TLS_OPPORTUNISTIC, STR(""), &e);
		must(server && client, e.text);
	}
	buf_fini(&ca);
	buf_fini(&cert);
	buf_fini(&key);
	f->role.tls = tls_get(server);
	f->client_tls = tls_get(client);
}

void smtp_start(struct smtp_fixture *f, enum role_id role, const char *settings)
{
	smtp_start_zone(f, role, settings, NULL);
}

void smtp_start_zone(
	struct smtp_fixture *f, enum role_id role, const char *settings, const char *zone)
{
	static bool registered;
	static struct role_secret secret = {.name = {"dns.zone", 8}};
	struct err e = {{0}};
	*f = (struct smtp_fixture){.gone = true};
	if (!registered) {
		log_set_level(LOG_ERROR);
		op_register();
		auth_register();
		registered = true;
	}
	f->loop = loop_new_fake(INT64_C(1790000000) * SECOND_US);
	f->role = (struct role){
		.ops = role == ROLE_MX ? &mx_role : &submit_role, .id = role, .loop = f->loop};
	configure(f, settings);
	certify(f);
	secret.value = str_of(zone);
	f->role.secrets = &secret;
	f->role.secrets_n = zone ? 1 : 0;
	f->auth = link_pair(f, ROLE_AUTH, &auth_ops);
	f->store = link_pair(f, ROLE_STORE, &store_ops);
	must(role_dns(&f->role, &e) == 0, e.text);
	must(f->role.ops->start(&f->role, &e) == 0, e.text);
}

void smtp_end(struct smtp_fixture *f)
{
	if (!f->gone) { task_kill(&f->task); }
	settle(f);
	f->role.ops->fini(&f->role);
	settle(f);
	link_free(f->role.peer[ROLE_AUTH]);
	link_free(f->role.peer[ROLE_STORE]);
	link_free(f->auth);
	link_free(f->store);
	settle(f);
	dns_free(f->role.dns);
	tls_put(f->role.tls);
	tls_put(f->client_tls);
	conf_free(f->conf);
	loop_free(f->loop);
	buf_fini(&f->heard);
	buf_fini(&f->body);
	buf_fini(&f->envelope);
	buf_fini(&f->upload);
	buf_fini(&f->checks);
	buf_fini(&f->details);
}

/* --- the client --- */

static void client_ended(struct task *t)
{
	task_of(t, struct smtp_fixture, task)->gone = true;
}

static enum step client_read(struct task *t)
{
	struct smtp_fixture *f = task_of(t, struct smtp_fixture, task);
	struct str in = conn_in(t->conn);
	buf_str(&f->heard, in);
	conn_eat(t->conn, in.n);
	return conn_status(t->conn) == CONN_OPEN ? STEP_IN : STEP_DONE;
}

static enum step client_tls_done(struct task *t)
{
	struct smtp_fixture *f = task_of(t, struct smtp_fixture, task);
	f->tls_rc = t->rc;
	t->step = client_read;
	return t->rc < 0 ? STEP_DONE : STEP_MORE;
}

static enum step client_tls(struct task *t)
{
	struct smtp_fixture *f = task_of(t, struct smtp_fixture, task);
	t->step = client_tls_done;
	return conn_start_tls(t->conn, t, f->client_tls, STR("")) < 0 ? STEP_DONE : STEP_WAIT;
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

void smtp_connect(struct smtp_fixture *f, enum listen_kind kind)
{
	int fd[2];
	if (!f->gone) { task_kill(&f->task); }
	settle(f);
	must((f->over_tcp ? tcp_pair(fd) : net_pair(fd)) == 0, "a connection");
	f->gone = false;
	f->tls_rc = 1;
	task_start(f->loop, &f->task, conn_new(f->loop, fd[1], false), client_read, client_ended);
	struct conn *server = conn_new(f->loop, fd[0], true);
	if (f->local || f->from) {
		struct net_addr a;
		net_addr_parse(str_of(f->from ? f->from : "127.0.0.1"), 0, &a);
		conn_set_peer(server, &a);
	}
	session_start(f->role.state, service_find(kind), server);
}

struct session *smtp_session(struct smtp_fixture *f)
{
	const struct server *sv = f->role.state;
	must(!list_empty(&sv->sessions), "there is a session");
	return list_entry(sv->sessions.prev, struct session, node);
}

void smtp_tls(struct smtp_fixture *f)
{
	f->task.step = client_tls;
	task_wake(&f->task, 0);
	settle(f);
}

/* "250-x\r\n250 2.0.0 ok\r\n" -> "250/2.0.0" */
static struct str summary(struct smtp_fixture *f)
{
	static struct buf out;
	struct str rest = buf_view(&f->heard), line, word;
	buf_reset(&out);
	while (rest.n) {
		str_cut(&rest, '\n', &line);
		if (line.n < 4 || line.p[3] != ' ') { continue; }
		buf_str(&out, out.n ? STR(" ") : STR(""));
		buf_str(&out, str_sub(line, 0, 3));
		line = str_skip(line, 4);
		str_cut(&line, ' ', &word);
		if (word.n >= 5 && word.p[1] == '.') { buf_fmt(&out, "/%.*s", STR_ARG(word)); }
	}
	if (f->gone) { buf_str(&out, STR(".")); }
	return buf_view(&out);
}

struct str smtp_say(struct smtp_fixture *f, struct str octets)
{
	buf_reset(&f->heard);
	if (!f->gone && octets.n) {
		conn_put(f->task.conn, octets);
		task_wake(&f->task, 0);
	}
	settle(f);
	return summary(f);
}

struct str smtp_wait(struct smtp_fixture *f, int64_t us)
{
	buf_reset(&f->heard);
	loop_advance(f->loop, us);
	settle(f);
	return summary(f);
}

struct str smtp_login(struct smtp_fixture *f)
{
	return SAY(f, "EHLO c.example.org\r\nAUTH PLAIN AG9uZQBzZWNyZXQ=\r\n");
}
