/* The client side of one SMTP or LMTP session, RFC 5321 and RFC 2033: greeting, EHLO or LHLO,
   STARTTLS and AUTH are done here, commands are the mode's. Every reply is checked for its form
   and for the code that was expected when the command was queued. */
#pragma once

#include "t/bench/peer.h"

enum { SMTP_EXPECTED_MAX = 4096 };

struct smtp {
	struct peer peer;
	struct bench *bench;
	bool lmtp, login; /* set before smtp_open */
	enum tls tls;
	uint64_t port;
	/* Ready for commands, and later: all replies to what was sent are in. */
	void (*next)(struct smtp *s);
	/* The session broke (already counted as an error). */
	void (*broken)(struct smtp *s);

	enum {
		SMTP_GREETING,
		SMTP_HELLO,
		SMTP_XCLIENT,
		SMTP_TLS,
		SMTP_HELLO_TLS,
		SMTP_AUTH,
		SMTP_READY
	} phase;
	bool told; /* XCLIENT has been sent */
	struct buf line;
	uint16_t expected[SMTP_EXPECTED_MAX];
	size_t expected_n, answered_n;
};

void smtp_open(struct smtp *s, struct bench *b);
/* Queue a command (without CRLF) whose last reply line must carry `code`. */
void smtp_command(struct smtp *s, uint16_t code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One more reply will come, to what was put into s->peer.out directly. */
void smtp_expect(struct smtp *s, uint16_t code);
/* Send what is queued. */
void smtp_flush(struct smtp *s);
void smtp_fini(struct smtp *s);
