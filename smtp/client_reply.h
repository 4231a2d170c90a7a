/* Replies of a server we talk to (RFC 5321 4.2). Pure; fed line by line. */
#pragma once

#include "lib/lib.h"

enum { CLIENT_REPLY_MAX = 8192, CLIENT_REPLY_LINES = 200 };

struct client_reply {
	int code;        /* 200..599 */
	struct buf text; /* lines without code, joined by LF */
	unsigned lines;
};

void client_reply_reset(struct client_reply *r);
void client_reply_fini(struct client_reply *r);
/* One line without CRLF: 1 the reply is complete, 0 more lines follow, ERR_SYNTAX not a reply,
 * ERR_LIMIT too long. */
int client_reply_line(struct client_reply *r, struct str line);
/* The enhanced status code that the text behind a reply's code begins with (RFC 2034), "" without
   one of its class. */
struct str reply_status(int code, struct str text);
struct str client_reply_status(const struct client_reply *r);
/* "550 5.1.1 no such user" on one line, at most `max` octets, every octet printable. */
void client_reply_text(const struct client_reply *r, size_t max, struct buf *out);
/* The parameters of an EHLO keyword (RFC 5321 4.1.1.1). False when it is not offered. */
bool client_reply_keyword(const struct client_reply *r, struct str keyword, struct str *params_out);
