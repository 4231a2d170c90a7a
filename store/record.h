/* Records: what stands in the tables, packed by lib/wire, with four octets of XXH3 behind it that
   every read verifies. Private to store/. */
#pragma once

#include "lib/wire.h"
#include "store/env.h"
#include "store/op.h"

struct rec_schema {
	uint32_t version;
};
struct rec_cred {
	struct str scheme, value;
};
struct rec_addr {
	uint8_t kind;
	uint32_t aid;
	struct wire_str_item *targets;
	uint32_t targets_n;
};
struct rec_mname {
	uint32_t mid;
	bool subscribed;
	uint32_t special_use;
};
struct rec_time {
	int64_t us;
};
struct rec_thread {
	uint64_t thread;
};
struct rec_kw {
	struct str name;
};

/* What each table's values hold; NULL: no record. */
extern const struct wire *const table_wire[TB_N];
extern const struct wire wire_ids; /* the meta record "ids" */

/* Ids of 64 bits that no counter has reached. */
#define ID64_MOST (UINT64_C(1) << 62)
/* RFC 7162: 63 bits; with room to go on counting. */
#define MODSEQ_MAX (UINT64_C(1) << 62)

/* Read one record: strings are borrowed from the map, or with `copy` the whole record is copied
   there first: needed in write transactions, where the next put moves what was read. Lists always
   need `copy`. 0, ERR_GONE, ERR_DAMAGED, ERR_IO. */
int rec_get(struct store *s, MDB_txn *txn, enum table tb, const struct key *k, struct arena *copy,
	void *out);
/* Unpack a row that a cursor gave. ERR_DAMAGED also when the record is not the one that the key
   names. */
int rec_unpack(enum table tb, struct str key, MDB_val v, struct arena *copy, void *out);
/* Can there be such a key in the table? Keys have no checksum. */
bool key_fits(enum table tb, struct str key);
/* `flags`: MDB_NOOVERWRITE, MDB_APPEND. */
int rec_put(struct store *s, MDB_txn *txn, enum table tb, const struct key *k, const void *rec,
	unsigned flags);
/* The first row whose key fits the table; its key's octets are copied. ERR_GONE. */
int rec_first(struct store *s, MDB_txn *txn, enum table tb, struct key *k_out, MDB_val *v);
int rec_del(struct store *s, MDB_txn *txn, enum table tb, const struct key *k);
/* Rows without a value. */
int key_put(struct store *s, MDB_txn *txn, enum table tb, const struct key *k, unsigned flags);

/* ERR_DAMAGED also for ids that nobody can have counted to. */
int ids_read(struct store *s, MDB_txn *txn);
int ids_write(struct store *s, MDB_txn *txn);
int schema_write(struct store *s, MDB_txn *txn); /* env.c */

/* Checksum behind records and chunks. */
uint32_t rec_sum(struct str s);
