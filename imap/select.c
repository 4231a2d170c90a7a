/* SELECT, EXAMINE, UNSELECT, CLOSE (RFC 9051 6.3.2, 6.3.3, 6.4.1, 6.4.2). The imap role. */
#include "imap/mailbox_commands.h"
#include "imap/qresync.h"
#include "imap/server.h"
#include "imap/sync.h"
#include "imap/uses.h"

struct select {
	struct str name;
	bool condstore, resync;
	struct qresync qresync;
};

static bool parameter(struct lex *l, struct select *sel)
{
	struct str word;
	if (!lex_atom(l, &word)) { return false; }
	if (str_ieq(word, STR("CONDSTORE"))) {
		sel->condstore = true;
		return true;
	}
	if (str_ieq(word, STR("QRESYNC"))) {
		sel->resync = true;
		return lex_space(l) && qresync_parse(l, &sel->qresync);
	}
	l->error = "unknown parameter of SELECT";
	return false;
}

/* "(CONDSTORE QRESYNC (...))" (RFC 7162 3.1.8, 3.2.5). */
static bool parameters(struct lex *l, struct select *sel)
{
	if (lex_end(l)) { return true; }
	if (!lex_space(l) || !lex_chr(l, '(')) { return false; }
	do {
		if (!parameter(l, sel)) { return false; }
	} while (lex_peek(l) == ' ' && lex_space(l));
	return lex_chr(l, ')') && lex_end(l);
}

static void leave(struct session *s)
{
	if (s->state != IMAP_SELECTED) { return; }
	view_fini(&s->view);
	s->state = IMAP_AUTHENTICATED;
	imap_server_watch(s->server, s);
}

/* RFC 3501 6.3.1: the number of the first message without \Seen. */
static size_t first_unseen(struct snap *sn, const struct view *v)
{
	struct msg_cursor c;
	struct msg m;
	size_t number = 0, found = 0;
	if (msg_cursor_open(sn, v->mid, 1, &c) < 0) { return 0; }
	while (!found && msg_cursor_next(&c, &m) == 1) {
		number++;
		if (!(m.flags & FLAG_SEEN)) { found = number; }
	}
	msg_cursor_close(&c);
	return found;
}

/* RFC 9051 6.3.2: what is selected, under the name that LIST gives it. */
static void put_name(struct session *s, const struct mname *row)
{
	struct buf uses = {0};
	uses_put(row->special_use, &uses);
	session_put_list(s, buf_view(&uses), s->lex.mailbox, s->lex.oldname);
	buf_fini(&uses);
}

static void answer(
	struct session *s, struct snap *sn, const struct mbox *mb, const struct mname *row)
{
	struct str names[KEYWORDS_MAX];
	struct buf *out = session_out(s);
	snap_keywords(sn, mb->mid, names);
	s->view.keywords_told = keywords_count(names);
	buf_str(out, STR("* FLAGS "));
	imap_flag_list(names, false, out);
	buf_fmt(out, "\r\n* %zu EXISTS\r\n", s->view.n);
	if (!s->rev2) { /* \Recent is gone in RFC 9051; nobody sees a message first here */
		size_t unseen = mb->unseen ? first_unseen(sn, &s->view) : 0;
		buf_str(out, STR("* 0 RECENT\r\n"));
		if (unseen) { buf_fmt(out, "* OK [UNSEEN %zu] First unseen\r\n", unseen); }
	}
	buf_fmt(out, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
		mb->uidvalidity, mb->uidnext);
	buf_str(out, STR("* OK [PERMANENTFLAGS "));
	if (s->view.read_only) {
		buf_str(out, STR("()"));
	} else {
		imap_flag_list(names, true, out);
	}
	buf_fmt(out, "] Flags are kept\r\n* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		(unsigned long long)MAX(mb->highestmodseq, 1));
	buf_fmt(out, "* OK [MAILBOXID (F%llu)] Of RFC 8474\r\n", (unsigned long long)mb->mailboxid);
	put_name(s, row);
}

static enum step selected(struct session *s)
{
	return s->view.read_only ? session_ok(s, "READ-ONLY", "Selected, read only")
				 : session_ok(s, "READ-WRITE", "Selected");
}

static int open_mailbox(struct session *s, const struct select *sel)
{
	struct snap sn;
	struct mbox mb;
	struct mname row;
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return rc; }
	rc = snap_mbox_by_name(&sn, s->aid, sel->name, &row, &mb);
	if (rc == 0) { rc = view_load(&s->view, &sn, &mb); }
	if (rc == 0) {
		s->view.aid = s->aid;
		s->view.read_only = str_eq(str_of(s->row->name), STR("EXAMINE"));
		answer(s, &sn, &mb, &row);
	} else {
		view_fini(&s->view);
	}
	snap_end(&sn);
	return rc;
}

enum step cmd_select(struct session *s)
{
	struct select *sel = arena_new(&s->arena, struct select);
	if (!lex_mailbox(&s->lex, &sel->name) || !parameters(&s->lex, sel)) {
		return session_bad_lex(s);
	}
	if (sel->resync && !s->qresync) { return session_bad(s, "Enable QRESYNC first"); }
	/* The old mailbox is left even when the new one cannot be had (RFC 9051 6.3.2). */
	if (s->state == IMAP_SELECTED) {
		session_put(s, "* OK [CLOSED] Previous mailbox closed\r\n");
	}
	leave(s);
	if (sel->condstore) { s->condstore = true; }
	int rc = open_mailbox(s, sel);
	if (rc == ERR_GONE) { return session_no(s, "NONEXISTENT", "No such mailbox"); }
	if (rc < 0) { return session_no_rc(s, rc); }
	s->state = IMAP_SELECTED;
	imap_server_watch(s->server, s);
	return sel->resync ? qresync_send(s, &sel->qresync, selected) : selected(s);
}

static enum step closed(struct session *s)
{
	leave(s);
	return session_ok(s, NULL, "Closed");
}

/* What could not be removed stays, and so does the client. */
static enum step expunged(struct session *s)
{
	int rc = s->call.rc;
	return rc < 0 && rc != ERR_GONE ? session_no_rc(s, rc) : closed(s);
}

/* CLOSE removes what is marked \Deleted, without a word (RFC 9051 6.4.1); UNSELECT does not. */
enum step cmd_unselect(struct session *s)
{
	if (!lex_end(&s->lex)) { return session_bad(s, "No arguments expected"); }
	if (s->view.read_only || !str_eq(str_of(s->row->name), STR("CLOSE"))) { return closed(s); }
	struct op_expunge op = {.aid = s->aid, .mid = s->view.mid, .all = true};
	return session_op(s, &OP_EXPUNGE, &op, expunged);
}
