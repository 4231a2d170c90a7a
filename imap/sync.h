/* Bringing the view of a session up to the mailbox. */
#pragma once

#include "imap/session.h"

/* Fill an empty view with the mailbox as the snapshot shows it: SELECT. The client is told by the
   caller. */
int view_load(struct view *v, struct snap *sn, const struct mbox *mb);
/* "(\Answered \Flagged ... $Work)": the flags a client may meet in the mailbox. */
void imap_flag_list(const struct str *keywords, bool permanent, struct buf *out);
/* How many keywords have names. */
uint32_t keywords_count(const struct str *keywords);
