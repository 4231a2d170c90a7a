/* The parse record of a stored message: what IMAP answers without reading the message again.
   Packed by lib/wire, stored beside the object, offsets relative to the stored octets. */
#pragma once

#include "lib/mime.h"
#include "lib/wire.h"

struct mimerec_part {
	uint32_t parent, number;
	uint8_t kind;     /* enum mime_kind */
	uint8_t transfer; /* enum transfer */
	uint64_t header_off;
	uint32_t header_len;
	uint64_t body_len;
	uint32_t lines;
	struct str type, subtype, charset;
};

struct mimerec {
	struct str envelope;      /* "(...)" as FETCH ENVELOPE answers it (RFC 9051 7.5.2) */
	struct str body;          /* "(...)": BODY */
	struct str bodystructure; /* "(...)": BODYSTRUCTURE */
	struct str hot;    /* the fields every client asks for, octet by octet in their order, each
			      with its CRLF: see mimerec_is_hot */
	bool hot_complete; /* all hot fields of the header are in `hot` */
	uint32_t header_len;
	int64_t sent_us;   /* Date:, 0 = none or unreadable */
	uint32_t sent_day; /* day since the epoch in the zone of Date:, 0 = none */
	struct mimerec_part *parts;
	uint32_t parts_n;
};
extern const struct wire wire_mimerec;

/* Fields kept in `hot`: From, Sender, Reply-To, To, Cc, Bcc, Subject, Date, Message-ID,
   In-Reply-To, References, Content-Type, Content-Transfer-Encoding, MIME-Version, List-Id,
   List-Post, List-Unsubscribe, X-Priority, Priority, Importance, Newsgroups, Followup-To,
   Disposition- Notification-To, Delivered-To, X-Spam-Flag, X-Spam-Status. Any case. */
bool mimerec_is_hot(struct str name);

/* Build and append the packed record of an ended parse. */
void mimerec_build(const struct mime *m, struct buf *out);
/* Lists come from `a`. ERR_SYNTAX on a damaged record. */
int mimerec_read(struct str packed, struct arena *a, struct mimerec *out);

/* Hashes (under no key: the same everywhere) of the ids that tie a message to its thread: its own
   Message-ID first (0 when it has none), then those of In-Reply-To and References, no doubles. At
   most `max`; returns how many. */
size_t mimerec_refs(const struct mime *m, uint64_t *out, size_t max);

/* Append `s` as an IMAP nstring: NIL when s.p is NULL, quoted when it can be, else a literal. */
void imap_nstring(struct str s, struct buf *out);
