/* The life of a DKIM verification: fields found, keys asked for while the body streams, verdicts.
   Runs in mx and in commands. What is hashed is chosen in dkim_fields.c; libopendkim is spoken to
   in dkim_lib.c alone, and never without dkim_tags.c having found a signature acceptable. */
#include "auth/dkim_verify.h"

#include "auth/dkim_private.h"
#include "lib/head.h"

struct dkim_verify *dkim_verify_new(const struct dkim_env *env)
{
	struct dkim_verify *v = xnew(struct dkim_verify);
	v->env = *env;
	return v;
}

void dkim_verify_free(struct dkim_verify *v)
{
	if (!v) { return; }
	for (size_t i = 0; i < v->question_n; i++) { dns_query_fini(&v->question[i].query); }
	dkim_own_free(v);
	dkim_lib_free(v);
	map_fini(&v->named);
	arena_fini(&v->arena);
	free(v);
}

const struct dkim_sig *dkim_verify_sigs(const struct dkim_verify *v, size_t *n_out)
{
	*n_out = v->n;
	return v->sigs;
}

static void decide(struct dkim_sig *sig, enum dkim_result result, struct str why)
{
	sig->result = result;
	sig->reason = why;
}

void dkim_decide(struct dkim_work *w, enum dkim_result result, struct str why)
{
	w->open = false;
	decide(w->sig, result, why);
}

/* --- the header --- */

struct census {
	size_t signatures, from;
};

static struct census count_fields(struct str header)
{
	struct census c = {0};
	struct head_field f;
	while (head_next(&header, &f)) {
		c.from += str_ieq(f.name, STR("From"));
		c.signatures += str_ieq(f.name, STR("DKIM-Signature"));
	}
	return c;
}

static void report(struct dkim_sig *sig, const struct dkim_signature *s)
{
	sig->domain = s->domain;
	sig->selector = s->selector;
	sig->identity = s->identity;
	sig->algorithm = s->a;
	sig->b = s->b;
}

static const char *wrong_from(size_t from)
{
	return from == 0  ? "the message has no From field"
	       : from > 1 ? "the message has several From fields"
			  : NULL;
}

static bool cut_field(struct str whole, struct str *out)
{
	bool ended = str_ends(whole, STR("\r\n"));
	*out = str_sub(whole, 0, whole.n - (ended ? 2 : 0));
	return ended;
}

static void take_signature(
	struct dkim_verify *v, const struct head_field *f, const struct census *c, size_t index)
{
	struct dkim_sig *sig = &v->sigs[index];
	struct dkim_signature s;
	struct dkim_flaw flaw = dkim_signature_parse(f->value, v->env.now_us, &v->arena, &s);
	const char *from = wrong_from(c->from);
	struct str field;
	bool ended = cut_field(f->whole, &field);
	report(sig, &s);
	if (index >= DKIM_VERIFIED_MAX) {
		decide(sig, DKIM_RESULT_POLICY, STR("only the first 8 signatures are verified"));
	} else if (flaw.why) {
		decide(sig, flaw.result, str_of(flaw.why));
	} else if (!ended) {
		decide(sig, DKIM_RESULT_NEUTRAL, STR("the signature is cut off"));
	} else if (from) {
		decide(sig, c->from ? DKIM_RESULT_POLICY : DKIM_RESULT_PERMERROR, str_of(from));
	} else {
		v->work[v->work_n++] = (struct dkim_work){
			.sig = sig, .signature = s, .field = field, .open = true};
	}
}

static void take_signatures(struct dkim_verify *v, struct str header, const struct census *c)
{
	struct head_field f;
	size_t i = 0;
	v->n = MIN(c->signatures, (size_t)DKIM_REPORTED_MAX);
	v->sigs = arena_array(&v->arena, v->n, sizeof *v->sigs);
	while (i < v->n && head_next(&header, &f)) {
		if (str_ieq(f.name, STR("DKIM-Signature"))) { take_signature(v, &f, c, i++); }
	}
}

/* --- keys --- */

static struct dkim_question *ask(struct dkim_verify *v, struct str name)
{
	for (size_t i = 0; i < v->question_n; i++) {
		if (str_eq(v->question[i].name, name)) { return &v->question[i]; }
	}
	struct dkim_question *q = &v->question[v->question_n++];
	q->name = name;
	dns_ask_within(v->env.dns, &q->query, v->env.task, v->env.budget, name, DNS_TXT);
	return q;
}

static void ask_keys(struct dkim_verify *v)
{
	for (size_t i = 0; i < v->work_n; i++) {
		struct dkim_work *w = &v->work[i];
		if (!w->open) { continue; }
		w->question = ask(
			v, arena_fmt(&v->arena, "%.*s._domainkey.%.*s",
				   STR_ARG(w->signature.selector), STR_ARG(w->signature.domain)));
		w->sig->asked = w->question->name;
	}
}

void dkim_verify_header(struct dkim_verify *v, struct str header)
{
	struct census c = count_fields(header);
	assert(!v->asked);
	v->asked = true;
	if (c.signatures == 0) { return; }
	header = arena_dup(&v->arena, header);
	take_signatures(v, header, &c);
	dkim_fields_gather(v, header);
	ask_keys(v);
	dkim_own_start(v);
	dkim_lib_header(v);
}

static bool all_answered(const struct dkim_verify *v)
{
	for (size_t i = 0; i < v->question_n; i++) {
		if (!v->question[i].query.answer) { return false; }
	}
	return true;
}

/* Of several records the one that is a key counts; two different keys are nobody's. */
static struct dkim_flaw choose_key(
	struct dkim_verify *v, struct dkim_work *w, const struct dns_answer *answer)
{
	struct dkim_flaw flaw = {DKIM_RESULT_PERMERROR, "the key record cannot be read"};
	struct str chosen = STR("");
	bool any = false;
	for (size_t i = 0; i < answer->n; i++) {
		struct str text;
		struct dkim_key key;
		if (answer->rr[i].data.n > DKIM_KEY_MAX ||
			dns_rdata_txt(answer->rr[i].data, &v->arena, &text) < 0) {
			continue;
		}
		struct dkim_flaw f = dkim_key_parse(text, &w->signature, &v->arena, &key);
		if (any && key.is_key && !str_eq(text, chosen)) {
			return (struct dkim_flaw){
				DKIM_RESULT_PERMERROR, "several keys stand at the selector"};
		}
		if (key.is_key || !any) {
			flaw = f;
			w->key = key;
		}
		if (key.is_key) {
			any = true;
			chosen = text;
		}
	}
	return flaw;
}

static struct dkim_flaw take_key(struct dkim_verify *v, struct dkim_work *w)
{
	const struct dns_answer *answer = w->question->query.answer;
	switch (answer->status) {
	case DNS_OK: return choose_key(v, w, answer);
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return (struct dkim_flaw){DKIM_RESULT_PERMERROR, "there is no key record"};
	case DNS_BAD:
		return (struct dkim_flaw){
			DKIM_RESULT_PERMERROR, "the name of the key record is no name"};
	case DNS_SERVFAIL: break;
	}
	return (struct dkim_flaw){
		DKIM_RESULT_TEMPERROR, answer->bogus ? "the key record fails DNSSEC validation"
						     : "the key record could not be had"};
}

static void take_keys(struct dkim_verify *v)
{
	for (size_t i = 0; i < v->work_n; i++) {
		struct dkim_work *w = &v->work[i];
		if (!w->open) { continue; }
		struct dkim_flaw flaw = take_key(v, w);
		w->sig->key_bits = w->key.bits;
		w->sig->testing = w->key.testing;
		w->sig->weak = !w->key.ed25519 && w->key.bits && w->key.bits <= DKIM_RSA_BITS_WEAK;
		if (flaw.why) { dkim_decide(w, flaw.result, str_of(flaw.why)); }
	}
}

/* --- the body --- */

/* A line end is two octets; anything else that holds one of them is no text. */
static void look_for_bare(struct dkim_verify *v, struct str s)
{
	char last = v->last[1];
	for (size_t at = 0; at < s.n && !v->bare;) {
		const char *lf = memchr(s.p + at, '\n', s.n - at);
		size_t end = lf ? (size_t)(lf - s.p) : s.n;
		char before = end > at ? s.p[end - 1] : last;
		if (end > at && last == '\r') { v->bare = true; }
		if (lf && before != '\r') { v->bare = true; }
		if (end > at + 1 && memchr(s.p + at, '\r', end - 1 - at)) { v->bare = true; }
		last = lf ? '\n' : before;
		at = end + 1;
	}
}

void dkim_verify_body(struct dkim_verify *v, struct str octets)
{
	if (octets.n == 0 || v->work_n == 0) { return; }
	look_for_bare(v, octets);
	v->size += octets.n;
	v->last[0] = octets.n > 1 ? octets.p[octets.n - 2] : v->last[1];
	v->last[1] = octets.p[octets.n - 1];
	dkim_own_body(v, octets);
	dkim_lib_body(v, octets);
}

/* libopendkim wants the last line ended (RFC 6376 3.4.3, 3.4.4 have us end it). */
static void end_body(struct dkim_verify *v)
{
	if (v->last[1] == '\r') { v->bare = true; }
	if (v->size && !(v->last[0] == '\r' && v->last[1] == '\n')) {
		dkim_lib_body(v, STR("\r\n"));
	}
	dkim_own_body_end(v);
}

/* Only an l= that covers all is accepted, so that one hash of the whole body serves every l=. */
static void judge_body(struct dkim_verify *v, struct dkim_work *w)
{
	const struct dkim_signature *s = &w->signature;
	uint64_t size = dkim_own_size(v, w);
	if (v->bare && !s->beyond_lib) {
		dkim_decide(w, DKIM_RESULT_NEUTRAL,
			STR("the body holds a CR or LF that is no line end"));
	} else if (s->has_l && s->l > size) {
		dkim_decide(w, DKIM_RESULT_FAIL, STR("the body is shorter than l= says"));
	} else if (s->has_l && s->l < size) {
		dkim_decide(w, DKIM_RESULT_POLICY,
			arena_fmt(&v->arena, "l= leaves %llu octets of the body unsigned",
				(unsigned long long)(size - s->l)));
	}
}

static int by_b(const void *a, const void *b)
{
	const struct dkim_sig *const *x = a, *const *y = b;
	return str_cmp((*x)->b, (*y)->b);
}

static size_t shared(struct str a, struct str b)
{
	size_t n = 0;
	while (n < a.n && n < b.n && a.p[n] == b.p[n]) { n++; }
	return n;
}

/* In order of b=, only neighbours can share the longest start. Equal ones cannot be told apart. */
static void shorten_b(struct dkim_verify *v)
{
	struct dkim_sig **order = arena_array(&v->arena, v->n, sizeof(struct dkim_sig *));
	size_t before = 0;
	for (size_t i = 0; i < v->n; i++) { order[i] = &v->sigs[i]; }
	qsort(order, v->n, sizeof(struct dkim_sig *), by_b);
	for (size_t i = 0; i < v->n; i++) {
		struct str b = order[i]->b;
		size_t after = i + 1 < v->n ? shared(b, order[i + 1]->b) : 0;
		order[i]->b = str_sub(b, 0, MAX(MAX(before, after) + 1, (size_t)DKIM_B_MIN));
		before = after;
	}
}

int dkim_verify_step(struct dkim_verify *v)
{
	if (v->done) { return 1; }
	if (!v->ended) {
		v->ended = true;
		end_body(v);
	}
	if (!all_answered(v)) { return 0; }
	take_keys(v);
	for (size_t i = 0; i < v->work_n; i++) {
		if (v->work[i].open) { judge_body(v, &v->work[i]); }
	}
	dkim_lib_end(v);
	for (size_t i = 0; i < v->work_n; i++) {
		if (v->work[i].open) { dkim_own_end(v, &v->work[i]); }
	}
	shorten_b(v);
	v->done = true;
	return 1;
}
