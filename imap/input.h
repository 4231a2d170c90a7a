/* Collecting one command: lines and literals from the connection, whole before anything looks at
   it (RFC 9051 2.2.1, 4.3; LITERAL+ RFC 7888). The message literals of APPEND are the exception:
   input stops before each and APPEND streams it. What is too long or malformed is read to its end
   and never parsed, so that no octet of a literal is ever taken for a command. */
#pragma once

#include "imap/session.h"

enum {
	IMAP_COMMAND_EARLY_MAX = 8 * 1024, /* a whole command before login */
	IMAP_TAG_MAX = 128
};

enum input_result {
	INPUT_WAIT,    /* not all is there: STEP_IN */
	INPUT_COMMAND, /* `text` is the whole command without the last CRLF */
	INPUT_MESSAGE, /* APPEND: `text` is what stands before the literal `message` */
	INPUT_BAD,     /* read to its end, not to be run: answer `code` and `why` */
	INPUT_SKIPPED, /* the rest of a command that was answered already */
	INPUT_HOPELESS /* more to be skipped than we care to read: close */
};

struct imap_input {
	struct buf text;
	unsigned phase;
	size_t line_octets; /* of the command, without literals */
	size_t line_at;     /* in `text`: where the line being read begins */
	uint64_t left;      /* octets of the literal being read */
	bool append;        /* literals from here on are messages */
	bool done;          /* nothing of this command is left to be read */
	bool answered, hopeless;
	const char *code, *why; /* INPUT_BAD; `code` may be NULL */
	struct str tag;         /* INPUT_BAD: of the command, in the session's arena */
	struct {
		uint64_t size;
		bool sync;   /* the client waits for "+" */
		bool binary; /* ~{n}: may hold NUL */
	} message;
};

/* Go on reading; makes s->input when there is none. */
enum input_result imap_input_read(struct session *s);
/* The tag at the start of a command, with the space behind it left out; empty when there is no
   valid one. */
struct str imap_input_tag(struct str text);

/* After INPUT_MESSAGE: let the octets come. */
void imap_input_accept(struct session *s);
/* The octets of the message that are there, eaten; empty when none are. input->left counts what is
   still to come. */
struct str imap_input_message(struct session *s);
/* All octets of the message were taken: go on with imap_input_read, whose `text` starts behind it.
 */
void imap_input_message_end(struct session *s);

/* The command was answered: what of it is still to come will be skipped. Frees the input when
   nothing is. */
void imap_input_end(struct session *s);
void imap_input_free(struct session *s);
