/* SPF by RFC 7208: may this client use this domain? A strict front-end of our own parses, expands
   and counts; libspf2 walks what is left of the records. Runs in mx and in commands. */
#pragma once

#include "lib/dns.h"
#include "lib/net.h"

enum {                            /* of one check, over all records it reads (4.6.4) */
	SPFMAX_TERMS = 10,        /* that need DNS */
	SPFMAX_VOID = 2,          /* of those, answered with nothing */
	SPFMAX_HOSTS = 10,        /* of one mx; names of the client that are looked at */
	SPFMAX_LOOKUPS = 64,      /* different questions */
	SPFMAX_TEXT = 128 * 1024, /* octets of records */
	SPFMAX_EXPLANATION = 450  /* octets of the explanation: it has to fit into a reply */
};

enum spf_result { /* 2.6 */
	SPFRES_NONE,
	SPFRES_NEUTRAL,
	SPFRES_PASS,
	SPFRES_FAIL,
	SPFRES_SOFTFAIL,
	SPFRES_TEMPERROR,
	SPFRES_PERMERROR
};
const char *spf_result_name(enum spf_result r);

enum spf_identity { SPFID_MAIL_FROM, SPFID_HELO };

/* One question that was asked, and by which term first. */
struct spf_lookup {
	struct str name;
	enum dns_type type;
	enum dns_status status; /* DNS_SERVFAIL as well when it was still out at the end */
	size_t n;               /* records */
	struct str asked_by;    /* "record", "explanation" or a term as published */
	struct str asked_at;    /* the domain whose record has that term */
	struct dns_query query; /* private */
};

struct spf_check {
	/* in */
	struct dns *dns;
	struct dns_budget *budget; /* of the message, NULL = none */
	struct task *task;         /* woken while the check waits */
	struct arena *arena;       /* for all results; takes less than 1 MB */
	enum spf_identity identity;
	struct net_addr client;
	struct str helo;          /* as the client said it */
	struct str local, domain; /* of the reverse-path; U-labels are fine (RFC 8616) */
	struct str receiver;      /* our host name, for %{r} and the field */
	int64_t now_us;           /* for %{t} */
	/* out, once finished */
	enum spf_result result;
	struct str checked;     /* the domain that was checked, A-labels: MAIL FROM's or HELO's */
	struct str sender;      /* <sender> of 4.1 */
	struct str term;        /* that decided, as published; "" when none did */
	struct str term_at;     /* the domain whose record has it */
	struct str why;         /* one sentence */
	struct str explanation; /* by the domain's owner when result is fail, else "": US-ASCII */
	struct spf_lookup **lookups;
	size_t lookups_n;
	unsigned terms, voids; /* counted against the limits */
	/* private */
	struct spf_run *run;
};

/* Set the fields under `in`, then start. The null reverse-path (local and domain empty) checks
   postmaster@HELO (2.4). Strings are borrowed until spf_check_fini. */
void spf_check_start(struct spf_check *c);
/* 1 finished, 0 return STEP_WAIT and call again when woken. */
int spf_check_step(struct spf_check *c);
/* Cancel or release what is asked. Results stay. Harmless when never started (all zeros). */
void spf_check_fini(struct spf_check *c);

/* Append a Received-SPF field (9.1) about a finished check, folded, with its CRLF. */
void spf_received(const struct spf_check *c, struct buf *out);
