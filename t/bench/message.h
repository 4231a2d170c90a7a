/* The message that is sent: deterministic, multipart, of an exact size, with the number of the copy
   in its Subject and Message-ID. */
#pragma once

#include "lib/lib.h"

enum { MESSAGE_SIZE_MIN = 700 };

struct message {
	struct buf text;
	size_t author_at;    /* where the address of From stands */
	size_t number_at[2]; /* where the ten digits of the number stand */
};

/* Lines end in CRLF, none begins with a dot, none is longer than 78 octets. `size` in octets, at
   least MESSAGE_SIZE_MIN. */
void message_init(struct message *m, size_t size);
/* Put the fields in `file` (octets as they are) before it. False when there are none to read. */
bool message_prepend(struct message *m, const char *file);
/* Who writes it from now on, at most 40 octets: a user who submits must be the author. */
void message_author(struct message *m, struct str address);
void message_fini(struct message *m);
/* Add copy `number` to `out`. */
void message_render(struct message *m, uint64_t number, struct buf *out);
