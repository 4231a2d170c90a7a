/* Who wrote a message: the author domains out of its From field (RFC 9989 5.3.1, RFC 5322 3.6.2),
   read so that no reader can see another author than the one that is judged. */
#pragma once

#include "lib/lib.h"

enum { AUTHORS_MAX = 10 }; /* different domains; each may cost a walk through the DNS */

enum authors_fault {
	AUTHORS_OK,
	AUTHORS_NO_FIELD,  /* there is no From field */
	AUTHORS_FIELDS,    /* several, or lines that pass for one */
	AUTHORS_NOBODY,    /* the field names no mailbox */
	AUTHORS_UNCLEAR,   /* it can be read in more than one way */
	AUTHORS_NO_DOMAIN, /* a mailbox without a domain name: bare, or an address literal */
	AUTHORS_MANY       /* more than AUTHORS_MAX domains or ADDRS_MAX addresses */
};

struct authors {
	struct str domains[AUTHORS_MAX]; /* each once, as idn_domain writes them */
	size_t n;
};

/* `header`: all fields as they came, up to the empty line or the end. What is no AUTHORS_OK cannot
   be judged by DMARC, and is to be refused rather than guessed at. Strings out of `a`. */
enum authors_fault authors_find(struct str header, struct arena *a, struct authors *out);
/* What is wrong, as the end of a reply: "there is no From field". */
struct str authors_fault_text(enum authors_fault f);
