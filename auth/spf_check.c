/* The SPF check, from the envelope to result, sentence and explanation. RFC 7208 2.4, 4, 6.2, RFC
   8616 4. Runs in mx and in commands. */
#include "auth/spf_private.h"

#include "lib/idn.h"

enum { SHOWN_MAX = 120 };
/* As much of a term as a sentence can bear. */
#define SHOWN(s) (int)MIN((s).n, (size_t)SHOWN_MAX), (s).p

static void finish(struct spf_check *c, enum spf_result result, struct str why)
{
	c->result = result;
	c->why = why;
	c->run->phase = SPFRUN_DONE;
}

static bool is_unspecified(const struct net_addr *a)
{
	if (a->sa.sa_family == AF_INET) { return ntohl(a->in.sin_addr.s_addr) >> 24 == 0; }
	return a->sa.sa_family != AF_INET6 || IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* <domain> and <sender> (4.1, 2.4, 4.3); A-labels (RFC 8616). */
static void set_identity(struct spf_check *c, struct spf_vars *v)
{
	bool null_path = c->domain.n == 0;
	bool helo = c->identity == SPFID_HELO || null_path;
	struct str domain = helo ? c->helo : c->domain;
	if (str_ends(domain, STR("."))) { domain.n--; }
	if (idn_domain(domain, c->arena, &c->checked) < 0) {
		c->checked = arena_dup(c->arena, domain);
	}
	v->local = helo || c->local.n == 0 ? STR("postmaster") : c->local;
	v->sender_domain = c->checked;
	v->sender = c->sender =
		arena_fmt(c->arena, "%.*s@%.*s", STR_ARG(v->local), STR_ARG(v->sender_domain));
}

void spf_check_start(struct spf_check *c)
{
	struct spf_run *r = c->run = arena_new(c->arena, struct spf_run);
	struct spf_vars *v = &r->vars;
	r->c = c;
	c->term = c->term_at = c->why = c->explanation = STR("");
	c->lookups = arena_array(c->arena, SPFMAX_LOOKUPS, sizeof(struct spf_lookup *));
	c->lookups_n = 0;
	c->terms = c->voids = 0;
	set_identity(c, v);
	v->helo = c->helo;
	v->receiver = c->receiver.n ? c->receiver : STR("unknown");
	v->now_us = c->now_us;
	net_addr_from_sa(&c->client.sa, &v->client); /* an IPv4-mapped one is IPv4 (5) */
	if (is_unspecified(&v->client) || net_addr_is_loopback(&v->client)) {
		finish(c, SPFRES_NONE, STR("the client has no address that a record could name"));
		return;
	}
	r->reverse = dns_reverse_name(&v->client.sa, c->arena);
}

/* --- phases: 1 on to the next, 0 wait --- */

static int read_first(struct spf_check *c)
{
	struct spf_run *r = c->run;
	struct spf_record *first;
	struct str why;
	int rc = spf_record_read(r, c->checked, NULL, &first, &why);
	if (rc == ERR_AGAIN && r->pending) { return 0; }
	if (rc == ERR_AGAIN) { r->phase = SPFRUN_DONE; }
	if (rc == ERR_GONE) { finish(c, SPFRES_NONE, why); }
	if (rc == 0) { r->phase = SPFRUN_WALK; }
	return 1;
}

static void tell_match(struct spf_check *c)
{
	struct spf_run *r = c->run;
	char ip[NET_ADDR_TEXT];
	struct spf_node *inner = spf_decided(r, r->at), *n = inner;
	while (n->record != r->rules) { n = n->record->parent; }
	c->term = n->term.text;
	c->term_at = n->record->domain;
	net_addr_ip(&r->vars.client, ip);
	if (n->term.kind == SPFTERM_ALL) {
		c->why = arena_fmt(c->arena,
			"%s matches no term before \"%.*s\" in the SPF record of %.*s", ip,
			SHOWN(n->term.text), STR_ARG(c->term_at));
	} else if (n == inner) {
		c->why = arena_fmt(c->arena, "%s matches \"%.*s\" in the SPF record of %.*s", ip,
			SHOWN(n->term.text), STR_ARG(c->term_at));
	} else {
		c->why = arena_fmt(c->arena,
			"%s matches \"%.*s\" in the SPF record of %.*s by \"%.*s\" in that of %.*s",
			ip, SHOWN(n->term.text), STR_ARG(c->term_at), SHOWN(inner->term.text),
			STR_ARG(inner->record->domain));
	}
}

static int walk(struct spf_check *c)
{
	struct spf_run *r = c->run;
	char ip[NET_ADDR_TEXT];
	r->phase = SPFRUN_DONE;
	switch (spf_walk(r)) {
	case SPFWALK_PENDING: r->phase = SPFRUN_WALK; return 0;
	case SPFWALK_FAILED:
		if (!r->at) { break; }
		c->term = r->at->term.text;
		c->term_at = r->at->record->domain;
		break;
	case SPFWALK_MATCHED:
		tell_match(c);
		r->phase = SPFRUN_EXPLAIN;
		break;
	case SPFWALK_DEFAULT:
		c->why = arena_fmt(c->arena, "%s matches no term in the SPF record of %.*s",
			net_addr_ip(&r->vars.client, ip), STR_ARG(r->rules->domain));
		break;
	}
	return 1;
}

/* The explain-string, fetched. 0 wait, 1 there, ERR_GONE none. */
static int fetch_explanation(struct spf_run *r, struct str *text_out)
{
	struct spf_record *rules = r->rules;
	if (r->c->result != SPFRES_FAIL || rules->exp.n == 0) { return ERR_GONE; }
	if (!r->exp_target.p) {
		int rc = spf_expand(r, rules->exp, rules, rules->exp_term, &r->exp_target);
		if (rc == ERR_AGAIN) {
			r->exp_target.p = NULL;
			return r->pending ? 0 : ERR_GONE;
		}
		if (rc < 0) { return ERR_GONE; }
	}
	const struct dns_answer *a =
		spf_ask(r, r->exp_target, DNS_TXT, rules->exp_term, rules->domain);
	if (!a) { return r->pending ? 0 : ERR_GONE; }
	if (a->status != DNS_OK || a->n != 1) { return ERR_GONE; }
	if (dns_rdata_txt(a->rr[0].data, r->c->arena, text_out) < 0) { return ERR_GONE; }
	return spf_macro_check(*text_out, SPFUSE_TEXT, NULL) < 0 ? ERR_GONE : 1;
}

static int expand_explanation(struct spf_run *r)
{
	struct str text;
	struct buf out = {0};
	int rc = fetch_explanation(r, &text);
	if (rc <= 0) { return rc; }
	r->vars.domain = r->rules->domain;
	if (spf_macro_uses(text, "p") && spf_validated(r, r->rules->domain, r->rules->exp_term,
						 r->rules->domain, &r->vars.validated) < 0) {
		return r->pending ? 0 : ERR_GONE;
	}
	spf_macro_expand(text, SPFUSE_TEXT, &r->vars, SPFMAX_EXPLANATION, &out);
	if (spf_is_printable(buf_view(&out))) {
		r->c->explanation = arena_dup(r->c->arena, buf_view(&out));
	}
	buf_fini(&out);
	return 1;
}

/* Whatever goes wrong here, the result stands (6.2). */
static int explain(struct spf_check *c)
{
	enum spf_result result = c->result;
	struct str why = c->why;
	int rc = expand_explanation(c->run);
	c->result = result;
	c->why = why;
	if (rc == 0) { return 0; }
	c->run->phase = SPFRUN_DONE;
	return 1;
}

int spf_check_step(struct spf_check *c)
{
	struct spf_run *r = c->run;
	r->asked = false;
	while (r->phase != SPFRUN_DONE) {
		int rc = 1;
		r->pending = false;
		switch (r->phase) {
		case SPFRUN_RECORD: rc = read_first(c); break;
		case SPFRUN_WALK: rc = walk(c); break;
		case SPFRUN_EXPLAIN: rc = explain(c); break;
		case SPFRUN_DONE: break;
		}
		if (rc == 0) { return 0; }
	}
	/* an answer that was at hand wakes all the same: let nobody else take that for his */
	return r->asked ? 0 : 1;
}

void spf_check_fini(struct spf_check *c)
{
	for (size_t i = 0; i < c->lookups_n; i++) { dns_query_fini(&c->lookups[i]->query); }
}
