/* Flags as clients write them (RFC 9051 2.3.2), for STORE, APPEND and SEARCH. */
#pragma once

#include "imap/lex.h"

struct flag_list {
	uint64_t flags; /* FLAG_SYSTEM */
	struct wire_str_item *keywords;
	uint32_t keywords_n;
	bool too_many; /* more keywords, or longer ones, than a mailbox can have: NO [LIMIT] */
};
/* "(\Seen foo)", or without parentheses when `bare`. No doubles. False with lex->error. */
bool flag_list_parse(struct lex *l, bool bare, struct flag_list *out);
