/* The queue: outcomes of delivery attempts, and what an administrator does to it. */
#include "store/apply.h"

static struct key due_key(const struct queue_rcpt *r, uint64_t qid)
{
	struct key k = key_ids((uint64_t)r->next_us, qid);
	key_u32(&k, r->n);
	return k;
}

/* Out of the due index; one that is held is not in it. A damaged index keeps nothing from coming to
   its end. */
static int due_del(struct apply *ap, uint64_t qid, const struct queue_rcpt *r)
{
	struct key k = due_key(r, qid);
	int rc = r->held ? 0 : ap_del(ap, TB_QDUE, &k);
	return rc == ERR_GONE ? 0 : rc;
}

static int rcpt_put(struct apply *ap, uint64_t qid, const struct queue_rcpt *r)
{
	struct key k = key_id_n(qid, r->n), due = due_key(r, qid);
	int rc = ap_put(ap, TB_QR, &k, r, 0);
	return rc < 0 || r->held ? rc : ap_key_put(ap, TB_QDUE, &due);
}

static int rcpt_end(struct apply *ap, struct queue_item *it, const struct queue_rcpt *r)
{
	struct key k = key_id_n(it->qid, r->n);
	int rc = due_del(ap, it->qid, r);
	if (rc == 0) { rc = ap_del(ap, TB_QR, &k); }
	it->rcpts--;
	return rc;
}

/* The item with its count; gone when nobody is left. */
static int item_put(struct apply *ap, const struct queue_item *it)
{
	struct key k = key_id(it->qid);
	if (it->rcpts > 0) { return ap_put(ap, TB_Q, &k, it, 0); }
	int rc = ap_del(ap, TB_Q, &k);
	return rc < 0 ? rc : object_ref(ap, it->oid, -1);
}

/* The row, while it is as the attempt found it, or the outcome is one that ends it. 0, ERR_GONE. */
static int open_rcpt(
	struct apply *ap, uint64_t qid, const struct op_queue_outcome *o, struct queue_rcpt *out)
{
	struct key k = key_id_n(qid, o->n);
	int rc = ap_get(ap, TB_QR, &k, out);
	bool done = rc == 0 && o->outcome == RCPT_DEFERRED && out->tries != o->tries;
	return done ? ERR_GONE : rc;
}

static int apply_outcome(struct apply *ap, struct queue_item *it, const struct op_queue_outcome *o)
{
	struct queue_rcpt r;
	int rc = open_rcpt(ap, it->qid, o, &r);
	if (rc < 0) { return rc; }
	if (o->outcome != RCPT_DEFERRED) { return rcpt_end(ap, it, &r); }
	rc = due_del(ap, it->qid, &r);
	if (rc < 0) { return rc; }
	r.tries++;
	r.next_us = o->next_us;
	r.delay_told |= o->delay_told;
	r.last_reply = o->reply;
	r.last_host = o->host;
	return rcpt_put(ap, it->qid, &r);
}

/* How many there were to do, or ERR_*. */
static int apply_outcomes(struct apply *ap, struct queue_item *it, const struct op_queue_result *op)
{
	int done = 0;
	for (uint32_t i = 0; i < op->outcomes_n; i++) {
		int rc = apply_outcome(ap, it, &op->outcomes[i]);
		if (rc < 0 && rc != ERR_GONE) { return rc; }
		done += rc == 0;
	}
	return done;
}

/* One that nobody takes leaves a record. */
static int put_bounce(struct apply *ap, const struct op_deliver *bounce)
{
	struct op_deliver_reply *answer = arena_new(ap->a, struct op_deliver_reply);
	int rc = apply_deliver(ap, bounce, answer);
	ap->bounce = answer;
	return rc == 0 && !answer->oid ? deliver_audit(ap, bounce, answer) : rc;
}

int apply_queue_result(struct apply *ap, const void *request, void *reply)
{
	const struct op_queue_result *op = request;
	struct key k = key_id(op->qid);
	struct queue_item it;
	(void)reply;
	/* The item's strings outlive ap->tmp: the bounce below resets it. */
	int rc = rec_get(ap->s, ap->txn, TB_Q, &k, ap->a, &it);
	if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
	rc = apply_outcomes(ap, &it, op);
	if (rc <= 0) { return rc; }
	rc = item_put(ap, &it);
	if (rc == 0 && op->bounce_n) { rc = put_bounce(ap, op->bounce); }
	return rc < 0 ? rc : audit_put(ap, &op->audit);
}

static int edit_rcpt(struct apply *ap, struct queue_item *it, struct queue_rcpt *r, uint8_t action)
{
	if (action == QUEUE_DROP) { return rcpt_end(ap, it, r); }
	int rc = due_del(ap, it->qid, r);
	if (rc < 0) { return rc; }
	r->held = action == QUEUE_HOLD || (action == QUEUE_RETRY && r->held);
	if (action != QUEUE_HOLD) { r->next_us = ap->now_us; }
	return rcpt_put(ap, it->qid, r);
}

int apply_queue_edit(struct apply *ap, const void *request, void *reply)
{
	const struct op_queue_edit *op = request;
	struct op_count_reply *answer = reply;
	struct key at = key_id(op->qid), k;
	struct queue_item it;
	if (op->action > QUEUE_DROP) { return ERR_SYNTAX; }
	int rc = rec_get(ap->s, ap->txn, TB_Q, &at, ap->a, &it);
	if (rc < 0) { return rc; }
	while ((rc = ap_next_key(ap, TB_QR, &at, 8, &k)) == 0) {
		struct queue_rcpt r;
		rc = ap_get(ap, TB_QR, &k, &r);
		if (rc == 0) { rc = edit_rcpt(ap, &it, &r, op->action); }
		if (rc < 0) { return rc; }
		answer->count++;
		at = k;
		at.p[at.n++] = 0;
	}
	ap->news->queue = true;
	return rc == ERR_GONE ? item_put(ap, &it) : rc;
}
