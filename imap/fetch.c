/* FETCH: walks the messages of a set and sends what was asked for (RFC 9051 6.4.5). The imap role.
   Every step has a snapshot of its own and bounded work; between steps it remembers the message,
   the item and the offset. Long literals go from the store's map to the socket without a copy.
   Never holds more of a message than one header. */
#include "imap/fetch.h"

#include "imap/condstore.h"
#include "imap/record.h"
#include "imap/uidset.h"
#include "imap/walk.h"
#include "lib/conn.h"

enum {
	TURN_OCTETS = 2 * 1024 * 1024, /* of output, then others have their turn */
	PIECE_COST = 16 * 1024,        /* in the same coin: what decoding a piece costs */
	MESSAGE_COST = 128             /* looking at a message */
};

enum phase {
	ITEM_START,
	ITEM_MEASURE, /* the size of decoded content */
	ITEM_STREAM,  /* octets of the message as they are */
	ITEM_DECODE   /* decoded content */
};

struct fetch {
	struct session *s;
	const struct fetch_request *req;
	session_step then;
	struct walk walk;
	bool unknown_cte;
	bool damaged; /* something could not be read */

	/* Messages that this command made \Seen. */
	struct uidset seen;
	uint64_t seen_modseq;

	/* The message being sent. */
	bool open;
	struct msg msg;
	char prefix[PREFIX_MAX]; /* where msg.prefix lives between steps */
	const struct fetch_item *item;
	enum phase phase;
	struct extent left;    /* ITEM_STREAM: of the message; ITEM_DECODE: of the decoded text */
	bool exact;            /* ITEM_STREAM: NUL may be sent */
	struct chunk_id sound; /* what the last step's snapshot knew */
	struct binary binary;

	/* Of one step. */
	struct snap *snap;
	int64_t budget;
	struct str keywords[KEYWORDS_MAX];
	bool has_keywords;
	struct record record;
	struct buf scratch, header;
};

static void fetch_free(struct session *s)
{
	struct fetch *f = s->work;
	uidset_fini(&f->seen);
	record_fini(&f->record);
	buf_fini(&f->scratch);
	buf_fini(&f->header);
}

/* NULL when the message cannot be read. */
static const struct mimerec *record(struct fetch *f)
{
	return record_get(&f->record, f->snap, f->msg.oid);
}

/* --- items --- */

static bool is_structure(const struct fetch_item *it)
{
	return it->kind >= FETCH_ENVELOPE && it->kind <= FETCH_BODYSTRUCTURE;
}

static void put_small(struct fetch *f, const struct fetch_item *it)
{
	if (it->kind == FETCH_FLAGS && !f->has_keywords) {
		f->has_keywords = snap_keywords(f->snap, f->s->view.mid, f->keywords) == 0;
	}
	struct fetch_source src = {.snap = f->snap,
		.msg = &f->msg,
		.keywords = f->keywords,
		.rec = is_structure(it) ? record(f) : NULL};
	fetch_item_put(it, &src, session_out(f->s));
}

static void item_done(struct fetch *f)
{
	f->item = f->item->next;
	f->phase = ITEM_START;
}

static enum step put_nil(struct fetch *f)
{
	struct buf *out = session_out(f->s);
	buf_str(out, f->item->label);
	buf_str(out, STR(" NIL"));
	item_done(f);
	return STEP_MORE;
}

/* What cannot be answered is not answered with anything that a client might keep: the UID stands in
   its place, and the command ends with NO. */
static enum step put_uid_instead(struct fetch *f)
{
	struct buf *out = session_out(f->s);
	buf_str(out, STR("UID "));
	buf_u64(out, f->msg.uid);
	item_done(f);
	return STEP_MORE;
}

static enum step put_damaged(struct fetch *f, int rc)
{
	if (!f->damaged) {
		log_event(LOG_ERROR, &f->s->log, "fetch-damaged", "uid=%u oid=%llu reason=%s",
			f->msg.uid, (unsigned long long)f->msg.oid, err_name(rc));
	}
	f->damaged = true;
	return put_uid_instead(f);
}

static void put_literal(struct fetch *f, const char *open, uint64_t len)
{
	struct buf *out = session_out(f->s);
	buf_str(out, f->item->label);
	buf_str(out, str_of(open));
	buf_u64(out, len);
	buf_str(out, STR("}\r\n"));
}

/* Append octets of the message, gathered over chunks. */
static int gather(struct fetch *f, struct extent e, struct buf *out)
{
	while (e.len) {
		struct str piece;
		int rc = snap_msg_bytes(f->snap, &f->msg, e.off, &piece);
		if (rc < 0) { return rc; }
		piece = str_sub(piece, 0, e.len);
		if (!piece.n) { return ERR_DAMAGED; }
		buf_str(out, piece);
		e.off += piece.n;
		e.len -= piece.n;
	}
	return 0;
}

/* HEADER.FIELDS: from the hot fields when they suffice, else from the header. */
static int filter_header(struct fetch *f, const struct section *sec, const struct mimerec *rec)
{
	struct extent e;
	struct str head;
	buf_reset(&f->scratch);
	if (!sec->path_n && sec->hot && rec->hot_complete) {
		section_filter(sec, f->msg.prefix, &f->scratch);
		section_filter(sec, rec->hot, &f->scratch);
		return 0;
	}
	if (!section_extent(rec, sec, f->msg.prefix.n, f->msg.size, &e)) { return ERR_GONE; }
	e.len = MIN(e.len, (uint64_t)MIME_HEADER_MAX + PREFIX_MAX);
	int rc = snap_msg_bytes(f->snap, &f->msg, e.off, &head);
	if (rc == 0 && head.n < e.len) {
		buf_reset(&f->header);
		rc = gather(f, e, &f->header);
		head = buf_view(&f->header);
	}
	if (rc == 0) { section_filter(sec, str_sub(head, 0, e.len), &f->scratch); }
	return rc;
}

static enum step start_fields(struct fetch *f)
{
	const struct mimerec *rec = record(f);
	int rc = rec ? filter_header(f, f->item->section, rec) : ERR_DAMAGED;
	if (rc == ERR_GONE) { return put_nil(f); }
	if (rc < 0) { return put_damaged(f, rc); }
	if (f->scratch.n && !str_ends(buf_view(&f->scratch), STR("\n"))) {
		buf_str(&f->scratch, STR("\r\n")); /* the message ended in this line */
	}
	buf_str(&f->scratch, STR("\r\n"));
	section_without_nul(&f->scratch, 0);
	struct extent e = extent_partial((struct extent){0, f->scratch.n}, f->item);
	put_literal(f, " {", e.len);
	buf_str(session_out(f->s), str_sub(buf_view(&f->scratch), e.off, e.len));
	item_done(f);
	return STEP_MORE;
}

/* Short ones are sent at once, of others the first octets are looked at: damage shows before a
   literal is promised. */
static enum step start_literal(struct fetch *f, struct extent e, const char *open, bool exact)
{
	struct buf *out = session_out(f->s);
	struct str first;
	size_t before = out->n;
	bool copy = e.len <= FETCH_COPY_MAX;
	put_literal(f, open, e.len);
	size_t content = out->n;
	int rc = copy ? gather(f, e, out) : snap_msg_bytes(f->snap, &f->msg, e.off, &first);
	if (rc < 0) {
		out->n = before;
		return put_damaged(f, rc);
	}
	f->left = e;
	f->exact = exact;
	f->phase = ITEM_STREAM;
	if (copy) {
		if (!exact) { section_without_nul(out, content); }
		item_done(f);
	}
	return STEP_MORE;
}

static enum step start_section(struct fetch *f)
{
	static const struct mimerec none;
	const struct section *sec = f->item->section;
	struct extent e;
	bool whole = !sec->path_n && sec->text == SECTION_ALL;
	if (sec->text == SECTION_FIELDS || sec->text == SECTION_FIELDS_NOT) {
		return start_fields(f);
	}
	const struct mimerec *rec = whole ? &none : record(f);
	if (!rec) { return put_damaged(f, ERR_DAMAGED); }
	if (!section_extent(rec, sec, f->msg.prefix.n, f->msg.size, &e)) { return put_nil(f); }
	return start_literal(f, extent_partial(e, f->item), " {", false);
}

/* Multiparts and messages have no encoding to take off. */
static enum transfer leaf_transfer(const struct mimerec *rec, ptrdiff_t part)
{
	const struct mimerec_part *p = &rec->parts[part];
	bool leaf = p->kind != MIME_MULTIPART && p->kind != MIME_MESSAGE;
	return leaf ? (enum transfer)p->transfer : TRANSFER_NONE;
}

/* RFC 9051 9: a number, where BINARY may say NIL. A part that is not there has no octets. */
static enum step put_size(struct fetch *f, uint64_t size)
{
	struct buf *out = session_out(f->s);
	buf_str(out, f->item->label);
	buf_chr(out, ' ');
	buf_u64(out, size);
	item_done(f);
	return STEP_MORE;
}

static enum step start_binary(struct fetch *f)
{
	bool sized = f->item->kind == FETCH_BINARY_SIZE;
	const struct section *sec = f->item->section;
	const struct mimerec *rec = record(f);
	struct extent in;
	if (!rec) { return put_damaged(f, ERR_DAMAGED); }
	if (!section_extent(rec, sec, f->msg.prefix.n, f->msg.size, &in)) {
		return sized ? put_size(f, 0) : put_nil(f);
	}
	enum transfer kind =
		sec->path_n ? leaf_transfer(rec, section_part(rec, sec)) : TRANSFER_NONE;
	if (kind == TRANSFER_UNKNOWN) {
		f->unknown_cte = true;
		return sized ? put_uid_instead(f) : put_nil(f);
	}
	f->binary = (struct binary){.in = in, .kind = kind};
	f->phase = ITEM_MEASURE;
	return STEP_MORE;
}

static enum step measured(struct fetch *f)
{
	struct binary *b = &f->binary;
	if (f->item->kind == FETCH_BINARY_SIZE) { return put_size(f, b->size); }
	const char *open = b->nul ? " ~{" : " {";
	struct extent want = extent_partial((struct extent){0, b->size}, f->item);
	if (b->kind == TRANSFER_NONE) {
		want.off += b->in.off;
		return start_literal(f, want, open, true);
	}
	put_literal(f, open, want.len);
	f->left = want;
	f->phase = ITEM_DECODE;
	return STEP_MORE;
}

static enum step measure(struct fetch *f)
{
	int rc = binary_measure(
		&f->binary, f->snap, &f->msg, &f->scratch, (size_t)MAX(f->budget, 1));
	if (rc < 0) { return put_damaged(f, rc); }
	if (rc == 0) { f->budget = 0; }
	return rc ? measured(f) : STEP_WAIT;
}

/* A part of a message that was announced cannot be read: the dialogue cannot go on. */
static enum step broken(struct fetch *f, int rc)
{
	log_event(LOG_ERROR, &f->s->log, "fetch-broken", "uid=%u oid=%llu reason=%s", f->msg.uid,
		(unsigned long long)f->msg.oid, err_name(rc));
	return STEP_CLOSE;
}

static enum step decode(struct fetch *f)
{
	int rc = binary_decode(
		&f->binary, f->snap, &f->msg, f->left, &f->scratch, session_out(f->s));
	if (rc < 0) { return broken(f, rc); }
	f->budget -= PIECE_COST;
	if (rc == 1) { item_done(f); }
	return STEP_MORE;
}

/* What follows in the store should be in memory when this has been sent. */
static void will_need(struct fetch *f, uint64_t off)
{
	uint64_t prefix = f->msg.prefix.n;
	if (off >= prefix && f->left.len > CHUNK_DATA) {
		snap_will_need(f->snap, f->msg.oid, off - prefix + CHUNK_DATA);
	}
}

static enum step stream(struct fetch *f)
{
	struct str piece;
	int rc = snap_msg_bytes(f->snap, &f->msg, f->left.off, &piece);
	if (rc < 0 || !piece.n) { return broken(f, rc < 0 ? rc : ERR_DAMAGED); }
	piece = str_sub(piece, 0, f->left.len);
	will_need(f, f->left.off);
	if (!f->exact && str_chr(piece, '\0') >= 0) {
		buf_reset(&f->scratch);
		buf_str(&f->scratch, piece);
		section_without_nul(&f->scratch, 0);
		piece = buf_view(&f->scratch);
	}
	size_t taken = conn_send(f->s->task.conn, piece);
	f->left.off += taken;
	f->left.len -= taken;
	f->budget -= (int64_t)taken;
	if (!f->left.len) { item_done(f); }
	return taken < piece.n ? STEP_OUT : STEP_MORE;
}

static enum step item_start(struct fetch *f)
{
	switch (f->item->kind) {
	case FETCH_SECTION: return start_section(f);
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE: return start_binary(f);
	default:
		if (is_structure(f->item) && !record(f)) { return put_damaged(f, ERR_DAMAGED); }
		put_small(f, f->item);
		item_done(f);
		return STEP_MORE;
	}
}

static enum step item_step(struct fetch *f)
{
	if (f->phase == ITEM_START && f->item != f->req->items) { buf_chr(session_out(f->s), ' '); }
	switch (f->phase) {
	case ITEM_START: return item_start(f);
	case ITEM_MEASURE: return measure(f);
	case ITEM_STREAM: return stream(f);
	case ITEM_DECODE: return decode(f);
	}
	return STEP_CLOSE;
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
	put_small(f, it);
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
		enum step want = item_step(f);
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
	if (rc < 0) { return f->open ? broken(f, rc) : session_no_rc(s, rc); }
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
