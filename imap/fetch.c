/* FETCH: walks the messages of a set and has fetch_send.c send what was asked for (RFC 9051 6.4.5).
   The imap role. Every step has a snapshot of its own and bounded work; between steps it remembers
   the message, the item and the offset. */
#include "imap/condstore.h"
#include "imap/fetch_private.h"
#include "lib/conn.h"

enum {
	TURN_OCTETS = 2 * 1024 * 1024, /* of output, then others have their turn */
	MESSAGE_COST = 128             /* in the same coin: looking at a message */
};

static void fetch_free(struct session *s)
{
	struct fetch *f = s->work;
	uidset_fini(&f->seen);
	record_fini(&f->record);
	buf_fini(&f->scratch);
	buf_fini(&f->header);
}

/* --- messages --- */

static void open_message(struct fetch *f)
{
	struct buf *out = session_out(f->s);
	buf_str(out, STR("* "));
	buf_u64(out, (uint64_t)f->walk.index + 1);
	buf_str(out, STR(" FETCH ("));
	f->open = true;
	f->item = f->req->items;
	f->phase = ITEM_START;
	record_forget(&f->record);
}

static void put_unasked(struct fetch *f, const struct fetch_item *it)
{
	if (f->req->kinds & 1U << it->kind) { return; }
	buf_chr(session_out(f->s), ' ');
	fetch_send_small(f, it);
}

/* What the command changed by itself is told in the same response (RFC 7162 3.2.4). */
static void put_seen(struct fetch *f)
{
	static const struct fetch_item flags = {.kind = FETCH_FLAGS},
				       uid = {.kind = FETCH_UID, .label = {"UID", 3}},
				       modseq = {.kind = FETCH_MODSEQ, .label = {"MODSEQ", 6}};
	put_unasked(f, &flags);
	if (!f->s->condstore) { return; }
	put_unasked(f, &uid);
	put_unasked(f, &modseq);
}

static void close_message(struct fetch *f)
{
	if (f->seen.n && uidset_has(f->seen.ranges, f->seen.n, f->msg.uid)) { put_seen(f); }
	buf_str(session_out(f->s), STR(")\r\n"));
	f->open = false;
}

static bool wanted(const struct fetch_request *req, const struct msg *m)
{
	return !req->changed || m->modseq > req->changed_since;
}

/* STEP_MORE when the message is told. */
static enum step send_message(struct fetch *f)
{
	struct buf *out = session_out(f->s);
	while (f->item) {
		size_t before = out->n;
		enum step want = fetch_send_item(f);
		if (out->n > before) { f->budget -= (int64_t)(out->n - before); }
		if (want != STEP_MORE) { return want; }
		if (conn_out_full(f->s->task.conn)) { return STEP_OUT; }
		if (f->budget <= 0 && f->item) { return STEP_WAIT; }
	}
	close_message(f);
	return STEP_MORE;
}

/* STEP_DONE at the end. */
static enum step send_messages(struct fetch *f, int *rc)
{
	for (;;) {
		if (f->open) {
			enum step want = send_message(f);
			if (want != STEP_MORE) { return want; }
		}
		if (conn_out_full(f->s->task.conn)) { return STEP_OUT; }
		if (f->budget <= 0) { return STEP_WAIT; }
		*rc = walk_next(&f->walk, &f->msg);
		if (*rc <= 0) { return STEP_DONE; }
		f->budget -= MESSAGE_COST;
		if (wanted(f->req, &f->msg)) { open_message(f); }
	}
}

/* The map is not ours between steps. */
static void leave_step(struct fetch *f)
{
	walk_end(&f->walk);
	record_forget(&f->record);
	f->has_keywords = false;
	if (f->open && f->msg.prefix.p != f->prefix) {
		size_t n = MIN(f->msg.prefix.n, sizeof f->prefix);
		if (n) { memcpy(f->prefix, f->msg.prefix.p, n); }
		f->msg.prefix = str_make(f->prefix, n);
	}
	f->sound = f->snap->sound;
	snap_end(f->snap);
	f->snap = NULL;
}

/* Let others have their turn. */
static enum step yield(struct fetch *f, session_step resume)
{
	f->s->resume = resume;
	task_sleep(&f->s->task, 0);
	return STEP_WAIT;
}

static enum step fetch_messages(struct session *s)
{
	struct fetch *f = s->work;
	struct snap sn;
	enum conn_status status = conn_status(s->task.conn);
	if (status == CONN_FAILED || status == CONN_TIMEOUT) { return STEP_CLOSE; }
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return f->open ? fetch_broken(f, rc) : session_no_rc(s, rc); }
	sn.sound = f->sound;
	f->snap = &sn;
	f->budget = TURN_OCTETS;
	walk_begin(&f->walk, &sn);
	enum step want = send_messages(f, &rc);
	leave_step(f);
	s->resume = fetch_messages;
	if (want == STEP_WAIT) { return yield(f, fetch_messages); }
	if (want != STEP_DONE) { return want; }
	return rc < 0 ? session_no_rc(s, rc) : f->then(s);
}

/* --- \Seen --- */

static enum step seen_answered(struct session *s)
{
	struct fetch *f = s->work;
	const struct op_flags_reply *reply = s->call.reply;
	if (s->call.rc == 0 && reply->modseq) {
		f->seen_modseq = reply->modseq;
		s->news = true;
	} else { /* reading goes on when nothing can be written */
		uidset_fini(&f->seen);
	}
	walk_init(&f->walk, &s->view, f->walk.ranges, f->walk.n);
	return fetch_messages(s);
}

static enum step send_seen(struct fetch *f)
{
	struct session *s = f->s;
	struct op_flags op = {.aid = s->view.aid,
		.mid = s->view.mid,
		.uids = f->seen.ranges,
		.uids_n = (uint32_t)f->seen.n,
		.how = FLAGS_ADD,
		.flags = FLAG_SEEN};
	struct uid_range all;
	if (f->seen.n > OP_RANGES_MAX) { /* the flag harms nobody who has it */
		all = (struct uid_range){f->seen.ranges[0].lo, f->seen.ranges[f->seen.n - 1].hi};
		op.uids = &all;
		op.uids_n = 1;
	}
	return session_op(s, &OP_FLAGS, &op, seen_answered);
}

/* Find the messages that are not \Seen yet: they become it in one operation before anything is
   sent, and are told so in their response. */
static enum step fetch_unseen(struct session *s)
{
	struct fetch *f = s->work;
	struct snap sn;
	struct msg m;
	int budget = TURN_OCTETS / MESSAGE_COST;
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return session_no_rc(s, rc); }
	walk_begin(&f->walk, &sn);
	while (budget-- > 0 && (rc = walk_next(&f->walk, &m)) == 1) {
		if (!(m.flags & FLAG_SEEN) && wanted(f->req, &m)) { uidset_add(&f->seen, m.uid); }
	}
	walk_end(&f->walk);
	snap_end(&sn);
	if (rc < 0) { return session_no_rc(s, rc); }
	if (rc == 1) { return yield(f, fetch_unseen); }
	if (f->seen.n) { return send_seen(f); }
	walk_init(&f->walk, &s->view, f->walk.ranges, f->walk.n);
	return fetch_messages(s);
}

/* --- the command --- */

enum step fetch_start(struct session *s, const struct fetch_request *req,
	const struct uid_range *ranges, size_t n, session_step then)
{
	struct fetch *f = arena_new(&s->arena, struct fetch);
	f->s = s;
	f->req = req;
	f->then = then;
	walk_init(&f->walk, &s->view, ranges, n);
	s->work = f;
	s->work_free = fetch_free;
	return req->sets_seen && !s->view.read_only ? fetch_unseen(s) : fetch_messages(s);
}

bool fetch_missed(const struct session *s)
{
	return ((const struct fetch *)s->work)->walk.missed;
}

static enum step fetch_end(struct session *s)
{
	const struct fetch *f = s->work;
	if (f->seen_modseq) { condstore_told(s, f->seen_modseq); }
	if (f->damaged) { return session_no_rc(s, ERR_DAMAGED); }
	if (f->unknown_cte) {
		return session_no(s, "UNKNOWN-CTE", "A transfer encoding is not known");
	}
	if (f->walk.missed && !s->uid) {
		return session_no(s, "EXPUNGEISSUED", "Some of the messages are gone");
	}
	return session_ok(s, NULL, "FETCH completed");
}

enum step cmd_fetch(struct session *s)
{
	struct fetch_request *req = arena_new(&s->arena, struct fetch_request);
	struct uid_range *ranges;
	size_t n;
	if (!fetch_parse(&s->lex, s->uid, req)) { return session_bad_lex(s); }
	if (req->vanished && !s->qresync) { return session_bad(s, "VANISHED needs QRESYNC"); }
	if (!view_resolve(&s->view, &req->set, s->uid, &s->arena, &ranges, &n)) {
		return session_bad(s, "No such message");
	}
	if (req->kinds & 1U << FETCH_MODSEQ) { condstore_enable(s); }
	if (req->vanished) { fetch_vanished(s, req); }
	return fetch_start(s, req, ranges, n, fetch_end);
}
