/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4-6.3.8, RFC 6154). The imap role:
   each is one operation of the store. */
#include "imap/mailbox_commands.h"
#include "imap/uses.h"

/* "a/b/" names the same mailbox as "a/b" (RFC 9051 6.3.4). */
static struct str without_slash(struct str name)
{
	if (name.n > 1 && str_ends(name, STR("/"))) { name.n--; }
	return name;
}

/* The operation's answer as a reply. `taken`: what ERR_EXISTS means here. */
static enum step finish(struct session *s)
{
	switch (s->call.rc) {
	case 0: return session_ok(s, NULL, "Done");
	case ERR_EXISTS: return session_no(s, "ALREADYEXISTS", "A mailbox of that name exists");
	case ERR_GONE: return session_no(s, "NONEXISTENT", "No such mailbox");
	case ERR_SYNTAX: return session_no(s, "CANNOT", "Not a name a mailbox can have");
	case ERR_LIMIT: return session_no(s, "LIMIT", "Too many mailboxes, or too deep");
	default: return session_no_rc(s, s->call.rc);
	}
}

static enum step created(struct session *s)
{
	if (s->call.rc == ERR_DENIED) {
		return session_no(s, "USEATTR", "Another mailbox has this special use");
	}
	if (s->call.rc == 0) {
		const struct op_mbox_create_reply *r = s->call.reply;
		session_put_normalized(s, STR(""));
		return session_ok_fmt(
			s, "Created", "MAILBOXID (F%llu)", (unsigned long long)r->mailboxid);
	}
	return finish(s);
}

/* " (USE (\Sent \Trash))" */
static bool create_parameters(struct lex *l, uint32_t *uses, bool *unknown)
{
	if (lex_end(l)) { return true; }
	if (!lex_space(l) || !lex_chr(l, '(') || !lex_word(l, "USE") || !lex_space(l) ||
		!lex_chr(l, '(')) {
		return false;
	}
	while (lex_peek(l) != ')') {
		struct str flag;
		if (!lex_flag(l, &flag)) { return false; }
		uint32_t use = use_by_name(flag);
		*unknown |= use == 0;
		*uses |= use;
		if (lex_peek(l) == ' ' && !lex_space(l)) { return false; }
	}
	return lex_chr(l, ')') && lex_chr(l, ')') && lex_end(l);
}

enum step cmd_create(struct session *s)
{
	struct op_mbox_create op = {.aid = s->aid};
	bool unknown = false;
	if (!lex_mailbox(&s->lex, &op.name) ||
		!create_parameters(&s->lex, &op.special_use, &unknown)) {
		return session_bad_lex(s);
	}
	if (unknown) { return session_no(s, "USEATTR", "This special use is not known here"); }
	op.name = without_slash(op.name);
	if (op.name.n > MAILBOX_NAME_MAX) { return session_no(s, "LIMIT", "The name is too long"); }
	return session_op(s, &OP_MBOX_CREATE, &op, created);
}

static enum step deleted(struct session *s)
{
	if (s->call.rc == ERR_DENIED) { return session_no(s, "CANNOT", "INBOX stays"); }
	if (s->call.rc == 0) { session_put_normalized(s, STR(" \\NonExistent")); }
	return finish(s);
}

enum step cmd_delete(struct session *s)
{
	struct op_mbox_delete op = {.aid = s->aid};
	if (!lex_mailbox(&s->lex, &op.name) || !lex_end(&s->lex)) { return session_bad_lex(s); }
	if (op.name.n > MAILBOX_NAME_MAX) {
		return session_no(s, "NONEXISTENT", "No such mailbox");
	}
	return session_op(s, &OP_MBOX_DELETE, &op, deleted);
}

/* RFC 9051 6.3.6: when one of the names was normalized, the old one as the client wrote it. */
static enum step renamed(struct session *s)
{
	if (s->call.rc == 0) { session_put_normalized(s, STR("")); }
	return finish(s);
}

enum step cmd_rename(struct session *s)
{
	struct op_mbox_rename op = {.aid = s->aid};
	struct lex *l = &s->lex;
	if (!lex_mailbox(l, &op.from) || !lex_space(l)) { return session_bad_lex(s); }
	struct str from = l->oldname;
	if (!lex_mailbox(l, &op.to) || !lex_end(l)) { return session_bad_lex(s); }
	if (from.n || l->oldname.n) { l->oldname = from.n ? from : op.from; }
	l->mailbox = op.to = without_slash(op.to);
	if (op.from.n > MAILBOX_NAME_MAX) {
		return session_no(s, "NONEXISTENT", "No such mailbox");
	}
	if (op.to.n > MAILBOX_NAME_MAX) { return session_no(s, "LIMIT", "The name is too long"); }
	return session_op(s, &OP_MBOX_RENAME, &op, renamed);
}

enum step cmd_subscribe(struct session *s)
{
	struct op_mbox_subscribe op = {
		.aid = s->aid, .on = str_eq(str_of(s->row->name), STR("SUBSCRIBE"))};
	if (!lex_mailbox(&s->lex, &op.name) || !lex_end(&s->lex)) { return session_bad_lex(s); }
	op.name = without_slash(op.name);
	if (op.name.n > MAILBOX_NAME_MAX) { return session_no(s, "LIMIT", "The name is too long"); }
	return session_op(s, &OP_MBOX_SUBSCRIBE, &op, finish);
}
