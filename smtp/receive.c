/* A message on its way from the wire into one operation of the store. Runs in mx and submit. Never
   says 250 before the store has answered. */
#include "smtp/receive.h"

#include "auth/results.h"
#include "lib/addr.h"
#include "lib/head.h"
#include "lib/metric.h"
#include "smtp/audit.h"
#include "smtp/relay_conf.h"
#include "smtp/verb.h"
#include "smtp/verdict.h"

enum {
	TEXT_LINE_MAX = 64 * 1024,
	WIDE_FROM = 32 * 1024, /* a message that is longer is read in larger pieces */
	WIDE_READ = 64 * 1024,
	OP_OVERHEAD = 8 * 1024, /* of an operation's frame: fixed fields */
	RCPT_OVERHEAD = 64,     /* per recipient and per check: lengths and numbers */
	AUTHOR_TEXT_MAX = 1000  /* octets of From in the audit record */
};

static struct metric accepted = {
	.name = "smtp_accepted_total", .help = "Messages that were stored or queued."};
static struct metric refused = {
	.name = "smtp_refused_total", .help = "Messages refused after their text had come."};

void receive_register(void)
{
	metric_register(&accepted);
	metric_register(&refused);
}

/* --- octets --- */

void intake_start(struct session *s, bool chunked)
{
	struct intake *in = xnew(struct intake);
	in->dot = (struct dot){.line_max = TEXT_LINE_MAX,
		.chunk = chunked,
		.binary = (s->env->mail.body & BODY_BINARY) != 0};
	in->chunked = chunked;
	in->fault = REPLY_N;
	in->started_us = loop_mono_us(s->task.loop);
	s->intake = in;
}

void intake_free(struct intake *in)
{
	if (!in) { return; }
	spool_free(in->spool);
	buf_fini(&in->header);
	arena_fini(&in->arena);
	free(in);
}

void intake_fail(struct session *s, enum reply_id id, struct str detail)
{
	struct intake *in = s->intake;
	if (in->fault != REPLY_N) { return; }
	in->fault = id;
	in->fault_detail = arena_dup(&s->env->arena, detail);
	buf_fini(&in->header);
	spool_free(in->spool);
	in->spool = NULL;
}

/* How an error of the store is told (RFC 3463). */
static enum reply_id reply_of(int rc)
{
	switch (rc) {
	case 0: return REPLY_QUEUED;
	case ERR_FULL: return REPLY_STORE_FULL;
	case ERR_QUOTA: return REPLY_MAILBOX_FULL;
	case ERR_LIMIT: return REPLY_OVER_QUOTA;
	case ERR_GONE: return REPLY_NO_MAILBOX;
	case ERR_AGAIN:
	case ERR_TIMEOUT:
	case ERR_DAMAGED: /* until fsck has mended it */
	case ERR_IO: return REPLY_STORE_LATER;
	default: return REPLY_STORE_ERROR;
	}
}

static void fail_too_big(struct session *s)
{
	char text[24];
	intake_fail(s, REPLY_TOO_BIG, u64_text(s->server->conf->message_max, text));
}

static void spool_octets(struct session *s, struct str octets)
{
	int rc = spool_add(s->intake->spool, octets);
	if (rc == ERR_LIMIT) {
		fail_too_big(s);
	} else if (rc < 0) {
		intake_fail(s, reply_of(rc), STR(""));
	}
}

/* Of the body: it is not known before its end whether all that was said of it holds. */
static void body_octets(struct session *s, struct str octets)
{
	spool_octets(s, octets);
	if (s->intake->fault == REPLY_N && s->env->verdict) {
		verdict_body(s->env->verdict, octets);
	}
}

static void header_octets(struct session *s, struct str octets)
{
	struct intake *in = s->intake;
	buf_str(&in->header, octets);
	in->header_len = trace_header_end(buf_view(&in->header), &in->scanned);
	uint64_t max = s->server->conf->header_max;
	if (in->header_len > max || (in->header_len == 0 && in->header.n > max)) {
		intake_fail(s, REPLY_HEADER_LONG, STR(""));
	} else if (in->header_len) {
		in->header_due = true;
	}
}

void intake_add(struct session *s, struct str octets)
{
	struct intake *in = s->intake;
	in->size += octets.n;
	if (in->size > WIDE_FROM) { conn_read_size(s->task.conn, WIDE_READ); }
	if (in->size > s->server->conf->message_max) { fail_too_big(s); }
	if (in->fault != REPLY_N || octets.n == 0) { return; }
	if (in->header_done) {
		body_octets(s, octets);
	} else {
		header_octets(s, octets);
	}
}

/* --- the header --- */

static void add_received(struct session *s, struct buf *out)
{
	const struct envelope *e = s->env;
	struct conn *c = s->task.conn;
	char id[ID_TEXT], addr[NET_ADDR_TEXT], with[16];
	struct trace_proto proto = {.lmtp = session_at(s, AT_LMTP),
		.extended = s->esmtp,
		.tls = conn_is_tls(c),
		.login = s->aid != 0,
		.utf8 = (e->mail.body & BODY_SMTPUTF8) != 0};
	struct trace t = {.helo = s->helo,
		.name = session_client_name(s),
		.host = role_hostname(s->server->role),
		.with = str_of(trace_with(&proto, with)),
		.id = str_of(id_text(e->id, id)),
		.time_us = loop_now_us(s->task.loop)};
	if (s->peer.sa.sa_family != AF_UNSPEC) {
		t.addr = str_of(net_addr_literal(&s->peer, addr));
	}
	if (proto.tls) {
		t.tls = arena_fmt(&s->intake->arena, "%.*s %.*s", STR_ARG(conn_tls_version(c)),
			STR_ARG(conn_tls_cipher(c)));
	}
	if (e->rcpts_n == 1) { t.rcpt = e->rcpts[0].text; }
	trace_received(&t, out);
}

/* The header is let through: what we add, itself, and what came behind it. */
enum step receive_open(struct session *s)
{
	struct intake *in = s->intake;
	struct envelope *e = s->env;
	struct str whole = buf_view(&in->header), header = str_sub(whole, 0, in->header_len);
	struct str host = role_hostname(s->server->role);
	struct buf top = {0}, kept = {0}, without = {0};
	char id[ID_TEXT];
	s->task.step = in->resume;
	in->header_done = true;
	/* its own Received and prefix may come on top of what was promised */
	in->spool = spool_new(&s->server->role->peer[ROLE_STORE], &s->task,
		s->server->conf->message_max + s->server->conf->header_max);
	if (e->verdict) { verdict_header(e->verdict, header, in); } /* signed as it came */
	if (in->facts.return_path) {
		header_without_return_path(header, &without);
		header = buf_view(&without);
	}
	if (session_at(s, AT_MX)) {
		spool_late_top(in->spool);
		in->forged = results_strip(header, host, &top);
	} else if (session_at(s, AT_SUBMIT)) {
		add_received(s, &top);
		in->forged = results_strip(header, host, &kept);
		header_complete(buf_view(&kept), &in->facts, loop_now_us(s->task.loop),
			str_of(id_text(e->id, id)), host, &top);
	} else {
		add_received(s, &top);
		buf_str(&top, header); /* the results of whom it comes from are trusted */
	}
	spool_octets(s, buf_view(&top));
	if (in->fault == REPLY_N && whole.n > in->header_len) {
		body_octets(s, str_skip(whole, in->header_len));
	}
	buf_fini(&top);
	buf_fini(&kept);
	buf_fini(&without);
	buf_fini(&in->header);
	return STEP_MORE;
}

/* Whom its From field names; what is needed after the header has gone is copied. */
static void find_authors(struct intake *in)
{
	struct addr *list;
	size_t n, kept = 0;
	struct str value = arena_dup(&in->arena, in->facts.from_value);
	if (in->facts.from != 1 || addr_parse(value, &in->arena, &list, &n) < 0) { return; }
	for (size_t i = 0; i < n; i++) {
		if (list[i].kind == ADDR_MAILBOX) { list[kept++] = list[i]; }
	}
	in->authors = list;
	in->authors_n = kept;
}

/* What the audit record says of the header. */
static void keep_facts(struct envelope *e, const struct header_facts *f)
{
	struct buf text = {0};
	e->msgid = arena_dup(&e->arena, f->msgid_value);
	head_unfold(str_sub(f->from_value, 0, AUTHOR_TEXT_MAX), &text);
	e->author = arena_dup(&e->arena, buf_view(&text));
	buf_fini(&text);
}

static void look_at_header(struct session *s)
{
	struct intake *in = s->intake;
	struct str header = str_sub(buf_view(&in->header), 0, in->header_len);
	header_look(header, &in->facts);
	if (session_at(s, AT_MX)) {
		in->author_fault = authors_find(header, &s->env->arena, &in->author_domains);
	}
	in->list_id = arena_dup(&in->arena, in->facts.list_id);
	keep_facts(s->env, &in->facts);
	if (!session_at(s, AT_SUBMIT)) { find_authors(in); } /* it judges them by itself */
}

static void judge_lines(struct session *s, unsigned faults)
{
	if (faults & (DOT_BARE_CR | DOT_BARE_LF)) {
		intake_fail(s, REPLY_LINE_ENDS, STR(""));
	} else if (faults & DOT_NUL) {
		intake_fail(s, REPLY_NUL, STR(""));
	} else if (faults & DOT_LINE_LONG) {
		intake_fail(s, REPLY_TEXT_LINE_LONG, STR(""));
	}
}

/* Only the body may be binary: in the header one would see lines where another sees none. */
static void judge_header_lines(struct session *s)
{
	struct dot lines = {.line_max = TEXT_LINE_MAX, .chunk = true};
	struct str header = str_sub(buf_view(&s->intake->header), 0, s->intake->header_len), run;
	if (!s->intake->dot.binary) { return; } /* all its lines are looked at */
	(void)dot_next(&lines, &header, &run);  /* a chunk has no end of its own */
	judge_lines(s, lines.faults);
}

enum step receive_header(struct task *t)
{
	struct session *s = session_of(t);
	struct intake *in = s->intake;
	in->header_due = false;
	t->step = in->resume;
	judge_header_lines(s);
	if (in->fault != REPLY_N) { return STEP_MORE; }
	look_at_header(s);
	policy_now(s, STAGE_HEADER);
	if (s->run.action >= POLICY_DEFER) {
		intake_fail(s, s->run.reply, s->run.say);
		return STEP_MORE;
	}
	return session_at(s, AT_SUBMIT) ? submission_authors(s) : receive_open(s);
}

/* --- the end --- */

/* One answer for the whole message, or by LMTP one for each recipient (RFC 2033 4.2). */
static void answer_all(struct session *s, enum reply_id id, struct str detail)
{
	uint32_t n = session_at(s, AT_LMTP) ? s->env->accepted_n : 1;
	for (uint32_t i = 0; i < n; i++) { session_reply_with(s, id, detail); }
	if (n > 1 && reply_code(id) >= 500) { s->errors -= n - 1; } /* one mistake */
}

static void note_refusal(struct session *s, enum reply_id id, struct str detail)
{
	struct envelope *e = s->env;
	char audit_id[ID_TEXT];
	envelope_refused(e, id, detail);
	metric_add(&refused, 1);
	log_event(LOG_INFO, &s->log, "refused", "id=%s from=%.*s rcpt=%u size=%llu reason=%.*s",
		id_text(e->id, audit_id), STR_ARG(e->mail.from.text), e->accepted_n,
		(unsigned long long)s->intake->size, STR_ARG(e->refusal));
}

static enum step refuse(struct session *s, enum reply_id id, struct str detail)
{
	note_refusal(s, id, detail);
	answer_all(s, id, detail);
	session_reset(s);
	return session_next(s);
}

static enum step refuse_for(struct session *s, int rc)
{
	if (rc == ERR_LIMIT) { fail_too_big(s); }
	if (rc == ERR_GONE) { rc = ERR_AGAIN; } /* its upload is, no mailbox */
	return rc == ERR_LIMIT ? refuse(s, s->intake->fault, s->intake->fault_detail)
			       : refuse(s, reply_of(rc), STR(""));
}

/* What became of one recipient: the worst of the mailboxes it leads to, so that whoever tries again
   reaches them all. */
static int rcpt_rc(
	const struct envelope *e, const struct env_rcpt *r, const struct op_deliver_reply *reply)
{
	int rc = 0;
	for (uint32_t i = r->first; i < r->first + r->count; i++) {
		const struct env_target *t = &e->targets[i];
		if (!t->remote && t->at < reply->results_n && reply->results[t->at].rc) {
			rc = -(int)MIN(reply->results[t->at].rc, 64U);
		}
	}
	return rc;
}

static void answer_each(struct session *s, const struct op_deliver_reply *reply, struct str id)
{
	const struct envelope *e = s->env;
	for (uint32_t i = 0; i < e->rcpts_n; i++) {
		const struct env_rcpt *r = &e->rcpts[i];
		if (r->refused) { continue; }
		int rc = rcpt_rc(e, r, reply);
		session_reply_with(s, reply_of(rc), rc ? r->text : id);
	}
}

/* One answer is for all: what is final for one of them must not end it for the others. The next try
   learns at RCPT whom it is about. */
static int rc_of_one(int rc)
{
	return rc == ERR_LIMIT ? ERR_QUOTA : rc == ERR_GONE ? ERR_AGAIN : rc;
}

/* Nothing was stored: one of them cannot take it, by LMTP none can. Whoever tries again learns who.
 */
static enum step refuse_whole(struct session *s, const struct op_deliver_reply *reply)
{
	struct envelope *e = s->env;
	bool each = session_at(s, AT_LMTP);
	enum reply_id first = REPLY_N;
	struct str detail = STR("");
	for (uint32_t i = 0; i < e->rcpts_n; i++) {
		struct env_rcpt *r = &e->rcpts[i];
		int rc = r->refused ? 0 : rcpt_rc(e, r, reply);
		if (r->refused || (rc == 0 && !each)) { continue; }
		if (!each && e->accepted_n > 1) { rc = rc_of_one(rc); }
		enum reply_id id = rc ? reply_of(rc) : REPLY_STORE_LATER;
		r->reply = envelope_reply(e, id, r->text);
		if (each) { session_reply_with(s, id, r->text); }
		if (first == REPLY_N) {
			first = id;
			detail = r->text;
		}
	}
	if (first == REPLY_N) { return refuse(s, REPLY_STORE_LATER, STR("")); }
	note_refusal(s, first, detail);
	if (!each) { session_reply_with(s, first, detail); }
	session_reset(s);
	call_fini(&s->call);
	return session_next(s);
}

static enum step receive_done(struct task *t)
{
	struct session *s = session_of(t);
	struct envelope *e = s->env;
	char text[ID_TEXT];
	if (s->call.rc < 0) { return refuse_for(s, s->call.rc); }
	const struct op_deliver_reply *reply = s->call.reply;
	if (!reply->oid) { return refuse_whole(s, reply); }
	struct str id = str_of(id_text(e->id, text));
	spool_taken(s->intake->spool);
	e->committed = true;
	s->messages++;
	s->errors = s->errors_paid = s->idle_commands = 0;
	metric_add(&accepted, 1);
	log_event(LOG_INFO, &s->log, "accepted", "id=%.*s from=%.*s rcpt=%u size=%llu", STR_ARG(id),
		STR_ARG(e->mail.from.text), e->accepted_n, (unsigned long long)s->intake->size);
	if (session_at(s, AT_LMTP)) {
		answer_each(s, reply, id);
	} else {
		session_reply_with(s, REPLY_QUEUED, id);
	}
	session_reset(s);
	call_fini(&s->call);
	return session_next(s);
}

/* What the recipients add to the operation must fit a message between roles. */
static bool fits(const struct op_deliver *op)
{
	size_t n = OP_OVERHEAD + op->body.data.n + op->body.top.n + op->body.parse.n;
	for (uint32_t i = 0; i < op->locals_n; i++) {
		const struct op_local_rcpt *l = &op->locals[i];
		n += RCPT_OVERHEAD + l->rcpt.n + l->folder.n + l->prefix.n;
	}
	for (uint32_t i = 0; i < op->remotes_n; i++) {
		n += RCPT_OVERHEAD + op->remotes[i].rcpt.n + op->remotes[i].orcpt.n;
	}
	for (uint32_t i = 0; i < op->audit.rcpts_n; i++) {
		const struct audit_rcpt *r = &op->audit.rcpts[i];
		n += RCPT_OVERHEAD + r->rcpt.n + r->detail.n;
	}
	for (uint32_t i = 0; i < op->audit.checks_n; i++) {
		const struct audit_check *c = &op->audit.checks[i];
		n += RCPT_OVERHEAD + c->name.n + c->result.n + c->detail.n + c->action.n +
		     c->except.n;
	}
	return n < LINK_MSG_MAX;
}

/* Is the sender told of success, when it asks? Who forges the reverse-path of somebody else is not
   to have us send mail there. */
static bool tells_success(const struct session *s)
{
	int from_outside = s->server->conf->success_reports;
	if (s->env->mail.from.text.n == 0) { return false; }
	if (!session_at(s, AT_MX) || from_outside == REPORTS_ALWAYS) { return true; }
	return from_outside == REPORTS_SPF && str_eq(s->env->spf.result, STR("pass"));
}

static enum step deliver(struct session *s)
{
	struct envelope *e = s->env;
	const struct relay_conf *relay = conf_get(s->server->role->conf, &relay_conf_section);
	int64_t now = loop_now_us(s->task.loop);
	char id[ID_TEXT];
	envelope_prefixes(e);
	if (tells_success(s)) {
		envelope_reports(e);
	} else {
		envelope_no_reports(e);
	}
	bool junk = policy_junks(s);
	for (uint32_t i = 0; junk && i < e->locals_n; i++) { e->locals[i].use = USE_JUNK; }
	struct op_deliver op = {.from = e->mail.from.text,
		.locals = e->locals,
		.locals_n = e->locals_n,
		.remotes = e->remotes,
		.remotes_n = e->remotes_n,
		.envid = e->mail.envid,
		.ret = e->mail.ret,
		.body_flags = e->mail.body,
		.aid = s->aid,
		.received_us = now,
		.expires_us = now + relay->lifetime_us,
		.partial = session_at(s, AT_LMTP) ? PARTIAL_RCPTS : PARTIAL_NO};
	spool_body(s->intake->spool, &op.body);
	struct str reply = arena_fmt(&e->arena, "250 2.0.0 Ok: queued as %s", id_text(e->id, id));
	audit_fill(s, s->service->audit, reply, &e->arena, &op.audit);
	if (!fits(&op)) { return refuse(s, REPLY_TOO_MANY_RCPTS, STR("of this message")); }
	return session_call(s, ROLE_STORE, &OP_DELIVER, &op, receive_done);
}

static void judge_text(struct session *s)
{
	struct intake *in = s->intake;
	if (in->chunked && !in->dot.binary) { dot_at_line_start(&in->dot); }
	judge_lines(s, in->dot.faults);
}

/* The message ends with its header; the empty line behind it may be missing. */
static enum step end_header(struct session *s)
{
	struct intake *in = s->intake;
	if (!in->header_due) {
		struct str header = buf_view(&in->header);
		bool whole = header.n == 0 || str_ends(header, STR("\r\n"));
		buf_str(&in->header, whole ? STR("\r\n") : STR("\r\n\r\n"));
		in->header_len = in->header.n;
	}
	in->resume = receive_end;
	s->task.step = receive_header;
	return STEP_MORE;
}

/* What stands on top and was known only now. */
static void add_top(struct session *s)
{
	const struct envelope *e = s->env;
	struct buf top = {0};
	if (!session_at(s, AT_MX)) { return; }
	if (e->verdict) { verdict_fields(e->verdict, (e->mail.body & BODY_SMTPUTF8) != 0, &top); }
	if (top.n > OP_TOP_MAX / 2) { buf_reset(&top); } /* nobody's fields are so long by chance */
	add_received(s, &top);
	spool_top(s->intake->spool, buf_view(&top));
	buf_fini(&top);
}

static enum step end_store(struct task *t)
{
	struct session *s = session_of(t);
	int rc = spool_finish(s->intake->spool);
	if (rc < 0) { return refuse_for(s, rc); }
	return rc == 0 ? STEP_WAIT : deliver(s);
}

static enum step end_judged(struct task *t)
{
	struct session *s = session_of(t);
	if (!policy_step(s)) { return STEP_WAIT; }
	if (s->run.action >= POLICY_DEFER) { return refuse(s, s->run.reply, s->run.say); }
	add_top(s);
	t->step = end_store;
	return STEP_MORE;
}

static enum step end_verdict(struct task *t)
{
	struct session *s = session_of(t);
	struct verdict *v = s->env->verdict;
	if (v && !verdict_finish(v, t)) { return STEP_WAIT; }
	if (v) { verdict_evidence(v, s->env); }
	policy_start(s, STAGE_END);
	t->step = end_judged;
	return STEP_MORE;
}

enum step receive_end(struct task *t)
{
	struct session *s = session_of(t);
	struct intake *in = s->intake;
	judge_text(s);
	if (in->fault != REPLY_N) { return refuse(s, in->fault, in->fault_detail); }
	if (!in->header_done) { return end_header(s); }
	t->step = end_verdict;
	return STEP_MORE;
}
