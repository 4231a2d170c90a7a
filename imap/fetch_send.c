/* One item of FETCH after the other: what is short is copied, what is long goes from the store's
   map to the socket without a copy, what is encoded is decoded piece by piece. Never holds more of
   a message than one header. */
#include "imap/fetch_private.h"
#include "lib/conn.h"

enum { PIECE_COST = 16 * 1024 }; /* in octets of output: what decoding a piece costs */

/* NULL when the message cannot be read. */
static const struct mimerec *record(struct fetch *f)
{
	return record_get(&f->record, f->snap, f->msg.oid);
}

static bool is_structure(const struct fetch_item *it)
{
	return it->kind >= FETCH_ENVELOPE && it->kind <= FETCH_BODYSTRUCTURE;
}

void fetch_send_small(struct fetch *f, const struct fetch_item *it)
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

enum step fetch_broken(struct fetch *f, int rc)
{
	log_event(LOG_ERROR, &f->s->log, "fetch-broken", "uid=%u oid=%llu reason=%s", f->msg.uid,
		(unsigned long long)f->msg.oid, err_name(rc));
	return STEP_CLOSE;
}

static enum step decode(struct fetch *f)
{
	int rc = binary_decode(
		&f->binary, f->snap, &f->msg, f->left, &f->scratch, session_out(f->s));
	if (rc < 0) { return fetch_broken(f, rc); }
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
	if (rc < 0 || !piece.n) { return fetch_broken(f, rc < 0 ? rc : ERR_DAMAGED); }
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
		fetch_send_small(f, f->item);
		item_done(f);
		return STEP_MORE;
	}
}

enum step fetch_send_item(struct fetch *f)
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
