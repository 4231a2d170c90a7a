/* A message body on its way into the store: kept in memory up to CHUNK_DATA octets, beyond that
   streamed to the store role in chunks while it arrives, hashed (SHA-256) and parsed (lib/mime) on
   the way. Runs in mx, submit, imap, relay. */
#pragma once

#include "lib/mime.h"
#include "store/op.h"

enum { SPOOL_WINDOW = 4 }; /* chunks on their way at once */

struct spool;

/* `store` is where the link to the store stands (&role->peer[ROLE_STORE]): it is looked at for each
   chunk, for the store may be away or reborn meanwhile. `task` is woken when a full window opens
   and when the last chunk is safe in the store's batch. `max` octets, then ERR_LIMIT. */
struct spool *spool_new(struct link *const *store, struct task *task, uint64_t max);
/* Upload it however small it is: for operations that carry many bodies. Before the first octet. */
void spool_never_inline(struct spool *sp);
/* Lines on top of the message will be known only after its last octet, and come by spool_top.
   Before the first octet. */
void spool_late_top(struct spool *sp);
/* Take `s`; 0, or ERR_LIMIT (too long: what comes is counted, not kept), or what the store
 * answered. */
int spool_add(struct spool *sp, struct str s);
/* Return STEP_WAIT before adding more. */
bool spool_full(const struct spool *sp);
/* The lines on top, at least one and at most OP_TOP_MAX octets: trace fields, each with its CRLF.
   Once, before spool_finish. */
void spool_top(struct spool *sp, struct str top);
/* The body has ended: 1 ready, 0 return STEP_WAIT and call again, < 0 ERR_*. Builds the parse
 * record. */
int spool_finish(struct spool *sp);
/* After spool_finish: the body for an operation; borrows from the spool. */
void spool_body(struct spool *sp, struct op_body *out);
/* Octets so far, the top included once it is there. */
uint64_t spool_size(const struct spool *sp);
/* Free; an upload that no operation used is dropped in the store. NULL is fine. */
void spool_free(struct spool *sp);
/* The operation that carried the body was answered with success: nothing to drop. */
void spool_taken(struct spool *sp);
