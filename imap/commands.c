/* The table of commands (RFC 9051 6) and of capabilities. The imap role. */
#include "imap/commands.h"

#include "imap/mailbox_commands.h"
#include "imap/server.h"

#define WITH_UID .uid_too = true
#define EXPUNGES .may_expunge = true

static const struct command_row rows[] = {
	{"APPEND", IMAP_IN, cmd_append, EXPUNGES},
	{"AUTHENTICATE", IMAP_NOT_AUTHENTICATED, cmd_authenticate},
	{"CAPABILITY", IMAP_ANY, cmd_capability, EXPUNGES},
	{"CHECK", IMAP_SELECTED, cmd_noop, EXPUNGES}, /* RFC 3501 6.4.1 */
	{"CLOSE", IMAP_SELECTED, cmd_unselect},
	{"COPY", IMAP_SELECTED, cmd_copy, WITH_UID, EXPUNGES},
	{"CREATE", IMAP_IN, cmd_create, EXPUNGES},
	{"DELETE", IMAP_IN, cmd_delete, EXPUNGES},
	{"ENABLE", IMAP_IN, cmd_enable, EXPUNGES},
	{"EXAMINE", IMAP_IN, cmd_select},
	{"EXPUNGE", IMAP_SELECTED, cmd_expunge, WITH_UID, EXPUNGES},
	{"FETCH", IMAP_SELECTED, cmd_fetch, WITH_UID},
	{"ID", IMAP_ANY, cmd_id, EXPUNGES},
	{"IDLE", IMAP_IN, cmd_idle, EXPUNGES},
	{"LIST", IMAP_IN, cmd_list, EXPUNGES},
	{"LOGIN", IMAP_NOT_AUTHENTICATED, cmd_login},
	{"LOGOUT", IMAP_ANY, cmd_logout},
	{"LSUB", IMAP_IN, cmd_lsub, EXPUNGES}, /* RFC 3501 6.3.9 */
	{"MOVE", IMAP_SELECTED, cmd_copy, WITH_UID, EXPUNGES},
	{"NAMESPACE", IMAP_IN, cmd_namespace, EXPUNGES},
	{"NOOP", IMAP_ANY, cmd_noop, EXPUNGES},
	{"RENAME", IMAP_IN, cmd_rename, EXPUNGES},
	{"SEARCH", IMAP_SELECTED, cmd_search, WITH_UID},
	{"SELECT", IMAP_IN, cmd_select},
	{"STARTTLS", IMAP_NOT_AUTHENTICATED, cmd_starttls},
	{"STATUS", IMAP_IN, cmd_status, EXPUNGES},
	{"STORE", IMAP_SELECTED, cmd_store, WITH_UID},
	{"SUBSCRIBE", IMAP_IN, cmd_subscribe, EXPUNGES},
	{"UNSELECT", IMAP_SELECTED, cmd_unselect},
	{"UNSUBSCRIBE", IMAP_IN, cmd_subscribe, EXPUNGES},
};

const struct command_row *command_find(struct str name)
{
	size_t lo = 0, hi = COUNT(rows);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = str_icmp(name, str_of(rows[mid].name));
		if (order == 0) { return &rows[mid]; }
		if (order < 0) {
			hi = mid;
		} else {
			lo = mid + 1;
		}
	}
	return NULL;
}

/* --- capabilities --- */

bool capability_login(const struct session *s)
{
	const struct conn *c = s->task.conn;
	return conn_is_tls(c) || (s->server->conf->login_without_tls == IMAP_PLAIN_LOOPBACK &&
					 net_addr_is_loopback(conn_peer(c)));
}

void capability_text(const struct session *s, struct buf *out)
{
	buf_str(out, STR("IMAP4rev2 IMAP4rev1 LITERAL+ SASL-IR ENABLE ID"));
	if (!(s->state & IMAP_IN)) {
		bool tls = conn_is_tls(s->task.conn);
		if (!tls && s->server->role->tls) { buf_str(out, STR(" STARTTLS")); }
		buf_str(out, capability_login(s) ? STR(" AUTH=PLAIN") : STR(" LOGINDISABLED"));
		return;
	}
	buf_str(out,
		STR(" IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE ESEARCH SEARCHRES"
		    " LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE"
		    " BINARY OBJECTID CONDSTORE QRESYNC SAVEDATE WITHIN MULTIAPPEND APPENDLIMIT="));
	buf_u64(out, s->server->conf->append_max);
}
