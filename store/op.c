/* The operation table: every change to stored data, its fields, its bounds and who may ask for it.
   Numbers are for ever: a new operation gets the next one. */
#include "store/op.h"

WIRE_TABLE(
	uid_range, wire_uid_range, WIRE_U32(struct uid_range, lo), WIRE_U32(struct uid_range, hi));
WIRE_TABLE(op_body, wire_op_body, WIRE_U64(struct op_body, oid),
	WIRE_STR(struct op_body, data, CHUNK_DATA), WIRE_U64(struct op_body, size),
	WIRE_STR(struct op_body, sha256, 32), WIRE_STR(struct op_body, parse, OP_PARSE_MAX),
	WIRE_U32(struct op_body, header_len),
	WIRE_LIST(struct op_body, refs, refs_n, wire_u64_item, OP_REFS_MAX),
	WIRE_STR(struct op_body, top, OP_TOP_MAX));

WIRE_TABLE(audit_rcpt, wire_audit_rcpt, WIRE_STR(struct audit_rcpt, rcpt, ADDRESS_MAX),
	WIRE_U8(struct audit_rcpt, outcome), WIRE_STR(struct audit_rcpt, detail, OP_TEXT_MAX),
	WIRE_U32(struct audit_rcpt, mid), WIRE_U32(struct audit_rcpt, uid),
	WIRE_U64(struct audit_rcpt, qid));
WIRE_TABLE(audit_check, wire_audit_check, WIRE_STR(struct audit_check, name, 64),
	WIRE_STR(struct audit_check, result, 64), WIRE_STR(struct audit_check, detail, OP_TEXT_MAX),
	WIRE_STR(struct audit_check, action, 16), WIRE_STR(struct audit_check, except, 512));
WIRE_TABLE(audit, wire_audit, WIRE_U64(struct audit, id), WIRE_U64(struct audit, time_us),
	WIRE_U8(struct audit, kind), WIRE_STR(struct audit, peer, 128),
	WIRE_STR(struct audit, helo, 512), WIRE_STR(struct audit, proto, 32),
	WIRE_STR(struct audit, tls, 128), WIRE_STR(struct audit, login, ADDRESS_MAX),
	WIRE_STR(struct audit, from, ADDRESS_MAX), WIRE_STR(struct audit, msgid, 1000),
	WIRE_STR(struct audit, reply, OP_TEXT_MAX), WIRE_U64(struct audit, size),
	WIRE_LIST(struct audit, rcpts, rcpts_n, wire_audit_rcpt, OP_AUDIT_RCPTS_MAX),
	WIRE_LIST(struct audit, checks, checks_n, wire_audit_check, OP_CHECKS_MAX),
	WIRE_STR(struct audit, client, 255), WIRE_STR(struct audit, author, 1000));

WIRE_TABLE(op_upload, wire_op_upload, WIRE_U64(struct op_upload, oid),
	WIRE_U32(struct op_upload, chunk), WIRE_STR(struct op_upload, data, CHUNK_DATA));
WIRE_TABLE(op_upload_reply, wire_op_upload_reply, WIRE_U64(struct op_upload_reply, oid));
WIRE_TABLE(op_drop_upload, wire_op_drop_upload, WIRE_U64(struct op_drop_upload, oid));

WIRE_TABLE(op_local_rcpt, wire_local_rcpt, WIRE_U32(struct op_local_rcpt, aid),
	WIRE_STR(struct op_local_rcpt, rcpt, ADDRESS_MAX),
	WIRE_STR(struct op_local_rcpt, folder, MAILBOX_NAME_MAX),
	WIRE_U8(struct op_local_rcpt, use), WIRE_STR(struct op_local_rcpt, prefix, PREFIX_MAX),
	WIRE_U64(struct op_local_rcpt, flags));
WIRE_TABLE(op_remote_rcpt, wire_remote_rcpt, WIRE_STR(struct op_remote_rcpt, rcpt, ADDRESS_MAX),
	WIRE_STR(struct op_remote_rcpt, orcpt, OP_TEXT_MAX),
	WIRE_U8(struct op_remote_rcpt, notify));
WIRE_TABLE(op_deliver, wire_op_deliver, WIRE_STR(struct op_deliver, from, ADDRESS_MAX),
	WIRE_SUB(struct op_deliver, body, wire_op_body),
	WIRE_LIST(struct op_deliver, locals, locals_n, wire_local_rcpt, OP_RCPTS_MAX),
	WIRE_LIST(struct op_deliver, remotes, remotes_n, wire_remote_rcpt, OP_RCPTS_MAX),
	WIRE_STR(struct op_deliver, envid, OP_TEXT_MAX), WIRE_U8(struct op_deliver, ret),
	WIRE_U8(struct op_deliver, body_flags), WIRE_U32(struct op_deliver, aid),
	WIRE_U64(struct op_deliver, received_us), WIRE_U64(struct op_deliver, expires_us),
	WIRE_U8(struct op_deliver, partial), WIRE_SUB(struct op_deliver, audit, wire_audit));
WIRE_TABLE(op_rcpt_result, wire_rcpt_result, WIRE_U32(struct op_rcpt_result, rc),
	WIRE_U32(struct op_rcpt_result, mid), WIRE_U32(struct op_rcpt_result, uid),
	WIRE_U32(struct op_rcpt_result, uidvalidity));
WIRE_TABLE(op_deliver_reply, wire_op_deliver_reply, WIRE_U64(struct op_deliver_reply, oid),
	WIRE_U64(struct op_deliver_reply, qid),
	WIRE_LIST(struct op_deliver_reply, results, results_n, wire_rcpt_result, OP_RCPTS_MAX));

WIRE_TABLE(op_append_one, wire_append_one, WIRE_SUB(struct op_append_one, body, wire_op_body),
	WIRE_U64(struct op_append_one, flags),
	WIRE_LIST(struct op_append_one, keywords, keywords_n, wire_str_item, KEYWORDS_MAX),
	WIRE_U64(struct op_append_one, internaldate_us));
WIRE_TABLE(op_append, wire_op_append, WIRE_U32(struct op_append, aid),
	WIRE_U32(struct op_append, mid),
	WIRE_LIST(struct op_append, messages, messages_n, wire_append_one, OP_APPENDS_MAX));
WIRE_TABLE(op_append_reply, wire_op_append_reply, WIRE_U32(struct op_append_reply, uidvalidity),
	WIRE_U32(struct op_append_reply, first_uid), WIRE_U32(struct op_append_reply, count),
	WIRE_U64(struct op_append_reply, modseq));

WIRE_TABLE(op_flags, wire_op_flags, WIRE_U32(struct op_flags, aid), WIRE_U32(struct op_flags, mid),
	WIRE_LIST(struct op_flags, uids, uids_n, wire_uid_range, OP_RANGES_MAX),
	WIRE_U8(struct op_flags, how), WIRE_U64(struct op_flags, flags),
	WIRE_LIST(struct op_flags, keywords, keywords_n, wire_str_item, KEYWORDS_MAX),
	WIRE_BOOL(struct op_flags, conditional), WIRE_U64(struct op_flags, unchanged_since));
WIRE_TABLE(op_flags_reply, wire_op_flags_reply, WIRE_U64(struct op_flags_reply, modseq),
	WIRE_U32(struct op_flags_reply, changed),
	WIRE_LIST(struct op_flags_reply, modified, modified_n, wire_uid_range, OP_RANGES_MAX),
	WIRE_BOOL(struct op_flags_reply, keywords_full));
WIRE_TABLE(op_copy, wire_op_copy, WIRE_U32(struct op_copy, aid), WIRE_U32(struct op_copy, mid),
	WIRE_U32(struct op_copy, to_mid),
	WIRE_LIST(struct op_copy, uids, uids_n, wire_uid_range, OP_RANGES_MAX),
	WIRE_BOOL(struct op_copy, move));
WIRE_TABLE(op_copy_reply, wire_op_copy_reply, WIRE_U32(struct op_copy_reply, uidvalidity),
	WIRE_LIST(struct op_copy_reply, source, source_n, wire_uid_range, OP_RANGES_MAX),
	WIRE_U32(struct op_copy_reply, first_uid), WIRE_U32(struct op_copy_reply, count),
	WIRE_U64(struct op_copy_reply, modseq));
WIRE_TABLE(op_expunge, wire_op_expunge, WIRE_U32(struct op_expunge, aid),
	WIRE_U32(struct op_expunge, mid), WIRE_BOOL(struct op_expunge, all),
	WIRE_LIST(struct op_expunge, uids, uids_n, wire_uid_range, OP_RANGES_MAX));
WIRE_TABLE(op_expunge_reply, wire_op_expunge_reply, WIRE_U64(struct op_expunge_reply, modseq),
	WIRE_LIST(struct op_expunge_reply, expunged, expunged_n, wire_uid_range, OP_RANGES_MAX));

WIRE_TABLE(op_mbox_create, wire_op_mbox_create, WIRE_U32(struct op_mbox_create, aid),
	WIRE_STR(struct op_mbox_create, name, MAILBOX_NAME_MAX),
	WIRE_U32(struct op_mbox_create, special_use));
WIRE_TABLE(op_mbox_create_reply, wire_op_mbox_create_reply,
	WIRE_U32(struct op_mbox_create_reply, mid),
	WIRE_U64(struct op_mbox_create_reply, mailboxid));
WIRE_TABLE(op_mbox_delete, wire_op_mbox_delete, WIRE_U32(struct op_mbox_delete, aid),
	WIRE_STR(struct op_mbox_delete, name, MAILBOX_NAME_MAX));
WIRE_TABLE(op_mbox_rename, wire_op_mbox_rename, WIRE_U32(struct op_mbox_rename, aid),
	WIRE_STR(struct op_mbox_rename, from, MAILBOX_NAME_MAX),
	WIRE_STR(struct op_mbox_rename, to, MAILBOX_NAME_MAX));
WIRE_TABLE(op_mbox_subscribe, wire_op_mbox_subscribe, WIRE_U32(struct op_mbox_subscribe, aid),
	WIRE_STR(struct op_mbox_subscribe, name, MAILBOX_NAME_MAX),
	WIRE_BOOL(struct op_mbox_subscribe, on));

WIRE_TABLE(op_queue_outcome, wire_outcome, WIRE_U32(struct op_queue_outcome, n),
	WIRE_U32(struct op_queue_outcome, tries), WIRE_U8(struct op_queue_outcome, outcome),
	WIRE_U64(struct op_queue_outcome, next_us), WIRE_BOOL(struct op_queue_outcome, delay_told),
	WIRE_STR(struct op_queue_outcome, reply, OP_TEXT_MAX),
	WIRE_STR(struct op_queue_outcome, host, 512));
WIRE_TABLE(op_queue_result, wire_op_queue_result, WIRE_U64(struct op_queue_result, qid),
	WIRE_LIST(struct op_queue_result, outcomes, outcomes_n, wire_outcome, OP_RCPTS_MAX),
	WIRE_LIST(struct op_queue_result, bounce, bounce_n, wire_op_deliver, 1),
	WIRE_SUB(struct op_queue_result, audit, wire_audit));
WIRE_TABLE(op_queue_edit, wire_op_queue_edit, WIRE_U64(struct op_queue_edit, qid),
	WIRE_U8(struct op_queue_edit, action));
WIRE_TABLE(op_count_reply, wire_op_count_reply, WIRE_U64(struct op_count_reply, count));

WIRE_TABLE(op_audit, wire_op_audit,
	WIRE_LIST(struct op_audit, records, records_n, wire_audit, OP_AUDITS_MAX));
WIRE_TABLE(op_acct_add, wire_op_acct_add, WIRE_STR(struct op_acct_add, login, ADDRESS_MAX),
	WIRE_STR(struct op_acct_add, secret, 1024), WIRE_U64(struct op_acct_add, quota_bytes));
WIRE_TABLE(op_acct_reply, wire_op_acct_reply, WIRE_U32(struct op_acct_reply, aid));
WIRE_TABLE(op_acct_set, wire_op_acct_set, WIRE_U32(struct op_acct_set, aid),
	WIRE_U8(struct op_acct_set, what), WIRE_STR(struct op_acct_set, scheme, 64),
	WIRE_STR(struct op_acct_set, secret, 1024), WIRE_STR(struct op_acct_set, label, 64),
	WIRE_U64(struct op_acct_set, quota_bytes), WIRE_BOOL(struct op_acct_set, disabled));
WIRE_TABLE(op_acct_del, wire_op_acct_del, WIRE_U32(struct op_acct_del, aid));
WIRE_TABLE(op_addr_set, wire_op_addr_set, WIRE_STR(struct op_addr_set, address, ADDRESS_MAX),
	WIRE_LIST(struct op_addr_set, targets, targets_n, wire_str_item, TARGETS_MAX));
WIRE_TABLE(op_addr_del, wire_op_addr_del, WIRE_STR(struct op_addr_del, address, ADDRESS_MAX));
WIRE_TABLE(op_domain_set, wire_op_domain_set, WIRE_STR(struct op_domain_set, name, 255),
	WIRE_STR(struct op_domain_set, dkim_selectors, 1024));
WIRE_TABLE(op_domain_del, wire_op_domain_del, WIRE_STR(struct op_domain_del, name, 255));

WIRE_TABLE(news_mbox_item, wire_news_mbox_item, WIRE_U32(struct news_mbox_item, aid),
	WIRE_U32(struct news_mbox_item, mid), WIRE_U64(struct news_mbox_item, modseq));
enum { NEWS_MAX = 65536 };
WIRE_TABLE(news_mbox, wire_news_mbox,
	WIRE_LIST(struct news_mbox, items, items_n, wire_news_mbox_item, NEWS_MAX));
WIRE_TABLE(news_acct, wire_news_acct, WIRE_U32(struct news_acct, aid));
WIRE_TABLE(news_queue, wire_news_queue, WIRE_U64(struct news_queue, qid));

/* An answer that says nothing but 0. */
static const struct wire wire_nothing = {.name = "nothing", .size = 1};

#define BY(role) (1u << (role))
enum {
	BY_SENDERS = BY(ROLE_MX) | BY(ROLE_SUBMIT),
	BY_BODIES = BY_SENDERS | BY(ROLE_IMAP) | BY(ROLE_RELAY),
	BY_ADMIN = BY(ROLE_CONTROL) | BY(ROLE_SUPERVISOR)
};

#define OP(row, number, req, rep, by) \
	const struct msg_type row = {.type = (number), \
		.name = #row, \
		.request = &wire_##req, \
		.reply = &wire_##rep, \
		.from = (by), \
		.to = ROLE_STORE}

OP(OP_UPLOAD, 100, op_upload, op_upload_reply, BY_BODIES);
OP(OP_DROP_UPLOAD, 101, op_drop_upload, nothing, BY_BODIES);
OP(OP_DELIVER, 102, op_deliver, op_deliver_reply, BY_SENDERS | BY(ROLE_RELAY) | BY_ADMIN);
OP(OP_APPEND, 103, op_append, op_append_reply, BY(ROLE_IMAP));
OP(OP_FLAGS, 104, op_flags, op_flags_reply, BY(ROLE_IMAP));
OP(OP_COPY, 105, op_copy, op_copy_reply, BY(ROLE_IMAP));
OP(OP_EXPUNGE, 106, op_expunge, op_expunge_reply, BY(ROLE_IMAP));
OP(OP_MBOX_CREATE, 107, op_mbox_create, op_mbox_create_reply, BY(ROLE_IMAP) | BY_ADMIN);
OP(OP_MBOX_DELETE, 108, op_mbox_delete, nothing, BY(ROLE_IMAP) | BY_ADMIN);
OP(OP_MBOX_RENAME, 109, op_mbox_rename, nothing, BY(ROLE_IMAP) | BY_ADMIN);
OP(OP_MBOX_SUBSCRIBE, 110, op_mbox_subscribe, nothing, BY(ROLE_IMAP) | BY_ADMIN);
OP(OP_QUEUE_RESULT, 111, op_queue_result, nothing, BY(ROLE_RELAY));
OP(OP_QUEUE_EDIT, 112, op_queue_edit, op_count_reply, BY(ROLE_RELAY) | BY_ADMIN);
OP(OP_AUDIT, 113, op_audit, nothing, BY_BODIES | BY(ROLE_AUTH));
OP(OP_ACCT_ADD, 114, op_acct_add, op_acct_reply, BY(ROLE_AUTH) | BY_ADMIN);
OP(OP_ACCT_SET, 115, op_acct_set, nothing, BY_ADMIN);
OP(OP_ACCT_DEL, 116, op_acct_del, nothing, BY_ADMIN);
OP(OP_ADDR_SET, 117, op_addr_set, nothing, BY_ADMIN);
OP(OP_ADDR_DEL, 118, op_addr_del, nothing, BY_ADMIN);
OP(OP_DOMAIN_SET, 119, op_domain_set, nothing, BY(ROLE_AUTH) | BY_ADMIN);
OP(OP_DOMAIN_DEL, 120, op_domain_del, nothing, BY_ADMIN);

#define NEWS(row, number, req) \
	const struct msg_type row = {.type = (number), \
		.name = #row, \
		.request = &wire_##req, \
		.from = BY(ROLE_STORE), \
		.to = ROLE_N}

NEWS(NEWS_MBOX, 150, news_mbox);
NEWS(NEWS_ACCT, 151, news_acct);
NEWS(NEWS_QUEUE, 152, news_queue);

static uint32_t find_local(const struct op_deliver *op, uint32_t from, struct str rcpt)
{
	while (from < op->locals_n && !str_eq(op->locals[from].rcpt, rcpt)) { from++; }
	return from;
}

/* Why it was refused, behind the address that an alias led to. */
static struct str refusal(uint32_t rc, struct str address, struct arena *a)
{
	const char *why = rc == -ERR_QUOTA   ? "the mailbox is full"
			  : rc == -ERR_LIMIT ? "the message is bigger than the quota"
			  : rc == -ERR_GONE  ? "the account is gone"
					     : "it cannot be stored";
	return address.n ? arena_fmt(a, "%.*s: %s", STR_ARG(address), why) : str_of(why);
}

void op_audit_places(const struct op_deliver *op, const struct op_rcpt_result *results,
	struct arena *a, struct audit_rcpt *rows, uint32_t n)
{
	uint32_t next = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct audit_rcpt *r = &rows[i];
		bool delivered = r->outcome == RCPT_DELIVERED;
		if (!delivered && r->outcome != RCPT_DUPLICATE) { continue; }
		uint32_t at = delivered ? find_local(op, next, r->rcpt) : op->locals_n;
		if (at < op->locals_n) {
			next = at + 1;
		} else {
			at = find_local(op, 0, r->rcpt);
		}
		if (at == op->locals_n) { continue; }
		r->mid = results[at].mid;
		r->uid = results[at].uid;
		if (results[at].rc) {
			r->outcome = RCPT_REFUSED;
			r->detail = refusal(results[at].rc, r->detail, a);
		}
	}
}

void op_register(void)
{
	static const struct msg_type *const all[] = {&OP_UPLOAD, &OP_DROP_UPLOAD, &OP_DELIVER,
		&OP_APPEND, &OP_FLAGS, &OP_COPY, &OP_EXPUNGE, &OP_MBOX_CREATE, &OP_MBOX_DELETE,
		&OP_MBOX_RENAME, &OP_MBOX_SUBSCRIBE, &OP_QUEUE_RESULT, &OP_QUEUE_EDIT, &OP_AUDIT,
		&OP_ACCT_ADD, &OP_ACCT_SET, &OP_ACCT_DEL, &OP_ADDR_SET, &OP_ADDR_DEL,
		&OP_DOMAIN_SET, &OP_DOMAIN_DEL, &NEWS_MBOX, &NEWS_ACCT, &NEWS_QUEUE};
	for (size_t i = 0; i < COUNT(all); i++) { link_register(all[i], 1); }
}
