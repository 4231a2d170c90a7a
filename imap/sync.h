/* Flags as a client meets them, for SELECT and session_sync. */
#pragma once

#include "imap/session.h"

/* "(\Answered \Flagged ... $Work)": the flags a client may meet in the mailbox. */
void imap_flag_list(const struct str *keywords, bool permanent, struct buf *out);
/* How many keywords have names. */
uint32_t keywords_count(const struct str *keywords);
/* Tell new keyword names, if there are any: the client must know them before it meets them
   (RFC 9051 7.3.5). */
void sync_keywords(struct session *s, const struct str *names);
