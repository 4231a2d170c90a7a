/* The handlers of the commands about mailboxes, for the command table. Rows that are alike share
   one and tell themselves apart by s->row->name. */
#pragma once

#include "imap/session.h"

enum step cmd_select(struct session *s);    /* select.c: SELECT, EXAMINE */
enum step cmd_unselect(struct session *s);  /* select.c: UNSELECT, CLOSE */
enum step cmd_create(struct session *s);    /* mailbox.c */
enum step cmd_delete(struct session *s);    /* mailbox.c */
enum step cmd_rename(struct session *s);    /* mailbox.c */
enum step cmd_subscribe(struct session *s); /* mailbox.c: SUBSCRIBE, UNSUBSCRIBE */
enum step cmd_list(struct session *s);      /* list.c */
enum step cmd_lsub(struct session *s);      /* list.c */
enum step cmd_status(struct session *s);    /* status.c */
enum step cmd_namespace(struct session *s); /* namespace.c */
