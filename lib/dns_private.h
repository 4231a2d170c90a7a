/* What the files of the resolver share. */
#pragma once

#include "lib/dns.h"
#include "lib/map.h"

enum { DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63, DNS_RRS_MAX = 1000 };

/* Lower case without the final dot; ERR_SYNTAX for what cannot be asked. */
int dns_name_normal(struct str name, struct buf *out);

/* --- one question and its answer, shared by all who ask it (dns_cache.c) --- */

struct dns_entry {
	struct list lru;     /* in the cache, oldest first */
	struct list waiting; /* dns_query.node */
	struct dns *dns;
	struct str key; /* type 2, name */
	struct str name;
	enum dns_type type;
	unsigned refs;
	bool cached, done;
	int64_t expires_us; /* monotonic */
	struct dns_answer answer;
	struct arena arena; /* behind key and answer */
};

struct dns_cache {
	struct map map;
	struct list lru;
	size_t max;
};

void dns_cache_init(struct dns_cache *c, size_t max);
void dns_cache_fini(struct dns_cache *c);
/* A fresh or pending entry, NULL when there is none. What has expired is dropped. */
struct dns_entry *dns_cache_find(
	struct dns_cache *c, struct str name, enum dns_type type, int64_t now_us);
/* A new pending one, with a reference for the caller and one for the cache. The oldest finished one
   makes room; NULL when all are pending. */
struct dns_entry *dns_cache_add(struct dns_cache *c, struct str name, enum dns_type type);
/* Forget it; who holds a reference keeps it. */
void dns_cache_drop(struct dns_cache *c, struct dns_entry *e);
void dns_entry_put(struct dns_entry *e);

/* The answer is complete: keep it for its ttl, wake all who wait. Drops the caller's reference. */
void dns_entry_finish(struct dns_entry *e);

/* --- a zone in memory (dns_zone.c) --- */

struct dns_zone;

struct dns_zone *dns_zone_new(struct str text, struct err *e);
void dns_zone_free(struct dns_zone *z);
void dns_zone_answer(const struct dns_zone *z, struct dns_entry *e);

/* --- libunbound (dns_unbound.c) --- */

struct dns_unbound;

struct dns_unbound *dns_unbound_new(struct loop *l, const struct dns_conf *conf, struct err *e);
void dns_unbound_free(struct dns_unbound *u);
/* Start the resolver's process. */
int dns_unbound_prepare(struct dns_unbound *u, struct err *e);
/* Ends in dns_entry_finish, later or at once. Holds a reference of its own. */
void dns_unbound_ask(struct dns_unbound *u, struct dns_entry *e);
