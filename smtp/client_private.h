/* What the files of a session out share. A function that answers an enum step is the end of the
   step that calls it. */
#pragma once

#include "smtp/client.h"

enum { CLIENT_TEXT_MAX = 500 };
static const int64_t CLIENT_COMMAND_US = 300 * SECOND_US; /* RFC 5321 4.5.3.2 */

static inline struct client *client_of(struct task *t)
{
	return task_of(t, struct client, task);
}

/* Wait for one reply, then go on with `after`. */
enum step client_await(struct client *c, int64_t within_us, enum step (*after)(struct client *));
/* 1 a whole reply has come, 0 not yet, < 0 it is none. A peer that closes may have told why. */
int client_reply_come(struct client *c);

/* A sentence of ours with the host's name: people find it nowhere else in a report. */
struct str client_with_host(struct client *c, const char *text);

/* RFC 5321 4.1.1.10: whoever listens still is told that we leave. */
enum step client_quit(struct client *c);
/* This host will not do: its reply says why. */
enum step client_refused(struct client *c);
/* There is nobody to talk to any more; `status` of RFC 3463. */
enum step client_lost(struct client *c, const char *status, const char *how);

/* client_mail.c: the session is ready for its transaction. */
enum step client_mail(struct client *c);
