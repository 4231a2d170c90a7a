/* Mod-sequences as a session's own commands meet them (RFC 7162). */
#pragma once

#include "imap/session.h"

/* The command being run is a CONDSTORE enabling one (RFC 7162 3.1): from now on every FETCH
   response carries MODSEQ. The first time the client is told HIGHESTMODSEQ. */
void condstore_enable(struct session *s);
/* A change of flags that this session made itself, `modseq`, was told by the command (or silenced):
   the next session_sync leaves it out, unless flags were changed by others, too. `modseq` 0:
   nothing changed. */
void condstore_told(struct session *s, uint64_t modseq);
