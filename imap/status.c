/* STATUS and NAMESPACE. The imap role. One read of the mailbox's record answers all. */
#include "imap/status.h"

#include "imap/condstore.h"
#include "imap/mailbox_commands.h"
#include "imap/server.h"

enum {
	ITEM_MESSAGES = 1,
	ITEM_UIDNEXT = 2,
	ITEM_UIDVALIDITY = 4,
	ITEM_UNSEEN = 8,
	ITEM_DELETED = 16,
	ITEM_SIZE = 32,
	ITEM_RECENT = 64,
	ITEM_HIGHESTMODSEQ = 128,
	ITEM_APPENDLIMIT = 256,
	ITEM_MAILBOXID = 512
};

static const struct {
	const char *name;
	uint32_t item;
} rows[] = {
	{"MESSAGES", ITEM_MESSAGES},
	{"UIDNEXT", ITEM_UIDNEXT},
	{"UIDVALIDITY", ITEM_UIDVALIDITY},
	{"UNSEEN", ITEM_UNSEEN},
	{"DELETED", ITEM_DELETED},
	{"SIZE", ITEM_SIZE},
	{"RECENT", ITEM_RECENT}, /* RFC 3501 */
	{"HIGHESTMODSEQ", ITEM_HIGHESTMODSEQ},
	{"APPENDLIMIT", ITEM_APPENDLIMIT},
	{"MAILBOXID", ITEM_MAILBOXID},
};

static uint32_t item_by_name(struct str name)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (str_ieq(name, str_of(rows[i].name))) { return rows[i].item; }
	}
	return 0;
}

bool status_items(struct lex *l, uint32_t *items_out)
{
	*items_out = 0;
	if (!lex_chr(l, '(')) { return false; }
	do {
		struct str name;
		if (!lex_atom(l, &name)) { return false; }
		uint32_t item = item_by_name(name);
		if (!item) {
			l->error = "unknown STATUS item";
			return false;
		}
		*items_out |= item;
	} while (lex_peek(l) == ' ' && lex_space(l));
	return lex_chr(l, ')');
}

bool status_wants_modseq(uint32_t items)
{
	return (items & ITEM_HIGHESTMODSEQ) != 0;
}

static void put_value(
	const struct session *s, const struct mbox *mb, uint32_t item, struct buf *out)
{
	switch (item) {
	case ITEM_MESSAGES: buf_u64(out, mb->total); break;
	case ITEM_UIDNEXT: buf_u64(out, mb->uidnext); break;
	case ITEM_UIDVALIDITY: buf_u64(out, mb->uidvalidity); break;
	case ITEM_UNSEEN: buf_u64(out, mb->unseen); break;
	case ITEM_DELETED: buf_u64(out, mb->deleted); break;
	case ITEM_SIZE: buf_u64(out, mb->bytes); break;
	case ITEM_RECENT: buf_chr(out, '0'); break;
	case ITEM_HIGHESTMODSEQ: buf_u64(out, MAX(mb->highestmodseq, 1)); break;
	case ITEM_APPENDLIMIT: buf_u64(out, s->server->conf->append_max); break;
	default: buf_fmt(out, "(F%llu)", (unsigned long long)mb->mailboxid); break;
	}
}

void status_put(struct session *s, struct str name, const struct mbox *mb, uint32_t items)
{
	struct buf *out = session_out(s);
	bool first = true;
	buf_str(out, STR("* STATUS "));
	session_put_mailbox(s, name, out);
	buf_str(out, STR(" ("));
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!(items & rows[i].item)) { continue; }
		buf_fmt(out, "%s%s ", first ? "" : " ", rows[i].name);
		put_value(s, mb, rows[i].item, out);
		first = false;
	}
	buf_str(out, STR(")\r\n"));
}

enum step cmd_status(struct session *s)
{
	struct str name;
	uint32_t items;
	struct snap sn;
	struct mbox mb;
	if (!lex_mailbox(&s->lex, &name) || !lex_space(&s->lex) || !status_items(&s->lex, &items) ||
		!lex_end(&s->lex)) {
		return session_bad_lex(s);
	}
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return session_no_rc(s, rc); }
	rc = snap_mbox_by_name(&sn, s->aid, name, NULL, &mb);
	snap_end(&sn);
	if (rc == ERR_GONE) { return session_no(s, "NONEXISTENT", "No such mailbox"); }
	if (rc < 0) { return session_no_rc(s, rc); }
	if (status_wants_modseq(items)) { condstore_enable(s); }
	status_put(s, name, &mb, items);
	return session_ok(s, NULL, "Done");
}

enum step cmd_namespace(struct session *s)
{
	if (!lex_end(&s->lex)) { return session_bad(s, "No arguments expected"); }
	session_put(s, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	return session_ok(s, NULL, "Done");
}
