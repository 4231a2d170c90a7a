/* Checks of the message: of its header, and at its end. Runs in mx and submit. What SPF, DKIM and
   DMARC say was found out elsewhere; here is decided what follows. */
#include "smtp/policy_look.h"

#include "lib/addr.h"
#include "smtp/receive.h"

/* --- the header --- */

/* DMARC needs one From field with an author (RFC 9989 4.5, 5.7); RFC 5322 3.6 asks for it, too. */
enum look look_from(struct session *s, struct looked *l)
{
	const struct header_facts *f = &s->intake->facts;
	struct addr *list;
	size_t n;
	if (f->from != 1) {
		l->detail = f->from ? STR("it has several") : STR("it has none");
		return LOOK_HIT;
	}
	int rc = addr_parse(f->from_value, &s->intake->arena, &list, &n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (list[i].kind == ADDR_MAILBOX && list[i].domain.n) { return LOOK_PASS; }
	}
	l->detail = STR("it names nobody");
	return LOOK_HIT;
}

enum look look_hops(struct session *s, struct looked *l)
{
	unsigned hops = s->intake->facts.received;
	l->detail = arena_fmt(l->arena, "%u Received fields", hops);
	return hops > s->server->conf->hops_max ? LOOK_HIT : LOOK_PASS;
}

enum look look_loop(struct session *s, struct looked *l)
{
	const struct envelope *e = s->env;
	for (uint32_t i = 0; i < e->locals_n; i++) {
		if (header_was_delivered_to(&s->intake->facts, e->locals[i].rcpt)) {
			l->detail = arena_fmt(l->arena, "it was delivered to %.*s before",
				STR_ARG(e->locals[i].rcpt));
			return LOOK_HIT;
		}
	}
	return LOOK_PASS;
}

/* --- the end --- */

/* RFC 7208 2.6: softfail, neutral and permerror say less than "not from there". */
enum look look_spf(struct session *s, struct looked *l)
{
	const struct policy_evidence *e = &s->env->spf;
	l->result = e->result;
	l->detail = e->detail;
	return e->result.n == 0                      ? LOOK_SKIP
	       : str_eq(e->result, STR("fail"))      ? LOOK_HIT
	       : str_eq(e->result, STR("temperror")) ? LOOK_UNSURE
						     : LOOK_PASS;
}

/* RFC 6376 6.3: a signature that does not hold is as good as none. */
enum look look_dkim(struct session *s, struct looked *l)
{
	const struct policy_evidence *e = &s->env->dkim;
	l->result = e->result;
	l->detail = e->detail;
	if (e->result.n == 0) { return LOOK_SKIP; }
	if (str_eq(e->result, STR("temperror"))) { return LOOK_UNSURE; }
	return str_eq(e->result, STR("pass")) || str_eq(e->result, STR("none")) ? LOOK_PASS
										: LOOK_HIT;
}

enum look look_dmarc(struct session *s, struct looked *l)
{
	const struct policy_evidence *e = &s->env->dmarc;
	l->result = e->result;
	l->detail = e->detail;
	l->wish = e->wish;
	return e->result.n == 0                      ? LOOK_SKIP
	       : str_eq(e->result, STR("fail"))      ? LOOK_HIT
	       : str_eq(e->result, STR("temperror")) ? LOOK_UNSURE
						     : LOOK_PASS;
}
