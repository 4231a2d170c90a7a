/* The commands and capabilities there are. */
#pragma once

#include "imap/session.h"

/* NULL: no such command. */
const struct command_row *command_find(struct str name);
/* "IMAP4rev2 IMAP4rev1 ...", what is offered in the session's state, without "CAPABILITY". */
void capability_text(const struct session *s, struct buf *out);
/* Whether a password may come over this connection now (RFC 9051 6.2.3, 11.2). */
bool capability_login(const struct session *s);

/* login.c */
enum step cmd_capability(struct session *s);
enum step cmd_noop(struct session *s);
enum step cmd_logout(struct session *s);
enum step cmd_id(struct session *s);
enum step cmd_starttls(struct session *s);
enum step cmd_login(struct session *s);
enum step cmd_authenticate(struct session *s);

enum step cmd_enable(struct session *s); /* enable.c */
enum step cmd_idle(struct session *s);   /* idle.c */
enum step cmd_append(struct session *s); /* append.c */
