/* How a verdict is told: to the policy, on top of the message, in the audit record. Runs in mx. */
#include "auth/iprev.h"
#include "auth/results.h"
#include "smtp/verdict_private.h"

enum {
	SIGS_TOLD_MAX = 10, /* signatures in the field and in the record; their number is told */
	METHODS_MAX = 3 + SIGS_TOLD_MAX + 1 + AUTHORS_MAX,
	DNS_TOLD_MAX = 48, /* answers in the record */
	DETAIL_MAX = 500   /* octets of one row */
};

static struct str sig_reason(const struct dkim_sig *sig, struct arena *a)
{
	return sig->weak ? arena_fmt(a, "%.*s; weak key of %u bits", STR_ARG(sig->reason),
				   sig->key_bits)
			 : sig->reason;
}

/* --- for the policy --- */

/* A HELO name that disowns the client tells as much as a reverse-path that does (RFC 7208 2.3), but
   a reverse-path that owns it outweighs that. */
static const struct spf_check *spf_that_counts(const struct verdict *v)
{
	bool helo = v->helo_asked && v->helo.result == SPFRES_FAIL && v->from.result != SPFRES_PASS;
	return helo ? &v->helo : &v->from;
}

static void spf_evidence(const struct verdict *v, struct envelope *e)
{
	const struct spf_check *c = spf_that_counts(v);
	struct policy_evidence *out = &e->spf;
	out->result = str_of(spf_result_name(c->result));
	out->detail = arena_fmt(&e->arena, "%s %.*s: %.*s",
		c->identity == SPFID_HELO ? "HELO" : "MAIL FROM", STR_ARG(c->checked),
		STR_ARG(str_sub(c->why, 0, DETAIL_MAX)));
	if (c->explanation.n) {
		out->say = arena_fmt(&e->arena, "%.*s (so says %.*s)", STR_ARG(c->explanation),
			STR_ARG(c->checked));
	}
}

/* The best of the signatures; a failure may still turn out well when one could not be had. */
static void dkim_evidence(const struct verdict *v, struct envelope *e)
{
	static const enum dkim_result order[] = {DKIM_RESULT_PASS, DKIM_RESULT_TEMPERROR,
		DKIM_RESULT_FAIL, DKIM_RESULT_POLICY, DKIM_RESULT_PERMERROR, DKIM_RESULT_NEUTRAL};
	size_t n;
	const struct dkim_sig *sigs = dkim_verify_sigs(v->dkim, &n);
	e->dkim.result = STR("none");
	if (n == 0) { e->dkim.detail = STR("it has no signature"); }
	for (size_t k = 0; k < COUNT(order) && n; k++) {
		for (size_t i = 0; i < n; i++) {
			if (sigs[i].result != order[k]) { continue; }
			e->dkim.result = str_of(dkim_result_name(order[k]));
			e->dkim.detail = arena_fmt(&e->arena, "%.*s: %.*s", STR_ARG(sigs[i].domain),
				STR_ARG(sig_reason(&sigs[i], &e->arena)));
			return;
		}
	}
}

static void dmarc_evidence(const struct verdict *v, struct envelope *e)
{
	static const enum policy_action wishes[] = {[DMARC_NONE] = POLICY_NOTE,
		[DMARC_QUARANTINE] = POLICY_JUNK,
		[DMARC_REJECT] = POLICY_REFUSE};
	const struct dmarc_author *author = &v->dmarc.authors[v->dmarc.strictest];
	if (v->dmarc.authors_n == 0) {
		e->dmarc.result = STR("none");
		e->dmarc.detail = authors_fault_text(v->fault);
		return;
	}
	e->dmarc.result = str_of(dmarc_result_name(v->dmarc.result));
	e->dmarc.wish = wishes[author->policy];
	e->dmarc.detail = arena_fmt(&e->arena, "%.*s: %.*s", STR_ARG(author->domain),
		STR_ARG(dmarc_reason(author, &e->arena)));
}

void verdict_evidence(struct verdict *v, struct envelope *e)
{
	spf_evidence(v, e);
	dkim_evidence(v, e);
	dmarc_evidence(v, e);
}

/* --- on top of the message --- */

static struct results_prop *one_prop(
	struct verdict *v, const char *type, const char *name, struct str value)
{
	struct results_prop *p = arena_array(&v->arena, 1, sizeof *p);
	*p = (struct results_prop){type, name, value};
	return p;
}

static struct results_method spf_method(struct verdict *v, const struct spf_check *c)
{
	bool helo = c->identity == SPFID_HELO || !v->helo_asked;
	return (struct results_method){.name = "spf",
		.result = spf_result_name(c->result),
		.reason = c->why,
		.props =
			one_prop(v, "smtp", helo ? "helo" : "mailfrom", helo ? c->helo : c->sender),
		.props_n = 1};
}

static struct results_method dkim_method(struct verdict *v, const struct dkim_sig *sig)
{
	const struct results_prop props[] = {{"header", "d", sig->domain},
		{"header", "i", sig->identity}, {"header", "s", sig->selector},
		{"header", "a", sig->algorithm}, {"header", "b", sig->b}};
	struct results_method m = {.name = "dkim",
		.result = dkim_result_name(sig->result),
		.reason = sig_reason(sig, &v->arena),
		.props_n = COUNT(props)};
	m.props = arena_array(&v->arena, COUNT(props), sizeof *m.props);
	memcpy(m.props, props, sizeof props);
	return m;
}

static size_t dkim_methods(struct verdict *v, struct results_method *out)
{
	size_t n, told;
	const struct dkim_sig *sigs = dkim_verify_sigs(v->dkim, &n);
	for (told = 0; told < MIN(n, (size_t)SIGS_TOLD_MAX); told++) {
		out[told] = dkim_method(v, &sigs[told]);
	}
	if (n == 0) { out[told++] = (struct results_method){.name = "dkim", .result = "none"}; }
	if (n > SIGS_TOLD_MAX) {
		out[told++] = (struct results_method){.name = "dkim",
			.result = "policy",
			.reason = arena_fmt(&v->arena, "%zu more signatures", n - SIGS_TOLD_MAX)};
	}
	return told;
}

void verdict_fields(struct verdict *v, bool utf8, struct buf *out)
{
	struct results_method methods[METHODS_MAX];
	size_t n = 0;
	methods[n++] = spf_method(v, &v->from);
	if (v->helo_asked) { methods[n++] = spf_method(v, &v->helo); }
	n += dkim_methods(v, methods + n);
	n += dmarc_results(&v->dmarc, &v->arena, methods + n);
	if (v->session->iprev) { iprev_results(v->session->iprev, &v->arena, &methods[n++]); }
	results_write(v->from.receiver, methods, n, utf8, out);
	spf_received(&v->from, out);
}

/* --- in the audit record --- */

struct rows {
	struct arena *a;
	struct audit_check *out;
	size_t n, max, dns;
};

static void add_row(struct rows *r, struct str name, const char *result, struct str detail)
{
	if (r->n == r->max) { return; }
	r->out[r->n++] = (struct audit_check){
		.name = name, .result = str_of(result), .detail = str_sub(detail, 0, DETAIL_MAX)};
}

static const char *status_name(enum dns_status status)
{
	static const char *const names[] = {[DNS_OK] = "found",
		[DNS_NODATA] = "nodata",
		[DNS_NXDOMAIN] = "nxdomain",
		[DNS_SERVFAIL] = "servfail",
		[DNS_BAD] = "no name"};
	return names[status];
}

static void add_dns(struct rows *r, struct str name, const char *result, struct str detail)
{
	if (r->dns++ < DNS_TOLD_MAX) { add_row(r, name, result, detail); }
}

static void add_spf(struct rows *r, const struct spf_check *c, bool done, const char *path)
{
	struct str dns = arena_fmt(r->a, "%s/dns", path), term = arena_fmt(r->a, "%s/term", path);
	if (!c->dns) { return; }
	add_row(r, str_of(path), done ? spf_result_name(c->result) : "unfinished",
		done ? arena_fmt(r->a, "%.*s: %.*s", STR_ARG(c->checked), STR_ARG(c->why))
		     : STR(""));
	if (!done) { return; }
	if (c->term.n) {
		add_row(r, term, "decided",
			arena_fmt(r->a, "%.*s, published by %.*s", STR_ARG(c->term),
				STR_ARG(c->term_at)));
	}
	if (c->explanation.n) {
		add_row(r, arena_fmt(r->a, "%s/explanation", path), "given", c->explanation);
	}
	for (size_t i = 0; i < c->lookups_n; i++) {
		const struct spf_lookup *l = c->lookups[i];
		add_dns(r, dns, status_name(l->status),
			arena_fmt(r->a, "%s %.*s: %zu record%s, asked for by %.*s",
				dns_type_name(l->type), STR_ARG(l->name), l->n,
				l->n == 1 ? "" : "s", STR_ARG(l->asked_by)));
	}
}

static void add_signature(struct rows *r, const struct dkim_sig *sig, size_t number)
{
	struct str path = arena_fmt(r->a, "dkim/%zu", number);
	add_row(r, path, dkim_result_name(sig->result),
		arena_fmt(r->a, "d=%.*s s=%.*s a=%.*s b=%.*s: %.*s", STR_ARG(sig->domain),
			STR_ARG(sig->selector), STR_ARG(sig->algorithm), STR_ARG(sig->b),
			STR_ARG(sig_reason(sig, r->a))));
	if (sig->asked.n) {
		add_dns(r, arena_fmt(r->a, "%.*s/dns", STR_ARG(path)),
			sig->key_bits ? "found" : "no key",
			arena_fmt(r->a, "TXT %.*s: key of %u bits%s", STR_ARG(sig->asked),
				sig->key_bits, sig->testing ? ", testing" : ""));
	}
}

static void add_dkim(struct rows *r, const struct verdict *v)
{
	size_t n;
	if (!v->dkim) { return; }
	const struct dkim_sig *sigs = dkim_verify_sigs(v->dkim, &n);
	for (size_t i = 0; v->dkim_done && i < MIN(n, (size_t)SIGS_TOLD_MAX); i++) {
		add_signature(r, &sigs[i], i + 1);
	}
	if (n > SIGS_TOLD_MAX) {
		add_row(r, STR("dkim/more"), "policy",
			arena_fmt(r->a, "%zu more signatures", n - SIGS_TOLD_MAX));
	}
}

static void add_dmarc(struct rows *r, const struct verdict *v)
{
	if (!v->done) { return; }
	for (size_t i = 0; i < v->dmarc.authors_n; i++) {
		const struct dmarc_author *author = &v->dmarc.authors[i];
		add_row(r, STR("dmarc/author"), dmarc_result_name(author->result),
			arena_fmt(r->a, "%.*s: %.*s", STR_ARG(author->domain),
				STR_ARG(dmarc_reason(author, r->a))));
	}
	for (size_t i = 0; i < v->dmarc.walks_n; i++) {
		const struct dmarc_walk *w = v->dmarc.walks[i];
		for (size_t k = 0; k < w->n; k++) {
			const struct dmarc_step *step = &w->steps[k];
			add_dns(r, STR("dmarc/dns"), status_name(step->status),
				arena_fmt(r->a, "TXT _dmarc.%.*s: %.*s", STR_ARG(step->name),
					STR_ARG(step->found ? step->text : STR("no record"))));
		}
	}
}

size_t verdict_steps(const struct verdict *v, struct arena *a, struct audit_check *out, size_t max)
{
	struct rows r = {.a = a, .out = out, .max = max};
	add_spf(&r, &v->from, v->from_done, "spf/mail-from");
	add_spf(&r, &v->helo, v->helo_done, "spf/helo");
	add_dkim(&r, v);
	add_dmarc(&r, v);
	return r.n;
}
