/* DMARC by RFC 9989: records, the DNS tree walk, alignment, the verdict. No public suffix list. */
#pragma once

#include "lib/dns.h"
#include "lib/lib.h"

enum { DMARC_RECORD_MAX = 4096, DMARC_WALK_MAX = 8, DMARC_AUTHORS_MAX = 10, DMARC_DKIM_MAX = 8 };

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };

/* --- records: pure --- */

struct dmarc_record {
	enum dmarc_policy p, sp, np; /* sp and np are filled in from their fall-backs */
	bool strict_dkim, strict_spf, testing;
	char psd; /* 'y', 'n' or 'u' */
	bool has_rua;
	struct str rua, ruf; /* borrowed from the record's text */
};
/* 0 a usable record; ERR_GONE when it does not begin with v=DMARC1 (not a record at all);
   ERR_SYNTAX when it must be ignored (RFC 9989 4.7, 4.10.1: no valid p, or a bad sp or np, and no
   rua that could be used). */
int dmarc_parse(struct str text, struct dmarc_record *out);
const char *dmarc_policy_name(enum dmarc_policy p);

/* --- the tree walk (4.10) --- */

struct dmarc_step { /* one name that was asked */
	struct str name;
	enum dns_status status;
	bool found;
	struct str text; /* of the record that counts */
	struct dmarc_record record;
};

struct dmarc_walk {
	struct dns *dns;
	struct task *task;
	struct arena *arena;
	struct str start; /* lower case, no final dot */
	struct dmarc_step steps[DMARC_WALK_MAX];
	size_t n;
	bool temperror;
	/* private */
	struct dns_query query;
	bool asked, done;
	struct str next;
};
/* Begin at `domain`; then call dmarc_walk_step: 1 finished, 0 return STEP_WAIT and call again when
 * woken. */
void dmarc_walk_start(
	struct dmarc_walk *w, struct dns *dns, struct task *t, struct arena *a, struct str domain);
int dmarc_walk_step(struct dmarc_walk *w);
void dmarc_walk_fini(struct dmarc_walk *w);
/* The organisational domain a finished walk shows (4.10.2). */
struct str dmarc_organisation(const struct dmarc_walk *w);
/* The record that governs the walk's first domain, NULL = none; *inherited_out: it stands at a
 * parent (4.10.1). */
const struct dmarc_step *dmarc_governing(const struct dmarc_walk *w, bool *inherited_out);

/* --- the check --- */

enum dmarc_result {
	DMARC_RESULT_NONE,
	DMARC_RESULT_PASS,
	DMARC_RESULT_FAIL,
	DMARC_RESULT_TEMPERROR,
	DMARC_RESULT_PERMERROR
};
const char *dmarc_result_name(enum dmarc_result r);

struct dmarc_author { /* one domain of the From field */
	struct str domain;
	enum dmarc_result result;
	enum dmarc_policy policy; /* to apply when result is fail: after sp, np and t */
	bool testing;
	struct str organisation, record_at; /* where the policy was found */
	struct str aligned_by; /* "dkim=example.org" or "spf=example.org", "" = nothing aligned */
};

struct dmarc_check {
	struct dns *dns;
	struct task *task;
	struct arena *arena;
	/* in */
	struct str spf_domain; /* MAIL FROM domain when SPF passed for it, else "" */
	struct str dkim_domains[DMARC_DKIM_MAX]; /* d= of signatures that pass */
	size_t dkim_n;
	struct dmarc_author authors[DMARC_AUTHORS_MAX]; /* domains set by dmarc_check_add */
	size_t authors_n;
	/* out */
	enum dmarc_result result; /* of the strictest author */
	size_t strictest;         /* index into authors */
	/* private */
	struct dmarc_walk *walks; /* authors, then identifiers, each once */
	size_t walks_n, at;
	bool exists_asked;
	struct dns_query exists;
	bool author_exists[DMARC_AUTHORS_MAX];
	size_t exists_at;
};
void dmarc_check_start(struct dmarc_check *c, struct dns *dns, struct task *t, struct arena *a);
/* A domain of the From field. ERR_LIMIT beyond DMARC_AUTHORS_MAX different ones. */
int dmarc_check_add(struct dmarc_check *c, struct str domain);
/* 1 finished, 0 return STEP_WAIT and call again when woken. */
int dmarc_check_step(struct dmarc_check *c);
void dmarc_check_fini(struct dmarc_check *c);
