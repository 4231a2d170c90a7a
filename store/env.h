/* The LMDB environment and its tables, private to store/. Keys are big-endian, values are records
   (record.h) or chunks (blob.h), both with a checksum at their end. */
#pragma once

#include <lmdb.h>

#include "store/store.h"

enum table {
	TB_META,    /* name: schema version, ids */
	TB_ACCT,    /* aid4 */
	TB_ADDR,    /* normalised address */
	TB_CRED,    /* aid4 label */
	TB_DOMAIN,  /* name */
	TB_MBOX,    /* mid4 */
	TB_MNAME,   /* aid4 name */
	TB_MSG,     /* mid4 uid4 */
	TB_KW,      /* mid4 bit1 */
	TB_CHG,     /* mid4 modseq8 uid4: nothing, or 'x' for expunged */
	TB_OBJ,     /* oid8 */
	TB_PARSE,   /* oid8 */
	TB_BLOB,    /* oid8 chunk4 */
	TB_UPLOAD,  /* oid8: bodies no operation has referenced yet; when they were begun */
	TB_GC,      /* time8 oid8: objects to delete */
	TB_THREAD,  /* aid4 hash8: thread8 */
	TB_Q,       /* qid8 */
	TB_QR,      /* qid8 n4 */
	TB_QDUE,    /* time8 qid8 n4 */
	TB_AUDIT,   /* time8 id8 */
	TB_AUDITID, /* id8 time8 */
	TB_N
};
extern const char *const table_names[TB_N];

enum {
	SCHEMA_VERSION = 2,
	KEY_MAX = 500, /* of ours; LMDB's own limit is 511 */
	KEY_ROOM = 512,
	READERS_MAX = 512
};

/* Ids that are never given twice; kept in one meta record, written with every transaction that took
   some. */
struct ids {
	uint64_t oid, mailboxid, qid;
	uint32_t aid, mid, uidvalidity;
	uint32_t schema; /* once more: one of the two records may be damaged. 0: an old one */
};

/* Meta records that are lost, a mask. */
enum { META_SCHEMA = 1, META_IDS = 2 };

struct store {
	MDB_env *env;
	MDB_dbi dbi[TB_N];
	char *dir;
	bool writable;
	int lock_fd;
	struct ids ids;       /* STORE_WRITE: as of the running transaction */
	unsigned meta_lost;   /* until fsck has made them again; `ids` are zero then */
	MDB_txn *spare;       /* a reset read transaction for the next snapshot */
	int64_t gc_wait_us;   /* from an object's last reference to its deletion */
	uint64_t disk_floor;  /* free octets below which nothing grows */
	int64_t disk_checked; /* monotonic second of the last look */
	bool disk_low;
	bool broken; /* LMDB writes no more in this process, see store_broken() */
};

/* A key built up field by field. */
struct key {
	unsigned char p[KEY_ROOM];
	size_t n;
};
static inline struct key key_none(void)
{
	return (struct key){.n = 0};
}
static inline void key_u32(struct key *k, uint32_t v)
{
	put_be32(k->p + k->n, v);
	k->n += 4;
}
static inline void key_u64(struct key *k, uint64_t v)
{
	put_be64(k->p + k->n, v);
	k->n += 8;
}
/* False when it does not fit. */
static inline bool key_str(struct key *k, struct str s)
{
	if (k->n > KEY_MAX || s.n > KEY_MAX - k->n) { return false; }
	if (s.n) { memcpy(k->p + k->n, s.p, s.n); } /* of nothing, `p` may be NULL */
	k->n += s.n;
	return true;
}
static inline struct key key1(uint32_t a)
{
	struct key k;
	k.n = 0;
	key_u32(&k, a);
	return k;
}
static inline struct key key2(uint32_t a, uint32_t b)
{
	struct key k = key1(a);
	key_u32(&k, b);
	return k;
}
static inline struct key key_id(uint64_t a)
{
	struct key k;
	k.n = 0;
	key_u64(&k, a);
	return k;
}
static inline struct key key_id_n(uint64_t a, uint32_t b)
{
	struct key k = key_id(a);
	key_u32(&k, b);
	return k;
}
static inline struct key key_ids(uint64_t a, uint64_t b)
{
	struct key k = key_id(a);
	key_u64(&k, b);
	return k;
}
static inline struct key key_named(uint32_t a, struct str name)
{
	struct key k = key1(a);
	if (!key_str(&k, name)) { k.n = 0; }
	return k;
}
static inline MDB_val key_val(const struct key *k)
{
	return (MDB_val){k->n, (void *)(uintptr_t)k->p};
}
static inline struct str val_str(MDB_val v)
{
	return str_make(v.mv_data, v.mv_size);
}

/* ERR_* for an answer of LMDB. */
int env_rc(int mdb_rc);
/* Read the meta records; a fresh store gets them. With `mend`, lost ones are noted in meta_lost;
   the schema is then `schema` if nothing else tells it (0: nobody has said it). */
int meta_read(struct store *s, MDB_txn *txn, bool mend, uint32_t schema, struct err *e);
/* Begin a write transaction, and end it: every one but that of opening goes through here. The
   transaction is gone after env_commit, whatever it answers. */
int env_begin(struct store *s, MDB_txn **out);
int env_commit(struct store *s, MDB_txn *txn);
/* Nothing that grows may be written: the disk is below its floor. Looks once a second. */
bool env_disk_low(struct store *s);
/* Octets the file system has left for us. */
uint64_t env_disk_free(struct store *s);
