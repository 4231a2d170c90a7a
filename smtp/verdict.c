/* The life of a verdict: SPF from MAIL on, DKIM from the header on, DMARC at the end.
 * Runs in mx.
 */
#include "smtp/verdict.h"

#include "smtp/receive.h"
#include "smtp/verdict_private.h"

static bool spf_step(struct spf_check *c, bool *done)
{
	if (!*done) { *done = spf_check_step(c) == 1; }
	return *done;
}

/* What aligns with the author: identifiers that passed, or may have. */
static void begin_dmarc(struct verdict *v)
{
	size_t n;
	const struct dkim_sig *sigs = dkim_verify_sigs(v->dkim, &n);
	v->dmarc_begun = true;
	dmarc_check_start(&v->dmarc, v->dns, v->budget, &v->task, &v->arena);
	if (v->fault == AUTHORS_OK) { dmarc_check_authors(&v->dmarc, &v->authors); }
	bool unsure = v->from.result == SPFRES_TEMPERROR;
	if (v->from.result == SPFRES_PASS || unsure) {
		dmarc_check_spf(&v->dmarc, v->from.checked, unsure);
	}
	for (size_t i = 0; i < n; i++) {
		unsure = sigs[i].result == DKIM_RESULT_TEMPERROR;
		if (sigs[i].result == DKIM_RESULT_PASS || unsure) {
			dmarc_check_dkim(&v->dmarc, sigs[i].domain, unsure);
		}
	}
}

/* Go on with everything that can go on. True when all is known. */
static bool advance(struct verdict *v)
{
	bool spf = spf_step(&v->from, &v->from_done);
	if (v->helo_asked) { spf &= spf_step(&v->helo, &v->helo_done); }
	if (v->done || !v->ended) { return v->done; }
	if (!v->dkim_done) { v->dkim_done = dkim_verify_step(v->dkim) == 1; }
	if (!spf || !v->dkim_done) { return false; }
	if (!v->dmarc_begun) { begin_dmarc(v); }
	v->done = dmarc_check_step(&v->dmarc) == 1;
	return v->done;
}

static enum step verdict_step(struct task *t)
{
	struct verdict *v = task_of(t, struct verdict, task);
	if (advance(v) && v->waiter) {
		task_wake(v->waiter, 0);
		v->waiter = NULL;
	}
	return STEP_WAIT; /* ends by being freed */
}

static void verdict_ended(struct task *t)
{
	struct verdict *v = task_of(t, struct verdict, task);
	arena_fini(&v->arena);
	free(v);
}

static void begin_spf(struct verdict *v, struct spf_check *c, enum spf_identity identity)
{
	const struct session *s = v->session;
	const struct mail_args *mail = &s->env->mail;
	*c = (struct spf_check){.dns = v->dns,
		.budget = v->budget,
		.task = &v->task,
		.arena = &v->arena,
		.identity = identity,
		.client = s->peer,
		.helo = arena_dup(&v->arena, s->helo),
		.local = arena_dup(&v->arena, mail->from.local),
		.domain = arena_dup(&v->arena, mail->from.domain),
		.receiver = arena_dup(&v->arena, role_hostname(s->server->role)),
		.now_us = loop_now_us(v->task.loop)};
	spf_check_start(c);
}

struct verdict *verdict_new(struct session *s)
{
	struct dns *dns = s->server->dns;
	if (!dns || dns_is_off(dns) || s->peer.sa.sa_family == AF_UNSPEC) { return NULL; }
	struct verdict *v = xnew(struct verdict);
	v->session = s;
	v->dns = dns;
	v->budget = &s->env->budget;
	v->helo_asked = s->env->mail.from.domain.n > 0;
	task_start(s->task.loop, &v->task, NULL, verdict_step, verdict_ended);
	begin_spf(v, &v->from, SPFID_MAIL_FROM);
	if (v->helo_asked) { begin_spf(v, &v->helo, SPFID_HELO); }
	return v;
}

void verdict_free(struct verdict *v)
{
	if (!v) { return; }
	v->session = NULL;
	v->waiter = NULL;
	spf_check_fini(&v->from);
	spf_check_fini(&v->helo);
	dkim_verify_free(v->dkim);
	if (v->dmarc_begun) { dmarc_check_fini(&v->dmarc); }
	task_kill(&v->task);
}

/* A client may take its time between MAIL and its final dot; what we ask for then is not late. */
static void refresh(struct verdict *v)
{
	dns_budget_go_on(v->budget, v->task.loop, DNS_BUDGET_S * SECOND_US);
}

void verdict_header(struct verdict *v, struct str header, const struct intake *in)
{
	struct dkim_env env = {.dns = v->dns,
		.budget = v->budget,
		.task = &v->task,
		.now_us = loop_now_us(v->task.loop)};
	refresh(v);
	v->fault = in->author_fault;
	v->authors = in->author_domains;
	v->dkim = dkim_verify_new(&env);
	dkim_verify_header(v->dkim, header);
}

void verdict_body(struct verdict *v, struct str octets)
{
	dkim_verify_body(v->dkim, octets);
}

int verdict_finish(struct verdict *v, struct task *waiter)
{
	if (!v->ended) { refresh(v); }
	v->ended = true;
	v->waiter = advance(v) ? NULL : waiter; /* no wake for what is over */
	return v->done;
}
