/* Name service for one role: libunbound with DNSSEC validation behind a bounded answer cache.
   Answers keep their order and security status. With a zone loaded (`dns.zone`) the zone answers
   everything and no packet leaves. */
#pragma once

#include <sys/socket.h>

#include "lib/task.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

/* "A", "MX", ...; "?" for any other. */
const char *dns_type_name(enum dns_type type);

enum dns_status {
	DNS_OK,       /* at least one record */
	DNS_NODATA,   /* the name exists, not this type */
	DNS_NXDOMAIN, /* the name does not exist */
	DNS_SERVFAIL, /* server failure, bogus DNSSEC, no answer in time */
	DNS_BAD       /* not a name that can be asked (label > 63, name > 253 octets) */
};

struct dns_rr {
	struct str data; /* RDATA in wire form, names uncompressed */
};

struct dns_answer {
	enum dns_status status;
	bool secure; /* DNSSEC-validated */
	bool bogus;
	uint32_t ttl;         /* seconds */
	struct str canonical; /* the name at the end of CNAMEs, lower case, no final dot */
	struct dns_rr *rr;
	size_t n;
};

struct dns;

struct dns_conf {
	/* "HOST:PORT", the only resolver; "roots" = ask the root servers; "none" = ask nobody, see
	   dns_is_off; empty = the resolvers of /etc/resolv.conf (the roots without that file),
	   where an answer that fails validation counts as unsigned. */
	struct str forward;
	struct str zone_text; /* master-file text that answers everything; empty = none */
	bool dnssec;          /* validate */
	int64_t timeout_us;   /* per query, 0 = 10 s */
	size_t cache_max;     /* answers, 0 = 4096 */
};

/* A zone: RFC 1035 5 with $ORIGIN, $TTL, @, parentheses, comments and wildcards; types A AAAA CNAME
   MX NS PTR SOA TLSA TXT. TTL 0 unless given. `$SECURE yes` marks what follows as validated; a name
   with the type SERVFAIL or BOGUS fails. Errors name the line. */
struct dns *dns_new(struct loop *l, const struct dns_conf *conf, struct err *e);
/* Questions that are still out are answered with DNS_SERVFAIL. */
void dns_free(struct dns *d);
/* Start the resolver, a process of its own: after privileges were dropped, before the sandbox
   closes. Without it the first question does that. */
int dns_prepare(struct dns *d, struct err *e);
/* Nobody is asked: every question is answered with DNS_SERVFAIL at once. Checks that would look
   something up are left out rather than failed. */
bool dns_is_off(const struct dns *d);

/* What the questions of one message may cost together, so that nobody can make us ask for ever. All
   zeros = nothing may be asked; ends by itself. */
enum { DNS_BUDGET_QUESTIONS = 40, DNS_BUDGET_S = 20 }; /* of one message */
struct dns_budget {
	unsigned left;    /* questions that no cached answer settles */
	int64_t until_us; /* monotonic clock */
	bool over;        /* something was not asked for, or not waited for, any more */
};
void dns_budget_start(struct dns_budget *b, struct loop *l, unsigned questions, int64_t us);
/* Its time begins again, the questions do not. */
void dns_budget_go_on(struct dns_budget *b, struct loop *l, int64_t us);

/* A question on its way. Lives in the caller; all zeros = idle. */
struct dns_query {
	struct list node;
	struct dns *dns;
	struct task *task;
	struct str name;
	enum dns_type type;
	const struct dns_answer
		*answer; /* set when woken; owned, counted, freed by dns_query_fini */
	void *entry;
	struct timer timeout;
	struct dns_budget *budget; /* waits for it, NULL = none */
};
/* Ask; return STEP_WAIT; woken with 0 once q->answer is set (also for failures). `name` is copied.
 */
void dns_ask(
	struct dns *d, struct dns_query *q, struct task *t, struct str name, enum dns_type type);
/* The same within a budget, which must outlive the query; NULL = none. What it does not cover is
   answered with DNS_SERVFAIL. */
void dns_ask_within(struct dns *d, struct dns_query *q, struct task *t, struct dns_budget *b,
	struct str name, enum dns_type type);
/* Cancel or release. Harmless when idle. */
void dns_query_fini(struct dns_query *q);

/* Names out of RDATA: lower case, dots, no final dot ("" is the root). ERR_SYNTAX when malformed.
 */
int dns_rdata_name(struct str rdata, size_t offset, struct arena *a, struct str *name_out);
/* MX: preference and exchange. */
int dns_rdata_mx(struct str rdata, struct arena *a, uint16_t *pref_out, struct str *host_out);
/* TXT: all character-strings joined. */
int dns_rdata_txt(struct str rdata, struct arena *a, struct str *text_out);
/* "1.2.0.192.in-addr.arpa" and "....ip6.arpa". */
struct str dns_reverse_name(const struct sockaddr *sa, struct arena *a);
