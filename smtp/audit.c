/* Audit records of the SMTP server. Runs in mx and submit. Never holds up a session: the record of
   an accepted message travels with it, that of a refused one by itself. */
#include "smtp/audit.h"

#include "smtp/receive.h"
#include "store/op.h"

enum { POSTS_MAX = 1000, NAME_MAX_LEN = 255 };

struct post {
	struct list node;
	struct task task;
	struct call call;
	struct server *server; /* NULL when it is gone */
};

static void add_checks(struct session *s, struct arena *a, struct audit *out)
{
	out->checks = arena_array(a, POLICY_N, sizeof *out->checks);
	for (enum policy_id i = 0; i < POLICY_N; i++) {
		const struct policy_finding *f = policy_found(s, i);
		if (f->result.n == 0) { continue; }
		out->checks[out->checks_n++] = (struct audit_check){.name = policy_name(i),
			.result = f->result,
			.detail = f->detail,
			.action = f->action ? policy_action_name(f->action) : STR(""),
			.except = f->except};
	}
}

static struct audit_rcpt rcpt_record(const struct envelope *e, const struct env_rcpt *r)
{
	struct audit_rcpt out = {.rcpt = r->text, .outcome = RCPT_REFUSED, .detail = r->reply};
	if (r->refused || r->count == 0) { return out; }
	out.outcome = RCPT_DUPLICATE;
	for (uint32_t i = r->first; i < r->first + r->count; i++) {
		const struct env_target *t = &e->targets[i];
		if (t->remote) {
			out.outcome = RCPT_QUEUED;
		} else if (out.outcome == RCPT_DUPLICATE && e->locals[t->at].rcpt.p == r->text.p) {
			out.outcome = RCPT_DELIVERED;
		}
	}
	return out;
}

void audit_fill(
	struct session *s, uint8_t kind, struct str reply, struct arena *a, struct audit *out)
{
	const struct envelope *e = s->env;
	struct conn *c = s->task.conn;
	char ip[NET_ADDR_TEXT];
	*out = (struct audit){.id = e->id,
		.time_us = loop_now_us(s->server->role->loop),
		.kind = kind,
		.helo = str_sub(s->helo, 0, NAME_MAX_LEN),
		.proto = str_of(s->service->name),
		.login = s->login,
		.from = e->mail.from.text,
		.reply = reply};
	out->peer = arena_dup(a, session_ip(s, ip));
	if (c) { /* it is gone when the client went away within the transaction */
		out->tls = arena_fmt(a, "%.*s%s%.*s", STR_ARG(conn_tls_version(c)),
			conn_is_tls(c) ? " " : "", STR_ARG(conn_tls_cipher(c)));
	}
	if (s->intake) {
		out->size = s->intake->size;
		out->msgid = s->intake->facts.msgid_value;
	}
	out->rcpts = arena_array(a, e->rcpts_n, sizeof *out->rcpts);
	out->rcpts_n = e->rcpts_n;
	for (uint32_t i = 0; i < e->rcpts_n; i++) {
		out->rcpts[i] = rcpt_record(e, &e->rcpts[i]);
		if (kind == AUDIT_REFUSED) { out->rcpts[i].outcome = RCPT_REFUSED; }
	}
	add_checks(s, a, out);
}

/* --- records without a message --- */

static void post_ended(struct task *t)
{
	struct post *p = task_of(t, struct post, task);
	call_fini(&p->call);
	list_del(&p->node);
	if (p->server) { p->server->posts_n--; }
	free(p);
}

static enum step post_done(struct task *t)
{
	struct post *p = task_of(t, struct post, task);
	if (p->call.link) { return STEP_WAIT; } /* its first run: nobody has answered yet */
	if (p->call.rc < 0 && p->server) {
		log_event(LOG_WARN, &(struct log_ctx){.role = p->server->role->ops->name},
			"audit record lost", "reason=%s", err_name(p->call.rc));
	}
	return STEP_DONE;
}

static void post_start(struct server *sv, struct audit *record)
{
	if (sv->posts_n >= POSTS_MAX) { return; }
	struct post *p = xnew(struct post);
	struct op_audit op = {.records = record, .records_n = 1};
	p->server = sv;
	list_add(&sv->posts, &p->node);
	sv->posts_n++;
	task_start(sv->role->loop, &p->task, NULL, post_done, post_ended);
	link_call(sv->role->peer[ROLE_STORE], &p->call, &p->task, &OP_AUDIT, &op, 0);
}

void audit_refused(struct session *s)
{
	const struct envelope *e = s->env;
	struct arena a = {0};
	struct audit record;
	if (!e || e->committed || e->rcpts_n == 0) { return; }
	if (e->refusal.n == 0 && e->rcpts_n == e->accepted_n) { return; } /* merely given up */
	audit_fill(s, AUDIT_REFUSED, e->refusal, &a, &record);
	post_start(s->server, &record);
	arena_fini(&a);
}

void audit_abandon(struct server *sv)
{
	list_each(node, &sv->posts) {
		struct post *p = list_entry(node, struct post, node);
		p->server = NULL;
		list_del(node);
		task_kill(&p->task);
	}
}
