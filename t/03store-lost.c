/* store: mail that lost what led to it. fsck puts it where its owner finds it, and leaves garbage
   alone. */
#include <stdio.h>
#include <string.h>

#include "store/apply.h"
#include "store/maintain.h"
#include "t/store_fixture.h"
#include "t/tap.h"

static const struct str hello = {"Message-ID: <1@a>\r\nSubject: hello\r\n\r\nworld\r\n", 45};

/* The first account is the postmaster's, v is another one. */
struct house {
	struct fixture fx;
	uint32_t v;
};

static void start(struct house *h)
{
	fixture_start(&h->fx);
	h->v = fixture_account(&h->fx, "v@example.test");
}

static int apply(struct house *h, const struct msg_type *type, const void *op, void *reply)
{
	return store_apply(h->fx.s, type, op, &h->fx.a, reply);
}

/* DROP a row; SUM: it can be read, and its checksum says that it is damaged. */
enum how { DROP, SUM };

static void damage(struct house *h, enum table tb, const struct key *k, enum how how)
{
	MDB_val key = key_val(k), v;
	MDB_txn *txn;
	char copy[4096];
	struct store *s = h->fx.s;
	CHECK_INT(mdb_txn_begin(s->env, NULL, 0, &txn), 0);
	CHECK_INT(mdb_get(txn, s->dbi[tb], &key, &v), 0);
	if (how == DROP) {
		CHECK_INT(mdb_del(txn, s->dbi[tb], &key, NULL), 0);
	} else {
		memcpy(copy, v.mv_data, v.mv_size);
		copy[v.mv_size - 1] ^= 4;
		v.mv_data = copy;
		CHECK_INT(mdb_put(txn, s->dbi[tb], &key, &v, 0), 0);
	}
	CHECK_INT(mdb_txn_commit(txn), 0);
}

/* The first key of a table at or behind `from`. */
static struct key first(struct house *h, enum table tb, struct key from)
{
	MDB_val key = key_val(&from), v;
	MDB_cursor *c;
	struct snap sn;
	CHECK_INT(snap_begin(h->fx.s, &sn), 0);
	CHECK_INT(mdb_cursor_open(sn.txn, h->fx.s->dbi[tb], &c), 0);
	CHECK_INT(mdb_cursor_get(c, &key, &v, from.n ? MDB_SET_RANGE : MDB_FIRST), 0);
	from = key_none();
	key_str(&from, val_str(key));
	mdb_cursor_close(c);
	snap_end(&sn);
	return from;
}

static struct mbox box_named(struct house *h, uint32_t aid, const char *name)
{
	struct snap sn;
	struct mname out;
	struct mbox mb = {0};
	CHECK_INT(snap_begin(h->fx.s, &sn), 0);
	(void)snap_mbox_by_name(&sn, aid, str_of(name), &out, &mb); /* may not be there */
	snap_end(&sn);
	return mb;
}

static struct msg message(struct house *h, uint32_t mid, uint32_t uid)
{
	struct snap sn;
	struct msg m = {0};
	CHECK_INT(snap_begin(h->fx.s, &sn), 0);
	if (snap_msg(&sn, mid, uid, &m) < 0) { m.oid = 0; }
	snap_end(&sn);
	return m;
}

static uint32_t refcount(struct house *h, uint64_t oid)
{
	struct snap sn;
	struct obj o = {0};
	CHECK_INT(snap_begin(h->fx.s, &sn), 0);
	CHECK_INT(snap_obj(&sn, oid, &o), 0);
	snap_end(&sn);
	return o.refcount;
}

/* What one look finds is mended once, and mended for good. */
static void mend(struct house *h)
{
	CHECK(fixture_fsck(&h->fx, false) > 0);
	CHECK_INT(box_named(h, h->v, "Recovered").mid, 0);
	CHECK(fixture_fsck(&h->fx, true) > 0);
	CHECK_INT(fixture_fsck(&h->fx, false), 0);
}

/* The account has got this one message, and can read it. */
static void check_found(struct house *h, uint32_t aid, uint64_t oid)
{
	struct mbox mb = box_named(h, aid, "Recovered");
	struct msg m = message(h, mb.mid, 1);
	struct snap sn;
	struct str s = {0};
	struct mname name = {0};
	CHECK_INT(mb.total, 1);
	CHECK_INT(mb.unseen, 1);
	CHECK_INT(m.oid, oid);
	CHECK_INT(snap_begin(h->fx.s, &sn), 0);
	CHECK_INT(snap_mbox_by_name(&sn, aid, STR("Recovered"), &name, NULL), 0);
	CHECK(name.subscribed);
	CHECK_INT(snap_msg_bytes(&sn, &m, 0, &s), 0);
	CHECK_STR(s, hello);
	snap_end(&sn);
}

/* Of a row that can be read the owner is known; its object says that a reference is missing. */
static void test_owner(void)
{
	struct house h;
	start(&h);
	fixture_deliver(&h.fx, h.v, hello, NULL);
	struct mbox in = box_named(&h, h.v, "INBOX");
	struct key k = key2(in.mid, 1);
	uint64_t oid = message(&h, in.mid, 1).oid, thread = message(&h, in.mid, 1).thread;
	damage(&h, TB_MSG, &k, SUM);
	mend(&h);
	check_found(&h, h.v, oid);
	CHECK_INT(message(&h, box_named(&h, h.v, "Recovered").mid, 1).thread, thread);
	CHECK_INT(box_named(&h, h.fx.aid, "Recovered").mid, 0);
	fixture_end(&h.fx);
}

/* A row that is gone tells nothing: it is the postmaster's to find out. */
static void test_no_owner(void)
{
	for (int alias = 0; alias < 3; alias++) {
		struct house h;
		struct wire_str_item target = {STR("v@example.test")};
		struct op_addr_set op = {STR("postmaster@example.test"), &target, 1};
		struct op_acct_set off = {.what = ACCT_SET_DISABLED, .disabled = true};
		start(&h);
		off.aid = h.fx.aid;
		if (alias == 1) { CHECK_INT(apply(&h, &OP_ADDR_SET, &op, NULL), 0); }
		if (alias == 2) { CHECK_INT(apply(&h, &OP_ACCT_SET, &off, NULL), 0); }
		fixture_deliver(&h.fx, h.v, hello, NULL);
		struct mbox in = box_named(&h, h.v, "INBOX");
		struct key k = key2(in.mid, 1);
		uint64_t oid = message(&h, in.mid, 1).oid;
		damage(&h, TB_MSG, &k, DROP);
		mend(&h);
		check_found(&h, alias ? h.v : h.fx.aid, oid);
		fixture_end(&h.fx);
	}
}

static uint64_t deliver_both(struct house *h)
{
	struct op_local_rcpt to[] = {{.aid = h->fx.aid}, {.aid = h->v}};
	struct op_deliver op = {.locals = to, .locals_n = 2};
	struct op_deliver_reply reply;
	fixture_body(&h->fx, hello, &op.body);
	CHECK_INT(apply(h, &OP_DELIVER, &op, &reply), 0);
	return reply.oid;
}

/* The other recipient still has it: what was v's is given back to v. */
static void test_second_copy(void)
{
	struct house h;
	start(&h);
	uint64_t oid = deliver_both(&h);
	struct key k = key2(box_named(&h, h.v, "INBOX").mid, 1);
	damage(&h, TB_MSG, &k, SUM);
	mend(&h);
	check_found(&h, h.v, oid);
	CHECK_INT(refcount(&h, oid), 2);
	CHECK_INT(box_named(&h, h.fx.aid, "Recovered").mid, 0);
	fixture_end(&h.fx);
}

/* A damaged row names an object that misses no reference: it may mean another one. */
static void test_wrong_object(void)
{
	struct house h;
	MDB_txn *txn;
	start(&h);
	fixture_deliver(&h.fx, h.fx.aid, hello, NULL);
	fixture_deliver(&h.fx, h.v, hello, NULL);
	uint64_t secret = message(&h, h.fx.inbox, 1).oid;
	struct key k = key2(box_named(&h, h.v, "INBOX").mid, 1);
	struct msg m = message(&h, box_named(&h, h.v, "INBOX").mid, 1);
	uint64_t oid = m.oid;
	m.oid = secret;
	m.prefix = STR("Return-Path: <>\r\n");
	CHECK_INT(mdb_txn_begin(h.fx.s->env, NULL, 0, &txn), 0);
	CHECK_INT(rec_put(h.fx.s, txn, TB_MSG, &k, &m, 0), 0);
	CHECK_INT(mdb_txn_commit(txn), 0);
	damage(&h, TB_MSG, &k, SUM);
	mend(&h);
	CHECK_INT(box_named(&h, h.v, "Recovered").mid, 0);
	check_found(&h, h.fx.aid, oid);
	CHECK_INT(refcount(&h, secret), 1);
	fixture_end(&h.fx);
}

static uint64_t queue_two(struct house *h, struct str login)
{
	struct op_remote_rcpt out[] = {{.rcpt = STR("x@r.test")}, {.rcpt = STR("y@r.test")}};
	struct op_deliver op = {.remotes = out,
		.remotes_n = 2,
		.aid = h->v,
		.audit = {.id = 5, .time_us = 1793000000000000, .login = login}};
	struct op_deliver_reply reply;
	fixture_body(&h->fx, hello, &op.body);
	CHECK_INT(apply(h, &OP_DELIVER, &op, &reply), 0);
	return reply.oid;
}

static uint64_t queued(struct house *h)
{
	struct store_stat stat;
	CHECK_INT(store_stat(h->fx.s, &stat), 0);
	return stat.queued;
}

/* Whose it was is believed when the audit record says it, too. It is not sent. */
static void test_queue_item(void)
{
	for (int known = 0; known < 2; known++) {
		struct house h;
		start(&h);
		uint64_t oid = queue_two(&h, known ? STR("v@example.test") : STR("u@example.test"));
		struct key k = first(&h, TB_Q, key_none());
		damage(&h, TB_Q, &k, SUM);
		mend(&h);
		check_found(&h, known ? h.v : h.fx.aid, oid);
		CHECK_INT(queued(&h), 0);
		fixture_end(&h.fx);
	}
}

/* One of two recipients is lost: the other one gets it, and who sent it has it to send again. */
static void test_queue_rcpt(void)
{
	for (int n = 1; n <= 2; n++) {
		struct house h;
		start(&h);
		uint64_t oid = queue_two(&h, STR("v@example.test"));
		struct key k = first(&h, TB_QR, key_none());
		damage(&h, TB_QR, &k, SUM);
		k.p[k.n++] = 0;
		if (n == 2) {
			k = first(&h, TB_QR, k);
			damage(&h, TB_QR, &k, DROP);
		}
		mend(&h);
		check_found(&h, h.v, oid);
		CHECK_INT(queued(&h), n == 1);
		CHECK_INT(refcount(&h, oid), n == 1 ? 2 : 1);
		fixture_end(&h.fx);
	}
}

/* Neither the message's row nor the object's record are left, but all octets are. */
static void test_two_records(void)
{
	struct house h;
	start(&h);
	fixture_deliver(&h.fx, h.v, hello, NULL);
	struct mbox in = box_named(&h, h.v, "INBOX");
	struct key k = key2(in.mid, 1), ok = key_id(message(&h, in.mid, 1).oid);
	damage(&h, TB_MSG, &k, DROP);
	damage(&h, TB_OBJ, &ok, DROP);
	mend(&h);
	check_found(&h, h.fx.aid, get_be64(ok.p));
	fixture_end(&h.fx);
}

/* A mailbox of which only messages are left is somebody's again, with their flags and UIDs. */
static void test_mailbox(void)
{
	struct house h;
	start(&h);
	for (int i = 0; i < 3; i++) { fixture_deliver(&h.fx, h.v, hello, NULL); }
	struct mbox in = box_named(&h, h.v, "INBOX");
	struct uid_range two = {2, 2};
	struct op_flags flags = {h.v, in.mid, &two, 1, FLAGS_ADD, FLAG_FLAGGED, NULL, 0};
	struct op_flags_reply reply;
	CHECK_INT(apply(&h, &OP_FLAGS, &flags, &reply), 0);
	struct key k = key1(in.mid), name = key_named(h.v, STR("INBOX"));
	damage(&h, TB_MBOX, &k, DROP);
	damage(&h, TB_MNAME, &name, DROP);
	mend(&h);
	char text[32];
	snprintf(text, sizeof text, "Recovered-%u", in.mid);
	struct mbox mb = box_named(&h, h.fx.aid, text);
	CHECK_INT(mb.mid, in.mid);
	CHECK_INT(mb.total, 3);
	CHECK_INT(message(&h, mb.mid, 2).flags, FLAG_FLAGGED);
	CHECK(box_named(&h, h.v, "INBOX").mid != in.mid);
	fixture_end(&h.fx);
}

/* Nobody is left to give it to. */
static void test_nobody(void)
{
	struct house h;
	MDB_txn *txn;
	struct snap sn;
	struct acct ac;
	start(&h);
	fixture_deliver(&h.fx, h.v, hello, NULL);
	uint64_t oid = message(&h, box_named(&h, h.v, "INBOX").mid, 1).oid;
	CHECK_INT(mdb_txn_begin(h.fx.s->env, NULL, 0, &txn), 0);
	for (enum table tb = TB_ACCT; tb <= TB_CHG; tb++) {
		CHECK_INT(mdb_drop(txn, h.fx.s->dbi[tb], 0), 0);
	}
	CHECK_INT(mdb_txn_commit(txn), 0);
	mend(&h);
	CHECK_INT(snap_begin(h.fx.s, &sn), 0);
	CHECK_INT(snap_acct_next(&sn, 0, &ac), 0);
	CHECK(ac.aid > h.v);
	CHECK(str_starts(ac.login, STR("recovered-")));
	CHECK_INT(snap_acct_next(&sn, ac.aid, &ac), ERR_GONE);
	snap_end(&sn);
	check_found(&h, h.v + 1, oid);
	CHECK(box_named(&h, h.v + 1, "INBOX").mid > 0);
	fixture_end(&h.fx);
}

/* The quota of who gets it does not keep it out. */
static void test_quota(void)
{
	struct house h;
	start(&h);
	fixture_deliver(&h.fx, h.v, hello, NULL);
	struct op_acct_set op = {.aid = h.fx.aid, .what = ACCT_SET_QUOTA, .quota_bytes = 1};
	CHECK_INT(apply(&h, &OP_ACCT_SET, &op, NULL), 0);
	struct mbox in = box_named(&h, h.v, "INBOX");
	struct key k = key2(in.mid, 1);
	uint64_t oid = message(&h, in.mid, 1).oid;
	damage(&h, TB_MSG, &k, DROP);
	mend(&h);
	check_found(&h, h.fx.aid, oid);
	fixture_end(&h.fx);
}

static void maintain(struct house *h)
{
	struct maintain_limits limits = {INT64_MAX / 4, UINT64_MAX};
	int rc;
	do {
		rc = store_maintain(h->fx.s, &limits, INT64_MAX / 2, NULL);
	} while (rc == 1);
	CHECK_INT(rc, 0);
}

/* What was expunged, and what no operation took over, goes, with its rows damaged as well. */
static void test_garbage(void)
{
	static const struct {
		enum table tb;
		enum how how;
	} damages[] = {{TB_GC, DROP}, {TB_OBJ, SUM}, {TB_OBJ, DROP}, {TB_PARSE, DROP},
		{TB_UPLOAD, DROP}, {TB_UPLOAD, SUM}};
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct house h;
		struct store_stat stat;
		struct op_upload up = {.data = hello};
		struct op_upload_reply reply;
		struct op_expunge_reply expunged;
		start(&h);
		fixture_deliver(&h.fx, h.fx.aid, hello, NULL);
		struct uid_range all = {1, 1};
		struct op_flags flags = {h.fx.aid, h.fx.inbox, &all, 1, FLAGS_ADD, FLAG_DELETED};
		struct op_expunge expunge = {.aid = h.fx.aid, .mid = h.fx.inbox, .all = true};
		CHECK_INT(apply(&h, &OP_FLAGS, &flags, NULL), 0);
		CHECK_INT(apply(&h, &OP_EXPUNGE, &expunge, &expunged), 0);
		CHECK_INT(apply(&h, &OP_UPLOAD, &up, &reply), 0);
		struct key k = first(&h, damages[i].tb, key_none());
		damage(&h, damages[i].tb, &k, damages[i].how);
		(void)fixture_fsck(&h.fx, true); /* some of it is right as it is */
		CHECK_INT(fixture_fsck(&h.fx, false), 0);
		CHECK_INT(box_named(&h, h.fx.aid, "Recovered").mid, 0);
		maintain(&h);
		CHECK_INT(store_stat(h.fx.s, &stat), 0);
		CHECK_INT(stat.objects, 0);
		CHECK_INT(stat.gc_pending, 0);
		fixture_end(&h.fx);
	}
}

/* An account that was disabled is not let in because its record was damaged. */
static void test_disabled(void)
{
	struct house h;
	struct snap sn;
	struct acct ac;
	start(&h);
	struct op_acct_set op = {.aid = h.v, .what = ACCT_SET_DISABLED, .disabled = true};
	CHECK_INT(apply(&h, &OP_ACCT_SET, &op, NULL), 0);
	struct key k = key1(h.v), other = key1(h.fx.aid);
	damage(&h, TB_ACCT, &k, SUM);
	damage(&h, TB_ACCT, &other, SUM);
	mend(&h);
	CHECK_INT(snap_begin(h.fx.s, &sn), 0);
	CHECK_INT(snap_acct(&sn, h.v, &ac), 0);
	CHECK(ac.disabled);
	CHECK_INT(snap_acct(&sn, h.fx.aid, &ac), 0);
	CHECK(!ac.disabled);
	snap_end(&sn);
	fixture_end(&h.fx);
}

static struct key meta_key(struct str name)
{
	struct key k = key_none();
	key_str(&k, name);
	return k;
}

/* To a key that is none of ours, as if a bit of it had turned over. */
static void rename_meta(struct house *h, struct str from, struct str to)
{
	struct key k = meta_key(from), other = meta_key(to);
	MDB_val key = key_val(&k), o = key_val(&other), v;
	MDB_txn *txn;
	char copy[256];
	struct store *s = h->fx.s;
	CHECK_INT(mdb_txn_begin(s->env, NULL, 0, &txn), 0);
	CHECK_INT(mdb_get(txn, s->dbi[TB_META], &key, &v), 0);
	memcpy(copy, v.mv_data, v.mv_size);
	v.mv_data = copy;
	CHECK_INT(mdb_put(txn, s->dbi[TB_META], &o, &v, 0), 0);
	CHECK_INT(mdb_del(txn, s->dbi[TB_META], &key, NULL), 0);
	CHECK_INT(mdb_txn_commit(txn), 0);
}

static void damage_meta(struct house *h, bool schema, bool ids, int how)
{
	static const struct {
		struct str name, turned;
	} records[] = {{{"schema", 6}, {"schemb", 6}}, {{"ids", 3}, {"idr", 3}}};
	bool damaged[] = {schema, ids};
	for (int i = 0; i < 2; i++) {
		struct key k = meta_key(records[i].name);
		if (damaged[i] && how < 2) { damage(h, TB_META, &k, how); }
		if (damaged[i] && how == 2) { rename_meta(h, records[i].name, records[i].turned); }
	}
}

/* Opened to be mended; `tells`: the store itself tells which schema it has. */
static void open_damaged(struct house *h, bool tells)
{
	struct store *s;
	struct err e = {0};
	store_close(h->fx.s);
	h->fx.s = NULL;
	CHECK_INT(store_open(h->fx.dir, STORE_WRITE, &s, &e), ERR_DAMAGED);
	CHECK(str_find(str_of(e.text), STR("posthouse fsck --repair")) > 0);
	CHECK((str_find(str_of(e.text), STR("--schema")) > 0) == !tells);
	CHECK_INT(
		store_open_damaged(h->fx.dir, SCHEMA_VERSION + 1, &s, &e), tells ? 0 : ERR_DAMAGED);
	if (tells) { store_close(s); }
	CHECK_INT(store_open_damaged(h->fx.dir, 0, &s, &e), tells ? 0 : ERR_DAMAGED);
	if (!tells) { CHECK_INT(store_open_damaged(h->fx.dir, SCHEMA_VERSION, &s, &e), 0); }
	h->fx.s = s;
}

static void check_meta(bool schema, bool ids, int how)
{
	struct house h;
	start(&h);
	fixture_deliver(&h.fx, h.v, hello, NULL);
	struct mbox in = box_named(&h, h.v, "INBOX"), more;
	uint64_t oid = message(&h, in.mid, 1).oid;
	damage_meta(&h, schema, ids, how);
	open_damaged(&h, !schema || !ids);
	CHECK(fixture_fsck(&h.fx, true) > 0);
	CHECK_INT(fixture_fsck(&h.fx, false), 0);
	fixture_reopen(&h.fx);
	CHECK_INT(fixture_fsck(&h.fx, false), 0);
	struct op_mbox_create op = {.aid = h.v, .name = STR("more")};
	struct op_mbox_create_reply made;
	CHECK_INT(apply(&h, &OP_MBOX_CREATE, &op, &made), 0);
	more = box_named(&h, h.v, "more");
	CHECK(more.mid > in.mid && more.mailboxid > in.mailboxid);
	CHECK(more.uidvalidity > in.uidvalidity);
	CHECK(fixture_account(&h.fx, "new@example.test") > h.v);
	CHECK_INT(fixture_deliver(&h.fx, h.v, hello, NULL), 0);
	CHECK(message(&h, in.mid, 2).oid > oid);
	CHECK_INT(fixture_fsck(&h.fx, false), 0);
	fixture_end(&h.fx);
}

/* How it can be damaged, by record: DROP, SUM, or its key. */
static void test_meta(void)
{
	for (int how = 0; how < 3; how++) {
		check_meta(true, false, how);
		check_meta(false, true, how);
		check_meta(true, true, how);
	}
}

/* A store of another schema is not touched, though its own record of that be damaged. */
static void test_other_schema(void)
{
	struct house h;
	struct store *s;
	struct err e = {0};
	MDB_txn *txn;
	struct rec_schema newer = {SCHEMA_VERSION + 1};
	struct key k = meta_key(STR("schema"));
	start(&h);
	CHECK_INT(mdb_txn_begin(h.fx.s->env, NULL, 0, &txn), 0);
	CHECK_INT(rec_put(h.fx.s, txn, TB_META, &k, &newer, 0), 0);
	CHECK_INT(mdb_txn_commit(txn), 0);
	store_close(h.fx.s);
	h.fx.s = NULL;
	CHECK_INT(store_open_damaged(h.fx.dir, SCHEMA_VERSION, &s, &e), ERR_DAMAGED);
	CHECK(str_find(str_of(e.text), STR("use the version that wrote it")) > 0);
	fixture_end(&h.fx);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"a damaged row tells whose it was", test_owner},
		{"a missing row tells nothing", test_no_owner},
		{"one copy of two", test_second_copy},
		{"a row that means another object", test_wrong_object},
		{"a damaged queue item", test_queue_item},
		{"a lost recipient of the queue", test_queue_rcpt},
		{"two records at once", test_two_records},
		{"a mailbox without record and name", test_mailbox},
		{"nobody is left", test_nobody},
		{"a quota", test_quota},
		{"garbage stays garbage", test_garbage},
		{"a disabled account", test_disabled},
		{"meta records", test_meta},
		{"another schema", test_other_schema},
	};
	op_register();
	return tap_run(cases, COUNT(cases), argc, argv);
}
