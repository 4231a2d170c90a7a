/* What can go wrong outside of us. Functions answer 0 (or 1, STYLE 9) or one of these; never errno.
 */
#pragma once

enum {
	ERR_AGAIN = -1,    /* not now: a peer role is away, a resolver failed, try later */
	ERR_IO = -2,       /* the operating system said no */
	ERR_GONE = -3,     /* what was named does not exist (any more) */
	ERR_EXISTS = -4,   /* it is there already */
	ERR_QUOTA = -5,    /* over the owner's quota */
	ERR_FULL = -6,     /* disk or map full: nobody can write now */
	ERR_SYNTAX = -7,   /* malformed input */
	ERR_LIMIT = -8,    /* a named limit was passed */
	ERR_DENIED = -9,   /* not allowed */
	ERR_CLOSED = -10,  /* the peer closed */
	ERR_TIMEOUT = -11, /* a deadline passed */
	ERR_DAMAGED = -12, /* stored data does not match its checksum */
	ERR_TLS = -13,     /* TLS handshake or record failure */
	ERR_INUSE = -14,   /* busy: not empty, locked by another process */
};

/* The sentence that goes with a negative answer: what, where and what to do. */
struct err {
	char text[400];
};

/* Fill `e` (NULL is fine) and return `code`, so that `return err_set(e, ERR_IO, "...")` reads well.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A short fixed word for the code: "gone", "quota", ... */
const char *err_name(int code);
