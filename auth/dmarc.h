/* DMARC by RFC 9989: records, the DNS tree walk, alignment, the verdict. No public suffix list.
   Every domain here is in the form of idn_domain. */
#pragma once

#include "auth/authors.h"
#include "auth/results.h"
#include "lib/dns.h"

enum {
	DMARC_RECORD_MAX = 4096, /* octets; a longer record cannot be used */
	DMARC_WALK_MAX = 8,      /* names that are asked (4.10) */
	DMARC_DKIM_MAX = 8,      /* signatures looked at */
	DMARC_WARNINGS_MAX = 32
};

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
const char *dmarc_policy_name(enum dmarc_policy p);

/* --- records: pure --- */

struct dmarc_record {
	enum dmarc_policy p, sp, np; /* sp and np are filled in from their fall-backs */
	bool strict_dkim, strict_spf, testing;
	char psd;            /* 'y', 'n' or 'u' */
	bool has_rua;        /* rua names a URI that is written correctly */
	struct str rua, ruf; /* borrowed from the record's text */
};

struct dmarc_warning { /* a tag that does not do what its author may think */
	struct str tag, value;
	const char *says; /* a sentence: "is none of none, quarantine and reject" */
};
struct dmarc_warnings {
	struct dmarc_warning list[DMARC_WARNINGS_MAX]; /* those beyond are not kept */
	size_t n;
};

/* RFC 9989 4.7, 4.8. 0: a record, with p=none where 4.10.1 wants it; ERR_GONE: it does not begin
   with v=DMARC1, and is no record at all; ERR_SYNTAX: p, sp or np is not valid and nobody wants
   reports: DMARC does not apply where this record governs (4.10.1), `out` is filled as for p=none.
   `warnings` may be NULL. */
int dmarc_parse(struct str text, struct dmarc_record *out, struct dmarc_warnings *warnings);

/* --- the tree walk (4.10) --- */

struct dmarc_step { /* one name that was asked, without "_dmarc." */
	struct str name;
	enum dns_status status;
	unsigned records; /* that begin with v=DMARC1; two and more count as none */
	unsigned others;  /* texts that do not */
	bool found;       /* there is one record */
	bool unusable;    /* it is ERR_SYNTAX or too long */
	struct str text;  /* of the first record */
	struct dmarc_record record;
};

struct dmarc_walk {
	struct str start;
	struct dmarc_step steps[DMARC_WALK_MAX]; /* the first is the start itself */
	size_t n;                                /* taken so far */
	bool temperror;                          /* a name server failed at one of them */
	/* private */
	struct dns *dns;
	struct dns_budget *budget;
	struct task *task;
	struct arena *arena;
	size_t names, asked;
	bool done;
	struct dns_query queries[DMARC_WALK_MAX];
};

/* Begin at `domain`; then call dmarc_walk_step: 1 finished, 0 return STEP_WAIT and call again when
   woken. The names above are asked for all at once. `budget` may be NULL. */
void dmarc_walk_start(struct dmarc_walk *w, struct dns *dns, struct dns_budget *budget,
	struct task *t, struct arena *a, struct str domain);
int dmarc_walk_step(struct dmarc_walk *w);
/* The same, but only until steps[0] is known. */
int dmarc_walk_first(struct dmarc_walk *w);
void dmarc_walk_fini(struct dmarc_walk *w);
/* The organisational domain a finished walk shows (4.10.2). */
struct str dmarc_organisation(const struct dmarc_walk *w);
/* The record that governs the walk's first domain, NULL = none (4.10.1). When it is not steps[0],
   it stands at a parent: sp or np counts. */
const struct dmarc_step *dmarc_governing(const struct dmarc_walk *w);

/* --- the check --- */

enum dmarc_result {
	DMARC_RESULT_NONE, /* no record governs: DMARC does not apply */
	DMARC_RESULT_PASS,
	DMARC_RESULT_FAIL,
	DMARC_RESULT_TEMPERROR, /* a failing name server may hide a record or an alignment */
	DMARC_RESULT_PERMERROR  /* the record that governs cannot be used: DMARC does not apply */
};
const char *dmarc_result_name(enum dmarc_result r);

struct dmarc_author { /* one domain of the From field */
	struct str domain;
	enum dmarc_result result;
	/* To apply when result is fail; when it is temperror, the hardest that may be meant. */
	enum dmarc_policy policy;
	enum dmarc_policy published;     /* before t=y took one step off it */
	const char *tag;                 /* where that stands: "p", "sp" or "np" */
	const struct dmarc_step *record; /* which governs, NULL = none; in the check's arena */
	struct str organisation;         /* "" when it did not have to be found */
	struct str aligned_by; /* "dkim=example.org" or "spf=example.org", "" = nothing aligned */
};

struct dmarc_identifier {
	struct str domain;
	bool spf;    /* else it is a signature's */
	bool unsure; /* whether it passed is not known: temperror */
};

struct dmarc_check {
	struct dmarc_author authors[AUTHORS_MAX];
	size_t authors_n;
	/* out */
	enum dmarc_result result; /* of the strictest author; none without authors */
	size_t strictest;         /* index into authors */
	/* private */
	struct dns *dns;
	struct dns_budget *budget;
	struct task *task;
	struct arena *arena;
	struct dmarc_identifier ids[DMARC_DKIM_MAX + 1];
	size_t ids_n;
	struct dmarc_walk *walks[AUTHORS_MAX + DMARC_DKIM_MAX + 1]; /* each domain once */
	size_t walks_n;
	size_t at, at_id; /* author and identifier being looked at */
	bool unsure;      /* of that author: an identifier may be aligned or not */
	struct dns_query exists;
};

/* `budget` may be NULL; it, `t` and `a` outlive the check. */
void dmarc_check_start(struct dmarc_check *c, struct dns *dns, struct dns_budget *budget,
	struct task *t, struct arena *a);
void dmarc_check_authors(struct dmarc_check *c, const struct authors *authors);
/* SPF passed for this MAIL FROM domain (never HELO alone; for a null reverse-path, that of HELO as
   in RFC 7208 2.4), or `unsure`: ended in temperror. What is no domain name aligns with nothing. */
void dmarc_check_spf(struct dmarc_check *c, struct str domain, bool unsure);
/* A signature with this d= passed, or ended in temperror. Those beyond DMARC_DKIM_MAX are not
 * looked at. */
void dmarc_check_dkim(struct dmarc_check *c, struct str domain, bool unsure);
/* 1 finished, 0 return STEP_WAIT and call again when woken. */
int dmarc_check_step(struct dmarc_check *c);
/* Release questions; the outcome stays as long as the arena. */
void dmarc_check_fini(struct dmarc_check *c);

/* Why, for people: "p=reject at example.com; nothing is aligned". From `a`. */
struct str dmarc_reason(const struct dmarc_author *author, struct arena *a);
/* One method for each author, with header.from and policy.dmarc (RFC 9989 9.1). `out` has room for
   AUTHORS_MAX; answers how many. */
size_t dmarc_results(const struct dmarc_check *c, struct arena *a, struct results_method *out);
