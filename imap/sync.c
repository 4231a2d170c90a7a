/* Telling a client what has changed in its mailbox (RFC 9051 5.2, 7.4; RFC 2180), in one place: at
   the end of a command and during IDLE. The only writer of the view. */
#include "imap/sync.h"

#include "imap/uidset.h"

static const struct {
	uint64_t flag;
	struct str name;
} system_flags[] = {
	{FLAG_ANSWERED, {"\\Answered", 9}},
	{FLAG_FLAGGED, {"\\Flagged", 8}},
	{FLAG_DELETED, {"\\Deleted", 8}},
	{FLAG_SEEN, {"\\Seen", 5}},
	{FLAG_DRAFT, {"\\Draft", 6}},
};

static void add_flag(struct buf *out, struct str name, bool *first)
{
	if (!*first) { buf_chr(out, ' '); }
	*first = false;
	buf_str(out, name);
}

void imap_flags(uint64_t flags, const struct str *names, struct buf *out)
{
	bool first = true;
	buf_str(out, STR("FLAGS ("));
	for (size_t i = 0; i < COUNT(system_flags); i++) {
		if (flags & system_flags[i].flag) { add_flag(out, system_flags[i].name, &first); }
	}
	for (unsigned bit = 0; flags >> 8 >> bit; bit++) {
		if ((flags & FLAG_KEYWORD(bit)) && names[bit].n) {
			add_flag(out, names[bit], &first);
		}
	}
	buf_chr(out, ')');
}

uint32_t keywords_count(const struct str *keywords)
{
	uint32_t n = 0;
	for (unsigned bit = 0; bit < KEYWORDS_MAX; bit++) { n += keywords[bit].n > 0; }
	return n;
}

void imap_flag_list(const struct str *keywords, bool permanent, struct buf *out)
{
	bool first = true;
	buf_chr(out, '(');
	for (size_t i = 0; i < COUNT(system_flags); i++) {
		add_flag(out, system_flags[i].name, &first);
	}
	for (unsigned bit = 0; bit < KEYWORDS_MAX; bit++) {
		if (keywords[bit].n) { add_flag(out, keywords[bit], &first); }
	}
	/* \*: a new keyword may be made */
	if (permanent && keywords_count(keywords) < KEYWORDS_MAX) {
		add_flag(out, STR("\\*"), &first);
	}
	buf_chr(out, ')');
}

static void put_vanished(const struct view_news *news, struct buf *out)
{
	struct uidset set = {0};
	for (size_t i = 0; i < news->gone_n; i++) { uidset_add(&set, news->gone[i]); }
	buf_str(out, STR("* VANISHED "));
	uidset_put(set.ranges, set.n, out);
	buf_str(out, STR("\r\n"));
	uidset_fini(&set);
}

/* From the last to the first, so that the numbers before stay what they are. */
static void tell_gone(struct session *s, const struct view_news *news)
{
	struct buf *out = session_out(s);
	if (news->gone_n == 0) { return; }
	if (s->qresync) { put_vanished(news, out); }
	for (size_t i = news->gone_n; i-- > 0 && !s->qresync;) {
		buf_fmt(out, "* %zd EXPUNGE\r\n", view_find(&s->view, news->gone[i]) + 1);
	}
	view_remove(&s->view, news);
}

void sync_keywords(struct session *s, const struct str *names)
{
	struct buf *out = session_out(s);
	uint32_t n = keywords_count(names);
	if (n == s->view.keywords_told) { return; }
	s->view.keywords_told = n;
	buf_str(out, STR("* FLAGS "));
	imap_flag_list(names, false, out);
	if (!s->view.read_only) {
		buf_str(out, STR("\r\n* OK [PERMANENTFLAGS "));
		imap_flag_list(names, true, out);
		buf_str(out, STR("] Flags are kept"));
	}
	buf_str(out, STR("\r\n"));
}

static void tell_changed(
	struct session *s, struct snap *sn, const struct view_news *news, const struct str *names)
{
	struct buf *out = session_out(s);
	for (size_t i = 0; i < news->changed_n; i++) {
		struct msg m;
		ptrdiff_t at = view_find(&s->view, news->changed[i]);
		if (at < 0 || snap_msg(sn, s->view.mid, news->changed[i], &m) < 0) { continue; }
		buf_fmt(out, "* %zd FETCH (", at + 1);
		if (s->uid || s->condstore || s->rev2) { buf_fmt(out, "UID %u ", m.uid); }
		imap_flags(m.flags, names, out);
		if (s->condstore) { buf_fmt(out, " MODSEQ (%llu)", (unsigned long long)m.modseq); }
		buf_str(out, STR(")\r\n"));
	}
}

/* The mailbox was deleted under the session: all its messages are gone, and it stays empty. */
static void tell_deleted(struct session *s, bool expunge)
{
	struct view_news all = {.gone = s->view.uids, .gone_n = s->view.n};
	if (expunge) { tell_gone(s, &all); }
}

static void tell(struct session *s, struct snap *sn, const struct mbox *mb, bool expunge)
{
	struct str names[KEYWORDS_MAX];
	struct view_news news;
	if (view_news_find(&s->view, sn, mb, expunge, &news) == 0 &&
		snap_keywords(sn, mb->mid, names) == 0) {
		tell_gone(s, &news);
		size_t before = s->view.n;
		view_advance(&s->view, sn, mb, expunge);
		if (s->view.n != before) { session_put(s, "* %zu EXISTS\r\n", s->view.n); }
		sync_keywords(s, names);
		tell_changed(s, sn, &news, names);
	}
	view_news_fini(&news);
}

void session_sync(struct session *s, bool expunge)
{
	struct snap sn;
	struct mbox mb;
	const struct view *v = &s->view;
	if (snap_begin(session_store(s), &sn) < 0) { return; }
	s->news = false;
	int rc = snap_mbox(&sn, v->mid, &mb);
	if (rc == ERR_GONE) {
		tell_deleted(s, expunge);
	} else if (rc == 0 && (mb.highestmodseq != v->modseq ||
				      (expunge && mb.highestmodseq != v->expunged_modseq))) {
		tell(s, &sn, &mb, expunge);
	}
	snap_end(&sn);
}
