/* imap: sets of numbers, walks over a mailbox, parse records, decoded parts: on a store. */
#include "t/store_fixture.h"
#include "t/tap.h"

#include "imap/fetch.h"
#include "imap/record.h"
#include "imap/uidset.h"
#include "imap/walk.h"
#include "lib/codec.h"

/* --- sets --- */

static void check_set(const struct uidset *set, const char *want)
{
	struct buf b = {0};
	uidset_put(set->ranges, set->n, &b);
	CHECK_STR(buf_view(&b), str_of(want));
	buf_fini(&b);
}

static void test_sets(void)
{
	struct uidset set = {0};
	check_set(&set, "");
	CHECK(!uidset_has(set.ranges, set.n, 1));
	uidset_add(&set, 1);
	uidset_add(&set, 2);
	uidset_add(&set, 4);
	uidset_add_range(&set, 6, 9);
	uidset_add_range(&set, 8, 8);
	uidset_add_range(&set, 10, 12);
	uidset_add_range(&set, UINT32_MAX - 1, UINT32_MAX);
	check_set(&set, "1:2,4,6:12,4294967294:4294967295");
	CHECK_INT(uidset_count(set.ranges, set.n), 12);
	for (uint32_t i = 0; i < 14; i++) {
		bool want = i == 1 || i == 2 || i == 4 || (i >= 6 && i <= 12);
		CHECK_INT(uidset_has(set.ranges, set.n, i), want);
	}
	CHECK(uidset_has(set.ranges, set.n, UINT32_MAX));
	uidset_fini(&set);
	check_set(&set, "");
}

/* --- walks --- */

enum { MESSAGES = 300 };

static void expunge(struct fixture *f, uint32_t lo, uint32_t hi)
{
	struct uid_range r = {lo, hi};
	struct op_flags flags = {.aid = f->aid,
		.mid = f->inbox,
		.uids = &r,
		.uids_n = 1,
		.how = FLAGS_ADD,
		.flags = FLAG_DELETED};
	struct op_flags_reply flagged;
	struct op_expunge gone = {.aid = f->aid, .mid = f->inbox, .uids = &r, .uids_n = 1};
	struct op_expunge_reply expunged;
	CHECK_INT(store_apply(f->s, &OP_FLAGS, &flags, &f->a, &flagged), 0);
	CHECK_INT(store_apply(f->s, &OP_EXPUNGE, &gone, &f->a, &expunged), 0);
}

static void fill(struct fixture *f, struct view *v)
{
	static uint32_t uids[MESSAGES];
	fixture_start(f);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		CHECK_INT(fixture_deliver(f, f->aid, STR("Subject: x\r\n\r\nx\r\n"), NULL), 0);
		uids[i] = i + 1;
	}
	*v = (struct view){.aid = f->aid, .mid = f->inbox, .uids = uids, .n = MESSAGES};
}

/* UIDs that a walk meets, with a fresh snapshot after every `per_step`. */
static void walk_all(struct fixture *f, struct walk *w, unsigned per_step, struct uidset *out)
{
	struct snap sn;
	struct msg m;
	int rc = 1;
	while (rc == 1) {
		CHECK_INT(snap_begin(f->s, &sn), 0);
		walk_begin(w, &sn);
		for (unsigned i = 0; i < per_step && (rc = walk_next(w, &m)) == 1; i++) {
			CHECK_INT(w->view->uids[w->index], m.uid);
			uidset_add(out, m.uid);
		}
		walk_end(w);
		snap_end(&sn);
	}
	CHECK_INT(rc, 0);
}

static void check_walk(struct fixture *f, const struct view *v, const struct uid_range *ranges,
	size_t n, const char *want, bool missed)
{
	for (unsigned per_step = 1; per_step <= MESSAGES; per_step *= 7) {
		struct uidset got = {0};
		struct walk w;
		walk_init(&w, v, ranges, n);
		walk_all(f, &w, per_step, &got);
		check_set(&got, want);
		CHECK_INT(w.missed, missed);
		uidset_fini(&got);
	}
}

static void test_walks(void)
{
	static const struct uid_range all[] = {{0, MESSAGES - 1}},
				      apart[] = {{0, 1}, {3, 3}, {200, 202}, {299, 299}},
				      beyond[] = {{298, 5000}}, last[] = {{289, 299}};
	struct fixture f;
	struct view v;
	fill(&f, &v);
	check_walk(&f, &v, all, 1, "1:300", false);
	check_walk(&f, &v, apart, 4, "1:2,4,201:203,300", false);
	check_walk(&f, &v, beyond, 1, "299:300", false);
	check_walk(&f, &v, NULL, 0, "", false);
	expunge(&f, 2, 2);
	expunge(&f, 50, 199);
	expunge(&f, 201, 202);
	check_walk(&f, &v, all, 1, "1,3:49,200,203:300", true);
	check_walk(&f, &v, apart, 4, "1,4,203,300", true);
	expunge(&f, 290, 300);
	check_walk(&f, &v, last, 1, "", true);
	check_walk(&f, &v, all, 1, "1,3:49,200,203:289", true);
	fixture_end(&f);
}

/* --- records --- */

static void append(struct fixture *f, const struct op_body *body)
{
	struct op_append_one one = {.body = *body};
	struct op_append op = {.aid = f->aid, .mid = f->inbox, .messages = &one, .messages_n = 1};
	struct op_append_reply reply;
	CHECK_INT(store_apply(f->s, &OP_APPEND, &op, &f->a, &reply), 0);
}

static void test_record(void)
{
	struct fixture f;
	struct op_body body;
	struct record r = {0};
	struct snap sn;
	struct msg m;
	fixture_start(&f);
	fixture_body(&f, STR("Subject: kept\r\n\r\nx\r\n"), &body);
	append(&f, &body);
	fixture_body(&f, STR("Subject: lost\r\n\r\nx\r\n"), &body);
	body.parse = STR("");
	append(&f, &body);
	CHECK_INT(snap_begin(f.s, &sn), 0);
	for (uint32_t uid = 1; uid <= 2; uid++) {
		CHECK_INT(snap_msg(&sn, f.inbox, uid, &m), 0);
		const struct mimerec *rec = record_get(&r, &sn, m.oid);
		CHECK(rec != NULL);
		struct str want = uid == 1 ? STR("\"kept\"") : STR("\"lost\"");
		CHECK(rec && str_find(rec->envelope, want) >= 0);
		CHECK_INT(rec ? rec->parts_n : 0, 1);
		record_forget(&r);
	}
	CHECK(record_get(&r, &sn, 999) == NULL);
	snap_end(&sn);
	record_fini(&r);
	fixture_end(&f);
}

/* --- decoded parts --- */

struct binary_case {
	enum transfer kind;
	const char *encoded, *want;
	size_t want_n;
};

static const struct binary_case binaries[] = {
	{TRANSFER_NONE, "plain\r\n", "plain\r\n", 7},
	{TRANSFER_BASE64, "aGVs\r\nbG8=\r\n", "hello", 5},
	{TRANSFER_BASE64, "AAEC", "\0\1\2", 3},
	{TRANSFER_BASE64, "", "", 0},
	{TRANSFER_QP, "a=3Db=\r\nc \r\n", "a=bc\r\n", 6},
	{TRANSFER_QP, "=00", "\0", 1},
};

static void check_slice(const struct binary_case *c, struct snap *sn, const struct msg *m,
	struct extent in, struct extent want)
{
	struct binary b = {.in = in, .kind = c->kind};
	struct buf scratch = {0}, got = {0};
	int rc;
	CHECK_INT(binary_measure(&b, sn, m, &scratch, 1), 1);
	CHECK_INT(b.size, c->want_n);
	CHECK_INT(b.nul, memchr(c->want, 0, c->want_n) != NULL);
	while ((rc = binary_decode(&b, sn, m, want, &scratch, &got)) == 0) {}
	CHECK_INT(rc, 1);
	CHECK_STR(buf_view(&got), str_make(c->want + want.off, want.len));
	buf_fini(&scratch);
	buf_fini(&got);
}

static void test_binary(void)
{
	for (size_t i = 0; i < COUNT(binaries); i++) {
		const struct binary_case *c = &binaries[i];
		struct fixture f;
		struct snap sn;
		struct msg m;
		fixture_start(&f);
		struct str text = arena_fmt(&f.a, "\r\n%s", c->encoded);
		CHECK_INT(fixture_deliver(&f, f.aid, text, NULL), 0);
		CHECK_INT(snap_begin(f.s, &sn), 0);
		CHECK_INT(snap_msg(&sn, f.inbox, 1, &m), 0);
		struct extent in = {m.prefix.n + 2, strlen(c->encoded)};
		for (size_t off = 0; off <= c->want_n; off++) {
			for (size_t len = 0; off + len <= c->want_n; len++) {
				check_slice(c, &sn, &m, in, (struct extent){off, len});
			}
		}
		snap_end(&sn);
		fixture_end(&f);
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"sets of numbers", test_sets},
		{"walks", test_walks},
		{"parse records", test_record},
		{"decoded parts", test_binary},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
