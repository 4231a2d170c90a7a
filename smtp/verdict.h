/* What SPF, DKIM and DMARC say of one message from outside. Found out beside the dialogue: a task
   of its own asks the DNS while recipients are named and the body streams by, so that the client
   waits only for what is still out at the end. Runs in mx. Decides nothing: see policy_message.c.
 */
#pragma once

#include "smtp/session.h"

struct verdict;
struct intake;

/* For the open transaction of a session: begins with SPF for the name in HELO and for the
   reverse-path. NULL where nobody can be asked. */
struct verdict *verdict_new(struct session *s);
/* Cancels what is still out. NULL is fine. */
void verdict_free(struct verdict *v);
/* The whole header as it came, with its empty line, once, and who its author is. Asks for the keys
   of its signatures. */
void verdict_header(struct verdict *v, struct str header, const struct intake *in);
/* What comes behind it, in pieces. */
void verdict_body(struct verdict *v, struct str octets);
/* The message has ended, and with verdict_header was not refused: 1 all is known, 0 return
   STEP_WAIT and call again; `waiter` is woken. */
int verdict_finish(struct verdict *v, struct task *waiter);

/* --- verdict_tell.c: after verdict_finish has answered 1 --- */

/* What the checks of STAGE_END look at. */
void verdict_evidence(struct verdict *v, struct envelope *e);
/* The fields that stand on top of the message: Authentication-Results (RFC 8601) and Received-SPF
   (RFC 7208 9.1). `utf8`: the message came by SMTPUTF8. */
void verdict_fields(struct verdict *v, bool utf8, struct buf *out);
/* Every step for the audit record, also of a verdict that was never finished: rows below "spf",
   "dkim" and "dmarc". At most `max`; answers how many. Details from `a`. */
size_t verdict_steps(const struct verdict *v, struct arena *a, struct audit_check *out, size_t max);
