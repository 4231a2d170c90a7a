/* What the files of the SPF check share. */
#pragma once

#include "auth/spf.h"

/* --- terms: pure (spf_record.c) --- */

enum spf_kind {
	SPFTERM_ALL,
	SPFTERM_INCLUDE,
	SPFTERM_A,
	SPFTERM_MX,
	SPFTERM_PTR,
	SPFTERM_IP4,
	SPFTERM_IP6,
	SPFTERM_EXISTS,
	SPFTERM_REDIRECT,
	SPFTERM_EXP,
	SPFTERM_OTHER /* a modifier that nobody knows: ignored */
};

struct spf_term {
	enum spf_kind kind;
	char qualifier;  /* + - ~ ? */
	struct str text; /* as published; borrowed */
	struct str spec; /* domain-spec, "" = the current domain; the value of a modifier */
	uint8_t net[16]; /* ip4, ip6 */
	unsigned bits4, bits6;
};

/* Does the text begin with a version section (4.5)? */
bool spf_is_record(struct str txt);
/* The version section off a record: what is left are its terms. */
struct str spf_terms(struct str record);
/* Cut the next term's text off; false at the end. */
bool spf_next_term(struct str *rest, struct str *term_out);
/* ERR_SYNTAX with a sentence. */
int spf_term_parse(struct str text, struct spf_term *out, struct err *e);
/* Every term of a record (4.6), and no second redirect or exp (6). */
int spf_record_check(struct str record, struct err *e);
/* Does it take questions to the DNS (4.6.4)? */
bool spf_asks(enum spf_kind k);

/* Nothing but SP and visible US-ASCII? */
bool spf_is_printable(struct str s);

/* --- macros: pure (spf_macro.c) --- */

enum spf_macro_use { SPFUSE_DOMAIN, SPFUSE_VALUE, SPFUSE_TEXT };
/* The syntax of a domain-spec, of the value of a modifier nobody knows, of an explain-string (7.1).
 */
int spf_macro_check(struct str s, enum spf_macro_use use, struct err *e);
/* Is one of these letters used as a macro, in either case? */
bool spf_macro_uses(struct str s, const char *letters);

struct spf_vars {
	struct str sender, local, sender_domain; /* s l o */
	struct str domain;                       /* d */
	struct net_addr client;                  /* i c v */
	struct str validated;                    /* p */
	struct str helo, receiver;               /* h r */
	int64_t now_us;                          /* t */
};
/* The value of a checked macro-string. SPFUSE_DOMAIN: at most the last 253 octets, cut at a label
   (7.3), without a final dot, in lower case. Else at most `max` octets. */
void spf_macro_expand(struct str s, enum spf_macro_use use, const struct spf_vars *v, size_t max,
	struct buf *out);

/* --- one evaluation --- */

enum {
	SPFPLAN_MAX = 64, /* terms of a record that are kept */
	SPFRECORDS_MAX = SPFMAX_TERMS + 1
};

struct spf_record;

/* A term in a record that is being evaluated for a certain domain. */
struct spf_node {
	struct spf_term term;
	struct spf_record *record; /* that has it */
	struct spf_record *child;  /* include, redirect: once read */
	struct str target;         /* expanded; NULL pointer = not yet */
	bool askable;              /* target can be asked for */
	struct str *hosts;         /* mx: once known */
	size_t hosts_n;
};

struct spf_record {
	struct str domain;       /* <domain> it is evaluated for */
	struct spf_node *parent; /* include or redirect that led here, NULL: the first one */
	struct spf_node *nodes;
	size_t n;
	struct str exp;        /* domain-spec, "" = none */
	struct str exp_term;   /* as published */
	const char *canonical; /* the record that libspf2 reads */
};

struct spf_run {
	struct spf_check *c;
	struct spf_vars vars; /* domain and validated: of the last expansion */
	struct spf_record *records[SPFRECORDS_MAX];
	size_t records_n, text_n;
	struct str reverse;             /* the client's address as a name */
	struct str names[SPFMAX_HOSTS]; /* that it points to */
	size_t names_n;
	bool names_known;
	bool asked; /* something was asked since the step began: a wake is on its way */
	/* of one walk */
	bool pending;             /* an answer is missing */
	bool failed;              /* c->result and c->why are set */
	struct spf_node *at;      /* the term that libspf2 came to last */
	struct spf_record *rules; /* the record whose result counts: the first or a redirect's */
	bool matched;             /* a term of it did, r->at or one that led there */
	struct str exp_target;    /* NULL pointer = not yet expanded */
	enum { SPFRUN_RECORD, SPFRUN_WALK, SPFRUN_EXPLAIN, SPFRUN_DONE } phase;
};

/* --- questions (spf_lookup.c) --- */

/* The answer, or NULL: then r->pending or r->failed says why. */
const struct dns_answer *spf_ask(struct spf_run *r, struct str name, enum dns_type type,
	struct str asked_by, struct str asked_at);
/* Learn what the client's address points to: r->names. 0, or ERR_AGAIN when pending or failed. */
int spf_client_names(struct spf_run *r, struct str by, struct str at);
/* %{p} for `domain` (7.3); ERR_AGAIN when pending or failed. */
int spf_validated(
	struct spf_run *r, struct str domain, struct str by, struct str at, struct str *out);
enum dns_type spf_address_type(const struct spf_run *r);

/* --- records (spf_plan.c) --- */

/* Fetch, check and rewrite the record of `domain`, the first one or that of an include or redirect.
   0 done, ERR_AGAIN pending or failed, ERR_GONE there is none and *why_out says so. */
int spf_record_read(struct spf_run *r, struct str domain, struct spf_node *parent,
	struct spf_record **out, struct str *why_out);
/* Expand a domain-spec of `record` that the term `by` has. 0, ERR_AGAIN when pending or failed,
   ERR_SYNTAX for what cannot be a name. */
int spf_expand(struct spf_run *r, struct str spec, const struct spf_record *record, struct str by,
	struct str *out);
/* The same for a node, once: n->target. 0, or ERR_AGAIN. */
int spf_expand_target(struct spf_run *r, struct spf_node *n);
/* A node's number in the names that libspf2 asks for, and back; NULL when there is none. */
unsigned spf_node_number(const struct spf_run *r, const struct spf_node *n);
struct spf_node *spf_node_at(const struct spf_run *r, uint64_t number);
/* Of a run of ip4 or ip6 terms that begins at `n`, the one that matches; else `n`. */
struct spf_node *spf_decided(const struct spf_run *r, struct spf_node *n);
/* Stop the walk with this result. */
void spf_stop(struct spf_run *r, enum spf_result result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* --- the walk (spf_walk.c) --- */

enum spf_walked { SPFWALK_PENDING, SPFWALK_FAILED, SPFWALK_MATCHED, SPFWALK_DEFAULT };
/* Let libspf2 evaluate r->records[0], from its beginning. PENDING: again when answers have come;
   FAILED: c->result and c->why are set; MATCHED: c->result is that of r->at, a term somewhere below
   r->rules; DEFAULT: no term of r->rules matched. */
enum spf_walked spf_walk(struct spf_run *r);
