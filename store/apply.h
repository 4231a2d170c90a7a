/* Applying operations inside the one write transaction. Private to store/: batch.c begins, commits
   and answers; the apply_*.c files change rows through the helpers here, which note that something
   was written. An operation that fails after it has written makes the batch start over one by one,
   so it is never half done. */
#pragma once

#include "store/blob.h"
#include "store/op.h"

/* What a batch changed, for those who watch. */
struct news {
	struct news_mbox_item *mboxes;
	size_t mboxes_n, cap;
	bool accounts, queue;
	bool closed; /* accounts were disabled or removed */
};
void news_reset(struct news *n);
void news_fini(struct news *n);
void news_mbox_changed(struct news *n, const struct mbox *mb);

struct apply {
	struct store *s;
	MDB_txn *txn;
	struct arena *a;  /* of the operation: holds the reply's lists */
	struct arena tmp; /* reset for each message an operation touches */
	int64_t now_us;
	struct news *news;
	const struct op_deliver_reply *bounce; /* as in batch_op */
	bool wrote;
};

/* As rec_*, noting writes. Reads copy into ap->tmp. */
int ap_get(struct apply *ap, enum table tb, const struct key *k, void *out);
int ap_put(struct apply *ap, enum table tb, const struct key *k, const void *rec, unsigned flags);
int ap_del(struct apply *ap, enum table tb, const struct key *k);
int ap_key_put(struct apply *ap, enum table tb, const struct key *k);
/* Is there such a key? */
bool ap_has(struct apply *ap, enum table tb, const struct key *k);
/* Delete all rows whose key starts with `prefix`. */
int ap_del_prefix(struct apply *ap, enum table tb, const struct key *prefix);
/* First key >= `from` that starts with the first `fixed` octets of `from`; copied to `out`. */
int ap_next_key(
	struct apply *ap, enum table tb, const struct key *from, size_t fixed, struct key *out);

/* --- objects (apply_object.c) --- */

/* A body's object with `refs` references: put it, or take over its upload. */
int object_make(struct apply *ap, const struct op_body *b, uint32_t refs, int64_t now_us,
	uint64_t *oid_out);
/* Change the count; at 0 the object goes to gc. */
int object_ref(struct apply *ap, uint64_t oid, int delta);

/* --- mailboxes (apply_mbox.c) --- */

int box_get(struct apply *ap, uint32_t aid, uint32_t mid, struct mbox *out);
int box_put(struct apply *ap, const struct mbox *mb);
/* Make a mailbox with all its missing parents. ERR_EXISTS, ERR_SYNTAX, ERR_LIMIT, ERR_DENIED (the
   special use is taken). */
int box_create(struct apply *ap, uint32_t aid, struct str name, uint32_t use, struct mbox *out);
/* Where a delivery goes: by special use (made when missing), by name, else INBOX. */
int box_for_delivery(
	struct apply *ap, uint32_t aid, struct str folder, uint32_t use, struct mbox *out);
/* INBOX and the default folders of a new account. */
int box_defaults(struct apply *ap, uint32_t aid);
int box_delete_all(struct apply *ap, uint32_t aid);
/* Bit of a keyword in the mailbox; made with `create`. ERR_GONE, ERR_LIMIT when all are taken. */
int box_keyword(struct apply *ap, uint32_t mid, struct str name, bool create);
/* The flags of keywords by name; those that found no place set *full. */
int box_keywords(struct apply *ap, uint32_t mid, const struct wire_str_item *names, uint32_t n,
	bool create, uint64_t *flags_out, bool *full);

/* --- messages (apply_msg.c) --- */

/* A new message: fills uid, modseq, savedate; counts it in *mb (not yet put) and not in the
 * account.
 */
int msg_add(struct apply *ap, struct mbox *mb, struct msg *m, uint64_t modseq);
/* Take a message out: leaves an expunge in the change log. The object keeps its reference. */
int msg_remove(struct apply *ap, struct mbox *mb, const struct msg *m, uint64_t modseq);
/* Other flags for a message. */
int msg_flag(struct apply *ap, struct mbox *mb, struct msg *m, uint64_t flags, uint64_t modseq);
/* The first message with a UID >= `uid`, in ap->tmp. */
int msg_from(struct apply *ap, uint32_t mid, uint32_t uid, struct msg *out);
/* Count messages in an account: ERR_QUOTA when more would pass its quota. */
int acct_use(struct apply *ap, uint32_t aid, int64_t bytes, int64_t msgs);
uint64_t thread_of(
	struct apply *ap, uint32_t aid, const struct wire_u64_item *refs, uint32_t n, int *rc);
/* Forget old expunges when there are too many. */
int box_trim(struct apply *ap, struct mbox *mb);

/* --- the operations --- */

typedef int apply_fn(struct apply *ap, const void *request, void *reply);
apply_fn apply_upload, apply_drop_upload, apply_deliver, apply_append, apply_flags, apply_copy,
	apply_expunge, apply_mbox_create, apply_mbox_delete, apply_mbox_rename,
	apply_mbox_subscribe, apply_queue_result, apply_queue_edit, apply_audit, apply_acct_add,
	apply_acct_set, apply_acct_del, apply_addr_set, apply_addr_del, apply_domain_set,
	apply_domain_del;
int audit_put(struct apply *ap, const struct audit *au);
/* The audit record of a delivery, with what became of each recipient. */
int deliver_audit(
	struct apply *ap, const struct op_deliver *op, const struct op_deliver_reply *answer);

/* --- batches (batch.c) --- */

struct batch_op {
	const struct msg_type *type;
	const void *request;
	struct arena *a; /* the reply is made here */
	void *reply;
	/* OP_QUEUE_RESULT that has delivered a bounce: what became of it, else NULL. From `a`. */
	const struct op_deliver_reply *bounce;
	int rc;
};
/* Apply all and commit once; every op has its rc afterwards, and what has rc 0 is on disk. */
void store_batch(
	struct store *s, struct batch_op *ops, size_t n, int64_t now_us, struct news *news);
