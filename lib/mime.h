/* The structure of a message (RFC 2045-2049, 5322), found while its octets stream by. Only headers
   are kept (up to MIME_HEADERS_MAX over all parts), never bodies. Beyond a limit the rest of the
   message is one opaque part: nothing is refused here. */
#pragma once

#include "lib/codec.h"
#include "lib/head.h"

enum {
	MIME_HEADER_MAX = 256 * 1024,   /* of one part; more counts as its body */
	MIME_HEADERS_MAX = 1024 * 1024, /* of all parts together */
	MIME_PARTS_MAX = 1000,
	MIME_DEPTH_MAX = 50,
	MIME_BOUNDARY_MAX = 200
};

enum mime_kind {
	MIME_TEXT,
	MIME_MULTIPART,
	MIME_MESSAGE /* message/rfc822, message/global */,
	MIME_OTHER
};

/* Parts stand in document order, a parent before its children. Part 0 is the message itself. The
   message inside a message/rfc822 part is a part of its own, its only child. */
struct mime_part {
	uint32_t parent; /* index; of part 0: 0 */
	uint32_t depth;
	uint32_t number; /* 1..n among its siblings */
	uint32_t children;
	enum mime_kind kind;
	uint64_t header_off; /* within the message */
	uint32_t header_len; /* with the empty line that ends it */
	uint64_t body_len;   /* body_off = header_off + header_len */
	uint32_t lines;      /* of the body: LFs */
	struct str header;   /* the octets, kept by the parser */
	/* Out of the header; empty = not given. Type and subtype have their defaults filled in. */
	struct head_typed type;
	struct str encoding; /* Content-Transfer-Encoding as written; "7bit" when absent */
	enum transfer transfer;
	struct head_typed disposition;
	struct str id, description, md5, language, location; /* unfolded */
};

struct mime;

struct mime *mime_new(void);
void mime_free(struct mime *m); /* NULL is fine */
void mime_add(struct mime *m, struct str s);
/* No more octets. Idempotent. */
void mime_end(struct mime *m);
/* Trace fields above the octets that were parsed, known only after the last of them: part 0's
   header begins with `top`, everything else moves down. After mime_end; each with its CRLF. */
void mime_top(struct mime *m, struct str top);
/* The header of part 0 is complete: part 0 may be looked at, all but body_len and lines. */
bool mime_header_done(const struct mime *m);
/* Do the octets that come next belong to the header of the part that began last? Else to its body,
   or to what stands between parts. */
bool mime_in_header(const struct mime *m);
uint64_t mime_size(const struct mime *m);
size_t mime_parts(const struct mime *m);
const struct mime_part *mime_part(const struct mime *m, size_t i);
/* A limit was met. */
bool mime_truncated(const struct mime *m);
