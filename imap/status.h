/* STATUS items (RFC 9051 6.3.11, 7.3.4), for STATUS and LIST RETURN (STATUS ...). */
#pragma once

#include "imap/session.h"

/* "(MESSAGES UIDNEXT ...)" as a mask. False with lex->error. */
bool status_items(struct lex *l, uint32_t *items_out);
/* "* STATUS name (...)" of a mailbox. */
void status_put(struct session *s, struct str name, const struct mbox *mb, uint32_t items);
/* HIGHESTMODSEQ was asked for: a CONDSTORE enabling command (RFC 7162 3.1.2). */
bool status_wants_modseq(uint32_t items);
