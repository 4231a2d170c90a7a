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
	struct ids most, last; /* the first that is too high to be believed; the highest in use */
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
bool fsck_any(struct fsck *f, enum table tb, struct key *at, size_t fixed, MDB_val *v);
/* The same over rows whose key fits the table. */
bool fsck_next(struct fsck *f, enum table tb, struct key *at, size_t fixed, MDB_val *v);
/* Unpack the row that was found. */
static inline int fsck_unpack(
	struct fsck *f, enum table tb, const struct key *at, MDB_val v, void *out)
{
	return rec_unpack(tb, str_make(at->p, at->n), v, &f->ap.tmp, out);
}
/* Let the next fsck_next look behind this row. */
static inline void key_step(struct key *k)
{
	k->p[k->n++] = 0;
}

/* Note the ids that a row has taken. False when the row tells one that no operation gave: counting
   on from it would end where ids do. `rec`: what is unpacked of a record. */
void fsck_ids_start(struct fsck *f);
bool fsck_ids_take(struct fsck *f, enum table tb, struct str key, const void *rec);

/* Make an object's record again from its chunks. False when there are none. */
bool fsck_lost_object(struct fsck *f, uint64_t oid, struct obj *out);

/* In this order: */
void fsck_records(struct fsck *f);   /* fsck_rows.c: checksums of every record, and every key */
void fsck_ids(struct fsck *f);       /* fsck_ids.c; before all that give new ids */
void fsck_accounts(struct fsck *f);  /* fsck_acct.c */
void fsck_mailboxes(struct fsck *f); /* fsck_box.c */
void fsck_queue(struct fsck *f);     /* fsck_rows.c */
void fsck_audit(struct fsck *f);     /* fsck_rows.c */
void fsck_objects(struct fsck *f);   /* fsck_object.c; after all that reference objects */
