/* imap, auth and store together on one loop: sessions, logins, APPEND, news. */
#include "auth/auth.h"
#include "store/blob.h"
#include "t/imap_house.h"
#include "t/tap.h"

#define GUESS(c) client_say_slow((c), STR("A LOGIN nobody@example.test x\r\n"))

/* --- any state --- */

static void test_greeting(void)
{
	struct client c;
	house_start();
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
	house_end();
}

static void test_errors(void)
{
	struct client c;
	house_start();
	client_start(&c, false);
	for (int i = 0; i < 9; i++) { SAY(&c, "A X\r\n"); }
	CHECK(!c.gone);
	CHECK_STR(SAY(&c, "A X\r\n"), STR("A BAD No such command\r\n* BYE Too many errors\r\n"));
	CHECK(c.gone);
	client_end(&c);
	/* a user's are forgotten when something goes well */
	client_log_in(&c);
	for (int i = 0; i < 150; i++) {
		client_say(&c, i % 50 ? STR("A X\r\n") : STR("A NOOP\r\n"));
	}
	CHECK(!c.gone);
	client_end(&c);
	house_end();
}

static void test_timeouts(void)
{
	struct client c;
	house_start();
	client_start(&c, false);
	loop_advance(house.loop, 59 * SECOND_US);
	SAY(&c, "A NOOP\r\n");
	CHECK(!c.gone);
	loop_advance(house.loop, 2 * SECOND_US);
	CHECK_STR(buf_view(&c.heard), STR("A OK Completed\r\n* BYE No login in time\r\n"));
	CHECK(c.gone);
	client_end(&c);
	client_log_in(&c);
	loop_advance(house.loop, 29 * 60 * SECOND_US);
	SAY(&c, "A NOOP\r\n");
	loop_advance(house.loop, 29 * 60 * SECOND_US);
	SAY(&c, "A IDLE\r\n");
	loop_advance(house.loop, 29 * 60 * SECOND_US);
	CHECK(!c.gone);
	loop_advance(house.loop, 2 * 60 * SECOND_US);
	CHECK_STR(buf_view(&c.heard), STR("+ idling\r\n* BYE Idle for too long\r\n"));
	CHECK(c.gone);
	client_end(&c);
	house_end();
}

/* --- logins --- */

static void test_login(void)
{
	struct client c;
	house_start();
	client_start(&c, false);
	CHECK(has(GUESS(&c), "A NO [AUTHENTICATIONFAILED] "));
	CHECK(has(SAY(&c, "A LOGIN u@example.test \"\"\r\n"), "A NO [AUTHENTICATIONFAILED] "));
	CHECK(has(SAY(&c, "A LOGIN u\r\n"), "A BAD "));
	CHECK_STR(SAY(&c, "A LOGIN {14}\r\n"), STR("+ OK\r\n"));
	CHECK(has(SAY(&c, "u@example.test {1+}\r\nx\r\n"), "A OK [CAPABILITY IMAP4rev2 "));
	CHECK(has(SAY(&c, "A CAPABILITY\r\n"), " APPENDLIMIT=52428800"));
	CHECK_STR(SAY(&c, "A LOGIN u x\r\n"), STR("A BAD Not in this state\r\n"));
	client_end(&c);
	house_end();
}

static void test_plain(void)
{
	struct client c;
	house_start();
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
	house_end();
}

static void test_guessing(void)
{
	struct client c;
	house_start();
	house_set("imap.login_failures", "2");
	client_start(&c, false);
	CHECK(has(GUESS(&c), "A NO "));
	CHECK(!c.gone);
	CHECK(has(GUESS(&c), "* BYE Too many failed logins"));
	CHECK(c.gone);
	client_end(&c);
	house_end();
}

static void test_clear(void)
{
	struct client c;
	house_start();
	house_set("imap.login_without_tls", "no");
	CHECK(has(client_start(&c, false), " STARTTLS LOGINDISABLED]"));
	CHECK(has(SAY(&c, "A LOGIN u@example.test x\r\n"), "A NO [PRIVACYREQUIRED] "));
	CHECK(has(SAY(&c, "A AUTHENTICATE PLAIN\r\n"), "A NO [PRIVACYREQUIRED] "));
	CHECK_STR(SAY(&c, "A STARTTLS\r\n"), STR("A OK Begin TLS now\r\n"));
	client_tls(&c);
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
	house_end();
}

static void test_limits(void)
{
	struct client a, b;
	house_start();
	house_set("imap.sessions_per_user", "1");
	client_log_in(&a);
	client_start(&b, false);
	CHECK(has(SAY(&b, "A LOGIN u@example.test x\r\n"), "A NO [LIMIT] "));
	client_end(&a);
	CHECK(has(SAY(&b, "A LOGIN u@example.test x\r\n"), "A OK "));
	house_set("imap.sessions_max", "1");
	CHECK_STR(client_start(&a, false), STR("* BYE Too many sessions, try again later\r\n"));
	CHECK(a.gone);
	client_end(&a);
	client_end(&b);
	house_end();
}

/* --- APPEND --- */

static void test_append(void)
{
	struct client c;
	house_start();
	client_log_in(&c);
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
	house_end();
}

static void test_append_big(void)
{
	struct client c;
	struct buf cmd = {0}, body = {0};
	struct snap sn;
	struct mbox mb;
	struct msg m;
	house_start();
	client_log_in(&c);
	while (body.n < 3000000) { buf_fmt(&body, "line at %zu of a long text\r\n", body.n); }
	buf_fmt(&cmd, "A APPEND INBOX {%zu+}\r\n", body.n);
	client_say(&c, buf_view(&cmd));
	client_say(&c, buf_view(&body));
	CHECK(has(SAY(&c, "\r\n"), "A OK [APPENDUID "));
	CHECK_INT(snap_begin(house.fx.s, &sn), 0);
	CHECK_INT(snap_mbox(&sn, house.fx.inbox, &mb), 0);
	CHECK_INT(mb.total, 1);
	CHECK_INT(snap_msg(&sn, house.fx.inbox, 1, &m), 0);
	CHECK_INT(m.size, body.n);
	snap_end(&sn);
	/* a client that goes away in the middle leaves nothing */
	client_say(&c, buf_view(&cmd));
	client_say(&c, str_sub(buf_view(&body), 0, 1000000));
	client_end(&c);
	/* many, small and large, in one command */
	client_log_in(&c);
	buf_reset(&cmd);
	buf_fmt(&cmd, "A APPEND INBOX");
	for (int i = 0; i < 60; i++) {
		buf_fmt(&cmd, " {60000+}\r\n");
		buf_str(&cmd, str_sub(buf_view(&body), 0, 60000));
	}
	buf_str(&cmd, STR("\r\n"));
	CHECK(has(client_say(&c, buf_view(&cmd)), " 2:61] APPEND completed"));
	client_end(&c);
	buf_fini(&cmd);
	buf_fini(&body);
	house_end();
}

/* --- octets that cannot go out as they are --- */

static void append(struct client *c, struct str text)
{
	struct buf cmd = {0};
	buf_fmt(&cmd, "A APPEND INBOX ~{%zu+}\r\n", text.n);
	buf_str(&cmd, text);
	buf_str(&cmd, STR("\r\n"));
	CHECK(has(client_say(c, buf_view(&cmd)), "A OK [APPENDUID "));
	buf_fini(&cmd);
}

/* NUL stands in literal8 only (RFC 9051 4.3.1); elsewhere it is 0x80 and sizes stay. */
static void test_nul(void)
{
	struct client c;
	struct str got, nul = STR("Subject: a\0b\r\nX: c\0\r\n\r\nd\0e");
	struct buf big = {0};
	house_start();
	client_log_in(&c);
	append(&c, nul);
	while (big.n < 300000) { buf_str(&big, nul); }
	append(&c, buf_view(&big));
	SAY(&c, "A SELECT INBOX\r\n");
	got = SAY(&c, "A FETCH 1 (RFC822.SIZE BODY.PEEK[])\r\n");
	CHECK(str_chr(got, '\0') < 0);
	CHECK(has(got, "RFC822.SIZE 26 BODY[] {26}\r\nSubject: a\x80"
		       "b\r\nX: c\x80\r\n\r\nd\x80"
		       "e)\r\n"));
	CHECK(has(SAY(&c, "A FETCH 1 BODY[TEXT]<1.1>\r\n"), "BODY[TEXT]<1> {1}\r\n\x80 "));
	CHECK(has(SAY(&c, "A FETCH 1 BODY[HEADER.FIELDS (X)]\r\n"), "{9}\r\nX: c\x80\r\n\r\n)"));
	CHECK(has(SAY(&c, "A FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\r\n"), "{16}\r\nSubject: a\x80"
									  "b\r\n\r\n)"));
	got = SAY(&c, "A FETCH 1 (ENVELOPE BODYSTRUCTURE)\r\n");
	CHECK(str_chr(got, '\0') < 0 && has(got, "A OK "));
	got = SAY(&c, "A FETCH 1 BINARY[]\r\n");
	CHECK(str_find(got, STR("BINARY[] ~{26}\r\nSubject: a\0b\r\nX: c\0\r\n\r\nd\0e)")) > 0);
	got = SAY(&c, "A FETCH 2 BODY[]\r\n");
	CHECK(str_chr(got, '\0') < 0 && has(got, "\x80") && has(got, "A OK "));
	CHECK(got.n > big.n && got.n < big.n + 100);
	got = SAY(&c, "A FETCH 2 BINARY[]\r\n");
	CHECK(str_find(got, buf_view(&big)) > 0);
	/* fields of a header that ends in the middle of a line */
	append(&c, STR("Subject: a\r\nZ: y"));
	CHECK(has(SAY(&c, "A FETCH 3 BODY[HEADER.FIELDS (Z)]\r\n"), "{8}\r\nZ: y\r\n\r\n "));
	CHECK(has(SAY(&c, "A FETCH 3 BODY[HEADER]\r\n"), "{16}\r\nSubject: a\r\nZ: y)"));
	client_end(&c);
	buf_fini(&big);
	house_end();
}

/* One bit of a stored chunk. */
static void flip(uint64_t oid, uint32_t chunk, size_t at)
{
	struct store *s = house.fx.s;
	struct key k = key_id_n(oid, chunk);
	MDB_val key = key_val(&k), v;
	MDB_txn *txn;
	CHECK_INT(mdb_txn_begin(s->env, NULL, 0, &txn), 0);
	CHECK_INT(mdb_get(txn, s->dbi[TB_BLOB], &key, &v), 0);
	struct buf copy = {0};
	buf_str(&copy, str_make(v.mv_data, v.mv_size));
	copy.p[at] ^= 4;
	v.mv_data = copy.p;
	CHECK_INT(mdb_put(txn, s->dbi[TB_BLOB], &key, &v, 0), 0);
	CHECK_INT(mdb_txn_commit(txn), 0);
	buf_fini(&copy);
}

static uint64_t oid_of(uint32_t uid)
{
	struct snap sn;
	struct msg m;
	CHECK_INT(snap_begin(house.fx.s, &sn), 0);
	CHECK_INT(snap_msg(&sn, house.fx.inbox, uid, &m), 0);
	snap_end(&sn);
	return m.oid;
}

static void flip_all(void)
{
	flip(oid_of(1), 0, 3);
	flip(oid_of(2), 0, 3);
	flip(oid_of(3), 2, 3);
}

/* Damage is told, never served, and what is whole is there as ever. */
static void test_damage(void)
{
	struct client c;
	struct str got;
	struct buf big = {0};
	house_start();
	client_log_in(&c);
	append(&c, STR("Subject: one\r\n\r\none\r\n"));
	while (big.n < 300000) { buf_str(&big, STR("Subject: big\r\n\r\n")); }
	append(&c, buf_view(&big));
	append(&c, buf_view(&big));
	append(&c, STR("Subject: four\r\n\r\nfour\r\n"));
	flip_all();
	SAY(&c, "A SELECT INBOX\r\n");
	CHECK_STR(SAY(&c, "A FETCH 1:2,4 (RFC822.SIZE BODY.PEEK[] FLAGS)\r\n"),
		STR("* 1 FETCH (RFC822.SIZE 21 UID 1 FLAGS ())\r\n"
		    "* 2 FETCH (RFC822.SIZE 300000 UID 2 FLAGS ())\r\n"
		    "* 4 FETCH (RFC822.SIZE 23 BODY[] {23}\r\nSubject: four\r\n\r\nfour\r\n"
		    " FLAGS ())\r\n"
		    "A NO [SERVERBUG] Stored data is damaged\r\n"));
	CHECK_STR(SAY(&c, "A FETCH 1 (BODY.PEEK[TEXT] BINARY.PEEK[1] BODY.PEEK[HEADER.FIELDS "
			  "(X)])\r\n"),
		STR("* 1 FETCH (UID 1 UID 1 UID 1)\r\nA NO [SERVERBUG] Stored data is "
		    "damaged\r\n"));
	CHECK(has(SAY(&c, "A FETCH 1 ENVELOPE\r\n"), "ENVELOPE (NIL \"one\" "));
	CHECK_STR(
		SAY(&c, "A SEARCH BODY \"o\"\r\n"), STR("* SEARCH 4\r\nA OK SEARCH completed\r\n"));
	CHECK(has(SAY(&c, "A FETCH 4 BODY[9]\r\n"), "BODY[9] NIL FLAGS"));
	/* found when half has been sent: there is no way to take that back */
	got = SAY(&c, "A FETCH 3 BODY[]\r\n");
	CHECK(str_find(got, STR("A OK")) < 0 && str_find(got, STR("A NO")) < 0);
	CHECK(c.gone);
	client_end(&c);
	buf_fini(&big);
	flip_all(); /* whole again */
	house_end();
}

/* --- a selected mailbox --- */

static void test_selected(void)
{
	struct client c;
	house_start();
	client_log_in(&c);
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
	house_end();
}

static void test_idle(void)
{
	struct client a, b;
	house_start();
	client_log_in(&a);
	client_log_in(&b);
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
	house_end();
}

/* --- the end --- */

static void on_stopped(struct role *r)
{
	(void)r; /* seen by the test through its clients */
}

static void test_stop(void)
{
	struct client a, b;
	house_start();
	client_start(&a, false);
	client_log_in(&b);
	SAY(&b, "A IDLE\r\n");
	house.roles[ROLE_IMAP].stopped = on_stopped;
	house.roles[ROLE_IMAP].stopping = true;
	house.roles[ROLE_IMAP].ops->stop(&house.roles[ROLE_IMAP]);
	house_settle();
	CHECK(a.gone && b.gone);
	CHECK(has(buf_view(&b.heard), "* BYE The server stops\r\n"));
	client_end(&a);
	client_end(&b);
	house_end();
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
	{"NUL", test_nul},
	{"damage", test_damage},
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
