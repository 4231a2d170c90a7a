/* Checking the store: one pass per family of tables, in one transaction. Private to store/. */
#pragma once

#include "store/apply.h"

/* Object ids, sorted before they are counted. */
struct fsck_ids {
	uint64_t *v;
	size_t n, cap;
};

struct fsck {
	struct apply ap; /* its transaction is read-only without `repair` */
	struct arena arena;
	struct news news;
	bool repair;
	void (*report)(void *ctx, struct str finding);
	void *ctx;
	int findings;
	int rc;                /* the first error that is no finding */
	struct fsck_ids refs;  /* what messages and queue items reference, one per reference */
	struct fsck_ids dying; /* what gc is about to delete */
};

/* Note a finding. True when it is to be mended. */
bool fsck_found(struct fsck *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Note an error of the database itself. */
void fsck_do(struct fsck *f, int rc);
void fsck_id(struct fsck_ids *ids, uint64_t oid);
/* Walk a table: start with a key_none() (or a prefix) in *at. Steps to the next row with a key >=
 *at that starts with the first `fixed` octets of it; rows may be changed or deleted on the way. */
bool fsck_next(struct fsck *f, enum table tb, struct key *at, size_t fixed, MDB_val *v);
/* Let the next fsck_next look behind this row. */
static inline void key_step(struct key *k)
{
	k->p[k->n++] = 0;
}

/* Make an account's record again, with what is left of it; empty `login`: nobody knows. */
void fsck_lost_account(struct fsck *f, uint32_t aid, struct str login);
/* Make an object's record again from its chunks. False when there are none. */
bool fsck_lost_object(struct fsck *f, uint64_t oid, struct obj *out);

void fsck_records(struct fsck *f);   /* fsck_rows.c: checksums of every record */
void fsck_accounts(struct fsck *f);  /* fsck_rows.c */
void fsck_mailboxes(struct fsck *f); /* fsck_box.c */
void fsck_queue(struct fsck *f);     /* fsck_rows.c */
void fsck_audit(struct fsck *f);     /* fsck_rows.c */
void fsck_objects(struct fsck *f);   /* fsck_object.c; after all that reference objects */
void fsck_ids(struct fsck *f);       /* fsck_rows.c */
