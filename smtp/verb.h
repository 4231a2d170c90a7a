/* The commands: one table, with what each needs before it may run. */
#pragma once

#include "smtp/session.h"

/* What must be true, in the order in which it is asked for. */
enum verb_needs {
	NEEDS_NO_ARGS = 1,
	NEEDS_HELO = 2,
	NEEDS_LOGIN = 4,   /* submission: TLS and AUTH before (RFC 6409 4.3) */
	NEEDS_NO_MAIL = 8, /* outside a transaction */
	NEEDS_MAIL = 16,
	NEEDS_RCPT = 32, /* one was accepted */
	IDLE = 64        /* says nothing about a message: counted */
};

/* Is all of `needs` true? If not, *missing_out is the reply. */
bool verb_may(const struct session *s, unsigned needs, enum reply_id *missing_out);
