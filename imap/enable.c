/* ENABLE (RFC 9051 6.3.1, RFC 5161): extensions that change what the server sends. The imap role.
 */
#include "imap/commands.h"
#include "imap/condstore.h"
#include "imap/server.h"

struct extension {
	const char *name;
	bool *(*flag)(struct session *s);
};

static bool *rev2_flag(struct session *s)
{
	return &s->rev2;
}

static bool *condstore_flag(struct session *s)
{
	return &s->condstore;
}

static const struct extension extensions[] = {
	{"CONDSTORE", condstore_flag},
	{"IMAP4rev2", rev2_flag},
};

static void enable(struct session *s, struct str name)
{
	for (size_t i = 0; i < COUNT(extensions); i++) {
		bool *flag = extensions[i].flag(s);
		if (*flag || !str_ieq(name, str_of(extensions[i].name))) { continue; }
		*flag = true;
		session_put(s, " %s", extensions[i].name);
	}
}

enum step cmd_enable(struct session *s)
{
	struct lex *l = &s->lex;
	struct str name, names = str_skip(l->in, l->at);
	do {
		if (!lex_atom(l, &name)) { return session_bad_lex(s); }
	} while (lex_space(l));
	if (!lex_end(l)) { return session_bad_lex(s); }
	session_put(s, "* ENABLED");
	while (names.n) {
		str_cut(&names, ' ', &name);
		enable(s, name);
	}
	session_put(s, "\r\n");
	return session_ok(s, NULL, "ENABLE completed");
}
