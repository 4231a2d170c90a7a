/* What a session's own changes do to what it has been told. The imap role. Never sends changes. */
#include "imap/condstore.h"

void condstore_enable(struct session *s)
{
	struct snap sn;
	struct mbox mb;
	if (s->condstore) { return; }
	s->condstore = true;
	if (s->state != IMAP_SELECTED || snap_begin(session_store(s), &sn) < 0) { return; }
	if (snap_mbox(&sn, s->view.mid, &mb) == 0) {
		/* not above what the client was told of: it would skip the rest */
		session_put(s, "* OK [HIGHESTMODSEQ %llu] Mod-sequences are kept\r\n",
			(unsigned long long)MIN(mb.highestmodseq, MAX(s->view.modseq, 1)));
	}
	snap_end(&sn);
}

/* All that the next sync would tell of flags is the one change. Expunges and new messages have
   marks of their own in the view. */
static bool only_own(struct snap *sn, const struct view *v, uint64_t modseq)
{
	struct change_cursor cc;
	struct change ch;
	bool only = true;
	if (change_cursor_open(sn, v->mid, v->modseq, &cc) < 0) { return false; }
	while (only && change_cursor_next(&cc, &ch) == 1) {
		only = ch.modseq == modseq || ch.expunged || ch.uid >= v->uidnext;
	}
	change_cursor_close(&cc);
	return only;
}

void condstore_told(struct session *s, uint64_t modseq)
{
	struct snap sn;
	if (modseq <= s->view.modseq || snap_begin(session_store(s), &sn) < 0) { return; }
	if (only_own(&sn, &s->view, modseq)) { s->view.modseq = modseq; }
	snap_end(&sn);
}
