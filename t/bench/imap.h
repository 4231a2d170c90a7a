/* The client side of one IMAP session, RFC 9051: greeting, STARTTLS and LOGIN are done here,
   commands are the mode's. Responses are framed with their literals counted octet by octet; each
   command must end in a tagged OK, in the order they were sent. */
#pragma once

#include "t/bench/peer.h"

struct imap {
	struct peer peer;
	struct bench *bench;
	uint64_t port, user; /* set before imap_open, with the calls below */
	enum tls tls;
	/* Logged in, and later: every command is answered. */
	void (*next)(struct imap *s);
	/* One untagged response without "* " and CRLF; a literal is shown as its {n} only. May be
	 * NULL. */
	void (*untagged)(struct imap *s, struct str line);
	/* A continuation request. May be NULL. */
	void (*plus)(struct imap *s);
	/* The session broke (already counted as an error). */
	void (*broken)(struct imap *s);

	enum { IMAP_GREETING, IMAP_TLS, IMAP_LOGIN, IMAP_READY } phase;
	uint64_t tag_sent, tag_done;
	uint64_t literal_left;
	uint64_t exists; /* by the last EXISTS */
	struct buf text; /* a response that is not complete */
	size_t line_at;  /* where its last line begins */
};

void imap_open(struct imap *s, struct bench *b);
/* Queue a command (without tag and CRLF). */
void imap_command(struct imap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Queue the tag only; the caller adds the command and its CRLF to s->peer.out. */
void imap_tag(struct imap *s);
void imap_flush(struct imap *s);
/* Count an error and break the session. */
void imap_fail(struct imap *s, const char *why, struct str line);
void imap_fini(struct imap *s);

/* "12 FETCH (...": the number in front when the word behind it is `word`; else false. */
bool imap_numbered(struct str line, struct str word, uint64_t *number_out);
/* The number behind `name` and a space, anywhere in the line: "RFC822.SIZE 1234". */
bool imap_item(struct str line, struct str name, uint64_t *number_out);
