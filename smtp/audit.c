/* Audit records of the SMTP server. Runs in mx and submit. Never holds up a session: the record of
   an accepted message travels with it, that of a refused one by itself. */
#include "smtp/audit.h"

#include "smtp/receive.h"
#include "smtp/verdict.h"
#include "store/op.h"

enum {
	NAME_MAX_LEN = 255,
	BATCH_OCTETS = 256 * 1024, /* of records, packed: then they go at once */
	POSTS_MAX = 8,             /* batches on their way */
	PER_SECOND = 2000          /* records; who sends more than that is a flood, not news */
};

/* Records that wait for company: of refusals, which nobody waits for. */
struct audit_box {
	struct server *server;
	struct arena arena;
	struct audit records[OP_AUDITS_MAX];
	uint32_t n;
	size_t octets;
	unsigned this_second; /* how many came since the timer was started */
	uint64_t lost;
	struct timer timer;
	struct list posts; /* of struct post */
	size_t posts_n;
};

struct post {
	struct list node;
	struct task task;
	struct call call;
	struct audit_box *box; /* NULL when it is gone */
	uint32_t n;
};

/* The steps of a verdict stand below the checks that were made of it; where there was none (its
   policy is off, or the end was not reached), below its own word. */
static void add_verdict(const struct envelope *e, struct arena *a, struct audit *out)
{
	const struct {
		enum policy_id id;
		const struct policy_evidence *evidence;
	} of[] = {{POLICY_SPF, &e->spf}, {POLICY_DKIM, &e->dkim}, {POLICY_DMARC, &e->dmarc}};
	for (size_t i = 0; i < COUNT(of); i++) {
		const struct policy_evidence *ev = of[i].evidence;
		if (e->found[of[i].id - POLICY_OF_SESSION].result.n) { continue; }
		out->checks[out->checks_n++] = (struct audit_check){.name = policy_name(of[i].id),
			.result = ev->result.n ? ev->result : STR("unfinished"),
			.detail = ev->detail};
	}
	out->checks_n += (uint32_t)verdict_steps(
		e->verdict, a, out->checks + out->checks_n, OP_CHECKS_MAX - out->checks_n);
}

static void add_checks(struct session *s, struct arena *a, struct audit *out)
{
	out->checks = arena_array(a, OP_CHECKS_MAX, sizeof *out->checks);
	for (enum policy_id i = 0; i < POLICY_N; i++) {
		const struct policy_finding *f = policy_found(s, i);
		if (f->result.n == 0) { continue; }
		out->checks[out->checks_n++] = (struct audit_check){.name = policy_name(i),
			.result = f->result,
			.detail = f->detail,
			.action = f->action ? policy_action_name(f->action) : STR(""),
			.except = f->except};
	}
	if (s->intake && s->intake->forged) {
		out->checks[out->checks_n++] = (struct audit_check){.name = STR("forged"),
			.result = STR("removed"),
			.detail = arena_fmt(a, "%zu Authentication-Results fields in our name",
				s->intake->forged)};
	}
	if (s->env && s->env->verdict) { add_verdict(s->env, a, out); }
}

/* One row for each place it leads to that no recipient before it led to; one if there is none. */
static void add_rcpt(const struct envelope *e, const struct env_rcpt *r, struct audit *out)
{
	uint32_t before = out->rcpts_n;
	uint8_t outcome = r->count ? RCPT_DUPLICATE : RCPT_REFUSED;
	bool refused = r->refused || out->kind == AUDIT_REFUSED;
	for (uint32_t i = r->first; !refused && i < r->first + r->count; i++) {
		const struct env_target *t = &e->targets[i];
		if (t->remote) { outcome = RCPT_QUEUED; }
		if (t->again) { continue; }
		out->rcpts[out->rcpts_n++] = (struct audit_rcpt){.rcpt = r->text,
			.outcome = t->remote ? RCPT_QUEUED : RCPT_DELIVERED,
			.detail = str_ieq(t->address, r->text) ? STR("") : t->address};
	}
	if (out->rcpts_n > before) { return; }
	out->rcpts[out->rcpts_n++] = (struct audit_rcpt){
		.rcpt = r->text, .outcome = refused ? RCPT_REFUSED : outcome, .detail = r->reply};
}

/* All that were accepted, and of the refused as many as there is room for. */
static void add_rcpts(const struct envelope *e, struct arena *a, struct audit *out)
{
	uint32_t n = MIN(e->rcpts_n, (uint32_t)OP_RCPTS_MAX), refused = n - e->accepted_n;
	out->rcpts = arena_array(a, n + e->locals_n + e->remotes_n, sizeof *out->rcpts);
	for (uint32_t i = 0; i < e->rcpts_n; i++) {
		const struct env_rcpt *r = &e->rcpts[i];
		if (r->refused && refused == 0) { continue; }
		refused -= r->refused;
		add_rcpt(e, r, out);
	}
}

/* What is known of the client. */
static void fill_client(
	struct session *s, uint8_t kind, struct str reply, struct arena *a, struct audit *out)
{
	struct conn *c = s->task.conn;
	char ip[NET_ADDR_TEXT];
	*out = (struct audit){.time_us = loop_now_us(s->server->role->loop),
		.kind = kind,
		.helo = str_sub(s->helo, 0, NAME_MAX_LEN),
		.proto = str_of(s->service->name),
		.login = s->login,
		.client = str_sub(session_client_name(s), 0, NAME_MAX_LEN),
		.reply = str_sub(reply, 0, OP_TEXT_MAX)};
	out->peer = arena_dup(a, session_ip(s, ip));
	if (c) { /* it is gone when the client went away within the transaction */
		out->tls = arena_fmt(a, "%.*s%s%.*s", STR_ARG(conn_tls_version(c)),
			conn_is_tls(c) ? " " : "", STR_ARG(conn_tls_cipher(c)));
	}
}

void audit_fill(
	struct session *s, uint8_t kind, struct str reply, struct arena *a, struct audit *out)
{
	const struct envelope *e = s->env;
	fill_client(s, kind, reply, a, out);
	out->id = e->id;
	out->from = e->mail.from.text;
	out->msgid = e->msgid;
	out->author = e->author;
	if (s->intake) { out->size = s->intake->size; }
	add_rcpts(e, a, out);
	add_checks(s, a, out);
}

/* --- batches --- */

static void post_ended(struct task *t)
{
	struct post *p = task_of(t, struct post, task);
	struct audit_box *box = p->box;
	call_fini(&p->call);
	list_del(&p->node);
	free(p);
	if (!box) { return; }
	box->posts_n--;
	server_settle(box->server);
}

static enum step post_done(struct task *t)
{
	struct post *p = task_of(t, struct post, task);
	if (p->call.link) { return STEP_WAIT; } /* its first run: nobody has answered yet */
	if (p->call.rc < 0 && p->box) {
		log_event(LOG_WARN, &(struct log_ctx){.role = p->box->server->role->ops->name},
			"audit records lost", "n=%u reason=%s", p->n, err_name(p->call.rc));
	}
	return STEP_DONE;
}

static void flush(struct audit_box *box)
{
	struct server *sv = box->server;
	if (box->lost) {
		log_event(LOG_WARN, &(struct log_ctx){.role = sv->role->ops->name},
			"audit records lost", "n=%llu reason=flood", (unsigned long long)box->lost);
		box->lost = 0;
	}
	if (box->n) {
		struct post *p = xnew(struct post);
		struct op_audit op = {.records = box->records, .records_n = box->n};
		p->box = box;
		p->n = box->n;
		list_add(&box->posts, &p->node);
		box->posts_n++;
		task_start(sv->role->loop, &p->task, NULL, post_done, post_ended);
		link_call(sv->role->peer[ROLE_STORE], &p->call, &p->task, &OP_AUDIT, &op, 0);
	}
	arena_fini(&box->arena);
	box->n = 0;
	box->octets = 0;
}

static void on_second(struct timer *t)
{
	struct audit_box *box = container_of(t, struct audit_box, timer);
	box->this_second = 0;
	flush(box);
}

/* A copy of the record joins the batch. */
static void add_record(struct server *sv, const struct audit *record)
{
	struct audit_box *box = sv->audits;
	struct buf packed = {0};
	if (!timer_armed(&box->timer)) {
		timer_start(sv->role->loop, &box->timer, SECOND_US, on_second);
	}
	if (++box->this_second > PER_SECOND || box->posts_n >= POSTS_MAX) {
		box->lost++;
		return;
	}
	wire_pack(&wire_audit, record, &packed);
	struct str copy = arena_dup(&box->arena, buf_view(&packed));
	int rc = wire_unpack(&wire_audit, copy, &box->arena, &box->records[box->n]);
	assert(rc == 0);
	box->n += rc == 0;
	box->octets += packed.n;
	buf_fini(&packed);
	if (box->n == OP_AUDITS_MAX || box->octets >= BATCH_OCTETS) { flush(box); }
}

void audit_refused(struct session *s)
{
	const struct envelope *e = s->env;
	struct arena a = {0};
	struct audit record;
	if (!e || e->committed) { return; }
	if (e->refusal.n == 0 && e->rcpts_n == e->accepted_n) { return; } /* merely given up */
	audit_fill(s, AUDIT_REFUSED, e->refusal, &a, &record);
	add_record(s->server, &record);
	arena_fini(&a);
}

void audit_turned_away(struct session *s, enum reply_id id, struct str detail)
{
	struct arena a = {0};
	struct buf text = {0};
	struct audit record;
	reply_text(id, detail, &text);
	fill_client(s, AUDIT_REFUSED, buf_view(&text), &a, &record);
	record.id = id_new(record.time_us);
	add_checks(s, &a, &record);
	add_record(s->server, &record);
	buf_fini(&text);
	arena_fini(&a);
}

/* --- start and end --- */

void audit_start(struct server *sv)
{
	sv->audits = xnew(struct audit_box);
	sv->audits->server = sv;
	list_init(&sv->audits->posts);
}

bool audit_settled(struct server *sv)
{
	flush(sv->audits);
	return sv->audits->posts_n == 0;
}

void audit_abandon(struct server *sv)
{
	struct audit_box *box = sv->audits;
	list_each(node, &box->posts) {
		struct post *p = list_entry(node, struct post, node);
		p->box = NULL;
		list_del(node);
		task_kill(&p->task);
	}
	timer_stop(&box->timer);
	arena_fini(&box->arena);
	free(box);
	sv->audits = NULL;
}
