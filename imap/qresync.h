/* Quick resynchronization of SELECT and EXAMINE (RFC 7162 3.2.5). */
#pragma once

#include "imap/session.h"

struct qresync {
	uint32_t uidvalidity;
	uint64_t modseq;
	struct seqset known;         /* UIDs; none = all */
	struct seqset numbers, uids; /* what the client knows to belong together */
};

/* "(uidvalidity modseq [uids] [(numbers uids)])". False with lex->error. */
bool qresync_parse(struct lex *l, struct qresync *out);
/* Tell what changed in the mailbox that has just been selected, when it is the one the client
   knows, then go on with `then`. `q` must live as long as the command. */
enum step qresync_send(struct session *s, const struct qresync *q, session_step then);
