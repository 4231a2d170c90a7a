/* The header of a message on its way in, looked at and added to: trace fields (RFC 5321 4.4) and
   what submission owes (RFC 6409 8). Pure functions. */
#pragma once

#include "lib/lib.h"

enum {
	TRACE_MSGID_MAX = 500,
	TRACE_LIST_ID_MAX = 255, /* RFC 2919 2 */
	TRACE_DELIVERED_MAX = 50 /* Delivered-To fields looked at; more are a loop in any case */
};

struct trace {
	struct str helo; /* as given */
	struct str name; /* of the client, when told (XCLIENT), else empty */
	struct str addr; /* its address literal, "[192.0.2.1]", or empty */
	struct str host; /* us */
	struct str with; /* "ESMTPS", ... */
	struct str tls;  /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty */
	struct str id;
	struct str rcpt; /* the only recipient; empty when there are several */
	int64_t time_us;
};
/* The Received field, with its last CRLF, no line longer than it must be. */
void trace_received(const struct trace *t, struct buf *out);
/* Protocol name of RFC 3848 and RFC 6531: SMTP, ESMTP, ESMTPSA, LMTPS, UTF8SMTPSA, ... */
struct trace_proto {
	bool lmtp, extended, tls, login, utf8;
};
const char *trace_with(const struct trace_proto *p, char out[16]);

/* Octets up to and with the empty line, 0 when it has not come yet. *scanned (0 at first) remembers
   how far an earlier call looked. */
size_t trace_header_end(struct str in, size_t *scanned);

/* What one walk over the header finds. */
struct header_facts {
	unsigned received;                   /* Received fields */
	unsigned from;                       /* From fields */
	struct str from_value, sender_value; /* of the first; empty when there is none */
	bool sender, date, msgid, msgid_empty, bcc, return_path;
	struct str msgid_value;                    /* trimmed */
	struct str list_id;                        /* RFC 2919, without brackets */
	struct str delivered[TRACE_DELIVERED_MAX]; /* values of Delivered-To */
	unsigned delivered_n;                      /* as many as there are */
};
void header_look(struct str header, struct header_facts *out);
/* Copy the header to `out` without Return-Path: it is made at final delivery, from the envelope,
   and not sent on (RFC 5321 4.4). All else stays octet for octet. */
void header_without_return_path(struct str header, struct buf *out);
/* A Delivered-To field names this recipient. */
bool header_was_delivered_to(const struct header_facts *f, struct str rcpt);
/* Copy the header (which ends with its empty line) to `out` without Bcc, and with Date and
   Message-ID when they are missing (RFC 6409 8.1-8.3); an empty Message-ID is missing. `id` makes
   the Message-ID unique. */
void header_complete(struct str header, const struct header_facts *f, int64_t now_us, struct str id,
	struct str host, struct buf *out);
