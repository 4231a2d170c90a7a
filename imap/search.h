/* SEARCH (RFC 9051 6.4.4; RFC 3501 6.4.4; ESEARCH RFC 4731; SEARCHRES RFC 5182; MODSEQ RFC 7162;
   WITHIN RFC 5032; OBJECTID RFC 8474; SAVEDATE RFC 8514). search_parse.c makes a tree of keys,
   search_match.c asks it about one message, search.c walks the mailbox. */
#pragma once

#include "imap/session.h"
#include "lib/codec.h"
#include "lib/mimerec.h"

enum {
	SEARCH_DEPTH_MAX = 32,
	SEARCH_KEYS_MAX = 1000,
	SEARCH_STRING_MAX = 4096 /* octets of a string to look for */
};

enum search_kind {
	SEARCH_ALL,
	SEARCH_NONE, /* \Recent: no message is */
	SEARCH_AND,  /* all of `child` */
	SEARCH_OR,   /* one of `child` */
	SEARCH_NOT,  /* not `child` */
	SEARCH_SET,
	SEARCH_FLAGS,
	SEARCH_KEYWORD,
	SEARCH_SIZE,
	SEARCH_DATE,
	SEARCH_SENT,
	SEARCH_SAVED,
	SEARCH_AGE,
	SEARCH_MODSEQ,
	SEARCH_EMAILID,
	SEARCH_THREADID,
	SEARCH_HEADER,
	SEARCH_BODY,
	SEARCH_TEXT
};

enum match { MATCH_UNKNOWN, MATCH_NO, MATCH_YES };

struct search_key {
	struct search_key *next;  /* in the parent's list */
	struct search_key *child; /* AND, OR, NOT */
	struct search_key *more;  /* in the request's list of all keys */
	enum search_kind kind;

	struct seqset set; /* SET */
	bool uid;
	struct uid_range *ranges; /* of indexes into the view: search.c */
	size_t ranges_n;

	uint64_t mask, want; /* FLAGS: flags & mask == want; KEYWORD: want says which */
	int64_t lo, hi;  /* SIZE, MODSEQ: octets, numbers; DATE, SENT, SAVED: days; AGE: seconds.
			    Both inclusive */
	uint64_t id;     /* EMAILID, THREADID */
	struct str name; /* HEADER: the field; KEYWORD */
	struct str text; /* HEADER, BODY, TEXT: in UTF-8, folded */
	bool hot;        /* HEADER: the field is in mimerec.hot */
	bool address;    /* HEADER: FROM, TO, CC, BCC: addresses count as the envelope has them */

	enum match state; /* HEADER, BODY, TEXT: what is known of the message at hand */
};

enum { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16 };

struct search_request {
	bool extended;    /* RETURN was given */
	unsigned returns; /* mask; RETURN_ALL when nothing is said */
	bool bad_charset;
	bool modseq;             /* MODSEQ stands somewhere */
	struct search_key *root; /* an AND */
	struct search_key *all;  /* every key, by `more` */
	size_t text_max;         /* the longest `text` */
	unsigned keys;
};

/* The arguments of SEARCH up to the end of the command. False with lex->error. Allocates from the
   lexer's arena. An unknown CHARSET is no error but `bad_charset`. */
bool search_parse(struct lex *l, struct search_request *out);

/* --- search_match.c --- */

/* A message as the matcher sees it. */
struct search_message {
	const struct msg *msg;
	uint32_t index; /* into the view */
	int64_t now_us;
	/* NULL when it cannot be read. */
	const struct mimerec *(*record)(void *ctx);
	/* Octets of prefix and message from `off`, as snap_msg_bytes. */
	int (*bytes)(void *ctx, uint64_t off, struct str *out);
	void *ctx;
};

/* The state of matching one message, over as many steps as it takes. All zeros but `req` = ready.
 */
struct matcher {
	struct search_request *req;
	enum { MATCH_ROW, MATCH_RECORD, MATCH_HEADER } stage; /* what was asked last; then bodies */
	int64_t cost; /* what was spent since the caller set it, roughly octets */
	/* Bodies: the part being read. */
	uint32_t part;
	bool in_part;
	uint64_t at; /* octets of its body that were read */
	struct transfer_decoder decoder;
	struct buf decoded, utf8, folded, header, line;
	struct arena addresses;
};

/* Begin with another message. */
void matcher_reset(struct matcher *m);
void matcher_fini(struct matcher *m);
/* MATCH_UNKNOWN: `budget` (at least one piece) is spent, call again with the same message. What
   cannot be read does not match. */
enum match matcher_run(struct matcher *m, const struct search_message *sm, int64_t budget);
