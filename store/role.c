/* The store role: takes every operation that came in this turn of the loop, applies them in one
   transaction, commits, answers, and tells those who watch. The only writer; no sockets, no
   hostile octets but through checked messages. What arrives during a commit is the next batch. */
#include "store/role.h"

#include <inttypes.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "store/apply.h"
#include "store/maintain.h"

enum { BATCH_OPS = 256, BATCH_OCTETS = 16 * 1024 * 1024, MAINTAIN_S = 5 };

struct store_conf {
	uint64_t disk_floor;
	int64_t gc_wait_us, audit_keep_us;
	uint64_t audit_max;
};

#define ROW(key, conf_type, member, ...) \
	{ \
		.name = key, .type = conf_type, .offset = offsetof(struct store_conf, member), \
		__VA_ARGS__ \
	}
static const struct conf_row rows[] = {
	ROW("disk_floor", CONF_SIZE, disk_floor, .max = UINT64_C(1) << 50, .def = "64M",
		.help = "Free space below which new mail is refused for now (452); reading and "
			"deleting go on."),
	ROW("gc_wait", CONF_DURATION, gc_wait_us, .min = 1, .max = 7 * 86400, .def = "5m",
		.help = "How long the octets of a deleted message stay, so that a client that is "
			"still fetching it gets all of it; the room is free after that."),
	ROW("audit_keep", CONF_DURATION, audit_keep_us, .min = 3600, .max = 3650 * 86400,
		.def = "30d", .help = "How long the reasons for every message are kept."),
	ROW("audit_max", CONF_SIZE, audit_max, .min = 1024 * 1024, .max = UINT64_C(1) << 40,
		.def = "1G", .help = "Room that audit records may take; the oldest go first."),
};
const struct conf_section store_conf_section = {
	.name = "store", .rows = rows, .n = COUNT(rows), .size = sizeof(struct store_conf)};

struct pending {
	struct list node;
	struct link_msg *m;
};

struct writer {
	struct role *role;
	struct store *store;
	struct list pending;
	size_t pending_n;
	struct job job;
	struct timer maintain;
	struct news news;
	struct log_ctx log;
};

static struct metric ops_total = {
	.name = "store_operations_total", .help = "Operations applied or refused."};
static struct metric deleted_total = {.name = "store_deleted_objects_total",
	.help = "Deleted messages whose octets are gone, too."};
static struct metric commits_total = {
	.name = "store_commits_total", .help = "Transactions committed."};

static const struct store_conf *conf(const struct writer *w)
{
	return conf_get(w->role->conf, &store_conf_section);
}

static void publish(struct writer *w)
{
	struct news *n = &w->news;
	struct link *imap = w->role->peer[ROLE_IMAP], *relay = w->role->peer[ROLE_RELAY],
		    *auth = w->role->peer[ROLE_AUTH];
	if (n->mboxes_n && imap) {
		struct news_mbox msg = {n->mboxes, (uint32_t)n->mboxes_n};
		link_send(imap, &NEWS_MBOX, &msg, NULL, 0);
	}
	struct news_acct all = {0};
	if (n->accounts && auth) { link_send(auth, &NEWS_ACCT, &all, NULL, 0); }
	if (n->closed && imap) { link_send(imap, &NEWS_ACCT, &all, NULL, 0); }
	if (n->queue && relay) {
		struct news_queue msg = {0};
		link_send(relay, &NEWS_QUEUE, &msg, NULL, 0);
	}
	news_reset(n);
}

/* The next batch off the pending list. */
static size_t take_batch(struct writer *w, struct batch_op *ops, struct link_msg **msgs)
{
	size_t n = 0, octets = 0;
	while (n < BATCH_OPS && octets < BATCH_OCTETS && !list_empty(&w->pending)) {
		struct pending *p = list_entry(list_pop(&w->pending), struct pending, node);
		struct link_msg *m = p->m;
		octets += m->arena.used;
		msgs[n] = m;
		ops[n++] = (struct batch_op){.type = m->type,
			.request = m->request,
			.a = &m->arena,
			.reply = arena_alloc(&m->arena, m->type->reply->size)};
		free(p);
		w->pending_n--;
	}
	return n;
}

static void log_failure(struct writer *w, const struct batch_op *op)
{
	if (op->rc == ERR_IO || op->rc == ERR_DAMAGED || op->rc == ERR_FULL) {
		log_event(LOG_ERROR, &w->log, "not stored", "op=%s reason=%s", op->type->name,
			err_name(op->rc));
	}
}

/* The report about an outcome is stored for those who have room, the outcome in any case: to others
   nobody tells it. */
static void log_lost_bounce(struct writer *w, const struct batch_op *op)
{
	const struct op_queue_result *result = op->request;
	char id[ID_TEXT];
	for (uint32_t i = 0; op->rc == 0 && op->bounce && i < op->bounce->results_n; i++) {
		uint32_t rc = op->bounce->results[i].rc;
		if (rc == 0) { continue; }
		log_event(LOG_WARN, &w->log, "report lost", "qid=%s to=%.*s reason=%s",
			id_text(result->qid, id), STR_ARG(result->bounce->locals[i].rcpt),
			err_name(-(int)rc));
	}
}

/* What the last commit left on disk is for a new process to find out: to answer anything now could
   be a lie. Our peers take the end of the link as "not now", and the supervisor starts us again. */
static void check_broken(struct writer *w)
{
	if (!store_broken(w->store)) { return; }
	log_event(LOG_ERROR, &w->log, "the database failed", "note=\"starting anew\"");
	_exit(EX_IOERR);
}

/* With the fault the answer is what a link says that breaks between the commit and the reply. */
static int answer_of(const struct batch_op *op)
{
	bool lost = op->rc == 0 && op->type == &OP_QUEUE_RESULT && FAULT("store.result");
	return lost ? ERR_AGAIN : op->rc;
}

static void commit(struct job *j)
{
	struct writer *w = container_of(j, struct writer, job);
	struct batch_op ops[BATCH_OPS];
	struct link_msg *msgs[BATCH_OPS];
	size_t n = take_batch(w, ops, msgs);
	store_batch(w->store, ops, n, loop_now_us(w->role->loop), &w->news);
	check_broken(w);
	metric_add(&ops_total, n);
	metric_add(&commits_total, 1);
	for (size_t i = 0; i < n; i++) {
		log_failure(w, &ops[i]);
		log_lost_bounce(w, &ops[i]);
		int rc = answer_of(&ops[i]);
		link_reply(msgs[i], rc, rc == 0 ? ops[i].reply : NULL);
	}
	publish(w);
	if (!list_empty(&w->pending)) {
		job_start(w->role->loop, &w->job, commit);
	} else if (w->role->stopping) {
		role_stopped(w->role);
	}
}

static void handle(struct role *r, struct link_msg *m)
{
	struct writer *w = r->state;
	struct pending *p = xnew(struct pending);
	p->m = link_keep(m);
	list_add(&w->pending, &p->node);
	w->pending_n++;
	job_start(r->loop, &w->job, commit);
}

static void maintain(struct timer *t)
{
	struct writer *w = container_of(t, struct writer, maintain);
	struct maintain_limits limits = {conf(w)->audit_keep_us, conf(w)->audit_max};
	uint64_t deleted = 0;
	int rc = store_maintain(w->store, &limits, loop_now_us(w->role->loop), &deleted);
	check_broken(w);
	metric_add(&deleted_total, deleted);
	if (deleted) { log_event(LOG_DEBUG, &w->log, "housekeeping", "deleted=%" PRIu64, deleted); }
	if (rc < 0) {
		log_event(LOG_ERROR, &w->log, "housekeeping failed", "reason=%s", err_name(rc));
	}
	int64_t pause_us = MIN(MAINTAIN_S * SECOND_US, conf(w)->gc_wait_us);
	timer_start(w->role->loop, t, rc == 1 ? SECOND_US / 20 : pause_us, maintain);
}

static void reload(struct role *r)
{
	struct writer *w = r->state;
	w->store->disk_floor = conf(w)->disk_floor;
	w->store->gc_wait_us = conf(w)->gc_wait_us;
	w->store->disk_checked = -1;
}

static int start(struct role *r, struct err *e)
{
	(void)e;
	struct writer *w = xnew(struct writer);
	w->role = r;
	w->store = r->store;
	w->log.role = "store";
	list_init(&w->pending);
	r->state = w;
	metric_register(&ops_total);
	metric_register(&commits_total);
	metric_register(&deleted_total);
	reload(r);
	/* at once: one that never lives long would never clean up */
	timer_start(r->loop, &w->maintain, 0, maintain);
	return 0;
}

static void stop(struct role *r)
{
	struct writer *w = r->state;
	if (list_empty(&w->pending)) { role_stopped(r); }
}

static void fini(struct role *r)
{
	struct writer *w = r->state;
	if (!w) { return; }
	struct list *node;
	while ((node = list_pop(&w->pending))) {
		struct pending *p = list_entry(node, struct pending, node);
		link_reply(p->m, ERR_AGAIN, NULL);
		free(p);
	}
	job_cancel(&w->job);
	timer_stop(&w->maintain);
	news_fini(&w->news);
	free(w);
	r->state = NULL;
}

const struct role_ops store_role = {
	.id = ROLE_STORE,
	.name = "store",
	.peers = 1u << ROLE_AUTH | 1u << ROLE_MX | 1u << ROLE_SUBMIT | 1u << ROLE_IMAP |
		 1u << ROLE_RELAY | 1u << ROLE_CONTROL,
	.want_store = true,
	.start = start,
	.handle = handle,
	.reload = reload,
	.stop = stop,
	.fini = fini,
};
