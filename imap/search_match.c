/* Does a message match? (RFC 9051 6.4.4). Asks what is cheap first: the row of the message, then
   its parse record with the hot fields, then the whole header, then the text of its parts, decoded
   piece by piece. Pure but for the two calls that bring octets. Never holds more than a header and
   a piece. */
#include "imap/search.h"

#include "imap/uidset.h"
#include "lib/addr.h"
#include "lib/charset.h"
#include "lib/date.h"

enum {
	PIECE = 16 * 1024,  /* encoded octets read at once */
	WINDOW = 64 * 1024, /* decoded octets converted at once */
	ROW_COST = 64,      /* what looking at a message costs, in octets read */
	RECORD_COST = 2 * 1024
};

/* --- the tree, in three values --- */

static enum match of_bool(bool yes)
{
	return yes ? MATCH_YES : MATCH_NO;
}

static bool within(const struct search_key *k, int64_t v)
{
	return v >= k->lo && v <= k->hi;
}

static enum match eval_row(const struct search_key *k, const struct search_message *sm)
{
	const struct msg *m = sm->msg;
	switch (k->kind) {
	case SEARCH_ALL: return MATCH_YES;
	case SEARCH_NONE: return MATCH_NO;
	case SEARCH_SET: return of_bool(uidset_has(k->ranges, k->ranges_n, sm->index));
	case SEARCH_FLAGS: return of_bool((m->flags & k->mask) == k->want);
	case SEARCH_KEYWORD: return of_bool(((m->flags & k->mask) != 0) == (k->want != 0));
	case SEARCH_SIZE: return of_bool(within(k, (int64_t)m->size));
	case SEARCH_DATE: return of_bool(within(k, date_day(m->internaldate_us, 0)));
	case SEARCH_SAVED: return of_bool(within(k, date_day(m->savedate_us, 0)));
	case SEARCH_AGE: return of_bool(within(k, (sm->now_us - m->internaldate_us) / SECOND_US));
	case SEARCH_MODSEQ: return of_bool(within(k, (int64_t)m->modseq));
	case SEARCH_EMAILID: return of_bool(m->oid == k->id);
	case SEARCH_THREADID: return of_bool(m->thread == k->id);
	default: return k->state;
	}
}

static enum match eval(const struct search_key *k, const struct search_message *sm);

/* AND is decided by a NO, OR by a YES; what is not decided is unknown as long as one child is. */
static enum match eval_children(
	const struct search_key *k, const struct search_message *sm, enum match decides)
{
	enum match all = decides == MATCH_NO ? MATCH_YES : MATCH_NO;
	for (const struct search_key *c = k->child; c; c = c->next) {
		enum match got = eval(c, sm);
		if (got == decides) { return got; }
		if (got == MATCH_UNKNOWN) { all = MATCH_UNKNOWN; }
	}
	return all;
}

/* Recursion is bounded by SEARCH_DEPTH_MAX. */
static enum match eval(const struct search_key *k, const struct search_message *sm)
{
	switch (k->kind) {
	case SEARCH_AND: return eval_children(k, sm, MATCH_NO);
	case SEARCH_OR: return eval_children(k, sm, MATCH_YES);
	case SEARCH_NOT: {
		enum match got = eval(k->child, sm);
		return got == MATCH_UNKNOWN ? got : of_bool(got == MATCH_NO);
	}
	default: return eval_row(k, sm);
	}
}

/* --- headers --- */

static bool holds(const struct buf *folded, const struct search_key *k)
{
	return str_find(buf_view(folded), k->text) >= 0;
}

/* Where a field was folded people see one space, whatever white space there is. */
static struct str in_one_line(struct matcher *m, struct str value)
{
	if (str_chr(value, '\n') < 0) { return value; }
	buf_reset(&m->line);
	for (size_t i = 0; i < value.n;) {
		size_t from = i;
		bool fold = false;
		for (; i < value.n && ascii_white(value.p[i]); i++) { fold |= value.p[i] == '\n'; }
		buf_str(&m->line, fold ? STR(" ") : str_sub(value, from, i - from));
		from = i;
		while (i < value.n && !ascii_white(value.p[i])) { i++; }
		buf_str(&m->line, str_sub(value, from, i - from));
	}
	return buf_view(&m->line);
}

static void fold_value(struct matcher *m, struct str value)
{
	buf_reset(&m->utf8);
	buf_reset(&m->folded);
	head_decode(in_one_line(m, value), &m->utf8);
	utf8_fold(buf_view(&m->utf8), &m->folded);
	m->cost += (int64_t)value.n;
}

/* RFC 9051 6.4.4: FROM and its sisters look into the envelope, which has neither comments nor
   blanks within an address. Most fields have none either. */
static bool is_dressed(struct str value)
{
	return str_chr(value, '(') >= 0 || str_find(value, STR(" @")) >= 0 ||
	       str_find(value, STR("@ ")) >= 0 || str_chr(value, '"') >= 0;
}

static void fold_addresses(struct matcher *m, struct str value)
{
	struct addr *list;
	size_t n;
	buf_reset(&m->utf8);
	buf_reset(&m->folded);
	arena_reset(&m->addresses);
	(void)addr_parse(value, &m->addresses, &list, &n); /* beyond the limit: those up to it */
	for (size_t i = 0; i < n; i++) {
		if (list[i].kind != ADDR_MAILBOX) { continue; }
		buf_fmt(&m->utf8, "%.*s@%.*s\n", STR_ARG(list[i].local), STR_ARG(list[i].domain));
	}
	utf8_fold(buf_view(&m->utf8), &m->folded);
	m->cost += (int64_t)value.n;
}

static bool open_key(const struct search_key *k, enum search_kind kind)
{
	return k->kind == kind && k->state == MATCH_UNKNOWN;
}

static bool asks_for(const struct search_key *k, struct str field, bool hot)
{
	return open_key(k, SEARCH_HEADER) && (k->hot || !hot) && str_ieq(k->name, field);
}

/* The keys that the text of the field did not have. */
static void search_addresses(struct matcher *m, const struct head_field *f, bool hot)
{
	bool folded = false;
	for (struct search_key *k = m->req->all; k; k = k->more) {
		if (!k->address || !asks_for(k, f->name, hot)) { continue; }
		if (!folded) { fold_addresses(m, f->value); }
		folded = true;
		if (holds(&m->folded, k)) { k->state = MATCH_YES; }
	}
}

/* HEADER keys against the fields of `header`; with `hot`, only keys that need no others. */
static void search_fields(struct matcher *m, struct str header, bool hot)
{
	struct head_field f;
	while (head_next(&header, &f)) {
		bool decoded = false;
		for (struct search_key *k = m->req->all; k; k = k->more) {
			if (!asks_for(k, f.name, hot)) { continue; }
			if (!decoded) { fold_value(m, f.value); }
			decoded = true;
			if (holds(&m->folded, k)) { k->state = MATCH_YES; }
		}
		if (decoded && is_dressed(f.value)) { search_addresses(m, &f, hot); }
	}
}

/* The keys of a kind that found nothing. */
static void settle(struct matcher *m, enum search_kind kind, bool hot)
{
	for (struct search_key *k = m->req->all; k; k = k->more) {
		if (open_key(k, kind) && (!hot || k->hot)) { k->state = MATCH_NO; }
	}
}

static bool any_open(const struct matcher *m, enum search_kind kind)
{
	for (const struct search_key *k = m->req->all; k; k = k->more) {
		if (open_key(k, kind)) { return true; }
	}
	return false;
}

/* TEXT, and inside the message BODY too, against whole fields. */
static void search_header_text(struct matcher *m, struct str header, bool body)
{
	struct head_field f;
	while (head_next(&header, &f)) {
		fold_value(m, str_make(f.whole.p, f.whole.n));
		for (struct search_key *k = m->req->all; k; k = k->more) {
			bool asked = open_key(k, SEARCH_TEXT) || (body && open_key(k, SEARCH_BODY));
			if (asked && holds(&m->folded, k)) { k->state = MATCH_YES; }
		}
	}
}

/* Octets as one piece: straight from the store when they stand together. */
static int read_range(struct matcher *m, const struct search_message *sm, uint64_t off,
	uint64_t len, struct str *out)
{
	int rc = sm->bytes(sm->ctx, off, out);
	if (rc < 0 || out->n >= len) {
		*out = rc < 0 ? STR("") : str_sub(*out, 0, len);
		return rc;
	}
	buf_reset(&m->header);
	while (rc == 0 && m->header.n < len) {
		struct str piece;
		rc = sm->bytes(sm->ctx, off + m->header.n, &piece);
		if (rc == 0 && !piece.n) { rc = ERR_DAMAGED; }
		if (rc == 0) { buf_str(&m->header, str_sub(piece, 0, len - m->header.n)); }
	}
	*out = buf_view(&m->header);
	return rc;
}

/* --- bodies --- */

/* Compare what has been folded, then keep as much of its end as a match could begin in. */
static void search_folded(struct matcher *m)
{
	for (struct search_key *k = m->req->all; k; k = k->more) {
		bool asked = open_key(k, SEARCH_BODY) || open_key(k, SEARCH_TEXT);
		if (asked && holds(&m->folded, k)) { k->state = MATCH_YES; }
	}
	size_t keep = MIN(m->folded.n, m->req->text_max);
	buf_drop(&m->folded, m->folded.n - keep);
}

/* How much of the decoded text is converted next. Long texts are cut behind a line, at places that
   do not depend on how the octets came. */
static size_t next_cut(const struct matcher *m, struct str charset, bool last)
{
	struct str window = str_sub(buf_view(&m->decoded), 0, WINDOW);
	bool wide = str_istarts(charset, STR("utf-16")) || str_istarts(charset, STR("utf-32"));
	ptrdiff_t lf = str_rchr(window, '\n');
	if (window.n < WINDOW) { return last ? window.n : 0; }
	return wide || lf < 0 ? window.n : (size_t)lf + 1;
}

static void take_decoded(struct matcher *m, struct str charset, bool last)
{
	size_t n;
	while ((n = next_cut(m, charset, last)) > 0) {
		buf_reset(&m->utf8);
		/* an unknown charset is read as well as can be */
		(void)charset_to_utf8(charset, str_sub(buf_view(&m->decoded), 0, n), &m->utf8);
		utf8_fold(buf_view(&m->utf8), &m->folded);
		buf_drop(&m->decoded, n);
		search_folded(m);
	}
}

static void part_open(struct matcher *m, const struct mimerec_part *p)
{
	m->in_part = true;
	m->at = 0;
	m->decoder = (struct transfer_decoder){.kind = (enum transfer)p->transfer};
	if (m->decoder.kind == TRANSFER_UNKNOWN) { m->decoder.kind = TRANSFER_NONE; }
	buf_reset(&m->decoded);
	buf_reset(&m->folded);
}

/* One piece of a part's body. 1 at its end. */
static int part_step(
	struct matcher *m, const struct search_message *sm, const struct mimerec_part *p)
{
	struct str piece;
	uint64_t body = sm->msg->prefix.n + p->header_off + p->header_len;
	if (m->at < p->body_len) {
		int rc = sm->bytes(sm->ctx, body + m->at, &piece);
		if (rc < 0 || !piece.n) { return rc < 0 ? rc : ERR_DAMAGED; }
		piece = str_sub(piece, 0, (size_t)MIN((uint64_t)PIECE, p->body_len - m->at));
		m->at += piece.n;
		m->cost += (int64_t)piece.n;
		transfer_decode(&m->decoder, piece, &m->decoded);
	}
	bool last = m->at >= p->body_len;
	if (last) { transfer_end(&m->decoder, &m->decoded); }
	take_decoded(m, p->charset, last);
	return last;
}

/* Text, and what could not be taken apart. */
static bool is_text(const struct mimerec *rec, uint32_t i)
{
	bool parent = i + 1 < rec->parts_n && rec->parts[i + 1].parent == i;
	return rec->parts[i].kind == MIME_TEXT || (rec->parts[i].kind != MIME_OTHER && !parent);
}

static void part_header(
	struct matcher *m, const struct search_message *sm, const struct mimerec_part *p)
{
	struct str header;
	uint64_t len = MIN(p->header_len, (uint32_t)MIME_HEADER_MAX);
	if (read_range(m, sm, sm->msg->prefix.n + p->header_off, len, &header) == 0) {
		search_header_text(m, header, true);
	}
}

/* A piece of work on the parts; false when all are done. */
static bool body_step(struct matcher *m, const struct search_message *sm, const struct mimerec *rec)
{
	if (m->part == rec->parts_n) { return false; }
	const struct mimerec_part *p = &rec->parts[m->part];
	if (!m->in_part) {
		if (m->part) { part_header(m, sm, p); }
		part_open(m, p);
	}
	if (!is_text(rec, m->part) || part_step(m, sm, p) != 0) {
		m->in_part = false;
		m->part++;
	}
	return true;
}

/* --- stages --- */

static void stage_record(
	struct matcher *m, const struct search_message *sm, const struct mimerec *rec)
{
	for (struct search_key *k = m->req->all; k; k = k->more) {
		if (open_key(k, SEARCH_SENT)) {
			k->state = of_bool(rec->sent_day && within(k, rec->sent_day));
		}
		bool text = open_key(k, SEARCH_BODY) || open_key(k, SEARCH_TEXT);
		if (text && !k->text.n) { k->state = MATCH_YES; }
	}
	if (rec->hot_complete && any_open(m, SEARCH_HEADER)) {
		search_fields(m, sm->msg->prefix, true);
		search_fields(m, rec->hot, true);
		settle(m, SEARCH_HEADER, true);
	}
}

static void stage_header(
	struct matcher *m, const struct search_message *sm, const struct mimerec *rec)
{
	struct str header;
	uint64_t len = sm->msg->prefix.n + MIN(rec->header_len, (uint32_t)MIME_HEADER_MAX);
	if (read_range(m, sm, 0, len, &header) == 0) {
		search_fields(m, header, false);
		if (any_open(m, SEARCH_TEXT)) { search_header_text(m, header, false); }
	}
	settle(m, SEARCH_HEADER, false);
}

/* One stage, or one piece of the last. False when there is no more to learn. */
static bool learn(struct matcher *m, const struct search_message *sm)
{
	const struct mimerec *rec = sm->record(sm->ctx);
	if (!rec) { return false; }
	switch (m->stage) {
	case MATCH_ROW:
		stage_record(m, sm, rec);
		m->cost += RECORD_COST;
		m->stage = MATCH_RECORD;
		return true;
	case MATCH_RECORD:
		stage_header(m, sm, rec);
		m->stage = MATCH_HEADER;
		return true;
	case MATCH_HEADER: return body_step(m, sm, rec);
	}
	return false;
}

void matcher_reset(struct matcher *m)
{
	m->stage = MATCH_ROW;
	m->part = 0;
	m->in_part = false;
	for (struct search_key *k = m->req->all; k; k = k->more) { k->state = MATCH_UNKNOWN; }
}

void matcher_fini(struct matcher *m)
{
	buf_fini(&m->decoded);
	buf_fini(&m->utf8);
	buf_fini(&m->folded);
	buf_fini(&m->header);
	buf_fini(&m->line);
	arena_fini(&m->addresses);
}

enum match matcher_run(struct matcher *m, const struct search_message *sm, int64_t budget)
{
	m->cost += m->stage == MATCH_ROW ? ROW_COST : 0;
	for (;;) {
		enum match got = eval(m->req->root, sm);
		if (got != MATCH_UNKNOWN) { return got; }
		if (!learn(m, sm)) { break; }
		if (m->cost >= budget) { return MATCH_UNKNOWN; }
	}
	settle(m, SEARCH_SENT, false);
	settle(m, SEARCH_HEADER, false);
	settle(m, SEARCH_BODY, false);
	settle(m, SEARCH_TEXT, false);
	return eval(m->req->root, sm);
}
