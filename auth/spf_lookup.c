/* What an SPF check asks the DNS: every question once, remembered until the check ends, so that a
   walk can be repeated. RFC 7208 4.6.4, 5.5. */
#include "auth/spf_private.h"
#include "lib/idn.h"

static struct spf_lookup *find(struct spf_check *c, struct str name, enum dns_type type)
{
	for (size_t i = 0; i < c->lookups_n; i++) {
		struct spf_lookup *l = c->lookups[i];
		if (l->type == type && str_ieq(l->name, name)) { return l; }
	}
	return NULL;
}

static struct spf_lookup *start(
	struct spf_run *r, struct str name, enum dns_type type, struct str by, struct str at)
{
	struct spf_check *c = r->c;
	if (c->lookups_n == SPFMAX_LOOKUPS) { return NULL; }
	struct spf_lookup *l = arena_new(c->arena, struct spf_lookup);
	l->name = arena_dup(c->arena, name);
	l->type = type;
	l->status = DNS_SERVFAIL;
	l->asked_by = by;
	l->asked_at = at;
	c->lookups[c->lookups_n++] = l;
	r->asked = true;
	dns_ask_within(c->dns, &l->query, c->task, c->budget, name, type);
	return l;
}

const struct dns_answer *spf_ask(struct spf_run *r, struct str name, enum dns_type type,
	struct str asked_by, struct str asked_at)
{
	struct spf_check *c = r->c;
	struct spf_lookup *l = find(c, name, type);
	if (!l) { l = start(r, name, type, asked_by, asked_at); }
	if (!l) {
		spf_stop(r, SPFRES_TEMPERROR, "it takes more than %d questions to the DNS",
			SPFMAX_LOOKUPS);
		return NULL;
	}
	const struct dns_answer *a = l->query.answer;
	if (!a) {
		r->pending = true;
		return NULL;
	}
	l->status = a->status;
	l->n = a->n;
	if (a->status == DNS_SERVFAIL && c->budget && c->budget->over) {
		/* nobody has failed but our patience: whatever would follow is a guess */
		spf_stop(r, SPFRES_TEMPERROR,
			"looking up %.*s would take more time or questions than one message may",
			STR_ARG(l->name));
		return NULL;
	}
	return a;
}

enum dns_type spf_address_type(const struct spf_run *r)
{
	return r->vars.client.sa.sa_family == AF_INET6 ? DNS_AAAA : DNS_A;
}

int spf_client_names(struct spf_run *r, struct str by, struct str at)
{
	if (r->names_known) { return 0; }
	const struct dns_answer *a = spf_ask(r, r->reverse, DNS_PTR, by, at);
	if (!a) { return ERR_AGAIN; }
	r->names_known = true; /* 5.5: an error is an address without a name */
	for (size_t i = 0; a->status == DNS_OK && i < MIN(a->n, (size_t)SPFMAX_HOSTS); i++) {
		struct str *name = &r->names[r->names_n];
		if (dns_rdata_name(a->rr[i].data, 0, r->c->arena, name) == 0 && name->n) {
			r->names_n++;
		}
	}
	return 0;
}

/* Does the name have the client's address? 1, 0, or ERR_AGAIN when pending or failed. */
static int is_client(struct spf_run *r, struct str name, struct str by, struct str at)
{
	const struct sockaddr *sa = &r->vars.client.sa;
	bool six = sa->sa_family == AF_INET6;
	struct str ip = six ? str_make(&r->vars.client.in6.sin6_addr, 16)
			    : str_make(&r->vars.client.in.sin_addr, 4);
	const struct dns_answer *a = spf_ask(r, name, spf_address_type(r), by, at);
	if (!a) { return ERR_AGAIN; }
	for (size_t i = 0; a->status == DNS_OK && i < a->n; i++) {
		if (str_eq(a->rr[i].data, ip)) { return 1; }
	}
	return 0;
}

/* Which names of the client to look at: the domain itself is best, then what is below it. */
enum { SAME, BELOW, ANY, RANKS };

static unsigned rank(struct str name, struct str domain)
{
	return str_ieq(name, domain) ? SAME : idn_within(name, domain) ? BELOW : ANY;
}

int spf_validated(
	struct spf_run *r, struct str domain, struct str by, struct str at, struct str *out)
{
	int rc = spf_client_names(r, by, at);
	*out = STR("unknown");
	if (rc < 0) { return rc; }
	for (unsigned want = SAME; want < RANKS; want++) {
		for (size_t i = 0; i < r->names_n; i++) {
			if (rank(r->names[i], domain) != want) { continue; }
			rc = is_client(r, r->names[i], by, at);
			if (rc < 0) { return rc; }
			if (rc == 1) {
				*out = r->names[i];
				return 0;
			}
		}
	}
	return 0;
}
