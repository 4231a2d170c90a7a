/* Every change to stored data is an operation in this table, applied by the one writer. A role
   sends it over its link to the store with link_call and is answered after the commit that holds it
   is on disk.

   One operation is applied whole or not at all; a bad one fails alone without spoiling the batch it
   travels in. */
#pragma once

#include "lib/link.h"
#include "store/store.h"

enum {
	OP_RANGES_MAX = 20000,
	OP_RCPTS_MAX = 1000,
	OP_AUDIT_RCPTS_MAX = 3 * OP_RCPTS_MAX, /* in RCPT, and each place here and elsewhere */
	OP_APPENDS_MAX = 100,
	OP_PARSE_MAX = 1024 * 1024,
	OP_TOP_MAX = 60 * 1024,
	OP_REFS_MAX = 32,
	OP_TEXT_MAX = 2048, /* replies, envids, details */
	OP_CHECKS_MAX = 256,
	OP_AUDITS_MAX = 256
};

struct uid_range {
	uint32_t lo, hi; /* lo <= hi */
};

/* A message body as an operation carries it: inline up to CHUNK_DATA octets, else uploaded before
   (see spool.h). An upload may have been begun with chunk 1: then chunk 0 comes with the operation
   as `top`, and the digest runs over the upload first and `top` last. */
struct op_body {
	uint64_t oid; /* of an upload; 0 = inline */
	struct str data;
	uint64_t size;
	struct str sha256;
	struct str parse; /* lib/mimerec.h */
	uint32_t header_len;
	struct wire_u64_item *refs; /* hashes of Message-ID first, then References: for THREADID */
	uint32_t refs_n;
	struct str top; /* of an upload; empty = none; `size` and `header_len` count it */
};

/* What was decided about a message or a connection, and why. Written in the commit that stores the
 * message. */
enum audit_kind {
	AUDIT_RECEIVED,
	AUDIT_SUBMITTED,
	AUDIT_REFUSED,
	AUDIT_SENT,
	AUDIT_DEFERRED,
	AUDIT_BOUNCED,
	AUDIT_LOGIN
};
enum rcpt_outcome {
	RCPT_DELIVERED,
	RCPT_QUEUED,
	RCPT_REFUSED,
	RCPT_DUPLICATE,
	RCPT_SENT,
	RCPT_DEFERRED,
	RCPT_FAILED
};

struct audit_rcpt {
	struct str rcpt;
	uint8_t outcome;
	struct str detail; /* reply text; delivered or queued: the address it led to, if another */
	uint32_t mid, uid; /* filled by the store */
	uint64_t qid;      /* filled by the store */
};
struct audit_check {
	struct str name; /* "spf"; what stands below it has a longer path: "spf/helo" */
	struct str result, detail;
	struct str action; /* what followed: note, junk, ...; empty: nothing */
	struct str except; /* the exception of ours by which nothing followed; else empty */
};
struct audit {
	uint64_t id; /* chosen by the role that received the message; also in its Received line */
	int64_t time_us;
	uint8_t kind;
	struct str peer, helo, proto, tls, login;
	struct str from, msgid, reply;
	uint64_t size;
	struct audit_rcpt *rcpts;
	uint32_t rcpts_n;
	struct audit_check *checks;
	uint32_t checks_n;
	struct str client; /* the peer's name as far as it is known */
	struct str author; /* of the header: the From field */
};

/* --- uploads: bodies beyond CHUNK_DATA, streamed while they arrive --- */

struct op_upload {
	uint64_t oid; /* 0 starts one, with chunk 0, or with 1 when a top will come */
	uint32_t chunk;
	struct str data; /* CHUNK_DATA octets but for the last */
};
struct op_upload_reply {
	uint64_t oid;
};
struct op_drop_upload {
	uint64_t oid;
};

/* --- delivery --- */

struct op_local_rcpt {
	uint32_t aid;
	struct str rcpt; /* as in RCPT, for the audit record */
	struct str
		folder; /* mailbox name; "" = INBOX; one that does not exist falls back to INBOX */
	uint8_t use;    /* a special use to deliver to instead (USE_JUNK), created when missing; 0 =
			   none */
	struct str prefix; /* header lines of this recipient */
	uint64_t flags;    /* system flags */
};
struct op_remote_rcpt {
	struct str rcpt, orcpt;
	uint8_t notify;
};
enum deliver_partial {
	PARTIAL_NO,    /* all get it or nobody does */
	PARTIAL_RCPTS, /* LMTP: each recipient, with every account of ours that it leads to */
	PARTIAL_PLACES /* reports: each account */
};
struct op_deliver {
	struct str from;
	struct op_body body;
	struct op_local_rcpt *locals;
	uint32_t locals_n;
	struct op_remote_rcpt *remotes;
	uint32_t remotes_n;
	struct str envid;
	uint8_t ret, body_flags;
	uint32_t aid; /* who submitted it */
	int64_t received_us;
	int64_t expires_us; /* remotes: when to give up */
	uint8_t partial;    /* enum deliver_partial */
	struct audit audit;
};
struct op_rcpt_result {
	uint32_t rc; /* 0, or -ERR_* */
	uint32_t mid, uid, uidvalidity;
};
/* When a recipient has no room or is no more, the rest get it if it is partial, else nobody does.
   When nobody does `oid` is 0, nothing is written, no audit record either, and the results say why.
 */
struct op_deliver_reply {
	uint64_t oid, qid;
	struct op_rcpt_result *results; /* one per local recipient, in order; a second one of an
					   account repeats the first */
	uint32_t results_n;
};

/* --- IMAP --- */

struct op_append_one {
	struct op_body body;
	uint64_t flags; /* system flags */
	struct wire_str_item *keywords;
	uint32_t keywords_n;
	int64_t internaldate_us; /* 0 = now */
};
struct op_append {
	uint32_t aid, mid;
	struct op_append_one *messages;
	uint32_t messages_n;
};
struct op_append_reply {
	uint32_t uidvalidity, first_uid, count;
	uint64_t modseq;
};

enum { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE };
struct op_flags {
	uint32_t aid, mid;
	struct uid_range *uids;
	uint32_t uids_n;
	uint8_t how;
	uint64_t flags;
	struct wire_str_item *keywords;
	uint32_t keywords_n;
	bool conditional; /* UNCHANGEDSINCE */
	uint64_t unchanged_since;
};
struct op_flags_reply {
	uint64_t modseq; /* of the change; 0 = nothing changed */
	uint32_t changed;
	struct uid_range *modified; /* failed the condition */
	uint32_t modified_n;
	bool keywords_full; /* a new keyword did not fit; the rest was done */
};

struct op_copy {
	uint32_t aid, mid, to_mid;
	struct uid_range *uids;
	uint32_t uids_n;
	bool move;
};
struct op_copy_reply {
	uint32_t uidvalidity;
	struct uid_range *source; /* those that existed, ascending */
	uint32_t source_n;
	uint32_t first_uid, count; /* copies got consecutive UIDs in the same order */
	uint64_t modseq;           /* of the source mailbox after a move */
};

struct op_expunge {
	uint32_t aid, mid;
	bool all; /* every message with \Deleted; else those of `uids` with \Deleted */
	struct uid_range *uids;
	uint32_t uids_n;
};
struct op_expunge_reply {
	uint64_t modseq;
	struct uid_range *expunged;
	uint32_t expunged_n;
};

struct op_mbox_create {
	uint32_t aid;
	struct str name;
	uint32_t special_use;
};
struct op_mbox_create_reply {
	uint32_t mid;
	uint64_t mailboxid;
};
struct op_mbox_delete {
	uint32_t aid;
	struct str name;
};
struct op_mbox_rename { /* children move along; INBOX: its messages move, INBOX stays (RFC
			   9051 6.3.6) */
	uint32_t aid;
	struct str from, to;
};
struct op_mbox_subscribe {
	uint32_t aid;
	struct str name;
	bool on;
};

/* --- queue --- */

struct op_queue_outcome {
	uint32_t n;
	uint32_t tries;  /* of the row as the attempt found it */
	uint8_t outcome; /* RCPT_SENT, RCPT_DEFERRED, RCPT_FAILED */
	int64_t next_us; /* deferred: the next try */
	bool delay_told;
	struct str reply, host;
};
/* Done once: when no recipient is left as the attempt found it, for this very result was committed
   and its reply lost, or an administrator was quicker, it is answered with 0 and changes nothing. A
   recipient that has come to an end comes to it whatever its tries are: another relay may have been
   on it. ERR_GONE: the bounce's upload is no more. */
struct op_queue_result {
	uint64_t qid;
	struct op_queue_outcome *outcomes;
	uint32_t outcomes_n;
	struct op_deliver *bounce; /* a DSN to commit together with the outcomes */
	uint32_t bounce_n;         /* 0 or 1 */
	struct audit audit;
};

enum { QUEUE_RETRY, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_DROP };
struct op_queue_edit {
	uint64_t qid;
	uint8_t action;
};
struct op_count_reply {
	uint64_t count;
};

/* --- audit, accounts --- */

struct op_audit {
	struct audit *records;
	uint32_t records_n;
};

struct op_acct_add { /* makes the account, its address row, INBOX and the default folders with their
			special uses */
	struct str login;
	struct str secret; /* crypt(3) text, "" = cannot log in */
	uint64_t quota_bytes;
};
struct op_acct_reply {
	uint32_t aid;
};
enum { ACCT_SET_SECRET = 1, ACCT_SET_QUOTA = 2, ACCT_SET_DISABLED = 4 };
struct op_acct_set {
	uint32_t aid;
	uint8_t what;                     /* mask */
	struct str scheme, secret, label; /* an empty secret removes the label's */
	uint64_t quota_bytes;
	bool disabled;
};
struct op_acct_del { /* with all its mailboxes */
	uint32_t aid;
};
struct op_addr_set { /* an alias or, as "@domain", a catch-all; replaces */
	struct str address;
	struct wire_str_item *targets;
	uint32_t targets_n;
};
struct op_addr_del {
	struct str address;
};
struct op_domain_set {
	struct str name;
	struct str dkim_selectors;
};
struct op_domain_del { /* ERR_INUSE while it has addresses */
	struct str name;
};

/* --- news: one-way, from the store after a commit --- */

struct news_mbox_item {
	uint32_t aid, mid;
	uint64_t modseq;
};
struct news_mbox {
	struct news_mbox_item *items;
	uint32_t items_n;
};
struct news_acct {    /* to auth: accounts, addresses or domains changed, drop what was cached;
			 to imap: accounts were disabled or removed, end their sessions */
	uint32_t aid; /* 0 = all */
};
struct news_queue { /* something new is due or was edited */
	uint64_t qid;
};

/* The rows of the operation table; requests and replies as above. */
extern const struct msg_type OP_UPLOAD, OP_DROP_UPLOAD, OP_DELIVER, OP_APPEND, OP_FLAGS, OP_COPY,
	OP_EXPUNGE, OP_MBOX_CREATE, OP_MBOX_DELETE, OP_MBOX_RENAME, OP_MBOX_SUBSCRIBE,
	OP_QUEUE_RESULT, OP_QUEUE_EDIT, OP_AUDIT, OP_ACCT_ADD, OP_ACCT_SET, OP_ACCT_DEL,
	OP_ADDR_SET, OP_ADDR_DEL, OP_DOMAIN_SET, OP_DOMAIN_DEL;
extern const struct msg_type NEWS_MBOX, NEWS_ACCT, NEWS_QUEUE;
extern const struct wire wire_audit; /* audit records are stored packed by it */

/* Register the rows with lib/link. Call once per process before any link is made. */
void op_register(void);

/* Put down where the recipients of an audit record went: `rows` of n, of which those that were
   delivered stand in the order of op->locals. An alias has one for each account it leads to. Texts
   are from `a`. */
void op_audit_places(const struct op_deliver *op, const struct op_rcpt_result *results,
	struct arena *a, struct audit_rcpt *rows, uint32_t n);

/* Apply one operation in a transaction of its own: an administrator's command while no server runs,
   and tests. `reply` is a struct of the row's reply type, its lists in `a`. */
int store_apply(struct store *s, const struct msg_type *type, const void *request, struct arena *a,
	void *reply);
