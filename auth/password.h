/* Password hashing off the loop: a pool of threads around crypt(3), and a memory of recent
 * successes. */
#pragma once

#include "lib/loop.h"

enum {
	PASSWORD_THREADS_MAX = 16,
	PASSWORD_QUEUE_MAX = 1000,
	PASSWORD_HASHES_MAX = 16,
	PASSWORD_HASH_LEN = 384
};

struct password_pool;

/* One password to check against the hashes of an account. Lives in its owner until `done` ran; the
 * secret is wiped then. */
struct password_job {
	struct list node;
	char password[1025]; /* NUL-terminated */
	char hashes[PASSWORD_HASHES_MAX][PASSWORD_HASH_LEN];
	unsigned hashes_n; /* 0: hash a dummy for as long and answer no */
	bool matched;
	void (*done)(struct password_job *j);
};

struct password_pool *password_pool_new(struct loop *l, unsigned threads);
/* Waits for the threads; jobs still queued get done() with matched = false. */
void password_pool_free(struct password_pool *p);
/* ERR_AGAIN when the queue is full. */
int password_check(struct password_pool *p, struct password_job *j);

/* Successes of the last ten minutes, by HMAC-SHA-256 under a key of this process. */
struct password_cache;
struct password_cache *password_cache_new(void);
void password_cache_free(struct password_cache *c);
/* `hashes`: the account's stored secrets: a changed password misses. */
bool password_cache_has(struct password_cache *c, uint32_t aid, struct str hashes,
	struct str password, int64_t now_us);
void password_cache_add(struct password_cache *c, uint32_t aid, struct str hashes,
	struct str password, int64_t now_us);
