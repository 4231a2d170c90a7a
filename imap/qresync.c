/* QRESYNC: what a client missed while it was away is told at once (RFC 7162 3.2.5). The imap role.
   It is what UID FETCH with CHANGEDSINCE and VANISHED would answer. */
#include "imap/qresync.h"

#include "imap/fetch.h"

/* A set of plain numbers, in any order. */
static bool numbers(struct lex *l, struct seqset *out)
{
	if (!lex_seqset(l, out)) { return false; }
	bool plain = !out->saved;
	for (uint32_t i = 0; i < out->n; i++) { plain = plain && out->ranges[i].hi != UINT32_MAX; }
	if (!plain) { l->error = "expected numbers"; }
	return plain;
}

static bool match_data(struct lex *l, struct qresync *q)
{
	return lex_chr(l, '(') && numbers(l, &q->numbers) && lex_space(l) && numbers(l, &q->uids) &&
	       lex_chr(l, ')');
}

bool qresync_parse(struct lex *l, struct qresync *out)
{
	if (!lex_chr(l, '(') || !lex_nz_number(l, &out->uidvalidity) || !lex_space(l) ||
		!lex_number64(l, &out->modseq)) {
		return false;
	}
	if (lex_peek(l) == ' ') {
		lex_space(l);
		if (lex_peek(l) == '(') { return match_data(l, out) && lex_chr(l, ')'); }
		if (!numbers(l, &out->known)) { return false; }
		if (lex_peek(l) == ' ' && !(lex_space(l) && match_data(l, out))) { return false; }
	}
	return lex_chr(l, ')');
}

/* --- matching numbers with UIDs (RFC 7162 3.2.5.2) --- */

struct place {
	const struct seqset *set;
	uint32_t range, at;
};

static bool next_number(struct place *p, uint32_t *out)
{
	if (p->range == p->set->n) { return false; }
	const struct uid_range *r = &p->set->ranges[p->range];
	*out = r->lo + p->at;
	if (*out == r->hi) {
		p->range++;
		p->at = 0;
	} else {
		p->at++;
	}
	return true;
}

/* The highest UID up to which the client has seen every expunge: its numbers are still right. */
static uint32_t known_up_to(const struct view *v, const struct qresync *q)
{
	struct place number = {&q->numbers}, uid = {&q->uids};
	uint32_t up_to = 0, last = 0, n, u;
	while (next_number(&number, &n) && next_number(&uid, &u)) {
		if (n <= last || n > v->n || v->uids[n - 1] != u) { break; }
		last = n;
		up_to = u;
	}
	return up_to;
}

/* --- the answer --- */

enum step qresync_send(struct session *s, const struct qresync *q, session_step then)
{
	static struct uid_range all = {1, UINT32_MAX};
	struct uid_range *ranges;
	size_t n;
	if (q->uidvalidity != s->view.uidvalidity) { return then(s); }
	struct fetch_request *req = arena_new(&s->arena, struct fetch_request);
	*req = (struct fetch_request){.set = q->known,
		.changed = true,
		.changed_since = q->modseq,
		.vanished_above = known_up_to(&s->view, q)};
	if (!req->set.n) { req->set = (struct seqset){.ranges = &all, .n = 1}; }
	fetch_add(&s->arena, req, FETCH_UID);
	fetch_add(&s->arena, req, FETCH_FLAGS);
	fetch_add(&s->arena, req, FETCH_MODSEQ);
	fetch_vanished(s, req);
	(void)view_resolve(&s->view, &req->set, true, &s->arena, &ranges, &n); /* UIDs always are */
	return fetch_start(s, req, ranges, n, then);
}
