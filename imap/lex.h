/* Reading IMAP's grammar (RFC 9051 9): pure functions over one whole command, whose literals stand
   in place as "{n}CRLF" and n octets. Strings are borrowed from the input or live in the arena. All
   answer true when the thing was there; else the place does not move and `error` says what was
   expected. */
#pragma once

#include "lib/lib.h"
#include "store/op.h"

enum {
	LEX_SEQ_RANGES_MAX = 20000, /* ranges in a sequence set */
};

struct lex {
	struct str in;
	size_t at;
	struct arena *arena;
	const char *error;           /* "expected a number"; NULL while all went well */
	bool utf8;                   /* IMAP4rev2 is on: mailbox names are UTF-8, not UTF-7 */
	struct str mailbox, oldname; /* of the last lex_mailbox: the name, and how it was written
					when that is not the same (else empty) */
};

bool lex_end(const struct lex *l); /* nothing left */
bool lex_space(struct lex *l);     /* exactly one SP */
bool lex_chr(struct lex *l, char c);
/* The next octet without taking it; 0 at the end. */
char lex_peek(const struct lex *l);
/* This word in any case, as a whole atom: followed by SP, a special or the end. */
bool lex_word(struct lex *l, const char *word);
bool lex_atom(struct lex *l, struct str *out);
bool lex_astring(struct lex *l, struct str *out); /* atom with ']', quoted, literal */
bool lex_string(struct lex *l, struct str *out);  /* quoted or literal ({n}, {n+}, ~{n}) */
/* NIL gives out->p == NULL. */
bool lex_nstring(struct lex *l, struct str *out);
bool lex_number(struct lex *l, uint32_t *out); /* 0..2^32-1 */
bool lex_nz_number(struct lex *l, uint32_t *out);
bool lex_number64(struct lex *l, uint64_t *out); /* 0..2^63-1 */
/* astring as a mailbox name in UTF-8, normalized (RFC 9051 5.1): in NFC; "inbox" in any case
   becomes "INBOX" (also as first level). */
bool lex_mailbox(struct lex *l, struct str *out);
/* LIST patterns: atom with wildcards, or string. Decoded like lex_mailbox. */
bool lex_list_mailbox(struct lex *l, struct str *out);
/* One flag: "\Seen" or a keyword, as written. */
bool lex_flag(struct lex *l, struct str *out);

/* A sequence set, "2,4:7,9:*" or "$" (RFC 5182). `*` is UINT32_MAX until the caller puts the
   largest number in its place. Ranges as written, each lo <= hi but for one with '*'. */
struct seqset {
	struct uid_range *ranges;
	uint32_t n;
	bool saved; /* "$" */
};
bool lex_seqset(struct lex *l, struct seqset *out);
