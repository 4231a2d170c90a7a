/* A store in a directory of its own, and messages to put into it. For tests. */
#pragma once

#include "lib/mimerec.h"
#include "store/op.h"

struct fixture {
	char dir[64];
	struct store *s;
	struct arena a; /* replies, bodies */
	uint32_t aid;   /* of "u@example.test" */
	uint32_t inbox;
};

/* Make a store with one account. */
void fixture_start(struct fixture *f);
/* Close and open again, as after a restart. */
void fixture_reopen(struct fixture *f);
void fixture_end(struct fixture *f);
uint32_t fixture_account(struct fixture *f, const char *login);
/* A body from text; its octets live in f->a. */
void fixture_body(struct fixture *f, struct str text, struct op_body *out);
/* Deliver to one account's INBOX: rc; the UID through `uid_out` (may be NULL). */
int fixture_deliver(struct fixture *f, uint32_t aid, struct str text, uint32_t *uid_out);
uint32_t fixture_mailbox(struct fixture *f, const char *name);
/* Findings of fsck, each printed as a comment. */
int fixture_fsck(struct fixture *f, bool repair);
