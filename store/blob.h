/* Stored objects: the octets of a message in chunks, counted by the rows that reference them.
   Private to store/. An object is uploaded (TB_UPLOAD) or put whole, then referenced; at its last
   unreference it waits in TB_GC so that a reader that still sends it never fails. */
#pragma once

#include "store/record.h"

enum {
	CHUNK_SUM = 8,        /* octets of XXH3 behind every chunk */
	GC_WAIT_S = 300,      /* from the last reference to the deletion of chunks: the default */
	UPLOAD_WAIT_S = 3600, /* an upload nobody came to reference */
	GC_STEP = 64          /* chunks deleted in one transaction */
};

int chunk_put(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk, struct str data);
/* What stands there, unread. ERR_GONE, ERR_DAMAGED when it is too short to be a chunk. */
int chunk_find(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk, struct str *out);
/* Only how much that is, or ERR_*. */
int64_t chunk_len(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk);
/* Is the checksum behind what chunk_find has found the right one? Reads all of it. */
bool chunk_sound(struct str chunk);
/* Both: verified content of a chunk. */
int chunk_get(struct store *s, MDB_txn *txn, uint64_t oid, uint32_t chunk, struct str *out);
/* Where the octet at `off` stands, given the length of the object's first chunk. */
static inline uint32_t chunk_of(uint64_t off, uint64_t first_len, size_t *at_out)
{
	if (off < first_len) {
		*at_out = (size_t)off;
		return 0;
	}
	*at_out = (size_t)((off - first_len) % CHUNK_DATA);
	return (uint32_t)(1 + (off - first_len) / CHUNK_DATA);
}

/* Delete some of what is due: at most GC_STEP chunks; 1 when there may be more. `gone` (may be
   NULL) counts deleted objects. */
int gc_step(struct store *s, MDB_txn *txn, int64_t now_us, uint64_t *gone);
/* Give an object to gc: its chunks, obj and parse records go when `due_us` has come. */
int gc_add(struct store *s, MDB_txn *txn, uint64_t oid, int64_t due_us);
