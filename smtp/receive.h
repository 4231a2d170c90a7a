/* The message of a transaction while it arrives: its header held until it is complete and judged,
   its body straight into the store's spool. */
#pragma once

#include "auth/authors.h"
#include "lib/addr.h"
#include "smtp/dot.h"
#include "smtp/session.h"
#include "smtp/trace.h"
#include "store/spool.h"

struct intake {
	struct dot dot;
	struct arena arena;
	struct spool *spool; /* NULL until the header has been let through */
	struct buf header;   /* what came until then */
	size_t scanned, header_len;
	bool header_done; /* judged; the rest goes into the spool */
	bool header_due;  /* complete, and now to be judged */
	bool chunked;     /* came by BDAT */
	struct header_facts facts;
	struct addr *authors; /* whom From names, in submission Sender, too; in arena */
	size_t authors_n, author_at;
	struct authors author_domains; /* from outside: what DMARC takes for the author */
	enum authors_fault author_fault;
	size_t forged;       /* Authentication-Results in our name that were taken out */
	struct str list_id;  /* without brackets, in arena */
	enum reply_id fault; /* why it will be refused; REPLY_N = it will not */
	struct str fault_detail;
	uint64_t size; /* octets so far, without stuffed dots */
	uint64_t chunk_left;
	bool last; /* the last chunk has begun */
	int64_t started_us;
	enum step (*resume)(struct task *); /* after the header was judged */
};

/* Begin the message of s->env. */
void intake_start(struct session *s, bool chunked);
void receive_register(void);         /* its counters */
void intake_free(struct intake *in); /* NULL is fine */
/* Take message octets. Nothing fails here: see in->fault. */
void intake_add(struct session *s, struct str octets);
/* Note why the message is refused; the first reason stays. */
void intake_fail(struct session *s, enum reply_id id, struct str detail);
/* The step that judges the header (policy, authors) and opens the spool; then in->resume. */
enum step receive_header(struct task *t);
/* The step behind the last octet: everything into one operation, and the replies. */
enum step receive_end(struct task *t);

/* submission.c: may this login write as these authors? Goes on to receive_open. */
enum step submission_authors(struct session *s);
enum step receive_open(struct session *s);
