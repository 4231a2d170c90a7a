/* The mailbox store: one LMDB environment, one writer (the store role), readers in any role. This
   header is the reading side; changes are operations, see store/op.h.

   A snapshot is a read transaction. It never lives across a return to the event loop: begin, read,
   end, within one step. What it hands out (struct str into the map) is valid until snap_end.
   Readers that need more than one step remember ids and offsets and find their place again. */
#pragma once

#include "lib/lib.h"

struct store;

enum store_mode {
	STORE_READ,  /* any role */
	STORE_WRITE, /* the store role, or an administrator's command while no server runs: takes
			the kernel lock */
};

/* Open or (STORE_WRITE only) create the store in `dir` (0700; files 0640/0660). ERR_INUSE when
   another process writes, ERR_GONE when there is none to read, ERR_DAMAGED on a wrong or newer
   schema. Once per process (LMDB). */
int store_open(const char *dir, enum store_mode mode, struct store **out, struct err *e);
/* The same to write, for store_fsck with `repair`: a store whose meta records (schema version, next
   ids) are damaged opens, too. `schema`: the version that it has, believed where nothing in the
   store tells it; 0 = nobody knows. Makes no store. */
int store_open_damaged(const char *dir, uint32_t schema, struct store **out, struct err *e);
void store_close(struct store *s);
/* STORE_WRITE: a commit failed half way (the disk refused its last write) and LMDB takes no more
   transactions. Only opening the store anew, in a new process, finds out what is on disk. */
bool store_broken(const struct store *s);

struct snap {
	struct store *store;
	void *txn;
	/* The chunk whose checksum was found right last: its other octets are given without looking
	   at all of it again. Chunks never change, so who sends one in several steps may carry this
	   from snapshot to snapshot. oid 0 = none. */
	struct chunk_id {
		uint64_t oid;
		uint32_t chunk;
	} sound;
};
/* ERR_FULL when all reader slots are taken. */
int snap_begin(struct store *s, struct snap *out);
void snap_end(struct snap *sn);

/* --- mailboxes --- */

enum {
	MAILBOX_NAME_MAX = 480, /* octets of UTF-8, whole name */
	MAILBOX_LEVEL_MAX = 255,
	MAILBOX_DEPTH_MAX = 16,
	MAILBOXES_MAX = 5000, /* per account */
	KEYWORDS_MAX = 56,    /* per mailbox: bits 8..63 of flags */
	KEYWORD_LEN_MAX = 128,
	PREFIX_MAX = 1024 /* octets of per-recipient header lines */
};

/* Message flags. Bits 8 and up are the mailbox's keywords. */
#define FLAG_SEEN UINT64_C(1)
#define FLAG_ANSWERED UINT64_C(2)
#define FLAG_FLAGGED UINT64_C(4)
#define FLAG_DELETED UINT64_C(8)
#define FLAG_DRAFT UINT64_C(16)
#define FLAG_SYSTEM UINT64_C(31)
#define FLAG_KEYWORD(bit) (UINT64_C(1) << (8 + (bit)))

/* Special uses (RFC 6154), a mask. */
enum {
	USE_ARCHIVE = 1,
	USE_DRAFTS = 2,
	USE_FLAGGED = 4,
	USE_JUNK = 8,
	USE_SENT = 16,
	USE_TRASH = 32,
	USE_ALL = 64,
	USE_IMPORTANT = 128
};

struct mbox {
	uint32_t mid, aid;
	uint32_t uidvalidity, uidnext;
	uint64_t highestmodseq;
	uint64_t vanished_floor; /* expunges up to this modseq have been forgotten */
	uint32_t total, unseen, deleted;
	uint64_t bytes;
	uint64_t mailboxid; /* never reused, survives rename (RFC 8474) */
	uint32_t vanished;  /* expunges still remembered in the change log */
};

struct mname {
	struct str name; /* UTF-8, levels separated by '/'; INBOX is always upper case */
	uint32_t mid;    /* 0: no mailbox, only a subscription */
	bool subscribed;
	uint32_t special_use;
};

int snap_mbox(struct snap *sn, uint32_t mid, struct mbox *out);
/* By account and exact name. ERR_GONE also for a row that is only a subscription. */
int snap_mbox_by_name(
	struct snap *sn, uint32_t aid, struct str name, struct mname *name_out, struct mbox *out);
/* The mailbox with a special use. */
int snap_mbox_by_use(struct snap *sn, uint32_t aid, uint32_t use, struct mname *out);
/* All names of an account in octet order, names copied into `a`; at most MAILBOXES_MAX. */
int snap_mnames(struct snap *sn, uint32_t aid, struct arena *a, struct mname **out, size_t *n_out);
/* Keyword names by bit (0..KEYWORDS_MAX-1); empty = unused. */
int snap_keywords(struct snap *sn, uint32_t mid, struct str names_out[KEYWORDS_MAX]);

/* --- messages --- */

struct msg {
	uint32_t uid;
	uint64_t oid; /* the stored octets */
	uint64_t modseq;
	int64_t internaldate_us, savedate_us;
	uint64_t size; /* of prefix and stored octets together: RFC822.SIZE */
	uint64_t flags;
	uint64_t thread;   /* THREADID */
	struct str prefix; /* header lines of this recipient (Return-Path, Delivered-To) that come
			      before the octets */
};

int snap_msg(struct snap *sn, uint32_t mid, uint32_t uid, struct msg *out);

/* Walk messages of a mailbox by ascending UID. */
struct msg_cursor {
	void *cursor;
	uint32_t mid;
	bool primed;
};
int msg_cursor_open(struct snap *sn, uint32_t mid, uint32_t first_uid, struct msg_cursor *out);
/* 1 a message, 0 the end, < 0 error. */
int msg_cursor_next(struct msg_cursor *c, struct msg *out);
void msg_cursor_close(struct msg_cursor *c);

/* Walk what changed after `modseq` by ascending modseq: the last change of each message, and
   expunges. When `modseq` is below mbox.vanished_floor, expunges before the floor are missing. */
struct change {
	uint64_t modseq;
	uint32_t uid;
	bool expunged;
};
struct change_cursor {
	void *cursor;
	uint32_t mid;
	bool primed;
};
int change_cursor_open(
	struct snap *sn, uint32_t mid, uint64_t after_modseq, struct change_cursor *out);
int change_cursor_next(struct change_cursor *c, struct change *out);
void change_cursor_close(struct change_cursor *c);

struct obj {
	uint64_t oid;
	uint32_t refcount;
	uint64_t size;
	uint32_t chunks;
	uint32_t header_len; /* octets up to and with the empty line */
	unsigned char sha256[32];
	int64_t received_us;
	uint32_t top_len; /* of a first chunk that was hashed last; 0 = all in order */
};
int snap_obj(struct snap *sn, uint64_t oid, struct obj *out);
/* The parse record (lib/mimerec.h). */
int snap_parse(struct snap *sn, uint64_t oid, struct str *out);

/* Octets of a message per chunk; the checksum makes 65,520. All chunks but the first and the last
   are full. */
enum { CHUNK_DATA = 65512 };
/* The octets of a stored object from `off` to the end of the chunk they stand in; empty at the end.
   ERR_DAMAGED when the checksum is wrong, ERR_GONE when the object is not there. */
int snap_bytes(struct snap *sn, uint64_t oid, uint64_t off, struct str *out);
/* The same for a message: prefix, then object. */
int snap_msg_bytes(struct snap *sn, const struct msg *m, uint64_t off, struct str *out);
/* Ask the kernel to have the chunk at `off` in memory soon (madvise WILLNEED). */
void snap_will_need(struct snap *sn, uint64_t oid, uint64_t off);

/* --- accounts, addresses --- */

enum { ADDRESS_MAX = 320, TARGETS_MAX = 500, CREDS_MAX = 16 };

struct acct {
	uint32_t aid;
	struct str login;     /* primary address, normalised */
	uint64_t quota_bytes; /* 0 = none */
	uint64_t used_bytes, used_msgs;
	bool disabled;
	int64_t created_us;
};
int snap_acct(struct snap *sn, uint32_t aid, struct acct *out);
/* Next account with id > `after`; ERR_GONE at the end. */
int snap_acct_next(struct snap *sn, uint32_t after, struct acct *out);

struct cred {
	struct str scheme; /* "crypt" (crypt(3) text), "scram-sha-256" */
	struct str value;
	struct str label; /* "" the main password, else an application password's name */
};
int snap_creds(struct snap *sn, uint32_t aid, struct arena *a, struct cred **out, size_t *n_out);

enum addr_kind { ADDR_ACCOUNT, ADDR_ALIAS };
struct addr_row {
	struct str address; /* normalised: lower-case local@domain; "@domain" is the catch-all */
	enum addr_kind kind;
	uint32_t aid;        /* ADDR_ACCOUNT */
	struct str *targets; /* ADDR_ALIAS: normalised addresses, local or remote; in the arena */
	size_t targets_n;
};
int snap_addr(struct snap *sn, struct str address, struct arena *a, struct addr_row *out);
/* Next address after `after` in octet order ("" = first). */
int snap_addr_next(struct snap *sn, struct str after, struct arena *a, struct addr_row *out);

struct domain {
	struct str name;
	struct str dkim_selectors; /* by commas */
	int64_t created_us;
};
int snap_domain(struct snap *sn, struct str name, struct domain *out);
int snap_domain_next(struct snap *sn, struct str after, struct domain *out);

/* --- queue --- */

enum {
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
	NOTIFY_DELIVERED = 16 /* delivered here already: only the report about it is owed */
};
enum { RET_NONE, RET_FULL, RET_HDRS };
enum { BODY_8BIT = 1, BODY_BINARY = 2, BODY_SMTPUTF8 = 4, BODY_REQUIRETLS = 8 };

struct queue_item { /* one message on its way out */
	uint64_t qid, oid, size;
	struct str from; /* reverse-path without <>, "" = null */
	struct str envid;
	uint8_t ret, body;
	uint32_t aid; /* who submitted it, 0 = the system */
	int64_t created_us;
	uint64_t audit_id;
	uint32_t rcpts; /* how many are left */
};
struct queue_rcpt {
	uint32_t n; /* within the item */
	struct str rcpt, orcpt;
	uint8_t notify;
	bool held, delay_told;
	uint32_t tries;
	int64_t next_us, expires_us;
	struct str last_reply; /* of the last try, with the host that gave it */
	struct str last_host;
};
int snap_queue_item(struct snap *sn, uint64_t qid, struct arena *a, struct queue_item *out);
int snap_queue_item_next(
	struct snap *sn, uint64_t after_qid, struct arena *a, struct queue_item *out);
/* Recipients of all of them. */
uint64_t snap_queue_count(struct snap *sn);
int snap_queue_rcpt(
	struct snap *sn, uint64_t qid, uint32_t n, struct arena *a, struct queue_rcpt *out);
int snap_queue_rcpt_next(
	struct snap *sn, uint64_t qid, int64_t after_n, struct arena *a, struct queue_rcpt *out);

struct queue_due { /* index entry: when, what */
	int64_t next_us;
	uint64_t qid;
	uint32_t n;
};
/* The first entry behind `after` in order of time (all zeros = the very first). Held recipients are
 * not in the index. */
int snap_queue_due_next(struct snap *sn, const struct queue_due *after, struct queue_due *out);

/* --- audit --- */

struct audit; /* store/op.h */
/* The records of an id in order of time: the one behind `after_us` (-1 = the first). ERR_GONE. */
int snap_audit(struct snap *sn, uint64_t id, int64_t after_us, struct arena *a, struct audit *out);
/* Newest first: the record before (time_us, id); start with INT64_MAX, UINT64_MAX. */
int snap_audit_prev(
	struct snap *sn, int64_t time_us, uint64_t id, struct arena *a, struct audit *out);

/* "b3k7..." <-> audit and queue ids as people see them: 13 characters of lower-case base32. */
enum { ID_TEXT = 14 };
const char *id_text(uint64_t id, char out[ID_TEXT]);
int id_parse(struct str text, uint64_t *out);
/* A fresh id: the time, by about a millisecond, above a count that begins anywhere. What comes at
   the same time stands side by side in the index; an id tells no more than when it was given. Not
   unique over processes: who looks one up is given all that have it. */
uint64_t id_new(int64_t now_us);

/* --- the whole --- */

struct store_stat {
	uint64_t map_size, used_bytes, free_disk_bytes;
	uint64_t accounts, mailboxes, messages, objects, queued;
	uint64_t gc_pending;
};
int store_stat(struct store *s, struct store_stat *out);

/* Recompute every counter, reference, index and parse record and verify checksums and sha256.
   Reports each finding (one line of text); with `repair` (STORE_WRITE) mends them. Returns the
   number of findings or ERR_*. */
int store_fsck(
	struct store *s, bool repair, void (*report)(void *ctx, struct str finding), void *ctx);
