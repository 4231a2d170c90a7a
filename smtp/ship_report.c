/* What became of a shipment: the outcome of each recipient, the DSN that somebody is owed, both
   committed in one operation (RFC 3461 5.2, 6; RFC 5321 6.1). Runs in relay. */
#include "smtp/dsn.h"
#include "smtp/relay.h"
#include "smtp/relay_metrics.h"

enum { RETURN_MAX = 1024 * 1024, BOUNCE_MAX = 4 * 1024 * 1024, REPLY_MAX = 900 };

struct report {
	struct op_queue_result op;
	struct op_queue_outcome outcomes[SHIP_RCPTS_MAX];
	struct audit_rcpt audit_rcpts[SHIP_RCPTS_MAX];
	struct dsn dsn;
	struct dsn_rcpt dsn_rcpts[SHIP_RCPTS_MAX];
	struct op_deliver bounce;
	struct audit_rcpt bounce_rcpts[TARGETS_MAX];
	struct spool *spool;
	uint64_t offset, end; /* of the returned octets */
	bool head_done, any_failed;
};

static struct shipment *ship_of(struct task *t)
{
	return task_of(t, struct shipment, task);
}

void report_free(struct report *rp)
{
	if (!rp) { return; }
	spool_free(rp->spool);
	free(rp);
}

/* --- outcomes --- */

static int64_t next_try_us(const struct relay_conf *c, uint32_t tries, int64_t now_us)
{
	uint32_t jitter;
	int64_t pause = tries < 20 ? c->retry_min_us << tries : c->retry_max_us;
	random_bytes(&jitter, sizeof jitter);
	pause = MIN(pause, c->retry_max_us);
	return now_us + pause - pause / 10 + jitter % (pause / 5 + 1);
}

static void decide(
	struct shipment *s, struct ship_rcpt *r, struct op_queue_outcome *o, int64_t now_us)
{
	const struct relay_conf *c = s->relay->conf;
	*o = (struct op_queue_outcome){.n = r->row.n,
		.tries = r->row.tries,
		.reply = str_sub(r->reply, 0, REPLY_MAX),
		.host = r->host};
	if (r->left) { /* its turn is now */
		o->outcome = RCPT_DEFERRED;
		o->next_us = now_us;
		o->delay_told = r->row.delay_told;
	} else if (r->code >= 200 && r->code < 300) {
		o->outcome = RCPT_SENT;
	} else if (r->code >= 500) {
		o->outcome = RCPT_FAILED;
	} else if (now_us >= r->row.expires_us) {
		o->outcome = RCPT_FAILED;
		r->expired = true;
		o->reply = arena_fmt(&s->arena, "4.4.7 delivery time expired; last answer: %.*s",
			STR_ARG(o->reply));
	} else {
		o->outcome = RCPT_DEFERRED;
		o->next_us = MIN(next_try_us(c, r->row.tries, now_us), r->row.expires_us);
		bool late = now_us - s->item.created_us >= c->delay_warning_us;
		o->delay_told = r->row.delay_told || (late && (r->row.notify & NOTIFY_DELAY));
	}
	r->outcome = o->outcome;
}

static void log_outcome(const struct shipment *s, const struct ship_rcpt *r)
{
	static const char *const events[] = {
		[RCPT_SENT] = "sent", [RCPT_DEFERRED] = "deferred", [RCPT_FAILED] = "failed"};
	struct log_ctx ctx = {.role = "relay", .session = s->serial};
	char id[ID_TEXT];
	log_event(r->outcome == RCPT_FAILED ? LOG_WARN : LOG_INFO, &ctx, events[r->outcome],
		"qid=%s to=%.*s host=%.*s tls=%d converted=%d reply=%.*s", id_text(s->item.qid, id),
		STR_ARG(r->row.rcpt), STR_ARG(r->host), s->tls_used, s->converted,
		STR_ARG(r->reply));
}

/* Is the sender owed a report about this recipient? RFC 3461 4.1: without NOTIFY only about
 * failure. */
static bool owed(const struct shipment *s, const struct ship_rcpt *r,
	const struct op_queue_outcome *o, enum dsn_action *action_out)
{
	uint8_t notify = r->row.notify ? r->row.notify : NOTIFY_FAILURE;
	if (s->item.from.n == 0 || (notify & NOTIFY_NEVER)) { return false; }
	switch (r->outcome) {
	case RCPT_FAILED: *action_out = DSN_FAILED; return notify & NOTIFY_FAILURE;
	case RCPT_SENT:
		*action_out = notify & NOTIFY_DELIVERED ? DSN_DELIVERED : DSN_RELAYED;
		return (notify & NOTIFY_SUCCESS) && !r->dsn_passed_on;
	default: *action_out = DSN_DELAYED; return o->delay_told && !r->row.delay_told;
	}
}

static void add_to_dsn(struct shipment *s, const struct ship_rcpt *r, enum dsn_action action)
{
	struct report *rp = s->report;
	struct dsn_rcpt *d = &rp->dsn_rcpts[rp->dsn.rcpts_n++];
	*d = (struct dsn_rcpt){.rcpt = r->row.rcpt,
		.orcpt = r->row.orcpt,
		.action = action,
		.reply = r->reply,
		.said = r->said,
		.expired = r->expired,
		.host = r->host,
		.retry_until_us = r->row.expires_us};
	struct str own = arena_fmt(&s->arena, "%d %.*s", r->code, STR_ARG(r->reply));
	d->status = dsn_status(r->code, r->said ? r->reply : own);
	/* RFC 3463 3.5: the code of the actual problem is the better one */
	if (d->expired && str_eq(d->status, STR("4.0.0"))) { d->status = STR("4.4.7"); }
	rp->any_failed |= action == DSN_FAILED;
}

/* --- the DSN's own way --- */

static enum step commit(struct task *t);

/* Something that the DSN needs is away: the outcome is known, and waits for it. */
static enum step begin_anew(struct task *t)
{
	struct shipment *s = ship_of(t);
	report_free(s->report);
	s->report = NULL;
	t->step = ship_report;
	task_sleep(t, SECOND_US);
	return STEP_WAIT;
}

static void count_outcomes(const struct shipment *s)
{
	for (size_t i = 0; i < s->rcpts_n; i++) {
		const struct ship_rcpt *r = &s->rcpts[i];
		struct metric *m = r->outcome == RCPT_SENT       ? &relay_sent_total
				   : r->outcome == RCPT_DEFERRED ? &relay_deferred_total
				   : r->expired                  ? &relay_expired_total
								 : &relay_bounced_total;
		bool tried = !r->left && !(r->row.notify & NOTIFY_DELIVERED);
		metric_add(m, tried);
	}
	metric_add(&relay_reports_total, s->report->op.bounce_n);
}

/* The answer of the other side is known: keep it until it is stored. A commit whose reply was lost
   is asked for again, and changes nothing then. The report's upload is let go in any case: one that
   was taken is none any more. */
static enum step committed(struct task *t)
{
	struct shipment *s = ship_of(t);
	struct log_ctx ctx = {.role = "relay", .session = s->serial};
	call_fini(&s->call);
	if (t->rc == 0) {
		count_outcomes(s);
		return STEP_DONE;
	}
	log_event(LOG_ERROR, &ctx, "outcome not stored", "reason=%s", err_name(t->rc));
	if (t->rc == ERR_GONE) { return begin_anew(t); } /* the upload has waited too long */
	t->step = commit;
	task_sleep(t, SECOND_US);
	return STEP_WAIT;
}

static enum step commit(struct task *t)
{
	struct shipment *s = ship_of(t);
	t->step = committed;
	link_call(
		s->relay->role->peer[ROLE_STORE], &s->call, t, &OP_QUEUE_RESULT, &s->report->op, 0);
	return STEP_WAIT;
}

static struct str bounce_prefix(struct shipment *s, struct str rcpt)
{
	return arena_fmt(&s->arena, "Return-Path: <>\r\nDelivered-To: %.*s\r\n", STR_ARG(rcpt));
}

/* Where the DSN goes: mailboxes here, queue rows, or both. */
static void address_bounce(struct shipment *s, const struct auth_resolve_reply *to)
{
	struct report *rp = s->report;
	struct op_deliver *b = &rp->bounce;
	/* a full mailbox must not keep the outcome from being stored */
	b->partial = PARTIAL_PLACES;
	b->locals = arena_array(&s->arena, to->targets_n, sizeof *b->locals);
	b->remotes = arena_array(&s->arena, to->targets_n, sizeof *b->remotes);
	for (uint32_t i = 0; i < to->targets_n; i++) {
		const struct auth_target *t = &to->targets[i];
		struct str address = arena_dup(&s->arena, t->address);
		rp->bounce_rcpts[i] = (struct audit_rcpt){
			.rcpt = address, .outcome = t->aid ? RCPT_DELIVERED : RCPT_QUEUED};
		if (t->aid) {
			b->locals[b->locals_n++] = (struct op_local_rcpt){.aid = t->aid,
				.rcpt = address,
				.folder = arena_dup(&s->arena, t->folder),
				.prefix = bounce_prefix(s, address)};
		} else {
			b->remotes[b->remotes_n++] =
				(struct op_remote_rcpt){.rcpt = address, .notify = NOTIFY_NEVER};
		}
	}
	b->audit.rcpts = rp->bounce_rcpts;
	b->audit.rcpts_n = to->targets_n;
}

static enum step bounce_ready(struct task *t)
{
	struct shipment *s = ship_of(t);
	struct report *rp = s->report;
	int rc = spool_finish(rp->spool);
	if (rc == 0) { return STEP_WAIT; }
	if (rc < 0) { return begin_anew(t); }
	spool_body(rp->spool, &rp->bounce.body);
	rp->bounce.audit.size = spool_size(rp->spool);
	rp->op.bounce = &rp->bounce;
	rp->op.bounce_n = 1;
	t->step = commit;
	return STEP_MORE;
}

/* Copy the returned part of the message, as much as the spool takes now. Below 0 when the store
   cannot be read; what the spool cannot pass on shows at its end. */
static int add_returned(struct shipment *s)
{
	struct report *rp = s->report;
	struct snap sn;
	int rc = snap_begin(s->relay->role->store, &sn);
	if (rc < 0) { return rc; }
	while (rp->offset < rp->end && !spool_full(rp->spool)) {
		struct str octets = STR("");
		rc = snap_bytes(&sn, s->item.oid, rp->offset, &octets);
		octets = str_sub(octets, 0, rp->end - rp->offset);
		if (rc < 0 || octets.n == 0) {
			rp->end = rp->offset; /* damaged: return what can be read */
			break;
		}
		spool_add(rp->spool, octets);
		rp->offset += octets.n;
	}
	snap_end(&sn);
	return 0;
}

static enum step write_bounce(struct task *t)
{
	struct shipment *s = ship_of(t);
	struct report *rp = s->report;
	struct buf b = {0};
	if (!rp->head_done) {
		rp->head_done = true;
		dsn_head(&rp->dsn, &b);
		spool_add(rp->spool, buf_view(&b));
		buf_reset(&b);
	}
	int rc = add_returned(s);
	if (rc < 0 || rp->offset < rp->end) {
		buf_fini(&b);
		if (rc < 0) { return begin_anew(t); }
		return spool_full(rp->spool) ? STEP_WAIT : STEP_MORE;
	}
	dsn_tail(&rp->dsn, &b);
	spool_add(rp->spool, buf_view(&b));
	buf_fini(&b);
	t->step = bounce_ready;
	return STEP_MORE;
}

static void describe_bounce(struct shipment *s)
{
	struct report *rp = s->report;
	struct obj obj;
	struct snap sn;
	uint64_t random;
	int64_t now = loop_now_us(s->relay->role->loop);
	random_bytes(&random, sizeof random);
	rp->bounce.audit.id = id_new(now);
	rp->dsn.hostname = role_hostname(s->relay->role);
	rp->dsn.to = s->item.from;
	rp->dsn.envid = s->item.envid;
	rp->dsn.boundary = arena_fmt(&s->arena, "=_%016llx", (unsigned long long)random);
	rp->dsn.id = rp->bounce.audit.id;
	rp->dsn.now_us = now;
	rp->dsn.arrived_us = s->item.created_us;
	rp->dsn.utf8 = (s->item.body & BODY_SMTPUTF8) != 0;
	rp->dsn.rcpts = rp->dsn_rcpts;
	/* RFC 3461 4.3: a report without a failure returns the header only; so does one that cannot
	   hold the message, as a binary one, or one whose header could keep the report from a host
	   without SMTPUTF8 */
	rp->dsn.full = s->item.ret == RET_FULL && rp->any_failed && s->item.size <= RETURN_MAX &&
		       !(s->item.body & BODY_BINARY) && !rp->dsn.utf8;
	rp->end = rp->dsn.full ? s->item.size : 0;
	if (!rp->dsn.full && snap_begin(s->relay->role->store, &sn) == 0) {
		if (snap_obj(&sn, s->item.oid, &obj) == 0) { rp->end = obj.header_len; }
		snap_end(&sn);
	}
	rp->bounce.received_us = now;
	rp->bounce.expires_us = now + s->relay->conf->lifetime_us;
	rp->bounce.body_flags = BODY_8BIT | (rp->dsn.utf8 ? BODY_SMTPUTF8 : 0);
	rp->bounce.audit.kind = AUDIT_BOUNCED;
	rp->bounce.audit.time_us = now;
	rp->bounce.audit.proto = STR("dsn");
}

static enum step bounce_resolved(struct task *t)
{
	struct shipment *s = ship_of(t);
	struct log_ctx ctx = {.role = "relay", .session = s->serial};
	const struct auth_resolve_reply *to = s->call.reply;
	if (t->rc < 0) {
		call_fini(&s->call);
		return begin_anew(t);
	}
	if (to->targets_n == 0) {
		log_event(
			LOG_WARN, &ctx, "bounce has no address", "to=%.*s", STR_ARG(s->item.from));
		t->step = commit;
	} else {
		address_bounce(s, to);
		describe_bounce(s);
		s->report->spool = spool_new(&s->relay->role->peer[ROLE_STORE], t, BOUNCE_MAX);
		t->step = write_bounce;
	}
	call_fini(&s->call);
	return STEP_MORE;
}

/* --- the start --- */

static void describe_outcomes(struct shipment *s)
{
	struct report *rp = s->report;
	uint8_t kind = AUDIT_SENT;
	for (size_t i = 0; i < s->rcpts_n; i++) {
		const struct ship_rcpt *r = &s->rcpts[i];
		if (r->outcome == RCPT_FAILED) { kind = AUDIT_BOUNCED; }
		if (r->outcome == RCPT_DEFERRED && kind == AUDIT_SENT) { kind = AUDIT_DEFERRED; }
		rp->audit_rcpts[i] = (struct audit_rcpt){.rcpt = r->row.rcpt,
			.outcome = r->outcome,
			.detail = r->reply,
			.qid = s->item.qid};
	}
	rp->op = (struct op_queue_result){.qid = s->item.qid,
		.outcomes = rp->outcomes,
		.outcomes_n = (uint32_t)s->rcpts_n,
		.audit = {.id = s->item.audit_id,
			.time_us = loop_now_us(s->relay->role->loop),
			.kind = kind,
			.peer = s->rcpts[0].host,
			.proto = STR("smtp"),
			.tls = s->tls_used ? STR("yes") : STR(""),
			.from = s->item.from,
			.size = s->item.size,
			.rcpts = rp->audit_rcpts,
			.rcpts_n = (uint32_t)s->rcpts_n}};
}

enum step ship_report(struct task *t)
{
	struct shipment *s = ship_of(t);
	int64_t now = loop_now_us(s->relay->role->loop);
	enum dsn_action action;
	s->report = xnew(struct report);
	for (size_t i = 0; i < s->rcpts_n; i++) {
		struct ship_rcpt *r = &s->rcpts[i];
		decide(s, r, &s->report->outcomes[i], now);
		log_outcome(s, r);
		if (owed(s, r, &s->report->outcomes[i], &action)) { add_to_dsn(s, r, action); }
	}
	describe_outcomes(s);
	if (s->report->dsn.rcpts_n == 0) {
		t->step = commit;
		return STEP_MORE;
	}
	t->step = bounce_resolved;
	link_call(s->relay->role->peer[ROLE_AUTH], &s->call, t, &AUTH_RESOLVE,
		&(struct auth_resolve){.address = s->item.from}, 0);
	return STEP_WAIT;
}
