/* Mode append: IMAP APPEND with non-synchronizing literals (RFC 7888), each in its own command. */
#include "t/bench/group.h"

static void prepare(struct member *m)
{
	imap_command(&m->imap, "NOOP");
}

static bool append(struct member *m)
{
	struct bench *b = m->group->bench;
	if (m->step) {
		latency_add(&b->latency, now_us() - m->begun_us);
		b->ops++;
	}
	if (m->group->next == b->opt.messages) { return false; }
	struct buf *out = &m->imap.peer.out;
	imap_tag(&m->imap);
	buf_fmt(out, "APPEND \"%s\" {%zu+}\r\n", b->opt.mailbox, b->message.text.n);
	message_render(&b->message, m->group->next++, out);
	buf_str(out, STR("\r\n"));
	return true;
}

void mode_append(struct bench *b)
{
	struct group g = {.prepare = prepare, .work = append, .rounds = 1};
	group_run(&g, b);
	b->bytes = b->ops * b->message.text.n;
}
