/* Audit records as people and as programs read them. */
#pragma once

#include "store/op.h"

/* Append the record as a tree of lines, or as one JSON object. Mailboxes are named by what stands
   in the store now. Whatever came from outside is written without control characters. */
void explain_text(struct snap *sn, struct arena *a, const struct audit *au, struct buf *out);
/* Several lines without other control characters. */
void explain_clean(struct str text, struct buf *out);
void explain_json(struct snap *sn, struct arena *a, const struct audit *au, struct buf *out);
