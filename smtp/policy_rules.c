/* Exceptions and DNS lists of the policy. Runs in mx and submit. */
#include "smtp/policy_rules.h"

#include "lib/idn.h"
#include "smtp/path.h"

/* --- reading an exception --- */

static bool find_check(struct str name, struct policy_except *out)
{
	out->all = str_eq(name, STR("*"));
	for (enum policy_id i = 0; i < POLICY_N && !out->all; i++) {
		out->id = i;
		if (str_eq(name, policy_name(i))) { return true; }
	}
	return out->all;
}

static bool find_address(struct str s, struct policy_except *out)
{
	ptrdiff_t at = str_rchr(s, '@');
	out->domain = str_skip(s, (size_t)(at + 1));
	out->local = at > 0 ? str_sub(s, 0, (size_t)at) : STR("");
	out->kind = at > 0 ? EXCEPT_ADDRESS : EXCEPT_DOMAIN;
	if (at < 0 && str_starts(s, STR("."))) {
		out->kind = EXCEPT_BELOW;
		out->domain = str_skip(s, 1);
	}
	return at != 0 && path_is_domain(out->domain);
}

static bool find_kind(struct str whom, struct policy_except *out)
{
	if (net_cidr_parse(whom, &out->net) == 0) {
		out->kind = EXCEPT_NETWORK;
	} else if (whom.n > 2 && whom.p[0] == '<' && whom.p[whom.n - 1] == '>') {
		out->kind = EXCEPT_LIST;
		out->list_id = str_sub(whom, 1, whom.n - 2);
	} else {
		return find_address(whom, out);
	}
	return true;
}

/* When is it known what an exception asks for? */
static enum policy_stage known_at(enum except_kind kind)
{
	return kind == EXCEPT_NETWORK ? STAGE_CONNECT
	       : kind == EXCEPT_LIST  ? STAGE_HEADER
				      : STAGE_MAIL;
}

int policy_except_parse(struct str text, struct policy_except *out, struct err *e)
{
	struct str whom = text, name;
	*out = (struct policy_except){.text = text};
	if (!str_cut(&whom, '=', &name)) {
		return err_set(e, ERR_SYNTAX, "%.*s: written CHECK=WHOM", STR_ARG(text));
	}
	name = str_trim(name);
	if (!find_check(name, out)) {
		return err_set(e, ERR_SYNTAX, "%.*s: there is no such check", STR_ARG(text));
	}
	if (!find_kind(str_trim(whom), out)) {
		return err_set(e, ERR_SYNTAX,
			"%.*s: is for no network, address, domain, .domain or <list-id>",
			STR_ARG(text));
	}
	if (!out->all && policy_stage_of(out->id) < known_at(out->kind)) {
		return err_set(e, ERR_SYNTAX,
			"%.*s: %.*s is decided before that is known; except a network",
			STR_ARG(text), STR_ARG(name));
	}
	return 0;
}

/* --- the rules --- */

static int take_excepts(struct policy_rules *r, const struct conf_list *list, struct err *e)
{
	int rc = 0;
	struct err inner;
	if (list->n > EXCEPTS_MAX) {
		return err_set(e, ERR_LIMIT, "policy.except: more than %d", EXCEPTS_MAX);
	}
	r->excepts = arena_array(&r->arena, list->n, sizeof *r->excepts);
	for (size_t i = 0; i < list->n && rc == 0; i++) {
		struct str text = arena_dup(&r->arena, str_trim(list->v[i]));
		rc = policy_except_parse(text, &r->excepts[r->excepts_n++], &inner);
	}
	return rc < 0 ? err_set(e, rc, "policy.except: %.*s", 350, inner.text) : 0;
}

static int take_lists(struct policy_rules *r, const struct conf_list *list, const char *key,
	struct dnsl **out, size_t *n_out, struct err *e)
{
	if (list->n > DNSL_LISTS_MAX) {
		return err_set(e, ERR_LIMIT, "policy.%s: more than %d", key, DNSL_LISTS_MAX);
	}
	*out = arena_array(&r->arena, list->n, sizeof **out);
	for (size_t i = 0; i < list->n; i++) {
		struct str text = arena_dup(&r->arena, str_trim(list->v[i]));
		int rc = dnsl_parse(text, &(*out)[i]);
		if (rc < 0) {
			return err_set(e, rc,
				"policy.%s: %.*s: written ZONE or ZONE=127.0.0.2 127.0.0.4-7, at "
				"most %d codes",
				key, STR_ARG(text), DNSL_CODES_MAX);
		}
	}
	*n_out = list->n;
	return 0;
}

struct policy_rules *policy_rules_new(const struct policy_conf *c, struct err *e)
{
	struct policy_rules *r = xnew(struct policy_rules);
	r->refs = 1;
	int rc = take_excepts(r, &c->except, e);
	if (rc == 0) {
		rc = take_lists(r, &c->dnsbl_lists, "dnsbl_lists", &r->black, &r->black_n, e);
	}
	if (rc == 0) {
		rc = take_lists(r, &c->dnswl_lists, "dnswl_lists", &r->white, &r->white_n, e);
	}
	if (rc == 0) { return r; }
	policy_rules_put(r);
	return NULL;
}

struct policy_rules *policy_rules_get(struct policy_rules *r)
{
	r->refs++;
	return r;
}

void policy_rules_put(struct policy_rules *r)
{
	if (!r || --r->refs) { return; }
	arena_fini(&r->arena);
	free(r);
}

/* --- using an exception --- */

static bool names(const struct policy_except *x, struct str local, struct str domain)
{
	bool same = str_ieq(x->domain, domain);
	return x->kind == EXCEPT_ADDRESS
		       ? same && str_ieq(x->local, local)
		       : same || (x->kind == EXCEPT_BELOW && idn_within(domain, x->domain));
}

/* Of several authors all must be meant: one of them could be anybody. */
static bool names_authors(const struct policy_except *x, const struct policy_who *who)
{
	size_t n = 0;
	while (n < who->authors_n && names(x, who->authors[n].local, who->authors[n].domain)) {
		n++;
	}
	return n > 0 && n == who->authors_n;
}

static bool meets(const struct policy_except *x, const struct policy_who *who)
{
	switch (x->kind) {
	case EXCEPT_NETWORK: return net_cidr_has(&x->net, who->client);
	case EXCEPT_LIST: return str_ieq(x->list_id, who->list_id);
	default: return names(x, who->local, who->domain) || names_authors(x, who);
	}
}

const struct policy_except *policy_except_find(
	const struct policy_rules *r, enum policy_id id, const struct policy_who *who)
{
	for (size_t i = 0; i < r->excepts_n; i++) {
		const struct policy_except *x = &r->excepts[i];
		if ((x->all || x->id == id) && meets(x, who)) { return x; }
	}
	return NULL;
}
