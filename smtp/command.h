/* Command lines of SMTP and LMTP taken apart (RFC 5321 4.1, 3461 4, 1870, 6152, 6531, 3030, 4954).
   Pure functions over one line without its CRLF. */
#pragma once

#include "smtp/path.h"
#include "store/store.h"

enum {
	COMMAND_VERB_MAX = 12,
	COMMAND_PARAMS_MAX = 16, /* on one MAIL or RCPT */
	COMMAND_XTEXT_MAX = 500, /* ENVID has 100 (RFC 3461 4.4), ORCPT 500 */
	COMMAND_HELO_MAX = 255
};

/* What is wrong, for the table of replies. */
enum command_error {
	COMMAND_OK,
	COMMAND_SYNTAX,        /* 501 5.5.4 */
	COMMAND_BAD_PATH,      /* 501 5.1.7 / 5.1.3 */
	COMMAND_PARAM_UNKNOWN, /* 555 5.5.4 */
	COMMAND_PARAM_BAD,     /* 501 5.5.4 */
	COMMAND_NEEDS_UTF8     /* 553 5.6.7: a non-ASCII address without SMTPUTF8 */
};

/* Verb and arguments: the verb up to the first blank, the arguments without blanks at both ends.
   ERR_SYNTAX when there is no verb of letters, or a control octet (NUL, ...) stands in the line. */
int command_cut(struct str line, struct str *verb_out, struct str *args_out);

struct mail_args {
	struct path from;
	uint64_t size;    /* SIZE=, 0 = not told (RFC 1870) */
	uint8_t body;     /* BODY_8BIT, BODY_BINARY, BODY_SMTPUTF8 */
	uint8_t ret;      /* RET_* (RFC 3461 4.3) */
	struct str envid; /* as written, xtext */
};
/* "FROM:<a@b> SIZE=3 ...". Strings from `a`. `with_auth`: AUTH= is offered: it
   is checked, and trusted no further than the login itself (RFC 4954 5). */
enum command_error mail_args_parse(
	struct str args, bool with_auth, struct arena *a, struct mail_args *out);

struct rcpt_args {
	struct path to;
	uint8_t notify;   /* mask of NOTIFY_*, 0 = not told */
	struct str orcpt; /* "rfc822;xtext" as written */
};
/* "TO:<a@b> NOTIFY=...". `utf8`: MAIL said SMTPUTF8. */
enum command_error rcpt_args_parse(
	struct str args, bool utf8, struct arena *a, struct rcpt_args *out);

/* "1234 LAST" (RFC 3030 2). ERR_LIMIT when the number does not fit 63 bits. */
int bdat_args_parse(struct str args, uint64_t *size_out, bool *last_out);

/* The argument of HELO and EHLO: printable, without blanks, at most COMMAND_HELO_MAX octets. */
bool helo_valid(struct str args);
