/* FETCH (RFC 9051 6.4.5, 7.5.2; RFC 3501 6.4.5): the items a client asks for, where their octets
   stand in a message, and the walk that sends them. fetch_parse.c reads the request,
   fetch_section.c finds octets by the parse record, fetch_item.c renders what is small,
   fetch_binary.c decodes, fetch.c walks the messages, fetch_send.c sends. */
#pragma once

#include "imap/session.h"
#include "lib/codec.h"
#include "lib/mimerec.h"

enum {
	FETCH_ITEMS_MAX = 500,
	FETCH_PATH_MAX = 60,       /* part numbers in a section; MIME_DEPTH_MAX and some */
	FETCH_COPY_MAX = 32 * 1024 /* octets up to which copying beats a system call of their own */
};

enum fetch_kind {
	FETCH_UID,
	FETCH_FLAGS,
	FETCH_INTERNALDATE,
	FETCH_SAVEDATE, /* RFC 8514 */
	FETCH_SIZE,
	FETCH_MODSEQ,  /* RFC 7162 */
	FETCH_EMAILID, /* RFC 8474 */
	FETCH_THREADID,
	FETCH_ENVELOPE,
	FETCH_BODY,
	FETCH_BODYSTRUCTURE,
	FETCH_SECTION,    /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
	FETCH_BINARY,     /* RFC 9051 6.4.5, 3516 */
	FETCH_BINARY_SIZE /* RFC 3516 4.3 */
};

enum section_text {
	SECTION_ALL, /* nothing behind the part numbers */
	SECTION_HEADER,
	SECTION_FIELDS,
	SECTION_FIELDS_NOT,
	SECTION_TEXT,
	SECTION_MIME
};

/* What stands between the brackets. */
struct section {
	uint32_t path[FETCH_PATH_MAX];
	uint32_t path_n;
	enum section_text text;
	struct str *fields; /* SECTION_FIELDS and _NOT */
	uint32_t fields_n;
	bool hot; /* all `fields` are in mimerec.hot */
};

struct fetch_item {
	struct fetch_item *next;
	enum fetch_kind kind;
	struct str label; /* as the answer names it: "BODY[TEXT]<0>" */
	bool seen;        /* sets \Seen */
	bool partial;
	uint64_t off, len; /* of the partial */
	struct section *section;
};

struct fetch_request {
	struct seqset set;
	struct fetch_item *items; /* without doubles of the small ones */
	uint32_t kinds;           /* mask of 1 << enum fetch_kind */
	bool sets_seen;
	bool changed; /* CHANGEDSINCE was given */
	uint64_t changed_since;
	bool vanished;
	uint32_t vanished_above; /* the client knows what became of UIDs up to this one */
};

/* "set SP items [SP modifiers]" up to the end of the command. False with lex->error. With `uid` the
   item UID is always there. Allocates from the lexer's arena. */
bool fetch_parse(struct lex *l, bool uid, struct fetch_request *out);
/* One more of the small items. */
void fetch_add(struct arena *a, struct fetch_request *req, enum fetch_kind kind);

/* --- fetch_section.c --- */

/* A range of a message's octets: prefix and stored object as one. */
struct extent {
	uint64_t off, len;
};
/* The part a path names: its index in rec->parts, or -1. `part` NULL-safe; an empty path is 0. */
ptrdiff_t section_part(const struct mimerec *rec, const struct section *sec);
/* Where the section stands (SECTION_FIELDS*: where the header stands that has to be filtered).
   `prefix_len` and `size` of the message, prefix included. False when there is no such part: NIL.
 */
bool section_extent(const struct mimerec *rec, const struct section *sec, size_t prefix_len,
	uint64_t size, struct extent *out);
/* Append the fields of `header` that the section wants, in their order, without an empty line. */
void section_filter(const struct section *sec, struct str header, struct buf *out);
/* NUL must not stand in a literal (RFC 9051 4.3.1, 9): from octet `from` on it becomes 0x80, as
   Dovecot has it, so that sizes stay. Not for BINARY. */
void section_without_nul(struct buf *text, size_t from);
/* Clamp to the partial of the item. */
struct extent extent_partial(struct extent e, const struct fetch_item *it);

/* --- fetch_item.c --- */

/* What the items of one message are rendered from. */
struct fetch_source {
	struct snap *snap;
	struct msg *msg;
	const struct str *keywords; /* by snap_keywords */
	const struct mimerec *rec;  /* NULL: not there (damaged or not asked for) */
};
/* A small item with its name: `UID 7`. Not for SECTION, BINARY and BINARY_SIZE. */
void fetch_item_put(const struct fetch_item *it, const struct fetch_source *src, struct buf *out);

/* --- fetch_binary.c --- */

/* Decoding of one part, which may take several steps: first its size, then its octets. All zeros
   but `in` and `kind` = at the start. */
struct binary {
	struct extent in;
	enum transfer kind;
	struct transfer_decoder decoder;
	uint64_t at;  /* octets of `in` that were read */
	uint64_t out; /* octets that came out of the decoder so far */
	uint64_t size;
	bool sized, nul; /* `size` and `nul` are known */
};
/* Read on to the end to learn the size, at most `budget` octets. 1 known, 0 call again, < 0 ERR_*.
 */
int binary_measure(
	struct binary *b, struct snap *sn, const struct msg *m, struct buf *scratch, size_t budget);
/* Decode a piece and append the octets of it that stand in `want` (of the decoded text). 1 all
   sent, 0 call again, < 0 ERR_*. */
int binary_decode(struct binary *b, struct snap *sn, const struct msg *m, struct extent want,
	struct buf *scratch, struct buf *out);

/* --- fetch_vanished.c --- */

/* The UIDs of the set that were expunged since req->changed_since, as "* VANISHED (EARLIER)"
   (RFC 7162 3.2.6). What the session still has in view comes later, without EARLIER. */
void fetch_vanished(struct session *s, const struct fetch_request *req);

/* --- fetch.c --- */

/* Send FETCH responses for the messages of `ranges` (indexes into the view), then go on with
   `then`. `req` and `ranges` must live as long as the command. Owns s->work until the command ends.
 */
enum step fetch_start(struct session *s, const struct fetch_request *req,
	const struct uid_range *ranges, size_t n, session_step then);
/* In `then`: some of the messages were not there any more. */
bool fetch_missed(const struct session *s);
