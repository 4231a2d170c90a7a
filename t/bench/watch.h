/* Watches the users' INBOXes over IMAP, one session per user, until what was delivered is there. */
#pragma once

#include "t/bench/imap.h"

struct watch;

/* Log in for each of --users and count the messages that are there already. */
struct watch *watch_new(struct bench *b);
/* Ask by STATUS until each INBOX has grown by added[user]; too many is an error. */
void watch_wait(struct watch *w, const uint64_t *added);
void watch_free(struct watch *w); /* NULL is fine */
