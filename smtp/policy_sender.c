/* The check sender: does the domain of the sender exist, and does it accept mail (RFC 5321 5.1, RFC
   7505)? To one that does not, nothing could be answered. Runs in mx. */
#include "smtp/policy_look.h"

#include "lib/idn.h"

struct work {
	struct dns_query query;
	unsigned at; /* of `types` */
};

static void work_drop(void *p)
{
	struct work *w = p;
	dns_query_fini(&w->query);
	free(w);
}

static enum look no_mail(struct looked *l, struct str domain, const char *what)
{
	l->detail = arena_fmt(l->arena, "%.*s %s", STR_ARG(domain), what);
	return LOOK_HIT;
}

static enum look ask_next(struct session *s, struct work *w, struct looked *l)
{
	static const enum dns_type types[] = {DNS_MX, DNS_A, DNS_AAAA};
	struct str domain = s->env->mail.from.domain, ascii;
	dns_query_fini(&w->query);
	if (w->at == COUNT(types)) { return no_mail(l, domain, "has neither MX nor address"); }
	if (idn_domain(domain, l->arena, &ascii) < 0) { return no_mail(l, domain, "cannot exist"); }
	dns_ask_within(s->server->dns, &w->query, &s->task, &s->env->budget, ascii, types[w->at++]);
	return LOOK_WAIT;
}

/* RFC 7505 3: one MX with the root as its host. */
static bool is_null_mx(const struct dns_query *q, struct arena *a)
{
	uint16_t preference;
	struct str host;
	return q->type == DNS_MX && q->answer->n == 1 &&
	       dns_rdata_mx(q->answer->rr[0].data, a, &preference, &host) == 0 && host.n == 0;
}

static enum look answered(struct session *s, struct work *w, struct looked *l)
{
	struct str domain = s->env->mail.from.domain;
	switch (w->query.answer->status) {
	case DNS_OK:
		if (!is_null_mx(&w->query, l->arena)) { return LOOK_PASS; }
		l->no = REPLY_SENDER_NULL_MX;
		return no_mail(l, domain, "accepts no mail (null MX)");
	case DNS_NODATA: return ask_next(s, w, l);
	case DNS_NXDOMAIN: return no_mail(l, domain, "does not exist");
	case DNS_BAD: return no_mail(l, domain, "cannot exist");
	default: break;
	}
	l->detail = arena_fmt(l->arena, "no answer about %.*s", STR_ARG(domain));
	return LOOK_UNSURE;
}

enum look look_sender(struct session *s, struct looked *l)
{
	const struct path *from = &s->env->mail.from;
	struct work *w = s->run.work;
	if (w) { return w->query.answer ? answered(s, w, l) : LOOK_WAIT; }
	if (from->kind != PATH_MAILBOX || from->literal || !policy_may_ask(s)) { return LOOK_SKIP; }
	w = xnew(struct work);
	s->run.work = w;
	s->run.drop = work_drop;
	return ask_next(s, w, l);
}
