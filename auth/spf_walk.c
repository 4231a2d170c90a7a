/* libspf2 walks the records of an SPF check. Runs in mx and in commands.

   libspf2 asks for what it needs by calling back and cannot wait. So a walk stops where an answer
   is missing (TRY_AGAIN) and begins anew when it has come; that costs microseconds. libspf2 must
   never see a macro, nor a name that a peer chose: see spf_plan.c for what it sees instead. All
   limits are kept here, over all records; what breaks one ends the walk. */
#include "auth/spf_private.h"

#include <spf2/spf.h>
#include <stdio.h>

#include "lib/idn.h"

/* The walk that libspf2 is in: its callbacks get no pointer of ours. */
static _Thread_local struct spf_run *current;

static SPF_dns_rr_t *on_lookup(SPF_dns_server_t *, const char *, ns_type, int);
static SPF_errcode_t on_record(SPF_server_t *, SPF_request_t *, SPF_response_t *, SPF_record_t **);

static SPF_dns_server_t resolver = {.lookup = on_lookup, .get_spf = on_record, .name = "posthouse"};

/* Not by SPF_server_new_dns: that asks for the host's name, which the sandbox refuses and libspf2
   takes as a reason to abort. Its limits are per record; ours come first. */
static SPF_server_t server = {.resolver = &resolver,
	.rec_dom = (char[]){"mx"},
	.max_dns_mech = 1000,
	.max_dns_ptr = SPFMAX_HOSTS,
	.max_dns_mx = SPFMAX_HOSTS};

/* --- answers in libspf2's form --- */

static SPF_dns_rr_t *answer_new(ns_type type, int status)
{
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(&resolver, "", type, 0, status);
	if (!rr) { abort(); }
	return rr;
}

static SPF_dns_rr_data_t *answer_add(SPF_dns_rr_t *rr, size_t octets)
{
	if (SPF_dns_rr_buf_realloc(rr, rr->num_rr, octets) != SPF_E_SUCCESS) { abort(); }
	return rr->rr[rr->num_rr++];
}

static SPF_dns_rr_t *nothing(ns_type type)
{
	return answer_new(type, HOST_NOT_FOUND);
}

/* Ends the walk. */
static SPF_dns_rr_t *not_now(ns_type type)
{
	return answer_new(type, TRY_AGAIN);
}

/* What libspf2 is to ask about host `i` of a term. */
static void add_host(SPF_dns_rr_t *rr, size_t i, const char *number)
{
	char name[64];
	int n = snprintf(name, sizeof name, "%zu.%s", i, number);
	memcpy(answer_add(rr, (size_t)n + 1), name, (size_t)n + 1);
}

static bool wants_any(const struct spf_run *r, const struct spf_term *t)
{
	return (spf_address_type(r) == DNS_AAAA ? t->bits6 : t->bits4) == 0;
}

/* With a prefix length of 0 any address is the client's. */
static SPF_dns_rr_t *addresses(
	const struct spf_run *r, const struct spf_term *t, ns_type type, const struct dns_answer *a)
{
	bool six = type == ns_t_aaaa, any = t->kind != SPFTERM_PTR && wants_any(r, t);
	size_t octets = six ? 16 : 4;
	const void *client = six ? (const void *)&r->vars.client.in6.sin6_addr
				 : (const void *)&r->vars.client.in.sin_addr;
	if (a->status != DNS_OK) { return nothing(type); }
	SPF_dns_rr_t *rr = answer_new(type, NETDB_SUCCESS);
	for (size_t i = 0; i < (any ? 1 : a->n); i++) {
		if (a->rr[i].data.n != octets) { continue; }
		memcpy(answer_add(rr, octets), any ? client : a->rr[i].data.p, octets);
	}
	return rr;
}

/* --- counting --- */

/* libspf2 has come to a term that asks: 4.6.4. */
static bool enter(struct spf_run *r, struct spf_node *n)
{
	r->at = n;
	if (++r->c->terms <= SPFMAX_TERMS) { return true; }
	spf_stop(r, SPFRES_PERMERROR, "the SPF records have more than %d terms that ask the DNS",
		SPFMAX_TERMS);
	return false;
}

/* The term's own question: NULL when the walk ends here. A term is void when that answers nothing;
   hosts without an address are not counted, they are bounded otherwise. */
static const struct dns_answer *ask(
	struct spf_run *r, struct spf_node *n, struct str name, enum dns_type type)
{
	const struct dns_answer *a = spf_ask(r, name, type, n->term.text, n->record->domain);
	if (!a) { return NULL; }
	if (a->status == DNS_SERVFAIL && type != DNS_PTR) {
		spf_stop(r, SPFRES_TEMPERROR, "looking up %.*s failed", STR_ARG(name));
		return NULL;
	}
	if ((a->status == DNS_NODATA || a->status == DNS_NXDOMAIN) && ++r->c->voids > SPFMAX_VOID) {
		spf_stop(r, SPFRES_PERMERROR,
			"the SPF records have more than %d terms that ask for what does not exist",
			SPFMAX_VOID);
		return NULL;
	}
	return a;
}

/* --- terms --- */

static SPF_dns_rr_t *look_a(struct spf_run *r, struct spf_node *n, ns_type type)
{
	const struct dns_answer *a = ask(r, n, n->target, spf_address_type(r));
	return a ? addresses(r, &n->term, type, a) : not_now(type);
}

static SPF_dns_rr_t *look_exists(struct spf_run *r, struct spf_node *n, ns_type type)
{
	const struct dns_answer *a = ask(r, n, n->target, DNS_A);
	if (!a) { return not_now(type); }
	if (a->status != DNS_OK) { return nothing(type); }
	SPF_dns_rr_t *rr = answer_new(type, NETDB_SUCCESS);
	answer_add(rr, sizeof(struct in_addr));
	return rr;
}

static void learn_hosts(struct spf_run *r, struct spf_node *n, const struct dns_answer *a)
{
	uint16_t preference;
	if (n->hosts) { return; }
	n->hosts = arena_array(r->c->arena, a->n, sizeof *n->hosts);
	for (size_t i = 0; i < a->n; i++) {
		struct str *host = &n->hosts[n->hosts_n];
		bool good = dns_rdata_mx(a->rr[i].data, r->c->arena, &preference, host) == 0;
		n->hosts_n += good && host->n; /* "." is no host, RFC 7505 */
	}
}

static SPF_dns_rr_t *look_mx(
	struct spf_run *r, struct spf_node *n, ns_type type, const char *number)
{
	const struct dns_answer *a = ask(r, n, n->target, DNS_MX);
	if (!a) { return not_now(type); }
	if (a->status != DNS_OK) { return nothing(type); }
	if (a->n > SPFMAX_HOSTS) {
		spf_stop(r, SPFRES_PERMERROR, "%.*s has more than %d MX records",
			STR_ARG(n->target), SPFMAX_HOSTS);
		return not_now(type);
	}
	learn_hosts(r, n, a);
	SPF_dns_rr_t *rr = answer_new(type, NETDB_SUCCESS);
	for (size_t i = 0; i < n->hosts_n; i++) { add_host(rr, i, number); }
	return rr;
}

/* "N.t": the question of a term. */
static SPF_dns_rr_t *look_term(
	struct spf_run *r, struct spf_node *n, ns_type type, const char *number)
{
	if (!enter(r, n) || spf_expand_target(r, n) < 0) { return not_now(type); }
	if (!n->askable) { return nothing(type); }
	switch (n->term.kind) {
	case SPFTERM_A: return look_a(r, n, type);
	case SPFTERM_MX: return look_mx(r, n, type, number);
	case SPFTERM_EXISTS: return look_exists(r, n, type);
	default: return nothing(type);
	}
}

/* "I.N.t": an address of a host that look_mx or look_names has told of. */
static SPF_dns_rr_t *look_host(struct spf_run *r, struct spf_node *n, uint64_t i, ns_type type)
{
	bool ptr = n->term.kind == SPFTERM_PTR;
	if (i >= (ptr ? r->names_n : n->hosts_n)) { return nothing(type); }
	struct str host = ptr ? r->names[i] : n->hosts[i];
	const struct dns_answer *a =
		spf_ask(r, host, spf_address_type(r), n->term.text, n->record->domain);
	if (!a) { return not_now(type); }
	if (a->status == DNS_SERVFAIL && !ptr) { /* 5.5: with ptr, on to the next name */
		spf_stop(r, SPFRES_TEMPERROR, "looking up %.*s failed", STR_ARG(host));
		return not_now(type);
	}
	return addresses(r, &n->term, type, a);
}

/* The client's names, for the ptr term whose probe came last: those outside of its domain are left
   out, the others appear to be inside. */
static SPF_dns_rr_t *look_names(struct spf_run *r, ns_type type)
{
	struct spf_node *n = r->at;
	char number[24] = "";
	if (!n || n->term.kind != SPFTERM_PTR) { return nothing(type); }
	if (!enter(r, n) || spf_expand_target(r, n) < 0) { return not_now(type); }
	if (!n->askable) { return nothing(type); }
	if (!ask(r, n, r->reverse, DNS_PTR)) { return not_now(type); }
	if (spf_client_names(r, n->term.text, n->record->domain) < 0) { return not_now(type); }
	snprintf(number, sizeof number, "%u.t", spf_node_number(r, n));
	SPF_dns_rr_t *rr = answer_new(type, NETDB_SUCCESS);
	for (size_t i = 0; i < r->names_n; i++) {
		if (idn_within(r->names[i], n->target)) { add_host(rr, i, number); }
	}
	return rr;
}

/* --- what libspf2 calls --- */

/* "N.t", "N.p", "I.N.t" apart. */
static bool read_name(const char *name, uint64_t *host_out, struct spf_node **n_out, char *kind_out)
{
	struct str s = str_of(name), first, second;
	uint64_t number;
	*host_out = UINT64_MAX;
	if (!str_cut(&s, '.', &first) || !str_u64(first, UINT32_MAX, &number)) { return false; }
	if (str_cut(&s, '.', &second)) {
		*host_out = number;
		if (!str_u64(second, UINT32_MAX, &number)) { return false; }
	} else {
		s = second;
	}
	*kind_out = s.n == 1 ? s.p[0] : '\0';
	*n_out = spf_node_at(current, number);
	return *n_out && (*kind_out == 't' || *kind_out == 'p');
}

static SPF_dns_rr_t *on_lookup(
	SPF_dns_server_t *dns, const char *name, ns_type type, int should_cache)
{
	struct spf_run *r = current;
	struct spf_node *n;
	uint64_t host;
	char kind;
	(void)dns, (void)should_cache; /* one of each */
	if (type == ns_t_ptr) { return look_names(r, type); }
	if (!read_name(name, &host, &n, &kind)) { return nothing(type); }
	if (kind == 'p') {
		r->at = n;
		return nothing(type);
	}
	if (host == UINT64_MAX) { return look_term(r, n, type, name); }
	return look_host(r, n, host, type);
}

/* The record an include or redirect leads to, as text for libspf2; NULL ends the walk. */
static const char *follow(struct spf_run *r, struct spf_node *n)
{
	bool redirect = n->term.kind == SPFTERM_REDIRECT;
	struct str why = STR("");
	if (!enter(r, n) || spf_expand_target(r, n) < 0) { return NULL; }
	if (!n->askable && !redirect) { return "v=spf1"; } /* matches nobody */
	int rc = n->child ? 0 : spf_record_read(r, n->target, n, &n->child, &why);
	if (rc == ERR_GONE) { /* 5.2, 6.1 */
		spf_stop(r, SPFRES_PERMERROR, "%.*s", STR_ARG(why));
	}
	if (rc < 0) { return NULL; }
	if (redirect && n->record == r->rules) { r->rules = n->child; }
	return n->child->canonical;
}

static SPF_errcode_t on_record(SPF_server_t *s, SPF_request_t *request, SPF_response_t *response,
	SPF_record_t **record_out)
{
	struct spf_node *n;
	uint64_t host;
	char kind;
	const char *text = current->records[0]->canonical;
	*record_out = NULL;
	if (strcmp(request->cur_dom, "first") != 0) {
		text = read_name(request->cur_dom, &host, &n, &kind) ? follow(current, n) : NULL;
	}
	return text ? SPF_record_compile(s, response, record_out, text) : SPF_E_DNS_ERROR;
}

/* --- a walk --- */

static SPF_request_t *make_request(const struct spf_run *r)
{
	const struct net_addr *a = &r->vars.client;
	SPF_request_t *request = SPF_request_new(&server);
	if (!request || SPF_request_set_env_from(request, "x@first") != SPF_E_SUCCESS) { abort(); }
	if (a->sa.sa_family == AF_INET6) {
		SPF_request_set_ipv6(request, a->in6.sin6_addr);
	} else {
		SPF_request_set_ipv4(request, a->in.sin_addr);
	}
	return request;
}

static enum spf_walked conclude(struct spf_run *r, SPF_errcode_t rc, SPF_response_t *response)
{
	static const enum spf_result results[] = {[SPF_RESULT_NEUTRAL] = SPFRES_NEUTRAL,
		[SPF_RESULT_PASS] = SPFRES_PASS,
		[SPF_RESULT_FAIL] = SPFRES_FAIL,
		[SPF_RESULT_SOFTFAIL] = SPFRES_SOFTFAIL};
	SPF_result_t got = response ? SPF_response_result(response) : SPF_RESULT_INVALID;
	if (r->pending) { return SPFWALK_PENDING; }
	if (r->failed) { return SPFWALK_FAILED; }
	if (rc != SPF_E_SUCCESS || got == SPF_RESULT_INVALID || got > SPF_RESULT_SOFTFAIL) {
		spf_stop(r, SPFRES_PERMERROR, "libspf2 did not understand the SPF record: %s",
			SPF_strerror(rc));
		return SPFWALK_FAILED;
	}
	r->c->result = results[got];
	return SPF_response_reason(response) == SPF_REASON_MECH ? SPFWALK_MATCHED : SPFWALK_DEFAULT;
}

enum spf_walked spf_walk(struct spf_run *r)
{
	SPF_response_t *response = NULL;
	SPF_request_t *request = make_request(r);
	SPF_warning_handler = SPF_info_handler = SPF_debug_handler = NULL;
	r->pending = false;
	r->at = NULL;
	r->rules = r->records[0];
	r->c->terms = r->c->voids = 0;
	current = r;
	SPF_errcode_t rc = SPF_request_query_mailfrom(request, &response);
	current = NULL;
	enum spf_walked how = conclude(r, rc, response);
	if (response) { SPF_response_free(response); }
	SPF_request_free(request);
	return how;
}
