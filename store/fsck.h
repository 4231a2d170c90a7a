/* Checking the store: one pass per family of tables, in one transaction. Private to store/. */
#pragma once

#include "lib/mime.h"
#include "store/apply.h"

enum { RECORD_ROOM = 4096 }; /* octets, for the struct of any record */

/* Object ids, sorted before they are counted. */
struct fsck_ids {
	uint64_t *v;
	size_t n, cap;
};

/* What a row that is gone said of a message. */
struct fsck_hint {
	uint64_t oid, size; /* of the object */
	uint32_t mid;       /* a message's */
	bool queued;        /* else the queue's: */
	uint32_t aid;       /* who submitted it, 0 = the system */
	uint64_t audit_id;
	bool sound; /* the row was not damaged itself, but recipients are gone: all of them */
	bool extra; /* or some, and the row is still there */
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
	struct fsck_ids found; /* what got a reference again */
	struct fsck_hint *hints;
	size_t hints_n, hints_cap;
	struct fsck_ids disabled; /* accounts that seem to have been */
	uint32_t keeper;          /* the account for what nobody can be found for, once asked for */
};

/* Note a finding. True when it is to be mended. */
bool fsck_found(struct fsck *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fsck_hint(struct fsck *f, const struct fsck_hint *hint);
/* Note what a damaged row seems to say. */
void fsck_damaged(struct fsck *f, enum table tb, const struct key *at, MDB_val v);
/* Note an error of the database itself. */
void fsck_do(struct fsck *f, int rc);
void fsck_id(struct fsck_ids *ids, uint64_t oid);
void fsck_sort(struct fsck_ids *ids);
/* How often it is in the sorted list. */
uint32_t fsck_count(const struct fsck_ids *ids, uint64_t oid);
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

/* Run over an object's octets: 0 all there and as hashed, ERR_*. With `mime` they are parsed, too.
 */
int fsck_read(struct fsck *f, const struct obj *o, struct mime *mime);
/* The account that gets what nobody can be found for: the postmaster's. 0: there is none, and
   without `repair` none is made. */
uint32_t fsck_keeper(struct fsck *f);
/* Make an account that nobody can log in to. */
uint32_t fsck_new_account(struct fsck *f);

/* In this order: */
void fsck_records(struct fsck *f);   /* fsck_rows.c: checksums of every record, and every key */
void fsck_ids(struct fsck *f);       /* fsck_ids.c; before all that give new ids */
void fsck_accounts(struct fsck *f);  /* fsck_acct.c */
void fsck_mailboxes(struct fsck *f); /* fsck_box.c */
void fsck_queue(struct fsck *f);     /* fsck_rows.c */
void fsck_audit(struct fsck *f);     /* fsck_rows.c */
void fsck_lost(struct fsck *f);      /* fsck_lost.c; after all that reference objects */
void fsck_objects(struct fsck *f);   /* fsck_object.c */
void fsck_ids_end(struct fsck *f);   /* fsck_ids.c; after all that take rows away */
