#include "t/store_fixture.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <unistd.h>

#include "t/tap.h"

void fixture_reopen(struct fixture *f)
{
	struct err e = {0};
	if (f->s) { store_close(f->s); }
	f->s = NULL;
	if (store_open(f->dir, STORE_WRITE, &f->s, &e) < 0) {
		printf("Bail out! store_open: %s\n", e.text);
		exit(1);
	}
}

void fixture_start(struct fixture *f)
{
	*f = (struct fixture){0};
	const char *tmp = getenv("TMPDIR");
	snprintf(f->dir, sizeof f->dir, "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir)) { abort(); }
	fixture_reopen(f);
	f->aid = fixture_account(f, "u@example.test");
	f->inbox = fixture_mailbox(f, "INBOX");
}

void fixture_end(struct fixture *f)
{
	static const char *const files[] = {"data.mdb", "lock.mdb", "lock"};
	char path[128];
	store_close(f->s);
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
		unlink(path);
	}
	rmdir(f->dir);
	arena_fini(&f->a);
}

uint32_t fixture_account(struct fixture *f, const char *login)
{
	struct op_acct_add op = {.login = str_of(login), .secret = STR("x")};
	struct op_acct_reply reply;
	CHECK_INT(store_apply(f->s, &OP_ACCT_ADD, &op, &f->a, &reply), 0);
	return reply.aid;
}

void fixture_body(struct fixture *f, struct str text, struct op_body *out)
{
	struct mime *m = mime_new();
	struct buf parse = {0};
	unsigned char *sum = arena_alloc(&f->a, 32);
	uint64_t hashes[OP_REFS_MAX];
	SHA256((const unsigned char *)text.p, text.n, sum);
	mime_add(m, text);
	mime_end(m);
	mimerec_build(m, &parse);
	*out = (struct op_body){.data = arena_dup(&f->a, text),
		.size = text.n,
		.sha256 = str_make(sum, 32),
		.parse = arena_dup(&f->a, buf_view(&parse)),
		.header_len = mime_part(m, 0)->header_len};
	out->refs_n = (uint32_t)mimerec_refs(m, hashes, OP_REFS_MAX);
	out->refs = arena_array(&f->a, OP_REFS_MAX, sizeof *out->refs);
	for (uint32_t i = 0; i < out->refs_n; i++) { out->refs[i].v = hashes[i]; }
	buf_fini(&parse);
	mime_free(m);
}

int fixture_deliver(struct fixture *f, uint32_t aid, struct str text, uint32_t *uid_out)
{
	struct op_local_rcpt to = {
		.aid = aid, .rcpt = STR("u@example.test"), .prefix = STR("Return-Path: <>\r\n")};
	struct op_deliver op = {.locals = &to, .locals_n = 1, .received_us = 1000000};
	struct op_deliver_reply reply = {0};
	fixture_body(f, text, &op.body);
	int rc = store_apply(f->s, &OP_DELIVER, &op, &f->a, &reply);
	if (rc == 0 && !reply.oid) { rc = -(int)reply.results[0].rc; }
	if (uid_out) { *uid_out = rc == 0 ? reply.results[0].uid : 0; }
	return rc;
}

uint32_t fixture_mailbox(struct fixture *f, const char *name)
{
	struct snap sn;
	struct mname out = {0};
	if (snap_begin(f->s, &sn) < 0) { abort(); }
	snap_mbox_by_name(&sn, f->aid, str_of(name), &out, NULL);
	snap_end(&sn);
	return out.mid;
}

static void print(void *ctx, struct str finding)
{
	(void)ctx;
	printf("# %.*s\n", STR_ARG(finding));
}

int fixture_fsck(struct fixture *f, bool repair)
{
	return store_fsck(f->s, repair, print, NULL);
}
