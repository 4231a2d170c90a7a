/* Handlers of the commands about mailboxes. Rows that are alike share one, by s->row->name. */
#pragma once

#include "imap/session.h"

enum step cmd_select(struct session *s);    /* SELECT, EXAMINE */
enum step cmd_unselect(struct session *s);  /* UNSELECT, CLOSE */
enum step cmd_create(struct session *s);    /* CREATE */
enum step cmd_delete(struct session *s);    /* DELETE */
enum step cmd_rename(struct session *s);    /* RENAME */
enum step cmd_subscribe(struct session *s); /* SUBSCRIBE, UNSUBSCRIBE */
enum step cmd_list(struct session *s);      /* LIST */
enum step cmd_lsub(struct session *s);      /* LSUB */
enum step cmd_status(struct session *s);    /* STATUS */
enum step cmd_namespace(struct session *s); /* NAMESPACE */
