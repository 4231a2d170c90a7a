/* Checks of the message: of its header, and at its end. Runs in mx and submit. What SPF, DKIM and
   DMARC say was found out elsewhere; here is decided what follows. */
#include "smtp/policy_look.h"

#include "smtp/receive.h"

/* --- the header --- */

/* DMARC needs one From field with an author (RFC 9989 4.5, 5.7); RFC 5322 3.6 asks for it, too. */
enum look look_from(struct session *s, struct looked *l)
{
	enum authors_fault fault = s->intake->author_fault;
	if (fault == AUTHORS_OK) { return LOOK_PASS; }
	l->detail = authors_fault_text(fault);
	l->say = arena_fmt(l->arena, "(%.*s)", STR_ARG(l->detail));
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

/* What fails, hits; every other result says less than that (for SPF RFC 7208 2.6). */
static enum look look_failed(const struct policy_evidence *e, struct looked *l)
{
	l->result = e->result;
	l->detail = e->detail;
	l->say = e->say;
	l->wish = e->wish;
	return e->result.n == 0                      ? LOOK_SKIP
	       : str_eq(e->result, STR("fail"))      ? LOOK_HIT
	       : str_eq(e->result, STR("temperror")) ? LOOK_UNSURE
						     : LOOK_PASS;
}

enum look look_spf(struct session *s, struct looked *l)
{
	return look_failed(&s->env->spf, l);
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

/* Who forges mail can choose a selector or a subdomain whose name servers do not answer: in doubt
   it must fare no better than what fails. */
enum look look_dmarc(struct session *s, struct looked *l)
{
	l->doubted = true;
	return look_failed(&s->env->dmarc, l);
}

/* --- greylisting --- */

/* Whom it would only delay, or empty. */
static struct str known_good(const struct session *s)
{
	return str_eq(s->env->spf.result, STR("pass"))    ? STR("SPF passes")
	       : str_eq(s->env->dkim.result, STR("pass")) ? STR("DKIM passes")
	       : policy_found(s, POLICY_DNSWL)->action
		       ? STR("the client is on a list of welcome ones")
		       : STR("");
}

/* The network that the client's neighbours share, the sender's domain, the recipient. */
static struct str greylist_key(const struct session *s, struct str rcpt, struct arena *a)
{
	const struct net_addr *p = &s->peer;
	struct str net = p->sa.sa_family == AF_INET    ? str_make(&p->in.sin_addr, 3)
			 : p->sa.sa_family == AF_INET6 ? str_make(&p->in6.sin6_addr, 8)
						       : STR("");
	struct str key =
		arena_fmt(a, "%.*s %.*s", STR_ARG(s->env->mail.from.domain), STR_ARG(rcpt));
	char *all = arena_alloc(a, net.n + key.n);
	memcpy(all, net.p, net.n);
	for (size_t i = 0; i < key.n; i++) { all[net.n + i] = ascii_lower(key.p[i]); }
	return str_make(all, net.n + key.n);
}

/* One reply for all recipients: it waits for the newest of them, and on the next attempt none is
   new. */
enum look look_greylist(struct session *s, struct looked *l)
{
	const struct policy_conf *c = s->server->policy.conf;
	const struct greylist_times times = {.now_us = loop_mono_us(s->task.loop),
		.delay_us = c->greylist_delay_us,
		.keep_us = c->greylist_keep_us};
	int64_t left = 0;
	l->detail = known_good(s);
	if (l->detail.n) { return LOOK_PASS; }
	for (uint32_t i = 0; i < s->env->rcpts_n; i++) {
		const struct env_rcpt *r = &s->env->rcpts[i];
		if (r->refused) { continue; }
		int64_t one = greylist_try(
			&s->server->greylist, greylist_key(s, r->text, l->arena), &times);
		left = MAX(left, one);
	}
	if (left == 0) { return LOOK_PASS; }
	l->result = STR("new");
	l->detail = arena_fmt(l->arena, "not before %llu seconds",
		(unsigned long long)(left + SECOND_US - 1) / SECOND_US);
	return LOOK_HIT;
}
