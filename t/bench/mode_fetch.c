/* Modes fetch-envelope and fetch-body: what a client does at its first sync, on the whole mailbox.
   The first pass is told apart from the later ones. */
#include <stdio.h>

#include "t/bench/group.h"

/* FETCH responses that were due but did not come. */
static void check_count(struct member *m)
{
	if (m->step && m->lines != m->imap.exists) {
		bench_fail(m->group->bench, "%llu of %llu messages fetched",
			(unsigned long long)m->lines, (unsigned long long)m->imap.exists);
	}
}

static void prepare(struct member *m)
{
	imap_command(&m->imap, "SELECT \"%s\"", m->group->bench->opt.mailbox);
}

static void over(struct group *g, double seconds)
{
	char name[64];
	uint64_t total = 0;
	for (uint64_t i = 0; i < g->n; i++) { total += g->members[i].imap.exists; }
	snprintf(name, sizeof name, "pass%llu_rate", (unsigned long long)g->round);
	bench_extra(g->bench, name, (double)total / seconds);
	snprintf(name, sizeof name, "pass%llu_bytes_per_s", (unsigned long long)g->round);
	bench_extra(g->bench, name, (double)(g->bench->bytes - g->round_bytes) / seconds);
}

static bool fetch_envelope(struct member *m)
{
	check_count(m);
	if (m->step) { return false; }
	imap_command(&m->imap, "FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)");
	return true;
}

static void envelope_line(struct member *m, struct str line)
{
	uint64_t number;
	if (m->phase != MEMBER_WORK || !imap_numbered(line, STR("FETCH"), &number)) { return; }
	m->lines++;
	m->group->bench->ops++;
	if (number != m->lines || str_find(line, STR("ENVELOPE (")) < 0 ||
		str_find(line, STR("BODYSTRUCTURE (")) < 0) {
		imap_fail(&m->imap, "not what was asked for", line);
	}
}

void mode_fetch_envelope(struct bench *b)
{
	struct group g = {
		.prepare = prepare,
		.work = fetch_envelope,
		.line = envelope_line,
		.over = over,
		.rounds = b->opt.passes,
	};
	group_run(&g, b);
}

static void prepare_sizes(struct member *m)
{
	prepare(m);
	imap_command(&m->imap, "FETCH 1:* (RFC822.SIZE)");
}

static bool fetch_body(struct member *m)
{
	check_count(m);
	if (m->step) { return false; }
	imap_command(&m->imap, "UID FETCH 1:* BODY.PEEK[]");
	return true;
}

/* RFC822.SIZE of message `number`, as the untimed first command said. */
static void note_size(struct member *m, uint64_t number, struct str line)
{
	uint64_t size;
	if (!m->sizes) { m->sizes = xcalloc(m->imap.exists + 1, sizeof *m->sizes); }
	if (number > m->imap.exists || !imap_item(line, STR("RFC822.SIZE"), &size)) {
		imap_fail(&m->imap, "no size", line);
		return;
	}
	m->sizes[number] = size;
}

static void body_line(struct member *m, struct str line)
{
	uint64_t number, size;
	ptrdiff_t open;
	if (!imap_numbered(line, STR("FETCH"), &number)) { return; }
	if (m->phase == MEMBER_PREPARE) {
		note_size(m, number, line);
		return;
	}
	m->lines++;
	m->group->bench->ops++;
	open = str_chr(line, '{');
	struct str digits = str_skip(line, (size_t)open + 1);
	ptrdiff_t close = str_chr(digits, '}');
	if (open < 0 || close < 0 || number != m->lines || number > m->imap.exists || !m->sizes ||
		!str_u64(str_sub(digits, 0, (size_t)close), UINT32_MAX, &size) ||
		size != m->sizes[number]) {
		imap_fail(&m->imap, "the body has not the size it should have", line);
	}
}

void mode_fetch_body(struct bench *b)
{
	struct group g = {
		.prepare = prepare_sizes,
		.work = fetch_body,
		.line = body_line,
		.over = over,
		.rounds = b->opt.passes,
	};
	group_run(&g, b);
}
