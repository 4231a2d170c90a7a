/* lib: TLS over a socket pair: names and trust, STARTTLS, handshakes that fail, tickets, and long
   talks beside those without it. */
#include <sys/socket.h>
#include <unistd.h>

#include "lib/tls_private.h"
#include "t/conn_fixture.h"

static struct str cert, key, ca;

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

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"TLS: names, trust, data", test_tls},
		{"TLS: megabytes without a copy", test_tls_big},
		{"STARTTLS with plaintext behind it is refused", test_starttls_injection},
		{"handshake: silence, rubbish, hang-up", test_handshake_trouble},
		{"TLS: an end without goodbye is an end", test_tls_bare_end},
		{"TLS contexts: bad keys, wrong CA, tickets", test_tls_contexts},
		{"talking in turns, pieces of any size, raw and TLS", test_talk},
		{"TLS tickets survive a reload", test_tls_tickets},
	};
	struct buf ca_pem = {0}, cert_pem = {0}, key_pem = {0};
	struct err e;
	const struct str hosts[] = {STR("mail.example"), STR("127.0.0.1")};
	big_fill();
	if (tls_make_certificate(hosts, 2, &ca_pem, &cert_pem, &key_pem, &e) < 0) { return 1; }
	ca = buf_view(&ca_pem), cert = buf_view(&cert_pem), key = buf_view(&key_pem);
	int rc = tap_run(cases, COUNT(cases), argc, argv);
	buf_fini(&ca_pem);
	buf_fini(&cert_pem);
	buf_fini(&key_pem);
	return rc;
}
