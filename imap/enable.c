/* ENABLE (RFC 9051 6.3.1, RFC 5161): extensions that change what the server sends. The imap role.
 */
#include "imap/commands.h"
#include "imap/condstore.h"
#include "imap/server.h"

static bool parse(struct lex *l)
{
	struct str name;
	do {
		if (!lex_atom(l, &name)) { return false; }
	} while (lex_space(l));
	return lex_end(l);
}

/* Whether `names` has the word. */
static bool asked(struct str names, struct str word)
{
	struct str name;
	while (names.n) {
		str_cut(&names, ' ', &name);
		if (str_ieq(name, word)) { return true; }
	}
	return false;
}

enum step cmd_enable(struct session *s)
{
	struct str names = str_skip(s->lex.in, s->lex.at);
	if (!parse(&s->lex)) { return session_bad_lex(s); }
	bool rev2 = asked(names, STR("IMAP4rev2")), condstore = asked(names, STR("CONDSTORE"));
	bool qresync = asked(names, STR("QRESYNC"));
	s->rev2 |= rev2;
	s->qresync |= qresync;
	session_put(s, "* ENABLED%s%s%s\r\n", rev2 ? " IMAP4rev2" : "",
		condstore ? " CONDSTORE" : "", qresync ? " QRESYNC" : "");
	if (condstore || qresync) { condstore_enable(s); } /* RFC 7162 3.2.3 */
	return session_ok(s, NULL, "ENABLE completed");
}
