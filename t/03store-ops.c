/* store: every operation, alone and in long random runs, with fsck as the judge. */
#include <openssl/sha.h>

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/apply.h"
#include "store/maintain.h"
#include "t/store_fixture.h"
#include "t/tap.h"

static const struct str hello = {"Message-ID: <1@a>\r\nSubject: hello\r\n\r\nworld\r\n", 45};

static struct mbox box(struct fixture *f, uint32_t mid)
{
	struct snap sn;
	struct mbox mb = {0};
	if (snap_begin(f->s, &sn) < 0) { abort(); }
	snap_mbox(&sn, mid, &mb);
	snap_end(&sn);
	return mb;
}

static struct msg message(struct fixture *f, uint32_t mid, uint32_t uid)
{
	struct snap sn;
	struct msg m = {0};
	if (snap_begin(f->s, &sn) < 0) { abort(); }
	if (snap_msg(&sn, mid, uid, &m) < 0) { m.uid = 0; }
	snap_end(&sn);
	return m;
}

static int apply(struct fixture *f, const struct msg_type *type, const void *op, void *reply)
{
	return store_apply(f->s, type, op, &f->a, reply);
}

static int set_flags(struct fixture *f, uint32_t lo, uint32_t hi, int how, uint64_t flags)
{
	struct uid_range r = {lo, hi};
	struct op_flags op = {.aid = f->aid,
		.mid = f->inbox,
		.uids = &r,
		.uids_n = 1,
		.how = (uint8_t)how,
		.flags = flags};
	struct op_flags_reply reply;
	return apply(f, &OP_FLAGS, &op, &reply);
}

/* Half a store, from a power cut at its first start, is in nobody's way. */
static void test_begun_store(void)
{
	struct fixture f = {.dir = "/tmp/store-begun-XXXXXX"};
	char path[100];
	if (!mkdtemp(f.dir)) { abort(); }
	snprintf(path, sizeof path, "%s/data.new", f.dir);
	FILE *half = fopen(path, "w");
	CHECK(half && fputs("half", half) >= 0 && fclose(half) == 0);
	fixture_reopen(&f);
	f.aid = fixture_account(&f, "u@example.test");
	fixture_reopen(&f);
	CHECK(fixture_mailbox(&f, "INBOX") != 0);
	CHECK(access(path, F_OK) < 0);
	fixture_end(&f);
}

static void test_account(void)
{
	struct fixture f;
	fixture_start(&f);
	CHECK_INT(f.aid, 1);
	struct op_acct_add again = {.login = STR("u@example.test")};
	CHECK_INT(apply(&f, &OP_ACCT_ADD, &again, NULL), ERR_EXISTS);
	const char *names[] = {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"};
	for (size_t i = 0; i < COUNT(names); i++) { CHECK(fixture_mailbox(&f, names[i]) != 0); }
	CHECK_INT(fixture_fsck(&f, false), 0);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, NULL), 0);
	struct op_acct_del del = {f.aid};
	CHECK_INT(apply(&f, &OP_ACCT_DEL, &del, NULL), 0);
	CHECK_INT(fixture_mailbox(&f, "INBOX"), 0);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, NULL), ERR_GONE);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static void test_deliver(void)
{
	struct fixture f;
	uint32_t uid;
	fixture_start(&f);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, &uid), 0);
	CHECK_INT(uid, 1);
	struct mbox mb = box(&f, f.inbox);
	CHECK_INT(mb.total, 1);
	CHECK_INT(mb.unseen, 1);
	CHECK_INT(mb.uidnext, 2);
	CHECK_INT(mb.bytes, hello.n + 17);
	struct snap sn;
	struct msg m;
	struct str s;
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_msg(&sn, f.inbox, 1, &m), 0);
	CHECK_INT(snap_msg_bytes(&sn, &m, 0, &s), 0);
	CHECK_STR(s, STR("Return-Path: <>\r\n"));
	CHECK_INT(snap_msg_bytes(&sn, &m, 17, &s), 0);
	CHECK_STR(s, hello);
	CHECK_INT(snap_msg_bytes(&sn, &m, m.size, &s), 0);
	CHECK_INT(s.n, 0);
	CHECK_INT(snap_bytes(&sn, 999, 0, &s), ERR_GONE);
	snap_end(&sn);
	fixture_reopen(&f);
	CHECK_INT(box(&f, f.inbox).total, 1);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, &uid), 0);
	CHECK_INT(uid, 2);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* Several recipients and the queue in one commit; two addresses of one account get it once. */
static void test_deliver_many(void)
{
	struct fixture f;
	fixture_start(&f);
	uint32_t other = fixture_account(&f, "v@example.test");
	struct op_local_rcpt to[] = {{.aid = f.aid, .rcpt = STR("u@example.test")},
		{.aid = other, .rcpt = STR("v@example.test"), .folder = STR("Archive")},
		{.aid = f.aid, .rcpt = STR("alias@example.test")}};
	struct op_remote_rcpt out[] = {
		{.rcpt = STR("x@remote.test")}, {.rcpt = STR("y@remote.test")}};
	struct audit_rcpt who[] = {{.rcpt = STR("v@example.test"), .outcome = RCPT_DELIVERED},
		{.rcpt = STR("x@remote.test"), .outcome = RCPT_QUEUED}};
	struct op_deliver op = {.from = STR("a@b.test"),
		.locals = to,
		.locals_n = 3,
		.remotes = out,
		.remotes_n = 2,
		.expires_us = 1,
		.audit = {.id = 77, .time_us = 5, .rcpts = who, .rcpts_n = 2}};
	struct op_deliver_reply reply;
	fixture_body(&f, hello, &op.body);
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	CHECK_INT(reply.results_n, 3);
	CHECK_INT(reply.results[2].uid, reply.results[0].uid);
	CHECK_INT(reply.results[2].mid, reply.results[0].mid);
	CHECK_INT(box(&f, f.inbox).total, 1);
	struct snap sn;
	struct obj o;
	struct queue_item it;
	struct queue_rcpt r;
	struct queue_due due;
	struct audit au;
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_obj(&sn, reply.oid, &o), 0);
	CHECK_INT(o.refcount, 3);
	CHECK_INT(snap_queue_item(&sn, reply.qid, &f.a, &it), 0);
	CHECK_INT(it.rcpts, 2);
	CHECK_INT(snap_queue_rcpt(&sn, reply.qid, 1, &f.a, &r), 0);
	CHECK_STR(r.rcpt, STR("y@remote.test"));
	CHECK_INT(snap_queue_due_next(&sn, &(struct queue_due){0}, &due), 0);
	CHECK_INT(due.qid, reply.qid);
	CHECK_INT(snap_audit(&sn, 77, -1, &f.a, &au), 0);
	CHECK_INT(au.rcpts[0].uid, 1);
	CHECK_INT(au.rcpts[0].mid, reply.results[1].mid);
	CHECK_INT(au.rcpts[1].qid, reply.qid);
	snap_end(&sn);
	CHECK_INT(fixture_fsck(&f, false), 0);

	/* One recipient is sent, the other fails with a bounce: the item goes with its last one. */
	struct op_queue_outcome sent = {.n = 0, .outcome = RCPT_SENT},
				failed = {.n = 1, .outcome = RCPT_FAILED};
	struct op_deliver bounce = {.locals = to, .locals_n = 1};
	fixture_body(&f, hello, &bounce.body);
	struct op_queue_result first = {.qid = reply.qid, .outcomes = &sent, .outcomes_n = 1};
	struct op_queue_result last = {.qid = reply.qid,
		.outcomes = &failed,
		.outcomes_n = 1,
		.bounce = &bounce,
		.bounce_n = 1};
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &first, NULL), 0);
	CHECK_INT(fixture_fsck(&f, false), 0);
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &last, NULL), 0);
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &last, NULL), 0); /* again: it is done */
	CHECK_INT(box(&f, f.inbox).total, 2);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static struct queue_rcpt queue_row(struct fixture *f, uint64_t qid, uint32_t n)
{
	struct snap sn;
	struct queue_rcpt r;
	CHECK_INT(snap_begin(f->s, &sn), 0);
	CHECK_INT(snap_queue_rcpt(&sn, qid, n, &f->a, &r), 0);
	snap_end(&sn);
	return r;
}

/* A result whose reply was lost is committed again; what came between stands. */
static void test_result_again(void)
{
	struct fixture f;
	fixture_start(&f);
	struct op_remote_rcpt out[] = {{.rcpt = STR("x@remote.test")},
		{.rcpt = STR("y@remote.test")}, {.rcpt = STR("z@remote.test")}};
	struct op_deliver op = {.remotes = out, .remotes_n = 3};
	struct op_deliver_reply reply;
	fixture_body(&f, hello, &op.body);
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	struct op_queue_outcome outcomes[] = {{.n = 0, .outcome = RCPT_FAILED},
		{.n = 1, .outcome = RCPT_DEFERRED, .next_us = 50 * SECOND_US}};
	struct op_local_rcpt to = {.aid = f.aid};
	struct op_deliver bounce = {.locals = &to, .locals_n = 1};
	fixture_body(&f, hello, &bounce.body);
	struct op_queue_result result = {.qid = reply.qid,
		.outcomes = outcomes,
		.outcomes_n = 2,
		.bounce = &bounce,
		.bounce_n = 1};
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &result, NULL), 0);
	struct op_queue_edit edit = {reply.qid, QUEUE_RETRY};
	CHECK_INT(apply(&f, &OP_QUEUE_EDIT, &edit, NULL), 0);
	int64_t next_us = queue_row(&f, reply.qid, 1).next_us;
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &result, NULL), 0);
	CHECK_INT(box(&f, f.inbox).total, 1);
	CHECK_INT(queue_row(&f, reply.qid, 1).tries, 1);
	CHECK_INT(queue_row(&f, reply.qid, 1).next_us, next_us);
	CHECK_INT(fixture_fsck(&f, false), 0);

	/* The next attempt; then one that knows of none has sent it: a relay that was born beside.
	 */
	outcomes[1].tries = 1;
	result = (struct op_queue_result){
		.qid = reply.qid, .outcomes = &outcomes[1], .outcomes_n = 1};
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &result, NULL), 0);
	CHECK_INT(queue_row(&f, reply.qid, 1).tries, 2);
	outcomes[1] = (struct op_queue_outcome){.n = 1, .outcome = RCPT_SENT};
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &result, NULL), 0);
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &result, NULL), 0);
	CHECK_INT(queue_row(&f, reply.qid, 2).tries, 0);
	CHECK_INT(fixture_fsck(&f, false), 0);

	/* The report's upload has gone: then nothing of it is done. */
	outcomes[1] = (struct op_queue_outcome){.n = 2, .outcome = RCPT_SENT};
	result.bounce = &bounce;
	result.bounce_n = 1;
	bounce.body.oid = 999;
	CHECK_INT(apply(&f, &OP_QUEUE_RESULT, &result, NULL), ERR_GONE);
	CHECK_INT(queue_row(&f, reply.qid, 2).tries, 0);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static void test_queue_edit(void)
{
	struct fixture f;
	fixture_start(&f);
	struct op_remote_rcpt out = {.rcpt = STR("x@remote.test")};
	struct op_deliver op = {.remotes = &out, .remotes_n = 1};
	struct op_deliver_reply reply;
	struct op_count_reply count;
	fixture_body(&f, hello, &op.body);
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	static const uint8_t actions[] = {QUEUE_HOLD, QUEUE_HOLD, QUEUE_RETRY, QUEUE_RELEASE,
		QUEUE_RETRY, QUEUE_HOLD, QUEUE_DROP};
	for (size_t i = 0; i < COUNT(actions); i++) {
		struct op_queue_edit edit = {reply.qid, actions[i]};
		CHECK_INT(apply(&f, &OP_QUEUE_EDIT, &edit, &count), 0);
		CHECK_INT(count.count, 1);
		CHECK_INT(fixture_fsck(&f, false), 0);
	}
	struct op_queue_edit edit = {reply.qid, QUEUE_RETRY};
	CHECK_INT(apply(&f, &OP_QUEUE_EDIT, &edit, &count), ERR_GONE);
	fixture_end(&f);
}

static void test_quota(void)
{
	struct fixture f;
	fixture_start(&f);
	uint32_t other = fixture_account(&f, "v@example.test");
	struct op_acct_set set = {.aid = f.aid, .what = ACCT_SET_QUOTA, .quota_bytes = 70};
	CHECK_INT(apply(&f, &OP_ACCT_SET, &set, NULL), 0);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, NULL), 0);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, NULL), ERR_QUOTA);
	struct op_local_rcpt to[] = {{.aid = f.aid}, {.aid = other}};
	struct op_deliver op = {.locals = to, .locals_n = 2};
	struct op_deliver_reply reply;
	fixture_body(&f, hello, &op.body);
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0); /* nobody gets it */
	CHECK_INT((int)reply.oid, 0);
	CHECK_INT((int)reply.results[0].rc, -ERR_QUOTA);
	CHECK_INT((int)reply.results[1].rc, 0);
	CHECK_INT(reply.results[1].uid, 0);
	op.partial = PARTIAL_RCPTS; /* both belong to one recipient */
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	CHECK_INT((int)reply.oid, 0);
	CHECK_INT((int)reply.results[1].rc, -ERR_QUOTA);
	op.partial = PARTIAL_PLACES;
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	CHECK_INT((int)reply.results[1].rc, 0);
	CHECK_INT(reply.results[1].uid, 1);
	to[0].rcpt = STR("full@example.test");
	op.partial = PARTIAL_RCPTS;
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	CHECK_INT((int)reply.results[0].rc, -ERR_QUOTA);
	CHECK_INT((int)reply.results[1].rc, 0);
	CHECK_INT(reply.results[1].uid, 2);
	CHECK_INT(box(&f, f.inbox).total, 1);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static void test_flags(void)
{
	struct fixture f;
	fixture_start(&f);
	for (int i = 0; i < 5; i++) { fixture_deliver(&f, f.aid, hello, NULL); }
	uint64_t before = box(&f, f.inbox).highestmodseq;
	CHECK_INT(set_flags(&f, 2, 4, FLAGS_ADD, FLAG_SEEN), 0);
	CHECK_INT(box(&f, f.inbox).highestmodseq, before + 1);
	CHECK_INT(box(&f, f.inbox).unseen, 2);
	CHECK_INT(set_flags(&f, 2, 4, FLAGS_ADD, FLAG_SEEN), 0);
	CHECK_INT(box(&f, f.inbox).highestmodseq, before + 1); /* nothing changed */

	struct wire_str_item word = {STR("$Work")};
	struct uid_range r = {1, UINT32_MAX};
	struct op_flags op = {.aid = f.aid,
		.mid = f.inbox,
		.uids = &r,
		.uids_n = 1,
		.how = FLAGS_ADD,
		.keywords = &word,
		.keywords_n = 1,
		.conditional = true,
		.unchanged_since = before};
	struct op_flags_reply reply;
	CHECK_INT(apply(&f, &OP_FLAGS, &op, &reply), 0);
	CHECK_INT(reply.changed, 2);
	CHECK_INT(reply.modified_n, 1);
	CHECK_INT(reply.modified[0].lo, 2);
	CHECK_INT(reply.modified[0].hi, 4);
	CHECK_INT(message(&f, f.inbox, 1).flags, FLAG_KEYWORD(0));
	struct snap sn;
	struct str names[KEYWORDS_MAX];
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_keywords(&sn, f.inbox, names), 0);
	CHECK_STR(names[0], STR("$Work"));

	/* The change log names each message once, with its last change. */
	struct change_cursor c;
	struct change ch;
	int rows = 0;
	CHECK_INT(change_cursor_open(&sn, f.inbox, 0, &c), 0);
	while (change_cursor_next(&c, &ch) == 1) { rows++; }
	CHECK_INT(rows, 5);
	change_cursor_close(&c);
	snap_end(&sn);
	op.aid = 99;
	CHECK_INT(apply(&f, &OP_FLAGS, &op, &reply), ERR_GONE);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static void test_keywords_full(void)
{
	struct fixture f;
	fixture_start(&f);
	fixture_deliver(&f, f.aid, hello, NULL);
	struct uid_range r = {1, 1};
	struct op_flags_reply reply;
	for (int i = 0; i <= KEYWORDS_MAX; i++) {
		char text[16];
		struct wire_str_item word = {
			str_make(text, (size_t)snprintf(text, sizeof text, "k%d", i))};
		struct op_flags op = {.aid = f.aid,
			.mid = f.inbox,
			.uids = &r,
			.uids_n = 1,
			.how = FLAGS_ADD,
			.keywords = &word,
			.keywords_n = 1};
		CHECK_INT(apply(&f, &OP_FLAGS, &op, &reply), 0);
		CHECK_INT(reply.keywords_full, i == KEYWORDS_MAX);
	}
	CHECK(message(&f, f.inbox, 1).flags == ~UINT64_C(255));
	fixture_end(&f);
}

static void test_copy_move(void)
{
	struct fixture f;
	fixture_start(&f);
	for (int i = 0; i < 6; i++) { fixture_deliver(&f, f.aid, hello, NULL); }
	uint32_t archive = fixture_mailbox(&f, "Archive");
	struct uid_range r[] = {{1, 2}, {4, 4}, {50, 60}};
	struct op_copy op = {
		.aid = f.aid, .mid = f.inbox, .to_mid = archive, .uids = r, .uids_n = 3};
	struct op_copy_reply reply;
	CHECK_INT(apply(&f, &OP_COPY, &op, &reply), 0);
	CHECK_INT(reply.count, 3);
	CHECK_INT(reply.first_uid, 1);
	CHECK_INT(reply.source_n, 2);
	CHECK_INT(reply.source[1].lo, 4);
	CHECK_INT(fixture_fsck(&f, false), 0);
	op.move = true;
	CHECK_INT(apply(&f, &OP_COPY, &op, &reply), 0);
	CHECK_INT(reply.count, 3);
	CHECK_INT(reply.first_uid, 4);
	CHECK_INT(box(&f, f.inbox).total, 3);
	CHECK_INT(box(&f, archive).total, 6);
	CHECK_INT(message(&f, f.inbox, 1).uid, 0);
	CHECK_INT(fixture_fsck(&f, false), 0);
	op.to_mid = f.inbox;
	CHECK_INT(apply(&f, &OP_COPY, &op, &reply), ERR_SYNTAX);
	op.move = false;
	r[0] = (struct uid_range){1, UINT32_MAX};
	op.uids_n = 1;
	CHECK_INT(apply(&f, &OP_COPY, &op, &reply), 0); /* into itself: once, not for ever */
	CHECK_INT(reply.count, 3);
	CHECK_INT(box(&f, f.inbox).total, 6);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static void test_expunge(void)
{
	struct fixture f;
	fixture_start(&f);
	for (int i = 0; i < 6; i++) { fixture_deliver(&f, f.aid, hello, NULL); }
	set_flags(&f, 2, 5, FLAGS_ADD, FLAG_DELETED);
	struct uid_range r = {5, 6};
	struct op_expunge op = {.aid = f.aid, .mid = f.inbox, .uids = &r, .uids_n = 1};
	struct op_expunge_reply reply;
	CHECK_INT(apply(&f, &OP_EXPUNGE, &op, &reply), 0);
	CHECK_INT(reply.expunged_n, 1);
	CHECK_INT(reply.expunged[0].lo, 5);
	CHECK_INT(reply.expunged[0].hi, 5);
	op.all = true;
	CHECK_INT(apply(&f, &OP_EXPUNGE, &op, &reply), 0);
	CHECK_INT(reply.expunged[0].lo, 2);
	CHECK_INT(reply.expunged[0].hi, 4);
	struct mbox mb = box(&f, f.inbox);
	CHECK_INT(mb.total, 2);
	CHECK_INT(mb.deleted, 0);
	CHECK_INT(mb.uidnext, 7);
	CHECK_INT(mb.vanished, 4);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static int create(struct fixture *f, const char *name, uint32_t use)
{
	struct op_mbox_create op = {f->aid, str_of(name), use};
	return apply(f, &OP_MBOX_CREATE, &op, NULL);
}

static int rename_box(struct fixture *f, const char *from, const char *to)
{
	struct op_mbox_rename op = {f->aid, str_of(from), str_of(to)};
	return apply(f, &OP_MBOX_RENAME, &op, NULL);
}

static void test_mailboxes(void)
{
	struct fixture f;
	fixture_start(&f);
	CHECK_INT(create(&f, "a/b/c", 0), 0);
	CHECK(fixture_mailbox(&f, "a/b") != 0);
	CHECK_INT(create(&f, "a/b", 0), ERR_EXISTS);
	static const char *const bad[] = {"", "/a", "a/", "a//b", "a\nb"};
	for (size_t i = 0; i < COUNT(bad); i++) { CHECK_INT(create(&f, bad[i], 0), ERR_SYNTAX); }
	CHECK_INT(create(&f, "Junk2", USE_JUNK), ERR_DENIED);
	uint32_t c = fixture_mailbox(&f, "a/b/c");
	CHECK_INT(rename_box(&f, "a", "x/y"), 0);
	CHECK_INT(fixture_mailbox(&f, "x/y/b/c"), c);
	CHECK_INT(fixture_mailbox(&f, "a/b/c"), 0);
	CHECK_INT(rename_box(&f, "x", "x/z"), ERR_SYNTAX);
	CHECK_INT(rename_box(&f, "nothing", "n"), ERR_GONE);
	CHECK_INT(rename_box(&f, "x", "Sent"), ERR_EXISTS);
	/* a name that is only the parent of others */
	struct op_mbox_delete del = {f.aid, STR("x/y")};
	CHECK_INT(apply(&f, &OP_MBOX_DELETE, &del, NULL), 0);
	CHECK_INT(rename_box(&f, "x/y", "x/y"), ERR_EXISTS);
	CHECK_INT(rename_box(&f, "x/y", "x/y/z"), ERR_SYNTAX);
	CHECK_INT(rename_box(&f, "x/y", "v"), 0);
	CHECK_INT(fixture_mailbox(&f, "v/b/c"), c);
	CHECK_INT(fixture_mailbox(&f, "v"), 0);
	CHECK_INT(rename_box(&f, "x/y", "w"), ERR_GONE);
	fixture_deliver(&f, f.aid, hello, NULL);
	CHECK_INT(rename_box(&f, "INBOX", "old"), 0);
	CHECK_INT(box(&f, f.inbox).total, 0);
	CHECK_INT(box(&f, fixture_mailbox(&f, "old")).total, 1);
	CHECK_INT(fixture_mailbox(&f, "INBOX"), f.inbox);
	del.name = STR("old");
	CHECK_INT(apply(&f, &OP_MBOX_DELETE, &del, NULL), 0);
	CHECK_INT(apply(&f, &OP_MBOX_DELETE, &del, NULL), ERR_GONE);
	del.name = STR("INBOX");
	CHECK_INT(apply(&f, &OP_MBOX_DELETE, &del, NULL), ERR_DENIED);
	struct op_mbox_subscribe sub = {f.aid, STR("ghost"), true};
	CHECK_INT(apply(&f, &OP_MBOX_SUBSCRIBE, &sub, NULL), 0);
	CHECK_INT(fixture_mailbox(&f, "ghost"), 0);
	CHECK_INT(create(&f, "ghost", 0), 0);
	uint32_t first = box(&f, fixture_mailbox(&f, "ghost")).uidvalidity;
	del.name = STR("ghost");
	CHECK_INT(apply(&f, &OP_MBOX_DELETE, &del, NULL), 0);
	CHECK_INT(create(&f, "ghost", 0), 0);
	CHECK(box(&f, fixture_mailbox(&f, "ghost")).uidvalidity > first);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* Upload `text` from chunk 1 on and fill the body of an operation with it and with `top`. */
static void upload_below(struct fixture *f, struct str top, struct str text, struct op_body *out)
{
	struct op_upload_reply up = {0};
	struct buf whole = {0}, turned = {0};
	unsigned char *sum = arena_alloc(&f->a, 32);
	for (uint32_t i = 0; (size_t)i * CHUNK_DATA < text.n; i++) {
		struct op_upload op = {
			up.oid, i + 1, str_sub(text, (size_t)i * CHUNK_DATA, CHUNK_DATA)};
		CHECK_INT(apply(f, &OP_UPLOAD, &op, &up), 0);
		up.oid = i ? op.oid : up.oid;
	}
	buf_str(&whole, top);
	buf_str(&whole, text);
	fixture_body(f, buf_view(&whole), out);
	buf_str(&turned, text);
	buf_str(&turned, top);
	SHA256((const unsigned char *)turned.p, turned.n, sum);
	out->sha256 = str_make(sum, 32);
	out->data = STR("");
	out->oid = up.oid;
	out->top = top;
	buf_fini(&whole);
	buf_fini(&turned);
}

static const struct str top_lines = STR("Received: from a\r\n\tby b; now\r\n");

/* The octets of an object, read in the pieces that come, from every kind of place. */
static void check_octets(struct fixture *f, uint64_t oid, struct str want)
{
	struct snap sn;
	struct str s;
	uint64_t at[] = {0, 1, top_lines.n - 1, top_lines.n, CHUNK_DATA - 1, CHUNK_DATA,
		CHUNK_DATA + top_lines.n, 2 * CHUNK_DATA, want.n - 1, want.n};
	CHECK_INT(snap_begin(f->s, &sn), 0);
	for (size_t i = 0; i < COUNT(at); i++) {
		uint64_t off = MIN(at[i], want.n);
		int rc = 0;
		while ((rc = snap_bytes(&sn, oid, off, &s)) == 0 && s.n) {
			CHECK_STR(s, str_sub(want, off, s.n));
			off += s.n;
			snap_will_need(&sn, oid, off);
		}
		CHECK_INT(rc, 0);
		CHECK_INT(off, want.n);
	}
	CHECK_INT(snap_bytes(&sn, oid + 1000, 0, &s), ERR_GONE);
	CHECK_INT(snap_bytes(&sn, oid + 1000, CHUNK_DATA, &s), ERR_GONE);
	snap_end(&sn);
}

static void test_top(void)
{
	static const size_t sizes[] = {100, CHUNK_DATA - 1, CHUNK_DATA, CHUNK_DATA + 1, 200000};
	struct fixture f;
	static char big[200000];
	fixture_start(&f);
	for (size_t i = 0; i < sizeof big; i++) { big[i] = (char)('a' + i % 23); }
	memcpy(big, "Subject: big\r\n\r\n", 16);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct op_local_rcpt to = {.aid = f.aid};
		struct op_deliver op = {.locals = &to, .locals_n = 1};
		struct op_deliver_reply reply;
		struct buf whole = {0};
		upload_below(&f, top_lines, str_make(big, sizes[i]), &op.body);
		op.body.top = STR(""); /* it was begun with room for one */
		CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), ERR_SYNTAX);
		op.body.top = str_skip(top_lines, 1); /* another length than was counted */
		CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), ERR_SYNTAX);
		op.body.top = top_lines;
		CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
		buf_str(&whole, top_lines);
		buf_add(&whole, big, sizes[i]);
		check_octets(&f, op.body.oid, buf_view(&whole));
		buf_fini(&whole);
	}
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* Change the last octet of `what` in the store's file, below LMDB. */
static void spoil(struct store *s, struct str what)
{
	struct stat st;
	int fd;
	CHECK_INT(mdb_env_get_fd(s->env, &fd), 0);
	CHECK_INT(fstat(fd, &st), 0);
	size_t n = (size_t)st.st_size;
	char *file = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *at = file == MAP_FAILED ? NULL : memmem(file, n, what.p, what.n);
	CHECK(at);
	if (at) { at[what.n - 1] ^= 1; }
	munmap(file, n);
}

/* All of a chunk is looked at before an octet of it is given, but once per reader only. */
static void test_damaged_chunk(void)
{
	struct fixture f;
	struct snap sn;
	struct msg m;
	struct str s;
	uint32_t uid;
	fixture_start(&f);
	CHECK_INT(fixture_deliver(&f, f.aid, hello, &uid), 0);
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_msg(&sn, f.inbox, uid, &m), 0);
	CHECK_INT(snap_bytes(&sn, m.oid, 0, &s), 0);
	spoil(f.s, hello);
	CHECK_INT(snap_bytes(&sn, m.oid, 7, &s), 0);
	struct chunk_id sound = sn.sound;
	snap_end(&sn);
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_bytes(&sn, m.oid, 7, &s), ERR_DAMAGED);
	sn.sound = sound;
	CHECK_INT(snap_bytes(&sn, m.oid, 7, &s), 0);
	sn.sound.chunk++;
	CHECK_INT(snap_bytes(&sn, m.oid, 7, &s), ERR_DAMAGED);
	sn.sound = (struct chunk_id){sound.oid + 1, 0};
	CHECK_INT(snap_bytes(&sn, m.oid, 7, &s), ERR_DAMAGED);
	snap_end(&sn);
	fixture_end(&f);
}

static void test_upload(void)
{
	struct fixture f;
	static char big[200000];
	fixture_start(&f);
	memset(big, 'x', sizeof big);
	memcpy(big, "Subject: big\r\n\r\n", 16);
	struct str text = str_make(big, sizeof big);
	struct op_upload_reply up = {0};
	for (uint32_t i = 0; i * CHUNK_DATA < sizeof big; i++) {
		struct op_upload op = {up.oid, i, str_sub(text, i * CHUNK_DATA, CHUNK_DATA)};
		CHECK_INT(apply(&f, &OP_UPLOAD, &op, &up), 0);
		CHECK_INT(apply(&f, &OP_UPLOAD, &op, &up), i ? ERR_SYNTAX : 0); /* not twice */
		if (i == 0) { continue; }
		op.chunk = 9;
		CHECK_INT(apply(&f, &OP_UPLOAD, &op, &up), ERR_SYNTAX);
		up.oid = op.oid;
	}
	struct op_local_rcpt to = {.aid = f.aid};
	struct op_deliver op = {.locals = &to, .locals_n = 1};
	struct op_deliver_reply reply;
	fixture_body(&f, text, &op.body);
	op.body.data = STR("");
	op.body.oid = up.oid;
	op.body.size--;
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), ERR_SYNTAX);
	op.body.size++;
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), ERR_GONE); /* taken */
	struct snap sn;
	struct str s;
	CHECK_INT(snap_begin(f.s, &sn), 0);
	for (uint64_t off = 0; off < sizeof big; off += s.n) {
		if (snap_bytes(&sn, up.oid, off, &s) < 0 || s.n == 0) {
			CHECK(false);
			break;
		}
		CHECK(memcmp(s.p, big + off, s.n) == 0);
	}
	snap_end(&sn);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* A bad operation in a batch fails alone; one that fails half-way leaves nothing. */
static void test_batch(void)
{
	struct fixture f;
	fixture_start(&f);
	struct op_local_rcpt good = {.aid = f.aid}, nobody = {.aid = 99};
	struct op_deliver ops[3] = {{.locals = &good, .locals_n = 1},
		{.locals = &nobody, .locals_n = 1}, {.locals = &good, .locals_n = 1}};
	struct op_append_one half[2] = {{.flags = 0}, {.flags = 0}};
	struct op_append append = {f.aid, f.inbox, half, 2};
	for (int i = 0; i < 3; i++) { fixture_body(&f, hello, &ops[i].body); }
	fixture_body(&f, hello, &half[0].body);
	half[1].body.sha256 = STR("short"); /* refused when the first one is already written */
	struct op_deliver_reply replies[3];
	struct op_append_reply appended;
	struct batch_op batch[] = {{&OP_DELIVER, &ops[0], &f.a, &replies[0], 0},
		{&OP_DELIVER, &ops[1], &f.a, &replies[1], 0},
		{&OP_APPEND, &append, &f.a, &appended, 0},
		{&OP_DELIVER, &ops[2], &f.a, &replies[2], 0}};
	struct news news = {0};
	store_batch(f.s, batch, 4, 1, &news);
	CHECK_INT(batch[0].rc, 0);
	CHECK_INT(batch[1].rc, 0);
	CHECK_INT((int)replies[1].oid, 0);
	CHECK_INT((int)replies[1].results[0].rc, -ERR_GONE);
	CHECK_INT(batch[2].rc, ERR_SYNTAX);
	CHECK_INT(batch[3].rc, 0);
	CHECK_INT(box(&f, f.inbox).total, 2);
	CHECK_INT(news.mboxes_n, 1);
	CHECK_INT(news.mboxes[0].modseq, box(&f, f.inbox).highestmodseq);
	news_fini(&news);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

static void test_addresses(void)
{
	struct fixture f;
	fixture_start(&f);
	struct wire_str_item targets[] = {{STR("u@example.test")}, {STR("far@remote.test")}};
	struct op_addr_set set = {STR("all@example.test"), targets, 2};
	CHECK_INT(apply(&f, &OP_ADDR_SET, &set, NULL), 0);
	set.address = STR("u@example.test");
	CHECK_INT(apply(&f, &OP_ADDR_SET, &set, NULL), ERR_EXISTS);
	struct snap sn;
	struct addr_row row;
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_addr(&sn, STR("all@example.test"), &f.a, &row), 0);
	CHECK_INT(row.targets_n, 2);
	CHECK_STR(row.targets[1], STR("far@remote.test"));
	snap_end(&sn);
	struct op_domain_set dom = {.name = STR("example.test")};
	struct op_domain_del gone = {STR("example.test")};
	CHECK_INT(apply(&f, &OP_DOMAIN_SET, &dom, NULL), 0);
	CHECK_INT(apply(&f, &OP_DOMAIN_DEL, &gone, NULL), ERR_INUSE);
	struct op_addr_del del = {STR("all@example.test")};
	CHECK_INT(apply(&f, &OP_ADDR_DEL, &del, NULL), 0);
	del.address = STR("u@example.test");
	CHECK_INT(apply(&f, &OP_ADDR_DEL, &del, NULL), ERR_INUSE);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* Objects go some time after their last reference, uploads when nobody came. */
static void test_gc(void)
{
	struct fixture f;
	fixture_start(&f);
	fixture_deliver(&f, f.aid, hello, NULL);
	set_flags(&f, 1, 1, FLAGS_ADD, FLAG_DELETED);
	uint64_t oid = message(&f, f.inbox, 1).oid;
	struct op_expunge op = {.aid = f.aid, .mid = f.inbox, .all = true};
	struct op_expunge_reply reply;
	CHECK_INT(apply(&f, &OP_EXPUNGE, &op, &reply), 0);
	struct snap sn;
	struct str s;
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_bytes(&sn, oid, 0, &s), 0); /* a reader may still be at it */
	snap_end(&sn);
	MDB_txn *txn;
	uint64_t gone = 0;
	CHECK_INT(mdb_txn_begin(f.s->env, NULL, 0, &txn), 0);
	CHECK_INT(gc_step(f.s, txn, INT64_MAX, &gone), 0);
	CHECK_INT(mdb_txn_commit(txn), 0);
	CHECK_INT(gone, 1);
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_bytes(&sn, oid, 0, &s), ERR_GONE);
	snap_end(&sn);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* A large one goes in several transactions: between them nothing is damaged. */
static void test_gc_halfway(void)
{
	struct fixture f;
	struct buf big = {0};
	struct op_local_rcpt to = {0};
	struct op_deliver op = {.locals = &to, .locals_n = 1};
	struct op_deliver_reply reply;
	struct maintain_limits limits = {INT64_MAX / 4, UINT64_MAX};
	fixture_start(&f);
	to.aid = f.aid;
	buf_str(&big, STR("\r\n"));
	for (int i = 0; i < (GC_STEP + 1) * CHUNK_DATA / 64; i++) { buf_fmt(&big, "%062d\r\n", i); }
	upload_below(&f, top_lines, buf_view(&big), &op.body);
	CHECK_INT(apply(&f, &OP_DELIVER, &op, &reply), 0);
	set_flags(&f, 1, 1, FLAGS_ADD, FLAG_DELETED);
	struct op_expunge expunge = {.aid = f.aid, .mid = f.inbox, .all = true};
	struct op_expunge_reply expunged;
	CHECK_INT(apply(&f, &OP_EXPUNGE, &expunge, &expunged), 0);
	CHECK_INT(store_maintain(f.s, &limits, INT64_MAX / 2, NULL), 1);
	CHECK_INT(fixture_fsck(&f, false), 0);
	CHECK_INT(store_maintain(f.s, &limits, INT64_MAX / 2, NULL), 0);
	CHECK_INT(fixture_fsck(&f, false), 0);
	buf_fini(&big);
	fixture_end(&f);
}

static void test_lock(void)
{
	struct fixture f;
	struct store *second = NULL;
	struct err e;
	fixture_start(&f);
	CHECK_INT(store_open(f.dir, STORE_WRITE, &second, &e), ERR_INUSE);
	CHECK(strstr(e.text, "another posthouse") != NULL);
	CHECK_INT(store_open("/nonexistent/x", STORE_READ, &second, &e), ERR_GONE);
	fixture_end(&f);
}

/* --- long random runs --- */

static uint32_t seed = 20261124;
static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void random_step(struct fixture *f, const uint32_t *boxes, size_t n)
{
	uint32_t lo = 1 + dice(40);
	struct uid_range r = {lo, lo + dice(10)};
	struct op_copy copy = {
		f->aid, boxes[dice((uint32_t)n)], boxes[dice((uint32_t)n)], &r, 1, dice(2)};
	struct op_flags flags = {.aid = f->aid,
		.mid = boxes[dice((uint32_t)n)],
		.uids = &r,
		.uids_n = 1,
		.how = (uint8_t)dice(3),
		.flags = dice(32)};
	struct op_expunge expunge = {f->aid, boxes[dice((uint32_t)n)], dice(2), &r, 1};
	char text[64];
	int len = snprintf(text, sizeof text, "Message-ID: <%u@a>\r\n\r\n%u\r\n", dice(9), seed);
	switch (dice(5)) {
	case 0: apply(f, &OP_COPY, &copy, NULL); break;
	case 1: apply(f, &OP_FLAGS, &flags, NULL); break;
	case 2: apply(f, &OP_EXPUNGE, &expunge, NULL); break;
	default: fixture_deliver(f, f->aid, str_make(text, (size_t)len), NULL); break;
	}
	arena_reset(&f->a);
}

static void test_random(void)
{
	struct fixture f;
	fixture_start(&f);
	uint32_t boxes[] = {f.inbox, fixture_mailbox(&f, "Sent"), fixture_mailbox(&f, "Trash")};
	for (int i = 0; i < 1500; i++) {
		random_step(&f, boxes, COUNT(boxes));
		if (i % 100 == 0) { CHECK_INT(fixture_fsck(&f, false), 0); }
		if (i % 400 == 0) { fixture_reopen(&f); }
	}
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* --- what fsck must find and mend --- */

/* Write nonsense into a table: each row is one kind of damage. */
enum damage_how { DROP, FLIP, ADD };
struct damage {
	const char *name;
	enum table tb;
	enum damage_how how;
	bool lasting; /* cannot be mended: octets are gone */
};
static const struct damage damages[] = {
	{"a message row is gone", TB_MSG, DROP, false},
	{"a message row is damaged", TB_MSG, FLIP, false},
	{"a change row is gone", TB_CHG, DROP, false},
	{"a change row too many", TB_CHG, ADD, false},
	{"a mailbox is gone", TB_MBOX, DROP, false},
	{"a mailbox is damaged", TB_MBOX, FLIP, false},
	{"a name is gone", TB_MNAME, DROP, false},
	{"a name is damaged", TB_MNAME, FLIP, false},
	{"an object is gone", TB_OBJ, DROP, false},
	{"an object is damaged", TB_OBJ, FLIP, false},
	{"a parse record is gone", TB_PARSE, DROP, false},
	{"a parse record is damaged", TB_PARSE, FLIP, false},
	{"octets are gone", TB_BLOB, DROP, true},
	{"octets are damaged", TB_BLOB, FLIP, true},
	{"octets too many", TB_BLOB, ADD, false},
	{"an account is damaged", TB_ACCT, FLIP, false},
	{"an address is gone", TB_ADDR, DROP, false},
	{"an address is damaged", TB_ADDR, FLIP, false},
	{"a queue item is gone", TB_Q, DROP, false},
	{"a queue item is damaged", TB_Q, FLIP, false},
	{"a queue recipient is gone", TB_QR, DROP, false},
	{"a queue recipient is damaged", TB_QR, FLIP, false},
	{"a due entry is gone", TB_QDUE, DROP, false},
	{"a due entry too many", TB_QDUE, ADD, false},
	{"an audit record is gone", TB_AUDIT, DROP, false},
	{"an audit record is damaged", TB_AUDIT, FLIP, false},
	{"an audit id is gone", TB_AUDITID, DROP, false},
	{"a keyword is damaged", TB_KW, FLIP, false},
	{"a credential is damaged", TB_CRED, FLIP, false},
};

static void plant(struct fixture *f, const struct damage *d)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val key, v;
	char copy[8192];
	CHECK_INT(mdb_txn_begin(f->s->env, NULL, 0, &txn), 0);
	CHECK_INT(mdb_cursor_open(txn, f->s->dbi[d->tb], &c), 0);
	CHECK_INT(mdb_cursor_get(c, &key, &v, MDB_FIRST), 0);
	if (d->how == DROP) {
		CHECK_INT(mdb_cursor_del(c, 0), 0);
	} else if (d->how == FLIP) {
		memcpy(copy, v.mv_data, v.mv_size);
		copy[v.mv_size / 2] ^= 4;
		v.mv_data = copy;
		CHECK_INT(mdb_cursor_put(c, &key, &v, MDB_CURRENT), 0);
	} else {
		char other[KEY_MAX];
		memcpy(other, key.mv_data, key.mv_size);
		other[key.mv_size - 5] ^= 64;
		MDB_val k = {key.mv_size, other};
		memcpy(copy, v.mv_data, v.mv_size);
		v.mv_data = copy;
		CHECK_INT(mdb_put(txn, f->s->dbi[d->tb], &k, &v, 0), 0);
	}
	mdb_cursor_close(c);
	CHECK_INT(mdb_txn_commit(txn), 0);
}

static void fill_topped(struct fixture *f)
{
	struct op_local_rcpt to = {.aid = f->aid};
	struct op_deliver op = {.locals = &to, .locals_n = 1};
	struct op_deliver_reply reply;
	struct buf text = {0};
	buf_str(&text, hello);
	for (int i = 0; i < 20000; i++) { buf_str(&text, STR("line\r\n")); }
	upload_below(f, top_lines, buf_view(&text), &op.body);
	CHECK_INT(apply(f, &OP_DELIVER, &op, &reply), 0);
	buf_fini(&text);
}

static void fill(struct fixture *f)
{
	struct op_remote_rcpt out = {.rcpt = STR("x@remote.test")};
	struct op_deliver op = {
		.remotes = &out, .remotes_n = 1, .audit = {.id = 5, .time_us = 1793000000000000}};
	struct op_deliver_reply reply;
	struct wire_str_item word = {STR("k")};
	struct uid_range r = {1, 2};
	struct op_flags flags = {.aid = f->aid,
		.mid = f->inbox,
		.uids = &r,
		.uids_n = 1,
		.how = FLAGS_ADD,
		.keywords = &word,
		.keywords_n = 1};
	for (int i = 0; i < 3; i++) { fixture_deliver(f, f->aid, hello, NULL); }
	fixture_body(f, hello, &op.body);
	apply(f, &OP_DELIVER, &op, &reply);
	apply(f, &OP_FLAGS, &flags, NULL);
}

/* With `topped` the first object is an upload with a top. */
static void check_damages(bool topped)
{
	for (size_t i = 0; i < COUNT(damages); i++) {
		const struct damage *d = &damages[i];
		struct fixture f;
		printf("# planted: %s\n", d->name);
		fixture_start(&f);
		if (topped) { fill_topped(&f); }
		fill(&f);
		CHECK_INT(fixture_fsck(&f, false), 0);
		plant(&f, d);
		CHECK(fixture_fsck(&f, false) > 0);
		CHECK(fixture_fsck(&f, true) > 0);
		fixture_reopen(&f);
		if (d->lasting) {
			CHECK(fixture_fsck(&f, false) > 0);
		} else {
			CHECK_INT(fixture_fsck(&f, false), 0);
		}
		fixture_end(&f);
	}
}

static void put_expunge(struct fixture *f, MDB_txn *txn, uint64_t modseq, uint32_t uid)
{
	struct key k = key1(f->inbox);
	key_u64(&k, modseq);
	key_u32(&k, uid);
	MDB_val key = key_val(&k), v = {1, "x"};
	CHECK_INT(mdb_put(txn, f->s->dbi[TB_CHG], &key, &v, 0), 0);
}

/* Rows with sound checksums that took the last of all ids: mended, there are ids left to give. */
static void plant_last_id(struct fixture *f, MDB_txn *txn, int which)
{
	struct key mk = key1(f->inbox), nk = key_named(f->aid, STR("Sent")), uk = key2(f->inbox, 1),
		   ak = key_none(), ck = key1(UINT32_MAX - 1);
	struct mbox mb;
	struct rec_mname name;
	struct msg m;
	struct rec_addr ad;
	key_str(&ak, STR("u@example.test"));
	key_u64(&ck, 1);
	key_u32(&ck, 1);
	CHECK_INT(rec_get(f->s, txn, TB_MBOX, &mk, &f->a, &mb), 0);
	CHECK_INT(rec_get(f->s, txn, TB_MNAME, &nk, &f->a, &name), 0);
	CHECK_INT(rec_get(f->s, txn, TB_MSG, &uk, &f->a, &m), 0);
	CHECK_INT(rec_get(f->s, txn, TB_ADDR, &ak, &f->a, &ad), 0);
	mb.mailboxid = which == 0 ? UINT64_MAX : mb.mailboxid;
	mb.uidvalidity = which == 1 ? UINT32_MAX : mb.uidvalidity;
	mb.aid = which == 2 ? UINT32_MAX - 1 : mb.aid;
	name.mid = which == 3 ? UINT32_MAX - 1 : name.mid;
	m.thread = which == 4 ? UINT64_MAX : m.thread;
	m.oid = which == 5 ? (UINT64_C(1) << 63) - 1 : m.oid;
	ad.aid = which == 6 ? UINT32_MAX - 1 : ad.aid;
	CHECK_INT(rec_put(f->s, txn, TB_MBOX, &mk, &mb, 0), 0);
	CHECK_INT(rec_put(f->s, txn, TB_MNAME, &nk, &name, 0), 0);
	CHECK_INT(rec_put(f->s, txn, TB_MSG, &uk, &m, 0), 0);
	CHECK_INT(rec_put(f->s, txn, TB_ADDR, &ak, &ad, 0), 0);
	if (which == 7) { CHECK_INT(key_put(f->s, txn, TB_CHG, &ck, 0), 0); }
	if (which == 8) { f->s->ids.mid = f->s->ids.aid = f->s->ids.uidvalidity = UINT32_MAX - 1; }
	if (which == 9) { put_expunge(f, txn, 2, UINT32_MAX - 1); }
	if (which == 10) { put_expunge(f, txn, MODSEQ_MAX - 1, 9); }
	CHECK_INT(ids_write(f->s, txn), 0);
}

static void test_last_ids(void)
{
	for (int which = 0; which <= 10; which++) {
		struct op_mbox_create op = {.name = STR("one more")};
		struct op_mbox_create_reply reply;
		struct fixture f;
		MDB_txn *txn;
		fixture_start(&f);
		fill(&f);
		CHECK_INT(mdb_txn_begin(f.s->env, NULL, 0, &txn), 0);
		plant_last_id(&f, txn, which);
		CHECK_INT(mdb_txn_commit(txn), 0);
		CHECK(fixture_fsck(&f, true) > 0);
		CHECK_INT(fixture_fsck(&f, false), 0);
		op.aid = f.aid;
		CHECK_INT(apply(&f, &OP_MBOX_CREATE, &op, &reply), 0);
		CHECK(fixture_account(&f, "new@example.test") > f.aid);
		CHECK_INT(fixture_deliver(&f, f.aid, hello, NULL), 0);
		CHECK_INT(fixture_fsck(&f, false), 0);
		fixture_end(&f);
	}
}

static void test_fsck(void)
{
	check_damages(false);
	check_damages(true);
}

static void put_audits(struct fixture *f, uint64_t id, int64_t time_us, size_t octets)
{
	static char text[OP_TEXT_MAX];
	memset(text, 'x', sizeof text);
	struct audit au = {.id = id, .time_us = time_us, .reply = str_make(text, octets)};
	struct op_audit op = {&au, 1};
	CHECK_INT(apply(f, &OP_AUDIT, &op, NULL), 0);
}

static void maintain(struct fixture *f, const struct maintain_limits *limits, int64_t now_us)
{
	int rc;
	do {
		rc = store_maintain(f->s, limits, now_us, NULL);
	} while (rc == 1);
	CHECK_INT(rc, 0);
}

/* Of a message that was queued there are several records under one id. */
static void test_audits(void)
{
	static const int64_t day = 86400 * SECOND_US, now = 40 * day;
	struct maintain_limits limits = {30 * day, 1024 * 1024};
	struct fixture f;
	struct snap sn;
	struct audit au;
	fixture_start(&f);
	put_audits(&f, 7, 20 * day, 10);
	put_audits(&f, 6, 21 * day, 11);
	put_audits(&f, 7, 22 * day, 12);
	put_audits(&f, 7, 5 * day, 13);
	CHECK_INT(fixture_fsck(&f, false), 0);
	maintain(&f, &limits, now);
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_audit(&sn, 7, -1, &f.a, &au), 0);
	CHECK_INT(au.time_us, 20 * day);
	CHECK_INT(snap_audit(&sn, 7, au.time_us, &f.a, &au), 0);
	CHECK_INT(au.time_us, 22 * day);
	CHECK_INT(snap_audit(&sn, 7, au.time_us, &f.a, &au), ERR_GONE);
	CHECK_INT(snap_audit(&sn, 5, -1, &f.a, &au), ERR_GONE);
	snap_end(&sn);
	for (uint64_t i = 0; i < 1000; i++) {
		put_audits(&f, 100 + i, 23 * day + (int64_t)i, OP_TEXT_MAX);
	}
	maintain(&f, &limits, now);
	CHECK_INT(snap_begin(f.s, &sn), 0);
	CHECK_INT(snap_audit(&sn, 7, -1, &f.a, &au), ERR_GONE); /* the oldest went first */
	CHECK_INT(snap_audit(&sn, 100, -1, &f.a, &au), ERR_GONE);
	CHECK_INT(snap_audit(&sn, 900, -1, &f.a, &au), 0); /* and no more than had to */
	CHECK_INT(snap_audit(&sn, 1099, -1, &f.a, &au), 0);
	snap_end(&sn);
	CHECK_INT(fixture_fsck(&f, false), 0);
	fixture_end(&f);
}

/* A store that an older posthouse wrote. */
static void test_schema(void)
{
	struct fixture f;
	struct rec_schema old = {SCHEMA_VERSION - 1};
	struct key k = key_none();
	struct store *s;
	struct err e = {{0}};
	MDB_txn *txn;
	fixture_start(&f);
	key_str(&k, STR("schema"));
	CHECK_INT(mdb_txn_begin(f.s->env, NULL, 0, &txn), 0);
	CHECK_INT(rec_put(f.s, txn, TB_META, &k, &old, 0), 0);
	CHECK_INT(mdb_txn_commit(txn), 0);
	store_close(f.s);
	CHECK_INT(store_open(f.dir, STORE_WRITE, &s, &e), ERR_DAMAGED);
	CHECK(str_find(str_of(e.text), STR("use the version that wrote it")) > 0);
	CHECK_INT(store_open(f.dir, STORE_READ, &s, &e), ERR_DAMAGED);
	f.s = NULL;
	fixture_end(&f);
}

static void test_ids(void)
{
	char text[ID_TEXT];
	uint64_t id;
	static const uint64_t v[] = {0, 1, 31, 32, UINT64_MAX, UINT64_C(0x123456789abcdef0)};
	for (size_t i = 0; i < COUNT(v); i++) {
		CHECK_INT(id_parse(str_of(id_text(v[i], text)), &id), 0);
		CHECK(id == v[i]);
	}
	CHECK_INT(id_parse(STR("zzzzzzzzzzzzz"), &id), ERR_SYNTAX);
	CHECK_INT(id_parse(STR("0"), &id), ERR_SYNTAX);
	CHECK_INT(id_parse(STR("000000000000l"), &id), ERR_SYNTAX);
	int64_t now_us = 1800000000 * SECOND_US; /* 2027 */
	uint64_t a = id_new(now_us), b = id_new(now_us), later = id_new(now_us + 2048);
	CHECK(a != b && a >> 22 == b >> 22);
	CHECK_INT((later >> 22) - (a >> 22), 2);
	CHECK(a >> 22 == (uint64_t)now_us >> 10);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"a store that was only begun", test_begun_store},
		{"accounts", test_account},
		{"a delivery", test_deliver},
		{"a delivery to many", test_deliver_many},
		{"a result committed again", test_result_again},
		{"editing the queue", test_queue_edit},
		{"quota", test_quota},
		{"flags", test_flags},
		{"too many keywords", test_keywords_full},
		{"copies and moves", test_copy_move},
		{"expunge", test_expunge},
		{"mailboxes", test_mailboxes},
		{"uploads", test_upload},
		{"uploads below lines that come last", test_top},
		{"a damaged chunk", test_damaged_chunk},
		{"batches", test_batch},
		{"addresses and domains", test_addresses},
		{"garbage", test_gc},
		{"garbage, half of it gone", test_gc_halfway},
		{"one writer", test_lock},
		{"random operations", test_random},
		{"fsck finds and mends", test_fsck},
		{"fsck and the last ids", test_last_ids},
		{"audit records", test_audits},
		{"another schema", test_schema},
		{"ids as text", test_ids},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
