/* A FETCH on its way: fetch.c has the messages, fetch_send.c the items of one. */
#pragma once

#include "imap/fetch.h"
#include "imap/record.h"
#include "imap/uidset.h"
#include "imap/walk.h"

enum phase {
	ITEM_START,
	ITEM_MEASURE, /* the size of decoded content */
	ITEM_STREAM,  /* octets of the message as they are */
	ITEM_DECODE   /* decoded content */
};

struct fetch {
	struct session *s;
	const struct fetch_request *req;
	session_step then;
	struct walk walk;
	bool unknown_cte;
	bool damaged; /* something could not be read */

	/* Messages that this command made \Seen. */
	struct uidset seen;
	uint64_t seen_modseq;

	/* The message being sent. */
	bool open;
	struct msg msg;
	char prefix[PREFIX_MAX]; /* where msg.prefix lives between steps */
	const struct fetch_item *item;
	enum phase phase;
	struct extent left;    /* ITEM_STREAM: of the message; ITEM_DECODE: of the decoded text */
	bool exact;            /* ITEM_STREAM: NUL may be sent */
	struct chunk_id sound; /* what the last step's snapshot knew */
	struct binary binary;

	/* Of one step. */
	struct snap *snap;
	int64_t budget;
	struct str keywords[KEYWORDS_MAX];
	bool has_keywords;
	struct record record;
	struct buf scratch, header;
};

/* Send the next of f->item, within f->budget. STEP_MORE when it went on (f->item is NULL behind the
   last), STEP_OUT, STEP_WAIT when the budget is spent, STEP_CLOSE. */
enum step fetch_send_item(struct fetch *f);
/* An item that needs no more than the message's row or parse record. */
void fetch_send_small(struct fetch *f, const struct fetch_item *it);
/* A part of a message that was announced cannot be read: the dialogue cannot go on. STEP_CLOSE. */
enum step fetch_broken(struct fetch *f, int rc);
