/* cmd: which role may send which message to which, tried with real links: what a taken-over role
   could ask of the others. A refused message costs the link. */
#include "t/tap.h"

#include <unistd.h>

#include "auth/auth.h"
#include "cmd/sup_msg.h"
#include "lib/log.h"
#include "lib/net.h"
#include "store/op.h"

#define R(id) (1u << (ROLE_##id))
enum {
	ADMIN = R(SUPERVISOR) | R(CONTROL),
	SENDERS = R(MX) | R(SUBMIT),
	BODIES = SENDERS | R(IMAP) | R(RELAY),
	ROLES = R(STORE) | R(AUTH) | R(MX) | R(SUBMIT) | R(IMAP) | R(RELAY)
};

/* Written down a second time on purpose: a change of rights has to be meant. */
static const struct {
	const struct msg_type *type;
	unsigned from, to;
} rights[] = {
	/* Only who takes logins may ask for one; mx learns who has a mailbox and no more. */
	{&AUTH_LOGIN, R(SUBMIT) | R(IMAP), R(AUTH)},
	{&AUTH_RESOLVE, R(MX) | R(SUBMIT) | R(RELAY), R(AUTH)},
	{&AUTH_MAY_SEND, R(SUBMIT), R(AUTH)},
	{&OP_UPLOAD, BODIES, R(STORE)},
	{&OP_DROP_UPLOAD, BODIES, R(STORE)},
	{&OP_DELIVER, SENDERS | R(RELAY) | ADMIN, R(STORE)},
	/* What is in mailboxes changes through imap alone. */
	{&OP_APPEND, R(IMAP), R(STORE)},
	{&OP_FLAGS, R(IMAP), R(STORE)},
	{&OP_COPY, R(IMAP), R(STORE)},
	{&OP_EXPUNGE, R(IMAP), R(STORE)},
	{&OP_MBOX_CREATE, R(IMAP) | ADMIN, R(STORE)},
	{&OP_MBOX_DELETE, R(IMAP) | ADMIN, R(STORE)},
	{&OP_MBOX_RENAME, R(IMAP) | ADMIN, R(STORE)},
	{&OP_MBOX_SUBSCRIBE, R(IMAP) | ADMIN, R(STORE)},
	{&OP_QUEUE_RESULT, R(RELAY), R(STORE)},
	{&OP_QUEUE_EDIT, R(RELAY) | ADMIN, R(STORE)},
	{&OP_AUDIT, BODIES | R(AUTH), R(STORE)},
	/* Accounts: the administrator; auth makes those of `dev`. */
	{&OP_ACCT_ADD, R(AUTH) | ADMIN, R(STORE)},
	{&OP_ACCT_SET, ADMIN, R(STORE)},
	{&OP_ACCT_DEL, ADMIN, R(STORE)},
	{&OP_ADDR_SET, ADMIN, R(STORE)},
	{&OP_ADDR_DEL, ADMIN, R(STORE)},
	{&OP_DOMAIN_SET, R(AUTH) | ADMIN, R(STORE)},
	{&OP_DOMAIN_DEL, ADMIN, R(STORE)},
	{&NEWS_MBOX, R(STORE), ROLES},
	{&NEWS_ACCT, R(STORE), ROLES},
	{&NEWS_QUEUE, R(STORE), ROLES},
	{&SUP_SETUP, R(SUPERVISOR), ROLES},
	{&SUP_PEER, R(SUPERVISOR), ROLES},
	{&SUP_LISTEN, R(SUPERVISOR), ROLES},
	{&SUP_START, R(SUPERVISOR), ROLES},
	{&SUP_STOP, R(SUPERVISOR), ROLES},
	{&SUP_METRICS, R(SUPERVISOR), ROLES},
	{&SUP_READY, ROLES, R(SUPERVISOR)},
	{&SUP_STOPPED, ROLES, R(SUPERVISOR)},
	{&SUP_LOST, ROLES, R(SUPERVISOR)},
};

static int handled, downs;

static void on_message(void *ctx, struct link_msg *m)
{
	(void)ctx, (void)m;
	handled++;
}

static void on_down(void *ctx, struct link *l)
{
	(void)ctx, (void)l;
	downs++;
}

static const struct link_ops ops = {.handle = on_message, .down = on_down};

/* Is the message taken by `to` when it comes from `from`? */
static bool passes(const struct msg_type *type, enum role_id from, enum role_id to)
{
	static _Alignas(16) char empty[64 * 1024]; /* a request with nothing in it */
	struct loop *l = loop_new();
	int fds[2];
	if (type->request->size > sizeof empty || net_pair(fds) < 0) { abort(); }
	handled = downs = 0;
	struct link *sender = link_new(l, fds[0], from, to, &ops, NULL);
	struct link *taker = link_new(l, fds[1], to, from, &ops, NULL);
	link_send(sender, type, empty, NULL, 0);
	while (loop_turn(l)) {}
	bool passed = handled > 0;
	CHECK_INT(downs > 0, !passed);
	link_free(sender);
	link_free(taker);
	loop_free(l);
	return passed;
}

static void quiet(void *ctx, struct str line)
{
	(void)ctx, (void)line;
}

static void test_rights(void)
{
	log_sink(quiet, NULL);
	for (size_t i = 0; i < COUNT(rights); i++) {
		const struct msg_type *type = rights[i].type;
		for (int from = 0; from < ROLE_N; from++) {
			for (int to = 0; to < ROLE_N; to++) {
				if (from == to) { continue; }
				bool may = (rights[i].from >> from & 1) && (rights[i].to >> to & 1);
				bool does = passes(type, (enum role_id)from, (enum role_id)to);
				/* news and setup name no receiver: control and supervisor get none
				 */
				bool nowhere = type->to == ROLE_N && !(rights[i].to >> to & 1) &&
					       (rights[i].from >> from & 1);
				if (may == does || nowhere) { continue; }
				tap_fail(__FILE__, __LINE__, "%s from %s to %s: %s", type->name,
					role_name((enum role_id)from), role_name((enum role_id)to),
					does ? "passes" : "is refused");
			}
		}
	}
	log_sink(NULL, NULL);
}

static void test_complete(void)
{
	for (int n = 1; n < 512; n++) {
		const struct msg_type *type = link_type((unsigned)n);
		bool there = !type;
		for (size_t i = 0; i < COUNT(rights); i++) { there |= rights[i].type == type; }
		if (!there) { tap_fail(__FILE__, __LINE__, "%s: no row here", type->name); }
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"every message, from every role, to every role", test_rights},
		{"every registered message has a row", test_complete},
	};
	op_register();
	auth_register();
	sup_register();
	return tap_run(cases, COUNT(cases), argc, argv);
}
