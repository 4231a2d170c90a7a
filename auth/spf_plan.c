/* From a published record to the one that libspf2 walks: checked, without a macro, without a name
   that somebody else chose. RFC 7208 4.3-4.8.

   Term number N of the evaluation becomes `a:N.t`, `include:N.t`, ... and what libspf2 then looks
   up is looked up here, by number. Terms that ask for nothing get `exists:N.p` in front, which
   never matches but shows where libspf2 is. libspf2 takes 511 octets of compiled terms; a record
   that needs more loses the ip4 and ip6 terms that do not hold the client's address. */
#include "auth/spf_private.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

enum { COMPILED_MAX = 490, PROBE = 16 }; /* octets in libspf2 */

void spf_stop(struct spf_run *r, enum spf_result result, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (r->failed) { return; }
	r->failed = true;
	r->c->result = result;
	r->c->why = arena_dup(r->c->arena, str_of(text));
}

/* Is it a domain that can have a record (4.3)? */
static bool is_domain(struct str name)
{
	struct str label, rest = name;
	size_t labels = 0;
	bool more = true, letter = false;
	if (name.n == 0 || name.n > 253) { return false; }
	while (more) {
		more = str_cut(&rest, '.', &label);
		if (label.n == 0 || label.n > 63) { return false; }
		labels++;
		letter = false;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];
			if (c < '!' || c > '~') { return false; }
			letter |= !ascii_digit(c);
			if (!more && !ascii_alpha(c) && !ascii_digit(c) && c != '-') {
				return false; /* "[192.0.2.1]" and the like */
			}
		}
	}
	return labels > 1 && letter;
}

/* --- what is kept --- */

struct plan {
	struct spf_run *r;
	struct spf_record *record;
	struct buf text;
	unsigned questions; /* kept terms that ask */
	bool tight;         /* only what may match is kept of ip4 and ip6 */
	bool probed;        /* the probe of this run of ip4 and ip6 is written */
	bool full;          /* nothing behind can be reached */
};

static bool is_ip(enum spf_kind k)
{
	return k == SPFTERM_IP4 || k == SPFTERM_IP6;
}

/* Octets of a term in libspf2, with its probe but for ip4 and ip6. */
static size_t compiled(enum spf_kind k)
{
	switch (k) {
	case SPFTERM_IP4: return 8;
	case SPFTERM_IP6: return 20;
	case SPFTERM_ALL: return 4 + PROBE;
	case SPFTERM_PTR: return 16 + PROBE;
	case SPFTERM_A:
	case SPFTERM_MX: return 20;
	case SPFTERM_INCLUDE:
	case SPFTERM_EXISTS:
	case SPFTERM_REDIRECT: return 16;
	default: return 0;
	}
}

static bool other_family(const struct spf_run *r, const struct spf_term *t)
{
	bool six = r->vars.client.sa.sa_family == AF_INET6;
	return t->kind == (six ? SPFTERM_IP4 : SPFTERM_IP6);
}

static bool holds_client(const struct spf_run *r, const struct spf_term *t)
{
	struct net_cidr net = {.addr.sa.sa_family = AF_INET6, .bits = t->bits6};
	if (t->kind == SPFTERM_IP4) {
		net.addr.sa.sa_family = AF_INET;
		net.bits = t->bits4;
		memcpy(&net.addr.in.sin_addr, t->net, 4);
	} else {
		memcpy(&net.addr.in6.sin6_addr, t->net, 16);
	}
	return is_ip(t->kind) && net_cidr_has(&net, &r->vars.client);
}

struct spf_node *spf_decided(const struct spf_run *r, struct spf_node *n)
{
	struct spf_node *end = n->record->nodes + n->record->n;
	for (struct spf_node *at = n; is_ip(n->term.kind) && at < end; at++) {
		if (holds_client(r, &at->term)) { return at; }
	}
	return n;
}

/* --- what is written --- */

unsigned spf_node_number(const struct spf_run *r, const struct spf_node *n)
{
	unsigned record = 0;
	while (r->records[record] != n->record) { record++; }
	return record * SPFPLAN_MAX + (unsigned)(n - n->record->nodes);
}

struct spf_node *spf_node_at(const struct spf_run *r, uint64_t number)
{
	uint64_t record = number / SPFPLAN_MAX, i = number % SPFPLAN_MAX;
	if (record >= r->records_n || i >= r->records[record]->n) { return NULL; }
	return &r->records[record]->nodes[i];
}

static void write_net(struct plan *p, const struct spf_node *n)
{
	const struct spf_term *t = &n->term;
	bool four = t->kind == SPFTERM_IP4;
	unsigned bits = four ? t->bits4 : t->bits6;
	char ip[INET6_ADDRSTRLEN];
	const char *name = four ? "ip4" : "ip6";
	if (!p->probed) { buf_fmt(&p->text, " exists:%u.p", spf_node_number(p->r, n)); }
	p->probed = true;
	if (bits == 0) { /* libspf2 takes no /0 */
		buf_fmt(&p->text, " %c%s:%s/1 %c%s:%s/1", t->qualifier, name,
			four ? "0.0.0.0" : "::", t->qualifier, name, four ? "128.0.0.0" : "8000::");
		return;
	}
	inet_ntop(four ? AF_INET : AF_INET6, t->net, ip, sizeof ip);
	buf_fmt(&p->text, " %c%s:%s/%u", t->qualifier, name, ip, bits);
}

/* With /0 the answers are replaced (see spf_walk.c), so that no prefix length is needed. */
static void write_bits(struct plan *p, const struct spf_term *t)
{
	bool six = p->r->vars.client.sa.sa_family == AF_INET6;
	if (six && t->bits6 > 0 && t->bits6 < 128) { buf_fmt(&p->text, "//%u", t->bits6); }
	if (!six && t->bits4 > 0 && t->bits4 < 32) { buf_fmt(&p->text, "/%u", t->bits4); }
}

static void write_node(struct plan *p, const struct spf_node *n)
{
	static const char *const names[] = {[SPFTERM_INCLUDE] = "include",
		[SPFTERM_A] = "a",
		[SPFTERM_MX] = "mx",
		[SPFTERM_PTR] = "ptr",
		[SPFTERM_EXISTS] = "exists"};
	const struct spf_term *t = &n->term;
	unsigned number = spf_node_number(p->r, n);
	if (is_ip(t->kind)) {
		write_net(p, n);
		return;
	}
	p->probed = false;
	switch (t->kind) {
	case SPFTERM_ALL: buf_fmt(&p->text, " exists:%u.p %call", number, t->qualifier); break;
	case SPFTERM_REDIRECT: buf_fmt(&p->text, " redirect=%u.t", number); break;
	case SPFTERM_PTR:
		buf_fmt(&p->text, " exists:%u.p %cptr:%u.t", number, t->qualifier, number);
		break;
	default:
		buf_fmt(&p->text, " %c%s:%u.t", t->qualifier, names[t->kind], number);
		if (t->kind == SPFTERM_A || t->kind == SPFTERM_MX) { write_bits(p, t); }
		break;
	}
}

static void keep(struct plan *p, const struct spf_term *t)
{
	if (p->record->n == SPFPLAN_MAX) { return; }
	struct spf_node *n = &p->record->nodes[p->record->n++];
	*n = (struct spf_node){.term = *t, .record = p->record};
	write_node(p, n);
}

static void take_mechanism(struct plan *p, const struct spf_term *t)
{
	if (p->full || other_family(p->r, t)) { return; }
	if (is_ip(t->kind) && p->tight) {
		if (!holds_client(p->r, t)) { return; }
		p->full = true; /* it matches */
	}
	keep(p, t);
	/* a question over the limit ends everything, and so does `all` */
	if (spf_asks(t->kind) && ++p->questions > SPFMAX_TERMS) { p->full = true; }
	p->full |= t->kind == SPFTERM_ALL;
}

struct shape { /* of a record, for this client */
	size_t terms, octets;
	bool has_all;
};

static struct shape measure(const struct spf_run *r, struct str record)
{
	struct shape s = {0};
	struct spf_term t;
	struct str rest = spf_terms(record), text;
	bool in_run = false; /* of ip4 and ip6, which has one probe */
	while (spf_next_term(&rest, &text)) {
		spf_term_parse(text, &t, NULL);
		if (t.kind == SPFTERM_EXP || t.kind == SPFTERM_OTHER || other_family(r, &t)) {
			continue;
		}
		bool any = is_ip(t.kind) && (t.kind == SPFTERM_IP4 ? t.bits4 : t.bits6) == 0;
		s.terms++;
		s.octets += compiled(t.kind) * (any ? 2 : 1);
		if (is_ip(t.kind) && !in_run) { s.octets += PROBE; }
		in_run = is_ip(t.kind);
		s.has_all |= t.kind == SPFTERM_ALL;
	}
	return s;
}

static void write_record(struct spf_run *r, struct spf_record *record, struct str published)
{
	struct plan p = {.r = r, .record = record};
	struct spf_term t, redirect = {.kind = SPFTERM_OTHER};
	struct shape shape = measure(r, published);
	struct str rest = spf_terms(published), text;
	p.tight = shape.octets > COMPILED_MAX || shape.terms > SPFPLAN_MAX;
	record->nodes = arena_array(
		r->c->arena, MIN(shape.terms, (size_t)SPFPLAN_MAX), sizeof *record->nodes);
	buf_str(&p.text, STR("v=spf1"));
	while (spf_next_term(&rest, &text)) {
		spf_term_parse(text, &t, NULL);
		if (t.kind == SPFTERM_EXP) {
			record->exp = t.spec;
			record->exp_term = t.text;
		} else if (t.kind == SPFTERM_REDIRECT) {
			redirect = t;
		} else if (t.kind != SPFTERM_OTHER) {
			take_mechanism(&p, &t);
		}
	}
	/* 6.1: last, and not at all where there is an `all` */
	if (redirect.kind == SPFTERM_REDIRECT && !shape.has_all) { keep(&p, &redirect); }
	record->canonical = arena_cstr(r->c->arena, buf_view(&p.text));
	buf_fini(&p.text);
}

/* --- records --- */

/* The first octets of a TXT record, its strings joined. */
static bool begins_like_one(struct str rdata)
{
	char head[8];
	size_t n = 0;
	for (size_t at = 0; at < rdata.n && n < sizeof head;) {
		size_t left = (unsigned char)rdata.p[at++];
		if (left > rdata.n - at) { return false; }
		struct str s = str_sub(rdata, at, MIN(left, sizeof head - n));
		if (s.n) { memcpy(head + n, s.p, s.n); }
		n += s.n;
		at += left;
	}
	return spf_is_record(str_make(head, n));
}

/* 4.5: the one record. 0, ERR_GONE or, having stopped the walk, ERR_AGAIN. */
static int select_record(
	struct spf_run *r, struct str domain, const struct dns_answer *a, struct str *text_out)
{
	size_t found = 0, which = 0;
	for (size_t i = 0; i < a->n; i++) {
		if (!begins_like_one(a->rr[i].data)) { continue; }
		which = i;
		found++;
	}
	if (found == 0) { return ERR_GONE; }
	if (found > 1) {
		spf_stop(r, SPFRES_PERMERROR, "%.*s has %zu SPF records where one may be",
			STR_ARG(domain), found);
		return ERR_AGAIN;
	}
	r->text_n += a->rr[which].data.n;
	if (r->text_n > SPFMAX_TEXT) {
		spf_stop(r, SPFRES_PERMERROR, "the SPF records have more than %d octets in all",
			SPFMAX_TEXT);
		return ERR_AGAIN;
	}
	return dns_rdata_txt(a->rr[which].data, r->c->arena, text_out) < 0 ? ERR_GONE : 0;
}

static int no_record(struct spf_run *r, struct str domain, const char *what, struct str *why_out)
{
	*why_out = arena_fmt(r->c->arena, "%.*s %s", (int)MIN(domain.n, 255), domain.p, what);
	return ERR_GONE;
}

static int fetch(struct spf_run *r, struct str domain, const struct spf_node *parent,
	struct str *text_out, struct str *why_out)
{
	const struct dns_answer *a =
		spf_ask(r, domain, DNS_TXT, parent ? parent->term.text : STR("record"),
			parent ? parent->record->domain : domain);
	if (!a) { return ERR_AGAIN; }
	if (a->status == DNS_SERVFAIL) {
		spf_stop(r, SPFRES_TEMPERROR, "looking up the SPF record of %.*s failed",
			STR_ARG(domain));
		return ERR_AGAIN;
	}
	if (a->status == DNS_NXDOMAIN) { return no_record(r, domain, "does not exist", why_out); }
	int rc = a->status == DNS_OK ? select_record(r, domain, a, text_out) : ERR_GONE;
	return rc == ERR_GONE ? no_record(r, domain, "has no SPF record", why_out) : rc;
}

int spf_record_read(struct spf_run *r, struct str domain, struct spf_node *parent,
	struct spf_record **out, struct str *why_out)
{
	struct err e;
	struct str text;
	if (!is_domain(domain)) {
		return no_record(
			r, domain, "is no domain name that can have an SPF record", why_out);
	}
	assert(r->records_n < SPFRECORDS_MAX); /* the first and one for each term that asks */
	int rc = fetch(r, domain, parent, &text, why_out);
	if (rc < 0) { return rc; }
	if (spf_record_check(text, &e) < 0) {
		spf_stop(r, SPFRES_PERMERROR, "the SPF record of %.*s has %s", STR_ARG(domain),
			e.text);
		return ERR_AGAIN;
	}
	struct spf_record *record = arena_new(r->c->arena, struct spf_record);
	*record = (struct spf_record){.domain = domain, .parent = parent, .exp = STR("")};
	r->records[r->records_n++] = record;
	write_record(r, record, text);
	*out = record;
	return 0;
}

int spf_expand(struct spf_run *r, struct str spec, const struct spf_record *record, struct str by,
	struct str *out)
{
	struct buf name = {0};
	r->vars.domain = record->domain;
	r->vars.validated = STR("");
	/* RFC 8616 4: a local-part that is not ASCII is in no name */
	if (!spf_is_printable(r->vars.local) && spf_macro_uses(spec, "sl")) {
		*out = spec;
		return ERR_SYNTAX;
	}
	if (spf_macro_uses(spec, "p")) {
		int rc = spf_validated(r, record->domain, by, record->domain, &r->vars.validated);
		if (rc < 0) { return rc; }
	}
	spf_macro_expand(spec, SPFUSE_DOMAIN, &r->vars, 0, &name);
	*out = arena_dup(r->c->arena, buf_view(&name));
	buf_fini(&name);
	return spf_is_printable(*out) ? 0 : ERR_SYNTAX;
}

int spf_expand_target(struct spf_run *r, struct spf_node *n)
{
	if (n->target.p) { return 0; }
	if (n->term.spec.n == 0) {
		n->target = n->record->domain;
		n->askable = true;
		return 0;
	}
	int rc = spf_expand(r, n->term.spec, n->record, n->term.text, &n->target);
	if (rc == ERR_AGAIN) {
		n->target = (struct str){NULL, 0};
		return rc;
	}
	n->askable = rc == 0;
	return 0;
}
