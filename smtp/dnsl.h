/* DNS lists of client addresses (RFC 5782): what the configuration says of one, the names to ask
   for, what an answer means. Pure functions. */
#pragma once

#include "lib/dns.h"
#include "lib/net.h"

enum {
	DNSL_LISTS_MAX = 16, /* of a kind */
	DNSL_CODES_MAX = 16, /* of a list */
	DNSL_ZONE_MAX = 180  /* octets; 64 go in front for an IPv6 address, and 253 are a name */
};

/* Answers that count, octet by octet: lo <= octet <= hi. */
struct dnsl_code {
	uint8_t lo[4], hi[4];
};
struct dnsl {
	struct str zone;
	struct dnsl_code codes[DNSL_CODES_MAX];
	size_t codes_n; /* 0: every answer counts */
};

/* "zone" or "zone=127.0.0.2 127.0.0.4-7 127.0.*.3", codes by blanks. `out` borrows from `text`. 0,
   ERR_SYNTAX or ERR_LIMIT. */
int dnsl_parse(struct str text, struct dnsl *out);

/* The name that stands for a client in the list (2.1, 2.4). */
struct str dnsl_name(const struct net_addr *client, struct str zone, struct arena *a);
/* The entry that no list that works has (5): 127.0.0.1, or ::FFFF:7F00:1. */
struct str dnsl_test_name(const struct net_addr *client, struct str zone, struct arena *a);

enum dnsl_says {
	DNSL_NO,
	DNSL_YES,
	DNSL_BROKEN, /* the answer is no answer of a list: it does not serve us, or is no more */
	DNSL_SILENT  /* no answer */
};
/* *code_out: the address of the answer that made YES or BROKEN, else zeros. */
enum dnsl_says dnsl_read(
	const struct dnsl *list, const struct dns_answer *answer, uint8_t code_out[4]);
