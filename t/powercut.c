/* What a power cut leaves, by a recording (t/powercut_record.c):

	powercut load DIR MARKS SEED      work on a store under the recorder; what was acknowledged
   is marked powercut replay RECORDING DIR SEED CUTS

   For many moments of the recording the data file is made as a disk could hold it: everything that
   was synced, and of what was not a random part, torn at sectors of 512 octets or pages of 4096.
   Then it must open, fsck must find nothing, and what was acknowledged before must be there. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/apply.h"
#include "store/maintain.h"
#include "t/powercut.h"
#include "t/store_fixture.h"

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % n;
}

static _Noreturn void die(const char *what)
{
	printf("%s\n", what);
	exit(2);
}

/* --- the store as text: what a mark says, and what is found after the cut --- */

static void put_messages(struct snap *sn, uint32_t mid, struct buf *out)
{
	struct msg_cursor c;
	struct msg m;
	if (msg_cursor_open(sn, mid, 1, &c) < 0) { die("cannot walk a mailbox"); }
	while (msg_cursor_next(&c, &m) == 1) {
		buf_fmt(out, " %u:%llu/%llu/%llx", m.uid, (unsigned long long)m.oid,
			(unsigned long long)m.modseq, (unsigned long long)m.flags);
	}
	msg_cursor_close(&c);
}

static void put_account(struct snap *sn, uint32_t aid, struct arena *a, struct buf *out)
{
	struct mname *names;
	size_t n;
	if (snap_mnames(sn, aid, a, &names, &n) < 0) { die("cannot list mailboxes"); }
	for (size_t i = 0; i < n; i++) {
		struct mbox mb;
		if (snap_mbox(sn, names[i].mid, &mb) < 0) { continue; }
		buf_fmt(out, "%u %.*s %u %u %llu", aid, STR_ARG(names[i].name), mb.uidvalidity,
			mb.uidnext, (unsigned long long)mb.highestmodseq);
		put_messages(sn, names[i].mid, out);
		buf_chr(out, '\n');
	}
}

static void put_state(struct store *s, struct buf *out)
{
	struct snap sn;
	struct acct ac = {0};
	struct arena a = {0};
	struct queue_item it = {0};
	if (snap_begin(s, &sn) < 0) { die("no snapshot"); }
	while (snap_acct_next(&sn, ac.aid, &ac) == 0) { put_account(&sn, ac.aid, &a, out); }
	while (snap_queue_item_next(&sn, it.qid, &a, &it) == 0) {
		buf_fmt(out, "queued %llu %u\n", (unsigned long long)it.qid, it.rcpts);
	}
	snap_end(&sn);
	arena_fini(&a);
}

/* --- load --- */

static struct fixture f;
static uint32_t second, archive;
static int marks_fd;

static void mark(void)
{
	struct buf b = {0};
	struct powercut_head head = {.type = POWERCUT_STATE};
	buf_add(&b, &head, sizeof head);
	put_state(f.s, &b);
	((struct powercut_head *)(void *)b.p)->len = (uint32_t)(b.n - sizeof head);
	if (write(marks_fd, b.p, b.n) != (ssize_t)b.n) { die("cannot mark"); }
	buf_fini(&b);
}

static void body(uint64_t size, struct op_body *out)
{
	struct buf text = {0};
	buf_fmt(&text, "Subject: %u\r\n\r\n", rnd(1000000));
	while (text.n < size) { buf_fmt(&text, "line %u of it\r\n", rnd(1000000)); }
	fixture_body(&f, buf_view(&text), out);
	buf_fini(&text);
	if (out->size <= CHUNK_DATA) { return; }
	struct op_upload_reply up = {0};
	struct str all = out->data;
	for (uint32_t i = 0; (size_t)i * CHUNK_DATA < all.n; i++) {
		struct op_upload op = {up.oid, i, str_sub(all, (size_t)i * CHUNK_DATA, CHUNK_DATA)};
		if (store_apply(f.s, &OP_UPLOAD, &op, &f.a, &up) < 0) { die("upload"); }
	}
	out->data = STR("");
	out->oid = up.oid;
}

static int deliver(void)
{
	struct op_local_rcpt to[] = {
		{.aid = f.aid, .rcpt = STR("u@example.test"), .prefix = STR("Return-Path: <>\r\n")},
		{.aid = second, .rcpt = STR("v@example.test")}};
	struct op_remote_rcpt far[] = {{.rcpt = STR("x@away.test")}, {.rcpt = STR("y@away.test")}};
	struct op_deliver op = {.locals = to,
		.locals_n = 1 + rnd(2),
		.remotes = far,
		.remotes_n = rnd(3),
		.expires_us = 1};
	struct op_deliver_reply reply;
	body(rnd(5) ? 200 + rnd(3000) : 60000 + rnd(100000), &op.body);
	return store_apply(f.s, &OP_DELIVER, &op, &f.a, &reply);
}

static struct uid_range some_uids(void)
{
	uint32_t lo = 1 + rnd(60);
	return (struct uid_range){lo, lo + rnd(8)};
}

static int flag(void)
{
	struct uid_range r = some_uids();
	struct op_flags op = {.aid = f.aid,
		.mid = f.inbox,
		.uids = &r,
		.uids_n = 1,
		.how = (uint8_t)rnd(3),
		.flags = rnd(32)};
	struct op_flags_reply reply;
	return store_apply(f.s, &OP_FLAGS, &op, &f.a, &reply);
}

static int copy(void)
{
	struct uid_range r = some_uids();
	struct op_copy op = {.aid = f.aid,
		.mid = f.inbox,
		.to_mid = archive,
		.uids = &r,
		.uids_n = 1,
		.move = rnd(2)};
	struct op_copy_reply reply;
	return store_apply(f.s, &OP_COPY, &op, &f.a, &reply);
}

static int expunge(void)
{
	struct op_expunge op = {.aid = f.aid, .mid = f.inbox, .all = true};
	struct op_expunge_reply reply;
	return store_apply(f.s, &OP_EXPUNGE, &op, &f.a, &reply);
}

/* As long after now as it takes for everything that waits to be deleted: pages come free. */
static int tidy(void)
{
	struct maintain_limits limits = {INT64_MAX / 2, UINT64_MAX};
	int rc;
	while ((rc = store_maintain(f.s, &limits, INT64_MAX / 4, NULL)) == 1) {}
	return rc;
}

/* Several in one commit, as when many sessions write at once. */
static int batch(void)
{
	struct batch_op ops[8];
	struct op_flags flags[8];
	struct uid_range r[8];
	struct news news = {0};
	int rc = 0;
	for (size_t i = 0; i < COUNT(ops); i++) {
		r[i] = some_uids();
		flags[i] = (struct op_flags){.aid = f.aid,
			.mid = f.inbox,
			.uids = &r[i],
			.uids_n = 1,
			.how = FLAGS_ADD,
			.flags = rnd(32)};
		ops[i] = (struct batch_op){.type = &OP_FLAGS,
			.request = &flags[i],
			.a = &f.a,
			.reply = arena_alloc(&f.a, sizeof(struct op_flags_reply))};
	}
	store_batch(f.s, ops, COUNT(ops), 1, &news);
	for (size_t i = 0; i < COUNT(ops); i++) { rc = MIN(rc, ops[i].rc); }
	news_fini(&news);
	return rc;
}

static int load(const char *dir, const char *marks)
{
	static int (*const steps[])(void) = {
		deliver, deliver, deliver, flag, flag, copy, expunge, batch, tidy};
	snprintf(f.dir, sizeof f.dir, "%s", dir);
	marks_fd = open(marks, O_WRONLY | O_APPEND);
	if (marks_fd < 0) { die("no recorder"); }
	fixture_reopen(&f);
	f.aid = fixture_account(&f, "u@example.test");
	f.inbox = fixture_mailbox(&f, "INBOX");
	archive = fixture_mailbox(&f, "Archive");
	second = fixture_account(&f, "v@example.test");
	for (int i = 0; i < 150; i++) {
		int rc = steps[rnd(COUNT(steps))]();
		if (rc < 0) { die(err_name(rc)); }
		mark();
		arena_reset(&f.a);
	}
	store_close(f.s);
	arena_fini(&f.a);
	close(marks_fd);
	return 0;
}

/* --- replay --- */

struct record {
	struct powercut_head head;
	const char *data;
};

static struct record *records;
static size_t records_n;
static struct buf recording;

static void read_recording(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = 1;
	while (fd >= 0 && got > 0) {
		got = read(fd, buf_reserve(&recording, 1 << 20), 1 << 20);
		if (got > 0) { buf_grow(&recording, (size_t)got); }
	}
	if (fd < 0 || got < 0) { die("cannot read the recording"); }
	close(fd);
	for (size_t at = 0; at + sizeof records->head <= recording.n; records_n++) {
		struct record r;
		memcpy(&r.head, recording.p + at, sizeof r.head);
		r.data = recording.p + at + sizeof r.head;
		bool dataless = r.head.type == POWERCUT_TRUNCATE || r.head.type == POWERCUT_SYNC;
		at += sizeof r.head + (dataless ? 0 : r.head.len);
		if (records_n % 1024 == 0) {
			records = realloc(records, (records_n + 1024) * sizeof *records);
			if (!records) { abort(); }
		}
		records[records_n] = r;
	}
}

/* A file's content as memory. */
struct image {
	char *p;
	size_t n, cap;
};

static void image_size(struct image *m, size_t n)
{
	if (n > m->cap) {
		m->cap = MAX(2 * m->cap, n);
		m->p = realloc(m->p, m->cap);
		if (!m->p) { abort(); }
	}
	if (n > m->n) { memset(m->p + m->n, 0, n - m->n); }
	m->n = n;
}

static void image_put(struct image *m, size_t at, const char *data, size_t n)
{
	if (n == 0) { return; }
	if (at + n > m->n) { image_size(m, at + n); }
	memcpy(m->p + at, data, n);
}

static void apply(struct image *m, const struct record *r)
{
	if (r->head.type == POWERCUT_TRUNCATE) {
		image_size(m, r->head.at);
	} else {
		image_put(m, r->head.at, r->data, r->head.len);
	}
}

/* Some of its sectors. */
static void apply_torn(struct image *m, const struct record *r)
{
	size_t sector = rnd(2) ? 512 : 4096;
	if (r->head.type == POWERCUT_TRUNCATE) {
		if (rnd(2)) { apply(m, r); }
		return;
	}
	for (size_t done = 0; done < r->head.len;) {
		size_t at = r->head.at + done;
		size_t n = MIN(sector - at % sector, r->head.len - done);
		if (rnd(2)) { image_put(m, at, r->data + done, n); }
		done += n;
	}
}

/* What a disk may hold when the power goes after record `cut` began: `safe` and some of [from,
 * cut].
 */
static void tear(const struct image *safe, size_t from, size_t cut, struct image *out)
{
	unsigned how = rnd(4); /* nothing of it, everything, parts */
	out->n = 0;
	image_put(out, 0, safe->p, safe->n);
	for (size_t i = from; i <= cut; i++) {
		char type = records[i].head.type;
		if (type != POWERCUT_WRITE && type != POWERCUT_TRUNCATE &&
			!(type == POWERCUT_WRITE_SYNCED && i == cut)) {
			continue;
		}
		if (how == 1) {
			apply(out, &records[i]);
		} else if (how > 1 && rnd(2)) {
			apply_torn(out, &records[i]);
		}
	}
}

static void report(void *ctx, struct str finding)
{
	(void)ctx;
	printf("fsck: %.*s\n", STR_ARG(finding));
}

static bool has_ident(struct store *s, struct str ident);

static bool is_state(const struct record *r, struct str now)
{
	return str_eq(str_make(r->data, r->head.len), now);
}

/* Marks up to the cut hold, or the first one behind it does already. */
static bool check_marks(struct store *s, size_t cut)
{
	struct buf now = {0};
	const struct record *last = NULL, *next = NULL;
	bool good = true;
	put_state(s, &now);
	for (size_t i = 0; i < records_n; i++) {
		const struct record *r = &records[i];
		if (r->head.type == POWERCUT_STATE) {
			if (i <= cut) { last = r; }
			if (i > cut && !next) { next = r; }
		} else if (r->head.type == POWERCUT_IDENT && i <= cut) {
			struct str ident = str_make(r->data, r->head.len);
			if (!has_ident(s, ident)) {
				printf("lost: %.*s\n", STR_ARG(ident));
				good = false;
			}
		}
	}
	if (last && !is_state(last, buf_view(&now)) && !(next && is_state(next, buf_view(&now)))) {
		printf("neither what was acknowledged:\n%.*snor what came next:\n%.*sbut\n%.*s",
			(int)last->head.len, last->data, next ? (int)next->head.len : 0,
			next ? next->data : "", (int)now.n, now.p);
		good = false;
	}
	buf_fini(&now);
	return good;
}

static void write_image(const char *dir, const struct image *m)
{
	char path[200];
	snprintf(path, sizeof path, "%s/lock.mdb", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, m->p, m->n) != (ssize_t)m->n) { die("cannot write the image"); }
	close(fd);
}

/* Goes on working: the next message is taken. */
static bool check_works(struct store *s)
{
	struct fixture next = {.s = s, .aid = 1};
	int rc = fixture_deliver(&next, 1, STR("Subject: after\r\n\r\nit\r\n"), NULL);
	arena_fini(&next.a);
	return rc == 0 && store_fsck(s, false, report, NULL) == 0;
}

static bool check_image(const char *dir, size_t cut)
{
	struct store *s;
	struct err e;
	if (store_open(dir, STORE_WRITE, &s, &e) < 0) {
		printf("does not open: %s\n", e.text);
		return false;
	}
	bool good = store_fsck(s, false, report, NULL) == 0;
	good = check_marks(s, cut) && good;
	good = (rnd(8) || check_works(s)) && good;
	store_close(s);
	return good;
}

/* Is this a moment to look at? All around the writes of meta pages, and some others. */
static bool chosen(size_t i, size_t cuts, size_t all)
{
	return records[i].head.type == POWERCUT_WRITE_SYNCED ? rnd((uint32_t)all) < 4 * cuts
							     : rnd((uint32_t)all) < cuts;
}

static int replay(const char *path, const char *dir, size_t cuts)
{
	struct image safe = {0}, torn = {0};
	size_t pending = 0, first = 0, looked = 0, bad = 0;
	read_recording(path);
	while (first < records_n && records[first].head.type != POWERCUT_STATE &&
		records[first].head.type != POWERCUT_IDENT) {
		first++;
	}
	size_t all = records_n - first;
	for (size_t i = 0; i < records_n; i++) {
		char type = records[i].head.type;
		if (i >= first && chosen(i, cuts, all)) {
			tear(&safe, pending, i, &torn);
			write_image(dir, &torn);
			looked++;
			if (!check_image(dir, i)) {
				printf("after record %zu of %zu (%c)\n", i, records_n, type);
				bad++;
			}
		}
		if (type == POWERCUT_WRITE_SYNCED) { apply(&safe, &records[i]); }
		if (type != POWERCUT_SYNC) { continue; }
		for (; pending <= i; pending++) {
			char t = records[pending].head.type;
			if (t == POWERCUT_WRITE || t == POWERCUT_TRUNCATE) {
				apply(&safe, &records[pending]);
			}
		}
	}
	printf("%zu cuts in %zu records, %zu bad\n", looked, records_n, bad);
	free(safe.p);
	free(torn.p);
	free(records);
	buf_fini(&recording);
	return bad || looked < cuts / 2 ? 1 : 0;
}

/* --- idents: what clients were told is there --- */

static bool object_has(struct snap *sn, uint64_t oid, struct str ident)
{
	struct str piece; /* the lines on top may be one of their own */
	uint64_t at = 0;
	for (int i = 0; i < 2 && snap_bytes(sn, oid, at, &piece) == 0 && piece.n; i++) {
		if (memmem(piece.p, MIN(piece.n, 4096), ident.p, ident.n)) { return true; }
		at += piece.n;
	}
	return false;
}

static bool mailbox_has(struct snap *sn, uint32_t mid, struct str ident)
{
	struct msg_cursor c;
	struct msg m;
	bool found = false;
	if (msg_cursor_open(sn, mid, 1, &c) < 0) { return false; }
	while (!found && msg_cursor_next(&c, &m) == 1) { found = object_has(sn, m.oid, ident); }
	msg_cursor_close(&c);
	return found;
}

static bool has_ident(struct store *s, struct str ident)
{
	struct snap sn;
	struct acct ac = {0};
	struct arena a = {0};
	bool found = false;
	if (snap_begin(s, &sn) < 0) { return false; }
	while (!found && snap_acct_next(&sn, ac.aid, &ac) == 0) {
		struct mname *names;
		size_t n;
		if (snap_mnames(&sn, ac.aid, &a, &names, &n) < 0) { break; }
		for (size_t i = 0; i < n && !found; i++) {
			found = mailbox_has(&sn, names[i].mid, ident);
		}
	}
	snap_end(&sn);
	arena_fini(&a);
	return found;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "load") == 0) {
		seed = strtoull(argv[4], NULL, 10);
		return load(argv[2], argv[3]);
	}
	if (argc == 6 && strcmp(argv[1], "replay") == 0) {
		seed = strtoull(argv[4], NULL, 10);
		return replay(argv[2], argv[3], strtoul(argv[5], NULL, 10));
	}
	die("powercut load DIR MARKS SEED | replay RECORDING DIR SEED CUTS");
}
