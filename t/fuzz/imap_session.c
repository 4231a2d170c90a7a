/* Whole IMAP dialogues over a store that nobody can write to. The first octet says whether the
   client has logged in, the second how its octets are cut. However they are cut, the answers are
   the same. */
#include "auth/auth.h"
#include "imap/server.h"
#include "lib/log.h"
#include "t/store_fixture.h"
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture fx;
static struct conf *conf;

static void clean(void)
{
	conf_free(conf);
	fixture_end(&fx);
}

static void prepare(void)
{
	static const struct conf_section *const sections[] = {
		&top_conf_section, &auth_conf_section, &imap_conf_section};
	const struct str multipart =
		STR("Subject: two\r\nMessage-ID: <2@x>\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
		    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
		    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n");
	log_set_level(LOG_ERROR);
	op_register();
	auth_register();
	fixture_start(&fx);
	(void)fixture_deliver(&fx, fx.aid, STR("Subject: one\r\nFrom: a@x\r\n\r\nbody\r\n"), NULL);
	(void)fixture_deliver(&fx, fx.aid, multipart, NULL);
	conf = conf_new(sections, COUNT(sections));
	atexit(clean);
}

struct dialogue {
	struct loop *loop;
	struct role role;
	struct buf heard;
	int fd;
};

static void settle(struct dialogue *d)
{
	for (int i = 0; i < 1000; i++) {
		loop_advance(d->loop, 1); /* commands that give way to others */
		bool turned = loop_turn(d->loop);
		char *p = buf_reserve(&d->heard, 65536);
		ssize_t n = recv(d->fd, p, 65536, MSG_DONTWAIT);
		if (n > 0) { buf_grow(&d->heard, (size_t)n); }
		if (!turned && n <= 0) { return; }
	}
}

static void begin(struct dialogue *d, bool logged_in)
{
	int fds[2];
	struct err e;
	*d = (struct dialogue){.loop = loop_new_fake(INT64_C(1790000000) * SECOND_US)};
	d->role = (struct role){
		.ops = &imap_role, .id = ROLE_IMAP, .loop = d->loop, .conf = conf, .store = fx.s};
	if (imap_role.start(&d->role, &e) < 0 || net_pair(fds) < 0) { abort(); }
	struct imap_server *server = d->role.state;
	d->fd = fds[1];
	imap_session_start(server, conn_new(d->loop, fds[0], true), false);
	settle(d);
	if (!logged_in) { return; }
	struct session *s = list_entry(server->sessions.next, struct session, node);
	s->state = IMAP_AUTHENTICATED;
	s->aid = fx.aid;
}

static void talk(struct dialogue *d, struct str octets, size_t piece)
{
	while (octets.n) {
		ssize_t n =
			send(d->fd, octets.p, MIN(octets.n, piece), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0) { return; }
		octets = str_skip(octets, (size_t)n);
		settle(d);
	}
}

static void end(struct dialogue *d)
{
	close(d->fd);
	settle(d);
	imap_role.fini(&d->role);
	for (int i = 0; i < 100; i++) { loop_turn(d->loop); }
	loop_free(d->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dialogue whole, cut;
	if (!fx.s) { prepare(); }
	if (size < 2 || size > 16384) { return 0; }
	struct str in = str_make(data + 2, size - 2);
	begin(&whole, data[0] & 1);
	talk(&whole, in, in.n);
	begin(&cut, data[0] & 1);
	talk(&cut, in, data[1] ? data[1] : 1);
	assert(str_eq(buf_view(&whole.heard), buf_view(&cut.heard)));
	end(&whole);
	end(&cut);
	buf_fini(&whole.heard);
	buf_fini(&cut.heard);
	return 0;
}
