/* What is written down about a transaction. */
#pragma once

#include "smtp/session.h"

/* Fill a record about s->env: strings borrowed, lists from `a`. `reply` is what we answer to the
   message. */
void audit_fill(
	struct session *s, uint8_t kind, struct str reply, struct arena *a, struct audit *out);
/* A transaction ends without a commit: record what was refused in it, if anything. Not waited for.
 */
void audit_refused(struct session *s);
/* Records still on their way are given up (the role ends). */
void audit_abandon(struct server *sv);
