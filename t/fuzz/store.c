/* A store with damaged rows. The octets are edits of rows, put in through LMDB so that its pages
   stay sound, with the checksums made right again when an edit says so. Then everything that reads
   the store reads it, fsck mends it, and after that the store must be right: fsck finds nothing
   more but octets that are lost, every record can be read, every message whose octets were left is
   still reached, what was garbage is not, and operations leave it right. */
#include "lib/log.h"
#include "lib/mimerec.h"
#include "store/apply.h"
#include "store/maintain.h"
#include "t/store_fixture.h"
#include "t/fuzz/draw.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 512, STEPS_MAX = 5000, EDITS_MAX = 8 };
static const int64_t now_us = INT64_C(1790000000) * SECOND_US;

struct row {
	struct str key, value;
};

static struct fixture fx;
static struct row rows[TB_N][ROWS_MAX];
static size_t rows_n[TB_N];
static struct arena kept; /* holds the rows */

/* What became of the objects of the store as it was. */
enum { OBJECTS_MAX = 64 };
struct object {
	bool mail;    /* it was a message's */
	bool certain; /* what the edits left says so, or that it is garbage */
	bool reached;
};
static struct object objects[OBJECTS_MAX];

/* --- the store as it was --- */

static void check_rc(int rc)
{
	if (rc != 0) {
		fprintf(stderr, "rc %d\n", rc);
		abort();
	}
}

static void keep_rows(void)
{
	struct snap sn;
	check_rc(snap_begin(fx.s, &sn));
	for (int tb = 0; tb < TB_N; tb++) {
		MDB_cursor *c;
		MDB_val k, v;
		check_rc(mdb_cursor_open(sn.txn, fx.s->dbi[tb], &c));
		while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
			assert(rows_n[tb] < ROWS_MAX);
			rows[tb][rows_n[tb]++] = (struct row){
				arena_dup(&kept, val_str(k)), arena_dup(&kept, val_str(v))};
		}
		mdb_cursor_close(c);
	}
	snap_end(&sn);
}

static struct object *object(uint64_t oid)
{
	return oid < OBJECTS_MAX ? &objects[oid] : NULL;
}

static void know_mail(void)
{
	struct msg m;
	struct queue_item it;
	MDB_val v;
	for (size_t i = 0; i < rows_n[TB_MSG]; i++) {
		v = (MDB_val){rows[TB_MSG][i].value.n, (void *)(uintptr_t)rows[TB_MSG][i].value.p};
		check_rc(rec_unpack(TB_MSG, rows[TB_MSG][i].key, v, &kept, &m));
		object(m.oid)->mail = true;
	}
	for (size_t i = 0; i < rows_n[TB_Q]; i++) {
		v = (MDB_val){rows[TB_Q][i].value.n, (void *)(uintptr_t)rows[TB_Q][i].value.p};
		check_rc(rec_unpack(TB_Q, rows[TB_Q][i].key, v, &kept, &it));
		object(it.oid)->mail = true;
	}
}

static int put_row(MDB_txn *txn, int tb, struct str key, struct str value)
{
	MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, (void *)(uintptr_t)value.p};
	return mdb_put(txn, fx.s->dbi[tb], &k, &v, 0);
}

static void put_back(MDB_txn *txn)
{
	for (int tb = 0; tb < TB_N; tb++) {
		check_rc(mdb_drop(txn, fx.s->dbi[tb], 0));
		for (size_t i = 0; i < rows_n[tb]; i++) {
			check_rc(put_row(txn, tb, rows[tb][i].key, rows[tb][i].value));
		}
	}
	check_rc(ids_read(fx.s, txn));
}

static void upload(struct str data)
{
	struct op_upload op = {.data = data};
	struct op_upload_reply reply;
	check_rc(store_apply(fx.s, &OP_UPLOAD, &op, &fx.a, &reply));
}

static void fill_mail(void)
{
	struct str text = STR("Message-ID: <1@a>\r\nSubject: hello\r\n\r\nworld\r\n");
	struct wire_str_item word = {STR("k")}, target = {STR("x@remote.test")};
	struct uid_range two = {1, 2}, last = {4, 4};
	struct op_flags flags = {fx.aid, fx.inbox, &two, 1, FLAGS_ADD, FLAG_SEEN, &word, 1};
	struct op_flags deleted = {fx.aid, fx.inbox, &last, 1, FLAGS_ADD, FLAG_DELETED};
	struct op_expunge expunge = {.aid = fx.aid, .mid = fx.inbox, .all = true};
	struct op_copy copy = {fx.aid, fx.inbox, fixture_mailbox(&fx, "Archive"), &two, 1, false};
	struct op_addr_set alias = {STR("all@example.test"), &target, 1};
	struct op_domain_set domain = {STR("example.test"), STR("s1,s2")};
	for (int i = 0; i < 4; i++) { check_rc(fixture_deliver(&fx, fx.aid, text, NULL)); }
	check_rc(store_apply(fx.s, &OP_FLAGS, &flags, NULL, NULL));
	check_rc(store_apply(fx.s, &OP_FLAGS, &deleted, NULL, NULL));
	check_rc(store_apply(fx.s, &OP_EXPUNGE, &expunge, NULL, NULL));
	check_rc(store_apply(fx.s, &OP_COPY, &copy, NULL, NULL));
	check_rc(store_apply(fx.s, &OP_ADDR_SET, &alias, NULL, NULL));
	check_rc(store_apply(fx.s, &OP_DOMAIN_SET, &domain, NULL, NULL));
	upload(text);
}

static void fill_queue(void)
{
	struct op_remote_rcpt out[] = {{.rcpt = STR("x@remote.test")}, {.rcpt = STR("y@r.test")}};
	struct audit_check spf = {STR("spf"), STR("pass"), STR("because")};
	struct audit_rcpt rcpt = {.rcpt = STR("x@remote.test"), .outcome = RCPT_QUEUED};
	struct op_deliver op = {.remotes = out,
		.remotes_n = 2,
		.received_us = now_us,
		.expires_us = now_us + 1000 * SECOND_US,
		.audit = {.id = 5,
			.time_us = now_us,
			.rcpts = &rcpt,
			.rcpts_n = 1,
			.checks = &spf,
			.checks_n = 1}};
	struct op_deliver_reply reply;
	fixture_body(&fx, STR("Subject: out\r\n\r\nx\r\n"), &op.body);
	check_rc(store_apply(fx.s, &OP_DELIVER, &op, &fx.a, &reply));
	struct op_queue_outcome later = {.n = 1,
		.outcome = RCPT_DEFERRED,
		.next_us = now_us + SECOND_US,
		.reply = STR("450 later"),
		.host = STR("mx.r.test")};
	struct op_queue_result result = {
		reply.qid, &later, 1, .audit = {.id = 6, .time_us = now_us}};
	check_rc(store_apply(fx.s, &OP_QUEUE_RESULT, &result, NULL, NULL));
}

static void clean(void)
{
	fixture_end(&fx);
	arena_fini(&kept);
}

static void prepare(void)
{
	log_set_level(LOG_ERROR);
	if (access("/dev/shm", W_OK) == 0) { setenv("TMPDIR", "/dev/shm", 1); }
	op_register();
	fixture_start(&fx);
	check_rc(mdb_env_set_flags(fx.s->env, MDB_NOSYNC, 1));
	(void)fixture_account(&fx, "v@example.test");
	fill_mail();
	fill_queue();
	keep_rows();
	know_mail();
	atexit(clean);
}

/* --- edits --- */

enum { PATCH, REPLACE, DROP, MOVE, COPY, HOWS, SUM = 0x10 };

static void put_value(MDB_txn *txn, int tb, struct str key, struct buf *value, bool sum)
{
	size_t octets = tb == TB_BLOB ? CHUNK_SUM : table_wire[tb] || tb == TB_PARSE ? 4 : 0;
	if (sum && tb == TB_BLOB && key.n == 12 && value->n >= octets) {
		check_rc(chunk_put(fx.s, txn, get_be64(key.p), get_be32(key.p + 8),
			str_sub(buf_view(value), 0, value->n - octets)));
		return;
	}
	if (sum && octets == 4 && value->n >= octets) {
		size_t n = value->n - octets;
		put_be32(value->p + n, rec_sum(str_sub(buf_view(value), 0, n)));
	}
	check_rc(put_row(txn, tb, key, buf_view(value)));
}

static void patch(struct buf *b, struct str *in)
{
	size_t at = draw(in);
	struct str by = take(in, 1 + draw(in) % 12);
	for (size_t i = 0; i < by.n && b->n; i++) { b->p[(at + i) % b->n] = by.p[i]; }
}

static void move(MDB_txn *txn, int tb, const struct row *r, struct str *in, bool copy)
{
	struct buf key = {0};
	unsigned cut = draw(in);
	buf_str(&key, r->key);
	patch(&key, in);
	if (cut >= 0xf0) { key.n = MIN(key.n, cut - 0xf0u); }
	MDB_val old = {r->key.n, (void *)(uintptr_t)r->key.p};
	if (!copy) { (void)mdb_del(txn, fx.s->dbi[tb], &old, NULL); } /* may be gone already */
	if (key.n) { check_rc(put_row(txn, tb, buf_view(&key), r->value)); }
	buf_fini(&key);
}

static void edit(MDB_txn *txn, struct str *in)
{
	int tb = (int)(draw(in) % TB_N);
	unsigned which = draw(in), how = draw(in);
	if (rows_n[tb] == 0) { return; }
	const struct row *r = &rows[tb][which % rows_n[tb]];
	struct buf value = {0};
	switch ((how & 15) % HOWS) {
	case PATCH:
		buf_str(&value, r->value);
		patch(&value, in);
		put_value(txn, tb, r->key, &value, how & SUM);
		break;
	case REPLACE:
		buf_str(&value, take(in, draw(in)));
		put_value(txn, tb, r->key, &value, how & SUM);
		break;
	case DROP: {
		MDB_val k = {r->key.n, (void *)(uintptr_t)r->key.p};
		(void)mdb_del(txn, fx.s->dbi[tb], &k, NULL); /* may be gone already */
		break;
	}
	case MOVE: move(txn, tb, r, in, false); break;
	case COPY: move(txn, tb, r, in, true); break;
	}
	buf_fini(&value);
}

/* --- what must become of the objects --- */

/* Are the rows of a table that belong to the object as they were? `at`: where keys name it. */
static bool untouched(MDB_txn *txn, int tb, uint64_t oid, size_t at)
{
	MDB_cursor *c;
	MDB_val k, v;
	size_t n = 0, there = 0;
	bool same = true;
	for (size_t i = 0; i < rows_n[tb]; i++) {
		const struct row *r = &rows[tb][i];
		if (get_be64(r->key.p + at) != oid) { continue; }
		n++;
		k = (MDB_val){r->key.n, (void *)(uintptr_t)r->key.p};
		same &= mdb_get(txn, fx.s->dbi[tb], &k, &v) == 0 && str_eq(val_str(v), r->value);
	}
	check_rc(mdb_cursor_open(txn, fx.s->dbi[tb], &c));
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		there += k.mv_size >= at + 8 && get_be64((char *)k.mv_data + at) == oid;
	}
	mdb_cursor_close(c);
	return same && n == there;
}

static bool table_untouched(MDB_txn *txn, int tb)
{
	MDB_stat st;
	check_rc(mdb_stat(txn, fx.s->dbi[tb], &st));
	bool same = st.ms_entries == rows_n[tb];
	for (size_t i = 0; i < rows_n[tb]; i++) {
		const struct row *r = &rows[tb][i];
		MDB_val k = {r->key.n, (void *)(uintptr_t)r->key.p}, v;
		same &= mdb_get(txn, fx.s->dbi[tb], &k, &v) == 0 && str_eq(val_str(v), r->value);
	}
	return same;
}

/* Its own record says it, or else its octets and the parse record together. Rows of messages and of
   the queue may then be what they are; but they may also name garbage. */
static void know_certain(MDB_txn *txn)
{
	bool unnamed = table_untouched(txn, TB_MSG) && table_untouched(txn, TB_Q);
	for (uint64_t oid = 1; oid < OBJECTS_MAX; oid++) {
		struct key k = key_id(oid);
		MDB_val key = key_val(&k), v;
		struct object *o = &objects[oid];
		bool own = untouched(txn, TB_OBJ, oid, 0),
		     none = mdb_get(txn, fx.s->dbi[TB_OBJ], &key, &v) != 0,
		     others = untouched(txn, TB_PARSE, oid, 0) && untouched(txn, TB_GC, oid, 8) &&
			      untouched(txn, TB_UPLOAD, oid, 0);
		o->reached = false;
		o->certain = untouched(txn, TB_BLOB, oid, 0) && (own || (none && others)) &&
			     (o->mail || (unnamed && others));
	}
}

static void check_objects(void)
{
	for (uint64_t oid = 1; oid < OBJECTS_MAX; oid++) {
		assert(!objects[oid].certain || objects[oid].reached == objects[oid].mail);
	}
}

/* --- reading all of it --- */

struct look {
	struct snap sn;
	struct arena a;
	bool right; /* nothing may fail but octets */
	unsigned steps;
};

/* Does a walk go on? Every one of them must end. */
static bool more(struct look *l, int rc)
{
	assert(++l->steps < STEPS_MAX);
	assert(!l->right || rc >= 0 || rc == ERR_GONE);
	return rc >= 0 && rc != ERR_GONE;
}

static void read_octets(struct look *l, const struct msg *m)
{
	struct str s;
	struct obj o;
	struct mimerec rec;
	uint64_t off = 0;
	if (object(m->oid)) { object(m->oid)->reached = true; }
	if (!more(l, snap_obj(&l->sn, m->oid, &o))) { return; }
	while (snap_msg_bytes(&l->sn, m, off, &s) == 0 && s.n) {
		more(l, 0);
		off += s.n;
	}
	snap_will_need(&l->sn, m->oid, off / 2);
	if (snap_parse(&l->sn, m->oid, &s) == 0) { (void)mimerec_read(s, &l->a, &rec); }
}

static void read_mailbox(struct look *l, uint32_t mid)
{
	struct msg_cursor c;
	struct change_cursor ch;
	struct change change;
	struct msg m, again;
	struct mbox mb;
	struct str names[KEYWORDS_MAX];
	if (!more(l, snap_mbox(&l->sn, mid, &mb))) { return; }
	(void)more(l, snap_keywords(&l->sn, mid, names));
	check_rc(msg_cursor_open(&l->sn, mid, 0, &c));
	int rc;
	while ((rc = msg_cursor_next(&c, &m)) == 1) {
		rc = snap_msg(&l->sn, mid, m.uid, &again);
		assert(rc == 0 && again.oid == m.oid);
		read_octets(l, &m);
	}
	(void)more(l, rc);
	msg_cursor_close(&c);
	check_rc(change_cursor_open(&l->sn, mid, 0, &ch));
	while ((rc = change_cursor_next(&ch, &change)) == 1) {}
	(void)more(l, rc);
	change_cursor_close(&ch);
}

static void read_account(struct look *l, uint32_t aid)
{
	struct cred *creds;
	struct mname *names, use;
	size_t n = 0;
	(void)more(l, snap_creds(&l->sn, aid, &l->a, &creds, &n));
	(void)more(l, snap_mbox_by_use(&l->sn, aid, USE_JUNK, &use));
	(void)more(l, snap_mnames(&l->sn, aid, &l->a, &names, &n));
	for (size_t i = 0; i < n; i++) {
		struct mname name;
		struct mbox mb;
		int rc = snap_mbox_by_name(&l->sn, aid, names[i].name, &name, &mb);
		(void)more(l, rc);
		assert(!l->right || names[i].mid == 0 || rc == 0);
		read_mailbox(l, names[i].mid);
	}
}

static void read_accounts(struct look *l)
{
	struct acct ac = {0};
	struct addr_row ad = {0};
	struct domain d = {0};
	while (more(l, snap_acct_next(&l->sn, ac.aid, &ac))) { read_account(l, ac.aid); }
	while (more(l, snap_addr_next(&l->sn, ad.address, &l->a, &ad))) {}
	while (more(l, snap_domain_next(&l->sn, d.name, &d))) {}
}

static void read_queue(struct look *l)
{
	struct queue_item it = {0};
	struct queue_due due = {0};
	struct queue_rcpt r;
	while (more(l, snap_queue_item_next(&l->sn, it.qid, &l->a, &it))) {
		int64_t n = -1;
		while (more(l, snap_queue_rcpt_next(&l->sn, it.qid, n, &l->a, &r))) { n = r.n; }
		read_octets(l, &(struct msg){.oid = it.oid});
	}
	while (more(l, snap_queue_due_next(&l->sn, &due, &due))) {
		(void)more(l, snap_queue_rcpt(&l->sn, due.qid, due.n, &l->a, &r));
	}
}

static void read_audit(struct look *l)
{
	struct audit au = {.time_us = INT64_MAX, .id = UINT64_MAX}, one;
	while (more(l, snap_audit_prev(&l->sn, au.time_us, au.id, &l->a, &au))) {
		int64_t after = -1;
		while (more(l, snap_audit(&l->sn, au.id, after, &l->a, &one))) {
			after = one.time_us;
		}
	}
}

static void read_all(bool right)
{
	struct look l = {.right = right};
	struct store_stat stat;
	check_rc(store_stat(fx.s, &stat));
	check_rc(snap_begin(fx.s, &l.sn));
	read_accounts(&l);
	read_queue(&l);
	read_audit(&l);
	snap_end(&l.sn);
	arena_fini(&l.a);
}

/* --- mending it --- */

struct findings {
	unsigned lost, others;
	bool tell;
};

static void on_finding(void *ctx, struct str finding)
{
	struct findings *f = ctx;
	bool lost = str_starts(finding, STR("object ")) &&
		    memmem(finding.p, finding.n, "octets are", 10);
	f->lost += lost;
	f->others += !lost;
	if (f->tell && !lost) { fprintf(stderr, "%.*s\n", STR_ARG(finding)); }
}

static void mend(void)
{
	struct findings f = {0};
	int rc = store_fsck(fx.s, true, on_finding, &f);
	if (rc < 0) { check_rc(rc); }
	f = (struct findings){.tell = true};
	rc = store_fsck(fx.s, false, on_finding, &f);
	if (rc < 0) { check_rc(rc); }
	assert(f.others == 0);
}

static void maintain(void)
{
	const struct maintain_limits limits = {.audit_keep_us = SECOND_US, .audit_max = 1 << 20};
	int rc = 1;
	for (unsigned i = 0; rc == 1; i++) {
		rc = store_maintain(fx.s, &limits, 4 * now_us, NULL);
		assert(i < STEPS_MAX);
	}
}

/* It may be full, but nothing may be in the way of an operation, and none leaves damage behind. */
static void operate(void)
{
	struct snap sn;
	struct acct ac = {0};
	struct mname name;
	struct findings f = {.tell = true};
	check_rc(snap_begin(fx.s, &sn));
	bool any = snap_acct_next(&sn, 0, &ac) == 0;
	uint32_t aid = ac.aid, mid = 0;
	if (any && snap_mbox_by_name(&sn, aid, STR("INBOX"), &name, NULL) == 0) { mid = name.mid; }
	snap_end(&sn);
	if (!any) { return; }
	assert(mid);
	arena_reset(&fx.a);
	int rc = fixture_deliver(&fx, aid, STR("Subject: more\r\n\r\nx\r\n"), NULL);
	if (rc != ERR_QUOTA && rc != ERR_LIMIT) { check_rc(rc); }
	struct op_mbox_create create = {.aid = aid, .name = STR("a/b")};
	struct op_mbox_create_reply made;
	rc = store_apply(fx.s, &OP_MBOX_CREATE, &create, &fx.a, &made);
	if (rc != ERR_EXISTS) { check_rc(rc); }
	struct uid_range all = {1, UINT32_MAX};
	struct op_flags flags = {aid, mid, &all, 1, FLAGS_ADD, FLAG_DELETED, NULL, 0};
	struct op_expunge expunge = {.aid = aid, .mid = mid, .all = true};
	struct op_flags_reply flagged;
	struct op_expunge_reply expunged;
	check_rc(store_apply(fx.s, &OP_FLAGS, &flags, &fx.a, &flagged));
	check_rc(store_apply(fx.s, &OP_EXPUNGE, &expunge, &fx.a, &expunged));
	rc = store_fsck(fx.s, false, on_finding, &f);
	if (rc < 0) { check_rc(rc); }
	assert(f.others == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MDB_txn *txn;
	struct err e = {0};
	if (!fx.s) { prepare(); }
	if (size < 4 || size > 4096) { return 0; }
	struct str in = str_make(data + 1, size - 1);
	check_rc(env_begin(fx.s, &txn));
	put_back(txn);
	for (int i = 0; i < EDITS_MAX && in.n; i++) { edit(txn, &in); }
	know_certain(txn);
	if (meta_read(fx.s, txn, true, SCHEMA_VERSION, &e) < 0) { /* another schema: not ours */
		mdb_txn_abort(txn);
		return 0;
	}
	check_rc(env_commit(fx.s, txn));
	read_all(false);
	if (data[0] & 1) { maintain(); }
	(void)store_fsck(fx.s, false, NULL, NULL);
	mend();
	for (size_t i = 0; i < OBJECTS_MAX; i++) { objects[i].reached = false; }
	read_all(true);
	check_objects();
	operate();
	maintain();
	return 0;
}
