/* Telling a client what has changed in its mailbox (RFC 9051 5.2, 7.4; RFC 2180), in one place: at
   the end of a command and during IDLE. The only writer of the view. */
#include "imap/sync.h"

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

/* --- the view --- */

static void append(struct view *v, uint32_t uid)
{
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap + v->cap / 2 : 16;
		v->uids = realloc(v->uids, v->cap * sizeof *v->uids);
		if (!v->uids) { abort(); }
	}
	v->uids[v->n++] = uid;
}

/* Every message from view.uidnext on. */
static int append_new(struct view *v, struct snap *sn, uint32_t uidnext)
{
	struct msg_cursor c;
	struct msg m;
	int rc = msg_cursor_open(sn, v->mid, v->uidnext, &c);
	if (rc < 0) { return rc; }
	while ((rc = msg_cursor_next(&c, &m)) == 1) { append(v, m.uid); }
	msg_cursor_close(&c);
	v->uidnext = uidnext;
	return rc;
}

int view_load(struct view *v, struct snap *sn, const struct mbox *mb)
{
	v->mid = mb->mid;
	v->aid = mb->aid;
	v->uidvalidity = mb->uidvalidity;
	v->modseq = mb->highestmodseq;
	v->uidnext = 1;
	if (mb->total) {
		v->cap = mb->total;
		v->uids = xcalloc(v->cap, sizeof *v->uids);
	}
	return append_new(v, sn, mb->uidnext);
}

/* --- what has changed --- */

struct sync {
	struct session *s;
	struct snap *sn;
	uint32_t *gone; /* UIDs in the view that were expunged */
	size_t gone_n, gone_cap;
	uint32_t *flagged; /* UIDs in the view whose flags changed */
	size_t flagged_n, flagged_cap;
	uint64_t first_gone; /* modseq of the first expunge that cannot be told yet; 0 = none */
};

static void push(uint32_t **v, size_t *n, size_t *cap, uint32_t uid)
{
	if (*n == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		*v = realloc(*v, *cap * sizeof **v);
		if (!*v) { abort(); }
	}
	(*v)[(*n)++] = uid;
}

static int collect(struct sync *y)
{
	const struct view *v = &y->s->view;
	struct change_cursor cc;
	struct change ch;
	int rc = change_cursor_open(y->sn, v->mid, v->modseq, &cc);
	if (rc < 0) { return rc; }
	while ((rc = change_cursor_next(&cc, &ch)) == 1) {
		if (ch.uid >= v->uidnext || view_find(v, ch.uid) < 0) { continue; }
		if (ch.expunged) {
			push(&y->gone, &y->gone_n, &y->gone_cap, ch.uid);
			if (!y->first_gone) { y->first_gone = ch.modseq; }
		} else {
			push(&y->flagged, &y->flagged_n, &y->flagged_cap, ch.uid);
		}
	}
	change_cursor_close(&cc);
	return rc;
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* From the last to the first, so that the numbers before stay what they are. */
static void tell_gone(struct sync *y)
{
	struct view *v = &y->s->view;
	struct buf *out = session_out(y->s);
	qsort(y->gone, y->gone_n, sizeof *y->gone, by_uid);
	if (y->s->qresync) {
		buf_str(out, STR("* VANISHED "));
		for (size_t i = 0; i < y->gone_n; i++) {
			size_t to = i;
			while (to + 1 < y->gone_n && y->gone[to + 1] == y->gone[to] + 1) { to++; }
			if (i) { buf_chr(out, ','); }
			buf_u64(out, y->gone[i]);
			if (to > i) {
				buf_chr(out, ':');
				buf_u64(out, y->gone[to]);
			}
			i = to;
		}
		buf_str(out, STR("\r\n"));
	}
	for (size_t i = y->gone_n; i-- > 0;) {
		ptrdiff_t at = view_find(v, y->gone[i]);
		if (at < 0) { continue; }
		if (!y->s->qresync) { buf_fmt(out, "* %zu EXPUNGE\r\n", (size_t)at + 1); }
		memmove(v->uids + at, v->uids + at + 1, (v->n - (size_t)at - 1) * sizeof *v->uids);
		v->n--;
	}
}

/* New keyword names: the client must know them before it meets them (RFC 9051 7.3.5). */
static void tell_keywords(struct sync *y, const struct str *names)
{
	struct session *s = y->s;
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

static int tell_flagged(struct sync *y, const struct str *names)
{
	struct session *s = y->s;
	struct buf *out = session_out(s);
	for (size_t i = 0; i < y->flagged_n; i++) {
		struct msg m;
		ptrdiff_t at = view_find(&s->view, y->flagged[i]);
		if (at < 0) { continue; }
		int rc = snap_msg(y->sn, s->view.mid, y->flagged[i], &m);
		if (rc == ERR_GONE) { continue; }
		if (rc < 0) { return rc; }
		buf_fmt(out, "* %zd FETCH (", at + 1);
		if (s->uid || s->condstore || s->rev2) { buf_fmt(out, "UID %u ", m.uid); }
		imap_flags(m.flags, names, out);
		if (s->condstore) { buf_fmt(out, " MODSEQ (%llu)", (unsigned long long)m.modseq); }
		buf_str(out, STR(")\r\n"));
	}
	return 0;
}

/* The mailbox was deleted under the session: all its messages are gone, and it stays empty. */
static void tell_deleted(struct session *s, bool expunge)
{
	if (!expunge) { return; }
	while (s->view.n) { session_put(s, "* %zu EXPUNGE\r\n", s->view.n--); }
}

static int tell(struct sync *y, const struct mbox *mb, bool expunge)
{
	struct session *s = y->s;
	struct str names[KEYWORDS_MAX];
	size_t before;
	int rc = collect(y);
	if (rc == 0) { rc = snap_keywords(y->sn, mb->mid, names); }
	if (rc < 0) { return rc; }
	if (expunge && y->gone_n) { tell_gone(y); }
	before = s->view.n;
	if (mb->uidnext > s->view.uidnext) { rc = append_new(&s->view, y->sn, mb->uidnext); }
	if (s->view.n != before) { session_put(s, "* %zu EXISTS\r\n", s->view.n); }
	tell_keywords(y, names);
	if (rc == 0) { rc = tell_flagged(y, names); }
	/* What could not be told now is found again by the next sync. */
	s->view.modseq = !expunge && y->first_gone ? y->first_gone - 1 : mb->highestmodseq;
	return rc;
}

void session_sync(struct session *s, bool expunge)
{
	struct snap sn;
	struct mbox mb;
	s->news = false;
	if (snap_begin(session_store(s), &sn) < 0) { return; }
	int rc = snap_mbox(&sn, s->view.mid, &mb);
	if (rc == ERR_GONE) {
		tell_deleted(s, expunge);
	} else if (rc == 0 && mb.highestmodseq != s->view.modseq) {
		struct sync y = {.s = s, .sn = &sn};
		tell(&y, &mb, expunge);
		free(y.gone);
		free(y.flagged);
	}
	snap_end(&sn);
}
