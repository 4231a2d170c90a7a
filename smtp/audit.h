/* What is written down about a transaction. */
#pragma once

#include "smtp/session.h"

/* Fill a record about s->env: strings borrowed, lists from `a`. `reply` is what we answer to the
   message. */
void audit_fill(
	struct session *s, uint8_t kind, struct str reply, struct arena *a, struct audit *out);
/* A transaction ends without a commit: record what was refused in it, if anything. Not waited for:
   such records go in batches, once a second. */
void audit_refused(struct session *s);
/* The same for a client that was sent away outside a transaction. */
void audit_turned_away(struct session *s, enum reply_id id, struct str detail);

void audit_start(struct server *sv);
/* The role stops: send what waits. True when all has been answered; else server_settle is called
   then. */
bool audit_settled(struct server *sv);
/* Records still on their way are given up (the role ends). */
void audit_abandon(struct server *sv);
