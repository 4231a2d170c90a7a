/* Mode mixed: what clients do all day, in a fixed order that is different for every session. Wants
   a mailbox of at least 20 messages. */
#include <stdio.h>

#include "t/bench/group.h"

#define COPIES "bench-copies"
enum { RANGE = 10 };

static const struct op {
	const char *before, *after; /* around the sequence number or range */
	unsigned range;             /* how many messages: 0 = the command names none */
	const char *answer;         /* the untagged response that must come */
	unsigned count; /* at least so often; a flag that was so already need not be echoed */
} ops[] = {
	{"STORE ", " +FLAGS (\\Flagged)", 1, "FETCH", 0},
	{"FETCH ", " (FLAGS)", RANGE, "FETCH", RANGE},
	{"NOOP", "", 0, NULL, 0},
	{"STATUS " COPIES " (MESSAGES UNSEEN UIDNEXT)", "", 0, "STATUS", 1},
	{"STORE ", " +FLAGS.SILENT (\\Seen)", 1, NULL, 0},
	{"FETCH ", " (ENVELOPE)", 1, "FETCH", 1},
	{"SEARCH UNSEEN", "", 0, "SEARCH", 1},
	{"COPY ", " " COPIES, 1, NULL, 0},
	{"FETCH ", " (UID FLAGS INTERNALDATE)", RANGE, "FETCH", RANGE},
	{"STORE ", " -FLAGS (\\Flagged)", 1, "FETCH", 0},
	{"FETCH ", " (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])", 1, "FETCH", 1},
	{"NOOP", "", 0, NULL, 0},
	{"FETCH ", " (BODY.PEEK[])", 1, "FETCH", 1},
	{"UID SEARCH FLAGGED", "", 0, "SEARCH", 1},
	{"LIST \"\" %", "", 0, "LIST", 1},
	{"STORE ", " -FLAGS.SILENT (\\Seen)", 1, NULL, 0},
};

static void prepare(struct member *m)
{
	imap_command(&m->imap, "SELECT \"%s\"", m->group->bench->opt.mailbox);
}

static const struct op *op_of(const struct member *m, uint64_t step)
{
	return &ops[(step + m->index * 5) % COUNT(ops)];
}

static void check(struct member *m)
{
	const struct op *op = op_of(m, m->step - 1);
	if (m->lines < op->count) {
		bench_fail(m->group->bench, "%s...%s: %llu of %u %s responses", op->before,
			op->after, (unsigned long long)m->lines, op->count, op->answer);
	}
	latency_add(&m->group->bench->latency, now_us() - m->begun_us);
	m->group->bench->ops++;
}

static bool mixed(struct member *m)
{
	struct bench *b = m->group->bench;
	if (m->imap.exists < RANGE * 2) {
		bench_fail(b, "mode mixed wants a mailbox of at least %d messages", RANGE * 2);
		return false;
	}
	if (m->step) { check(m); }
	if (m->step == b->opt.ops / b->opt.connections) { return false; }
	const struct op *op = op_of(m, m->step);
	uint64_t first = (m->step * 7919 + m->index * 131) % (m->imap.exists - RANGE) + 1;
	struct buf *out = &m->imap.peer.out;
	imap_tag(&m->imap);
	buf_str(out, str_of(op->before));
	if (op->range) { buf_u64(out, first); }
	if (op->range > 1) { buf_fmt(out, ":%llu", (unsigned long long)first + op->range - 1); }
	buf_fmt(out, "%s\r\n", op->after);
	return true;
}

/* "SEARCH ..." and "ESEARCH ..." both answer a SEARCH. */
static void mixed_line(struct member *m, struct str line)
{
	uint64_t number;
	if (m->phase != MEMBER_WORK) { return; }
	const struct op *op = op_of(m, m->step - 1);
	if (!op->answer) { return; }
	struct str answer = str_of(op->answer);
	if (str_istarts(line, STR("ESEARCH"))) { line = str_skip(line, 1); }
	m->lines += str_istarts(line, answer) || imap_numbered(line, answer, &number);
}

/* The target of COPY, made once per user. */
static void create(struct member *m)
{
	imap_command(&m->imap, "CREATE " COPIES);
}

static bool nothing(struct member *m)
{
	(void)m; /* preparing was all */
	return false;
}

void mode_mixed(struct bench *b)
{
	struct group g = {.prepare = prepare, .work = mixed, .line = mixed_line, .rounds = 1};
	struct group maker = {.prepare = create, .work = nothing, .rounds = 1};
	uint64_t connections = b->opt.connections;
	if (b->opt.passes == 0) { /* --passes 0: the mailboxes are there from an earlier run */
		group_run(&g, b);
		return;
	}
	b->opt.connections = MIN(connections, b->opt.users);
	group_run(&maker, b);
	b->opt.connections = connections;
	if (b->errors == 0) { group_run(&g, b); }
}
