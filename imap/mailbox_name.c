/* Mailbox names as the client of a session wants them. The imap role. */
#include "imap/session.h"
#include "lib/codec.h"

/* What must not stand in an atom goes into quotes; a name is valid UTF-8 without controls, so it
   never needs a literal. */
static void put_quoted(struct str s, struct buf *out)
{
	buf_chr(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\') { buf_chr(out, '\\'); }
		buf_chr(out, s.p[i]);
	}
	buf_chr(out, '"');
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!ascii_alpha(c) && !ascii_digit(c) && !strchr("-_./", c)) { return false; }
	}
	return s.n > 0 && !str_ieq(s, STR("NIL"));
}

void session_put_mailbox(struct session *s, struct str name, struct buf *out)
{
	struct buf encoded = {0};
	if (is_plain(name)) {
		buf_str(out, name);
	} else if (s->rev2) {
		put_quoted(name, out);
	} else {
		mutf7_encode(name, &encoded);
		put_quoted(buf_view(&encoded), out);
		buf_fini(&encoded);
	}
}

void session_put_list(struct session *s, struct str attributes, struct str name, struct str oldname)
{
	struct buf *out = session_out(s);
	if (!s->rev2) { return; }
	buf_fmt(out, "* LIST (%.*s) \"/\" ", STR_ARG(str_skip(attributes, attributes.n ? 1 : 0)));
	session_put_mailbox(s, name, out);
	if (oldname.n) {
		buf_str(out, STR(" (\"OLDNAME\" ("));
		session_put_mailbox(s, oldname, out);
		buf_str(out, STR("))"));
	}
	buf_str(out, STR("\r\n"));
}

void session_put_normalized(struct session *s, struct str attributes)
{
	if (s->lex.oldname.n) { session_put_list(s, attributes, s->lex.mailbox, s->lex.oldname); }
}
