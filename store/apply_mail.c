/* Mail coming in: deliveries (every local recipient, every queue row and the audit record in one
   piece) and APPEND. */
#include "store/apply.h"

/* --- audit records --- */

int audit_put(struct apply *ap, const struct audit *au)
{
	struct key at = key_ids((uint64_t)au->time_us, au->id),
		   id = key_ids(au->id, (uint64_t)au->time_us);
	if (au->id == 0) { return 0; }
	int rc = ap_put(ap, TB_AUDIT, &at, au, 0);
	return rc < 0 ? rc : ap_key_put(ap, TB_AUDITID, &id);
}

int apply_audit(struct apply *ap, const void *request, void *reply)
{
	const struct op_audit *op = request;
	(void)reply;
	for (uint32_t i = 0; i < op->records_n; i++) {
		int rc = audit_put(ap, &op->records[i]);
		if (rc < 0) { return rc; }
	}
	return 0;
}

/* --- local recipients --- */

/* Index of the recipient before `i` that leads to the same account, or `i`. */
static uint32_t first_of_account(const struct op_deliver *op, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++) {
		if (op->locals[j].aid == op->locals[i].aid) { return j; }
	}
	return i;
}

/* May the account take it? Writes nothing. ERR_QUOTA: not now; ERR_LIMIT: never. */
static int check_local(struct apply *ap, const struct op_local_rcpt *r, uint64_t size)
{
	struct key k = key1(r->aid);
	struct acct ac;
	int rc = ap_get(ap, TB_ACCT, &k, &ac);
	if (rc < 0) { return rc; }
	size += r->prefix.n;
	if (ac.quota_bytes == 0 || ac.used_bytes + size <= ac.quota_bytes) { return 0; }
	return size > ac.quota_bytes ? ERR_LIMIT : ERR_QUOTA;
}

/* Whoever tries again for a recipient must not reach some of its accounts a second time. */
static void refuse_together(const struct op_deliver *op, struct op_rcpt_result *res)
{
	for (uint32_t i = 0; i < op->locals_n; i++) {
		for (uint32_t j = 0; res[i].rc && j < op->locals_n; j++) {
			bool same = str_eq(op->locals[j].rcpt, op->locals[i].rcpt);
			if (same && !res[j].rc) { res[j].rc = res[i].rc; }
		}
	}
}

/* Fill the results with what the checks say. How many accounts take it and how many refuse, or
   ERR_*. */
static int check_locals(struct apply *ap, const struct op_deliver *op, struct op_rcpt_result *res,
	uint32_t *takers, uint32_t *refusers)
{
	for (uint32_t i = 0; i < op->locals_n; i++) {
		if (first_of_account(op, i) < i) { continue; }
		int rc = check_local(ap, &op->locals[i], op->body.size);
		bool own = rc == ERR_QUOTA || rc == ERR_LIMIT || rc == ERR_GONE ||
			   (rc == ERR_DAMAGED && op->partial);
		if (rc < 0 && !own) { return rc; }
		res[i].rc = (uint32_t)-rc;
	}
	if (op->partial == PARTIAL_RCPTS) { refuse_together(op, res); }
	for (uint32_t i = 0; i < op->locals_n; i++) {
		uint32_t first = first_of_account(op, i);
		res[i].rc = res[first].rc;
		*takers += first == i && !res[i].rc;
		*refusers += first == i && res[i].rc;
	}
	return 0;
}

static int put_local(struct apply *ap, const struct op_deliver *op, const struct op_local_rcpt *r,
	uint64_t oid, struct op_rcpt_result *res)
{
	struct mbox mb;
	int rc = box_for_delivery(ap, r->aid, r->folder, r->use, &mb);
	if (rc < 0) { return rc; }
	struct msg m = {.oid = oid,
		.internaldate_us = op->received_us ? op->received_us : ap->now_us,
		.size = op->body.size + r->prefix.n,
		.flags = r->flags & FLAG_SYSTEM,
		.prefix = r->prefix};
	m.thread = thread_of(ap, r->aid, op->body.refs, op->body.refs_n, &rc);
	if (rc == 0) { rc = acct_use(ap, r->aid, (int64_t)m.size, 1); }
	if (rc == 0) { rc = msg_add(ap, &mb, &m, mb.highestmodseq + 1); }
	if (rc == 0) { rc = box_put(ap, &mb); }
	*res = (struct op_rcpt_result){.mid = mb.mid, .uid = m.uid, .uidvalidity = mb.uidvalidity};
	arena_reset(&ap->tmp);
	return rc;
}

static int put_locals(
	struct apply *ap, const struct op_deliver *op, uint64_t oid, struct op_rcpt_result *res)
{
	for (uint32_t i = 0; i < op->locals_n; i++) {
		uint32_t first = first_of_account(op, i);
		if (first < i) {
			res[i] = res[first];
		} else if (res[i].rc == 0) {
			int rc = put_local(ap, op, &op->locals[i], oid, &res[i]);
			if (rc < 0) { return rc; }
		}
	}
	return 0;
}

/* --- remote recipients --- */

static int put_remotes(
	struct apply *ap, const struct op_deliver *op, uint64_t oid, uint64_t *qid_out)
{
	struct queue_item it = {.qid = ap->s->ids.qid++,
		.oid = oid,
		.size = op->body.size,
		.from = op->from,
		.envid = op->envid,
		.ret = op->ret,
		.body = op->body_flags,
		.aid = op->aid,
		.created_us = ap->now_us,
		.audit_id = op->audit.id,
		.rcpts = op->remotes_n};
	struct key k = key_id(it.qid);
	int rc = ap_put(ap, TB_Q, &k, &it, 0);
	for (uint32_t i = 0; rc == 0 && i < op->remotes_n; i++) {
		const struct op_remote_rcpt *r = &op->remotes[i];
		struct queue_rcpt qr = {.n = i,
			.rcpt = r->rcpt,
			.orcpt = r->orcpt,
			.notify = r->notify,
			.next_us = ap->now_us,
			.expires_us = op->expires_us};
		struct key rk = key_id_n(it.qid, i), due = key_ids((uint64_t)ap->now_us, it.qid);
		key_u32(&due, i);
		rc = ap_put(ap, TB_QR, &rk, &qr, 0);
		if (rc == 0) { rc = ap_key_put(ap, TB_QDUE, &due); }
	}
	ap->news->queue = true;
	*qid_out = it.qid;
	return rc;
}

int deliver_audit(
	struct apply *ap, const struct op_deliver *op, const struct op_deliver_reply *answer)
{
	struct audit au = op->audit;
	au.rcpts = arena_array(ap->a, au.rcpts_n, sizeof *au.rcpts);
	for (uint32_t i = 0; i < au.rcpts_n; i++) {
		struct audit_rcpt *r = &au.rcpts[i];
		*r = op->audit.rcpts[i];
		if (r->outcome == RCPT_QUEUED) { r->qid = answer->qid; }
	}
	op_audit_places(op, answer->results, ap->a, au.rcpts, au.rcpts_n);
	return audit_put(ap, &au);
}

int apply_deliver(struct apply *ap, const void *request, void *reply)
{
	const struct op_deliver *op = request;
	struct op_deliver_reply *answer = reply;
	if (op->locals_n + op->remotes_n == 0) { return ERR_SYNTAX; }
	answer->results = arena_array(ap->a, op->locals_n, sizeof *answer->results);
	answer->results_n = op->locals_n;
	uint32_t takers = 0, refusers = 0;
	int rc = check_locals(ap, op, answer->results, &takers, &refusers);
	if (rc < 0) { return rc; }
	uint32_t refs = takers + (op->remotes_n > 0);
	if (refs == 0 || (refusers && !op->partial)) { return 0; }
	rc = object_make(ap, &op->body, refs, op->received_us, &answer->oid);
	if (rc == 0) { rc = put_locals(ap, op, answer->oid, answer->results); }
	if (rc == 0 && op->remotes_n) { rc = put_remotes(ap, op, answer->oid, &answer->qid); }
	return rc < 0 ? rc : deliver_audit(ap, op, answer);
}

/* --- APPEND --- */

static int append_one(struct apply *ap, const struct op_append *op, const struct op_append_one *one,
	struct mbox *mb, uint64_t modseq)
{
	struct msg m = {.internaldate_us = one->internaldate_us ? one->internaldate_us : ap->now_us,
		.size = one->body.size};
	bool full = false; /* a keyword without a place is left out (RFC 9051 2.3.2) */
	uint64_t keywords;
	int rc = box_keywords(ap, mb->mid, one->keywords, one->keywords_n, true, &keywords, &full);
	if (rc == 0) { rc = object_make(ap, &one->body, 1, ap->now_us, &m.oid); }
	if (rc < 0) { return rc; }
	m.flags = (one->flags & FLAG_SYSTEM) | keywords;
	m.thread = thread_of(ap, op->aid, one->body.refs, one->body.refs_n, &rc);
	if (rc == 0) { rc = msg_add(ap, mb, &m, modseq); }
	arena_reset(&ap->tmp);
	return rc;
}

int apply_append(struct apply *ap, const void *request, void *reply)
{
	const struct op_append *op = request;
	struct op_append_reply *answer = reply;
	struct mbox mb;
	uint64_t bytes = 0;
	if (op->messages_n == 0) { return ERR_SYNTAX; }
	int rc = box_get(ap, op->aid, op->mid, &mb);
	if (rc < 0) { return rc; }
	for (uint32_t i = 0; i < op->messages_n; i++) { bytes += op->messages[i].body.size; }
	rc = acct_use(ap, op->aid, (int64_t)bytes, op->messages_n);
	if (rc < 0) { return rc; }
	uint64_t modseq = mb.highestmodseq + 1;
	*answer = (struct op_append_reply){.uidvalidity = mb.uidvalidity,
		.first_uid = mb.uidnext,
		.count = op->messages_n,
		.modseq = modseq};
	for (uint32_t i = 0; i < op->messages_n; i++) {
		rc = append_one(ap, op, &op->messages[i], &mb, modseq);
		if (rc < 0) { return rc; }
	}
	return box_put(ap, &mb);
}
