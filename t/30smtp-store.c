/* smtp, auth and store together on one loop: what was answered with 250 stands in the store. */
#include "t/tap.h"

#include "auth/auth.h"
#include "lib/dns_conf.h"
#include "lib/head.h"
#include "lib/log.h"
#include "lib/mimerec.h"
#include "smtp/session.h"
#include "store/env.h"
#include "store/role.h"
#include "t/store_fixture.h"

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

static void start(void)
{
	static const struct conf_section *const sections[] = {&top_conf_section, &smtp_conf_section,
		&policy_conf_section, &relay_conf_section, &store_conf_section, &auth_conf_section,
		&dns_conf_section};
	static const enum role_id order[] = {ROLE_STORE, ROLE_AUTH, ROLE_MX, ROLE_SUBMIT};
	struct err e = {{0}};
	fixture_start(&fx);
	fixture_account(&fx, "second@example.test");
	struct op_domain_set domain = {.name = STR("example.test")};
	char nothing[16];
	CHECK_INT(store_apply(fx.s, &OP_DOMAIN_SET, &domain, &fx.a, nothing), 0);
	loop = loop_new_fake(INT64_C(1790000000) * SECOND_US);
	conf = conf_new(sections, COUNT(sections));
	CHECK_INT(conf_set(conf, STR("dns.forward"), STR("none"), &e), 0);
	CHECK_INT(conf_set(conf, STR("auth.any_password"), STR("yes"), &e), 0);
	add_role(&store_role);
	add_role(&auth_role);
	add_role(&mx_role);
	add_role(&submit_role);
	join(ROLE_STORE, ROLE_AUTH);
	join(ROLE_STORE, ROLE_MX);
	join(ROLE_STORE, ROLE_SUBMIT);
	join(ROLE_AUTH, ROLE_MX);
	join(ROLE_AUTH, ROLE_SUBMIT);
	for (size_t i = 0; i < COUNT(order); i++) {
		struct role *r = &roles[order[i]];
		if (r->ops->want_dns) { CHECK_INT(role_dns(r, &e), 0); }
		CHECK_INT(r->ops->start(r, &e), 0);
	}
}

static void end(void)
{
	static const enum role_id order[] = {ROLE_MX, ROLE_SUBMIT, ROLE_AUTH, ROLE_STORE};
	settle();
	for (size_t i = 0; i < COUNT(order); i++) {
		roles[order[i]].ops->fini(&roles[order[i]]);
		settle();
	}
	for (int i = 0; i < ROLE_N; i++) {
		dns_free(roles[i].dns);
		for (int j = 0; j < ROLE_N; j++) { link_free(roles[i].peer[j]); }
	}
	settle();
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
};

static void client_ended(struct task *t)
{
	(void)t; /* on the stack of the test */
}

static enum step client_read(struct task *t)
{
	struct client *c = task_of(t, struct client, task);
	struct str in = conn_in(t->conn);
	buf_str(&c->heard, in);
	conn_eat(t->conn, in.n);
	return conn_status(t->conn) == CONN_OPEN ? STEP_IN : STEP_DONE;
}

static void client_start(struct client *c, enum listen_kind kind)
{
	int fd[2];
	enum role_id id = kind == LISTEN_SUBMISSION ? ROLE_SUBMIT : ROLE_MX;
	*c = (struct client){0};
	CHECK_INT(net_pair(fd), 0);
	task_start(loop, &c->task, conn_new(loop, fd[1], false), client_read, client_ended);
	session_start(roles[id].state, service_find(kind), conn_new(loop, fd[0], true));
	settle();
}

static struct str say(struct client *c, struct str octets)
{
	buf_reset(&c->heard);
	conn_put(c->task.conn, octets);
	task_wake(&c->task, 0);
	settle();
	return buf_view(&c->heard);
}

static void client_end(struct client *c)
{
	if (!c->task.dead) {
		task_kill(&c->task);
		settle();
	}
	buf_fini(&c->heard);
}

/* --- looking --- */

/* The whole of the only message in an account's INBOX. */
static void read_only_message(uint32_t aid, struct buf *out)
{
	struct snap sn;
	struct mname name;
	struct mbox mb;
	struct msg m;
	struct str s = STR("");
	CHECK_INT(snap_begin(fx.s, &sn), 0);
	CHECK_INT(snap_mbox_by_name(&sn, aid, STR("INBOX"), &name, &mb), 0);
	CHECK_INT(mb.total, 1);
	int rc = snap_msg(&sn, mb.mid, 1, &m);
	CHECK_INT(rc, 0);
	while (rc == 0 && out->n < m.size) {
		rc = snap_msg_bytes(&sn, &m, out->n, &s);
		CHECK_INT(rc, 0);
		if (s.n == 0) { break; }
		buf_str(out, s);
	}
	CHECK_INT(out->n, m.size);
	snap_end(&sn);
}

/* The parse record of it counts the lines on top. */
static void check_record(uint32_t aid, size_t prefix_len, size_t header_len)
{
	struct snap sn;
	struct mname name;
	struct mbox mb;
	struct msg m;
	struct obj o;
	struct str packed;
	struct arena a = {0};
	struct mimerec rec;
	CHECK_INT(snap_begin(fx.s, &sn), 0);
	CHECK_INT(snap_mbox_by_name(&sn, aid, STR("INBOX"), &name, &mb), 0);
	CHECK_INT(snap_msg(&sn, mb.mid, 1, &m), 0);
	CHECK_INT(snap_obj(&sn, m.oid, &o), 0);
	CHECK_INT(snap_parse(&sn, m.oid, &packed), 0);
	CHECK_INT(mimerec_read(packed, &a, &rec), 0);
	CHECK_INT(o.size, m.size - prefix_len);
	CHECK_INT(o.header_len, header_len);
	CHECK_INT(rec.header_len, header_len);
	CHECK_INT(rec.parts[0].header_len, header_len);
	CHECK_INT(rec.parts[0].body_len, o.size - header_len);
	CHECK_STR(rec.hot, STR("Subject: big\r\nFrom: y@z\r\n"));
	snap_end(&sn);
	arena_fini(&a);
}

static void test_delivered(void)
{
	struct client c;
	struct buf text = {0};
	start();
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO c.example.org\r\nMAIL FROM:<a@example.org>\r\n"
		    "RCPT TO:<u+x@example.test>\r\nRCPT TO:<U@example.test>\r\n"
		    "RCPT TO:<second@example.test>\r\nRCPT TO:<third@example.test>\r\nDATA\r\n"));
	CHECK(str_find(buf_view(&c.heard), STR("550 5.1.1 ")) > 0);
	CHECK(str_find(buf_view(&c.heard), STR("354 ")) > 0);
	CHECK(str_starts(say(&c, STR("From: <a@b.c>\r\nSubject: x\r\n\r\n..Hello\r\n.\r\n")),
		STR("250 2.0.0 ")));
	read_only_message(fx.aid, &text);
	CHECK(str_starts(buf_view(&text), STR("Return-Path: <a@example.org>\r\n"
					      "Delivered-To: u+x@example.test\r\n"
					      "Received: from c.example.org (local)\r\n")));
	CHECK(str_ends(buf_view(&text), STR("\r\nSubject: x\r\n\r\n.Hello\r\n")));
	buf_reset(&text);
	read_only_message(fx.aid + 1, &text);
	buf_fini(&text);
	client_end(&c);
	end();
}

/* What we put on top: from "Received:" to the end of its last line. */
static size_t received_len(struct str text)
{
	struct head_field f;
	CHECK(str_starts(text, STR("Received: ")));
	return head_next(&text, &f) ? f.whole.n : 0;
}

/* Messages of `size` octets, header included: each stands in the store octet for octet, below one
   Received field that was written when all the rest had come. */
static void check_size(size_t size)
{
	static const struct str header = STR("Subject: big\r\nFrom: y@z\r\n\r\n");
	static const struct str prefix = STR("Return-Path: <>\r\nDelivered-To: u@example.test\r\n");
	struct client c;
	struct buf sent = {0}, text = {0};
	start();
	client_start(&c, LISTEN_SMTP);
	buf_str(&sent, header);
	for (int i = 0; sent.n + 70 < size; i++) { buf_fmt(&sent, "line %d of a text\r\n", i); }
	while (sent.n + 2 < size) { buf_chr(&sent, 'x'); }
	buf_str(&sent, STR("\r\n"));
	CHECK_INT(sent.n, size);
	say(&c, STR("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<u@example.test>\r\nDATA\r\n"));
	say(&c, buf_view(&sent));
	CHECK(str_starts(say(&c, STR(".\r\n")), STR("250 2.0.0 ")));
	read_only_message(fx.aid, &text);
	struct str rest = buf_view(&text);
	CHECK(str_starts(rest, prefix));
	rest = str_skip(rest, prefix.n);
	size_t top = received_len(rest);
	rest = str_skip(rest, top);
	CHECK_INT(rest.n, sent.n);
	CHECK(str_eq(rest, buf_view(&sent)));
	check_record(fx.aid, prefix.n, top + header.n);
	buf_fini(&sent);
	buf_fini(&text);
	client_end(&c);
	end();
}

static void test_big(void)
{
	static const size_t sizes[] = {200, CHUNK_DATA - 300, CHUNK_DATA - 100, CHUNK_DATA,
		CHUNK_DATA + 1, 2 * CHUNK_DATA, 1000000};
	for (size_t i = 0; i < COUNT(sizes); i++) { check_size(sizes[i]); }
}

/* What a client leaves in the middle of is not there. */
static void test_given_up(void)
{
	struct client c;
	struct store_stat st;
	start();
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<u@example.test>\r\nDATA\r\nA: b\r\n\r\n"));
	for (int i = 0; i < 3000; i++) {
		say(&c, STR("01234567890123456789012345678901234567890123456789012345678901\r\n"));
	}
	task_kill(&c.task);
	settle();
	buf_fini(&c.heard);
	CHECK_INT(store_stat(fx.s, &st), 0);
	CHECK_INT(st.messages, 0);
	end();
}

static size_t rows(enum table tb)
{
	MDB_txn *txn;
	MDB_stat st = {0};
	CHECK_INT(mdb_txn_begin(fx.s->env, NULL, MDB_RDONLY, &txn), 0);
	mdb_stat(txn, fx.s->dbi[tb], &st);
	mdb_txn_abort(txn);
	return st.ms_entries;
}

static void set_quota(uint32_t aid, uint64_t octets)
{
	struct op_acct_set set = {.aid = aid, .what = ACCT_SET_QUOTA, .quota_bytes = octets};
	CHECK_INT(store_apply(fx.s, &OP_ACCT_SET, &set, &fx.a, NULL), 0);
}

static void say_lines(struct client *c, int n)
{
	say(c, STR("From: <a@b.c>\r\n\r\n"));
	for (int i = 0; i < n; i++) {
		say(c, STR("a line with a hundred octets, or nearly as many, so that a few fill it"
			   "................................\r\n"));
	}
}

/* What has no room for a message is told as soon as its size is, and by name. */
static void test_quota(void)
{
	struct client c;
	struct buf text = {0};
	start();
	set_quota(fx.aid + 1, 3000);
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO c.example.org\r\nMAIL FROM:<a@example.org> SIZE=2900\r\n"));
	CHECK(str_starts(say(&c, STR("RCPT TO:<second@example.test>\r\n")),
		STR("552 5.2.3 The message is bigger than the quota of second@example.test\r\n")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<u@example.test>\r\n")), STR("250 ")));
	say(&c, STR("RSET\r\nMAIL FROM:<a@example.org> SIZE=1000\r\n"));
	CHECK(str_starts(say(&c, STR("RCPT TO:<second@example.test>\r\nDATA\r\n")), STR("250 ")));
	say_lines(&c, 10);
	CHECK(str_starts(say(&c, STR(".\r\n")), STR("250 ")));
	say(&c, STR("MAIL FROM:<a@example.org> SIZE=1000\r\n"));
	CHECK_STR(say(&c, STR("RCPT TO:<second@example.test>\r\n")),
		STR("452 4.2.2 Mailbox full: second@example.test\r\n"));
	say(&c, STR("RSET\r\nMAIL FROM:<a@example.org> SIZE=100\r\n"));
	CHECK(str_starts(say(&c, STR("RCPT TO:<second@example.test>\r\n")), STR("250 ")));
	/* that it was no true size shows at the end: then nobody has it, and it is said who is full
	 */
	CHECK(str_starts(say(&c, STR("RCPT TO:<u@example.test>\r\nDATA\r\n")), STR("250 2.1.5 ")));
	say_lines(&c, 20);
	CHECK_STR(say(&c, STR(".\r\n")), STR("452 4.2.2 Mailbox full: second@example.test\r\n"));
	say(&c, STR("MAIL FROM:<a@example.org>\r\nRCPT TO:<u@example.test>\r\nDATA\r\n"));
	CHECK(str_starts(say(&c, STR("From: <a@b.c>\r\n\r\nx\r\n.\r\n")), STR("250 ")));
	read_only_message(fx.aid, &text);
	buf_fini(&text);
	client_end(&c);
	end();
}

/* By LMTP each may fail alone. When all do nothing is left of it, and nothing says it was taken. */
static void test_nobody_takes(void)
{
	struct client c;
	start();
	set_quota(fx.aid + 1, 3000);
	client_start(&c, LISTEN_LMTP);
	say(&c, STR("LHLO c.example.org\r\nMAIL FROM:<a@example.org>\r\n"));
	say(&c, STR("RCPT TO:<second@example.test>\r\nDATA\r\n"));
	say_lines(&c, 3000);
	CHECK_INT(rows(TB_UPLOAD), 1);
	CHECK_STR(say(&c, STR(".\r\n")),
		STR("552 5.2.3 The message is bigger than the quota of second@example.test\r\n"));
	settle();
	CHECK_INT(rows(TB_UPLOAD), 0);
	CHECK_INT(rows(TB_OBJ), 0);
	CHECK_STR(say(&c, STR("NOOP\r\n")), STR("250 2.0.0 Ok\r\n"));
	client_end(&c);
	end();
}

static void test_audit(void)
{
	struct client c;
	struct snap sn;
	struct arena a = {0};
	struct audit record;
	start();
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT "
		    "TO:<third@example.test>\r\nQUIT\r\n"));
	loop_advance(loop, SECOND_US);
	CHECK_INT(snap_begin(fx.s, &sn), 0);
	CHECK_INT(snap_audit_prev(&sn, INT64_MAX, UINT64_MAX, &a, &record), 0);
	CHECK_INT(record.kind, AUDIT_REFUSED);
	CHECK_STR(record.from, STR("a@example.org"));
	CHECK_INT(record.rcpts_n, 1);
	CHECK_STR(record.rcpts[0].rcpt, STR("third@example.test"));
	CHECK(str_starts(record.rcpts[0].detail, STR("550 5.1.1 ")));
	snap_end(&sn);
	arena_fini(&a);
	client_end(&c);
	end();
}

static void check_rcpt(
	const struct audit_rcpt *r, const char *rcpt, int outcome, const char *detail)
{
	CHECK_STR(r->rcpt, str_of(rcpt));
	CHECK_INT(r->outcome, outcome);
	CHECK_STR(r->detail, str_of(detail));
}

/* The record of an alias names every place it led to, once each. */
static void test_audit_of_alias(void)
{
	struct client c;
	struct snap sn;
	struct arena a = {0};
	struct audit au;
	struct wire_str_item to[] = {
		{STR("far@example.org")}, {STR("second@example.test")}, {STR("u@example.test")}};
	struct op_addr_set alias = {
		.address = STR("all@example.test"), .targets = to, .targets_n = COUNT(to)};
	start();
	CHECK_INT(store_apply(fx.s, &OP_ADDR_SET, &alias, &fx.a, NULL), 0);
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<nobody@example.test>\r\n"
		    "RCPT TO:<second@example.test>\r\nRCPT TO:<all@example.test>\r\n"
		    "RCPT TO:<u+x@example.test>\r\nRCPT TO:<all@example.test>\r\nDATA\r\n"));
	CHECK(str_starts(say(&c, STR("From: <a@b.c>\r\n\r\nx\r\n.\r\n")), STR("250 ")));
	CHECK_INT(snap_begin(fx.s, &sn), 0);
	CHECK_INT(snap_audit_prev(&sn, INT64_MAX, UINT64_MAX, &a, &au), 0);
	CHECK_INT(au.rcpts_n, 6);
	check_rcpt(&au.rcpts[1], "second@example.test", RCPT_DELIVERED, "");
	check_rcpt(&au.rcpts[2], "all@example.test", RCPT_QUEUED, "far@example.org");
	check_rcpt(&au.rcpts[3], "all@example.test", RCPT_DELIVERED, "u@example.test");
	check_rcpt(&au.rcpts[4], "u+x@example.test", RCPT_DUPLICATE, "");
	check_rcpt(&au.rcpts[5], "all@example.test", RCPT_QUEUED, "");
	CHECK_INT(au.rcpts[1].uid, 1);
	CHECK_INT(au.rcpts[3].uid, 1);
	CHECK(au.rcpts[1].mid && au.rcpts[3].mid && au.rcpts[1].mid != au.rcpts[3].mid);
	CHECK(au.rcpts[2].qid && au.rcpts[2].mid == 0);
	snap_end(&sn);
	arena_fini(&a);
	client_end(&c);
	end();
}

/* The header is let go of when it is refused; what it said is not. */
static void test_audit_of_header(void)
{
	struct client c;
	struct snap sn;
	struct arena a = {0};
	struct audit record;
	struct err e = {{0}};
	start();
	CHECK_INT(conf_set(conf, STR("policy.from"), STR("refuse"), &e), 0);
	roles[ROLE_MX].ops->reload(&roles[ROLE_MX]);
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<a@example.org>\r\n"
		    "RCPT TO:<u@example.test>\r\nDATA\r\n"));
	CHECK(str_starts(say(&c, STR("From: A\r\n <a@example.org>\r\nMessage-ID: <1@x>\r\n"
				     "From: b@example.org\r\n\r\nx\r\n.\r\n")),
		STR("550 5.7.1 ")));
	loop_advance(loop, SECOND_US);
	CHECK_INT(snap_begin(fx.s, &sn), 0);
	CHECK_INT(snap_audit_prev(&sn, INT64_MAX, UINT64_MAX, &a, &record), 0);
	CHECK_STR(record.msgid, STR("<1@x>"));
	CHECK_STR(record.author, STR("A <a@example.org>"));
	snap_end(&sn);
	arena_fini(&a);
	client_end(&c);
	end();
}

static void set_domain(const char *name, const char *value)
{
	struct store *s = fx.s;
	MDB_txn *txn;
	MDB_val k = {strlen(name), (void *)(uintptr_t)name},
		v = {value ? strlen(value) : 0, (void *)(uintptr_t)value};
	CHECK_INT(mdb_txn_begin(s->env, NULL, 0, &txn), 0);
	CHECK_INT(value ? mdb_put(txn, s->dbi[TB_DOMAIN], &k, &v, 0)
			: mdb_del(txn, s->dbi[TB_DOMAIN], &k, NULL),
		0);
	CHECK_INT(mdb_txn_commit(txn), 0);
}

static void set_alias(const char *from, const char *to, const char *second)
{
	struct wire_str_item targets[] = {{str_of(to)}, {second ? str_of(second) : STR("")}};
	struct op_addr_set op = {
		.address = str_of(from), .targets = targets, .targets_n = second ? 2 : 1};
	CHECK_INT(store_apply(fx.s, &OP_ADDR_SET, &op, &fx.a, NULL), 0);
}

/* Aliases in a circle: what is wrong is told, unless there is a way out of it. */
static void test_alias_loops(void)
{
	struct client c;
	char from[32], to[32];
	start();
	set_alias("self@example.test", "self@example.test", NULL);
	set_alias("plus@example.test", "plus+x@example.test", NULL);
	set_alias("one@example.test", "two@example.test", NULL);
	set_alias("two@example.test", "one@example.test", NULL);
	set_alias("out@example.test", "out@example.test", "u@example.test");
	set_alias("fork@example.test", "left@example.test", "right@example.test");
	set_alias("left@example.test", "nobody@example.test", NULL);
	set_alias("right@example.test", "nobody@example.test", NULL);
	for (int i = 0; i < 11; i++) {
		snprintf(from, sizeof from, "c%d@example.test", i);
		snprintf(to, sizeof to, "c%d@example.test", i + 1);
		set_alias(from, to, NULL);
	}
	set_alias("c11@example.test", "u@example.test", NULL);
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<a@example.org>\r\n"));
	CHECK(str_starts(say(&c, STR("RCPT TO:<self@example.test>\r\n")), STR("550 5.4.6 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<plus@example.test>\r\n")), STR("550 5.4.6 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<one@example.test>\r\n")), STR("550 5.4.6 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<c0@example.test>\r\n")), STR("550 5.4.6 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<fork@example.test>\r\n")), STR("550 5.1.1 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<out@example.test>\r\n")), STR("250 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<c2@example.test>\r\n")), STR("250 ")));
	client_end(&c);
	end();
}

static void drop_account(uint32_t aid)
{
	struct op_acct_del del = {.aid = aid};
	CHECK_INT(store_apply(fx.s, &OP_ACCT_DEL, &del, &fx.a, NULL), 0);
}

/* Where nobody is there yet, nothing for the postmaster is lost. */
static void test_no_postmaster(void)
{
	struct client c;
	start();
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<a@example.org>\r\n"));
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster>\r\n")), STR("250 ")));
	drop_account(fx.aid);
	drop_account(fx.aid + 1);
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster>\r\n")), STR("451 4.3.0 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<Postmaster@example.test>\r\n")), STR("451 4.3.0 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<u@example.test>\r\n")), STR("550 5.1.1 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster@far.test>\r\n")), STR("550 5.7.1 ")));
	struct op_domain_del del = {.name = STR("example.test")};
	CHECK_INT(store_apply(fx.s, &OP_DOMAIN_DEL, &del, &fx.a, NULL), 0);
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster>\r\n")), STR("451 4.3.0 ")));
	client_end(&c);
	end();
}

static void on_line(void *ctx, struct str line)
{
	buf_str(ctx, line);
}

/* What is the domain of a bare name? Where that cannot be read nobody is a stranger for good. */
static void test_first_domain(void)
{
	struct client c;
	struct buf told = {0};
	start();
	set_domain("a.test", "a record whose checksum is wrong");
	log_sink(on_line, &told);
	client_start(&c, LISTEN_SMTP);
	say(&c, STR("EHLO x\r\nMAIL FROM:<a@example.org>\r\n"));
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster>\r\n")), STR("451 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster@example.test>\r\n")), STR("250 ")));
	CHECK(str_starts(say(&c, STR("RCPT TO:<u@example.test>\r\n")), STR("250 ")));
	set_domain("a.test", NULL);
	CHECK(str_starts(say(&c, STR("RCPT TO:<postmaster>\r\n")), STR("250 ")));
	log_sink(NULL, NULL);
	CHECK(str_find(buf_view(&told), STR("the first domain cannot be read reason=damaged")) > 0);
	buf_fini(&told);
	client_end(&c);
	end();
}

int main(int argc, char **argv)
{
	static const struct tap_case table[] = {
		{"one message for two accounts by three addresses", test_delivered},
		{"messages of one chunk and of many", test_big},
		{"a message that was never ended", test_given_up},
		{"a quota that the message does not fit", test_quota},
		{"a hand-over that nobody has room for", test_nobody_takes},
		{"the record of a refusal", test_audit},
		{"the record of an alias", test_audit_of_alias},
		{"the record of a refused header", test_audit_of_header},
		{"no postmaster yet", test_no_postmaster},
		{"aliases in a circle", test_alias_loops},
		{"the first domain cannot be read", test_first_domain},
	};
	log_set_level(LOG_ERROR);
	op_register();
	auth_register();
	return tap_run(table, COUNT(table), argc, argv);
}
