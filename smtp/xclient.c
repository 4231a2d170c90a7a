/* XCLIENT: a listed peer tells for whom it speaks (Postfix, XCLIENT_README). Runs in mx and submit.
   Gives no right but to be taken for another address; a login stays to be made. */
#include "smtp/session.h"

#include "lib/codec.h"
#include "smtp/path.h"

const char xclient_attributes[] = "NAME ADDR PORT HELO";

/* What the command told; nothing is taken over before all of it was understood. */
struct told {
	struct net_addr addr;
	bool has_addr, has_name, has_helo;
	char name[COMMAND_HELO_MAX], helo[COMMAND_HELO_MAX];
	size_t name_n, helo_n;
};

bool xclient_allowed(const struct session *s)
{
	return nets_has(&s->server->xclient_from, conn_peer(s->task.conn)) && !s->env;
}

static bool unavailable(struct str value)
{
	return str_ieq(value, STR("[UNAVAILABLE]")) || str_ieq(value, STR("[TEMPUNAVAIL]"));
}

/* xtext (RFC 1891 5), printable only. */
static bool decode(struct str value, char out[COMMAND_HELO_MAX], size_t *n_out)
{
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		int c = (unsigned char)value.p[i];
		if (c == '+') {
			c = hex_escape(str_skip(value, i));
			if (c < 0) { return false; }
			i += 2;
		}
		if (c <= 0x20 || c == 0x7f || n == COMMAND_HELO_MAX) { return false; }
		out[n++] = (char)c;
	}
	*n_out = n;
	return true;
}

static bool take_addr(struct told *t, struct str value)
{
	struct net_cidr one;
	if (unavailable(value)) { return true; }
	if (str_istarts(value, STR("IPV6:"))) { value = str_skip(value, 5); }
	if (str_chr(value, '/') >= 0 || net_cidr_parse(value, &one) < 0) { return false; }
	t->addr = one.addr;
	t->has_addr = true;
	return true;
}

static bool take_name(struct told *t, struct str value)
{
	t->has_name = true;
	return unavailable(value) ||
	       (decode(value, t->name, &t->name_n) && path_is_domain(str_make(t->name, t->name_n)));
}

static bool take_helo(struct told *t, struct str value)
{
	t->has_helo = true;
	return unavailable(value) ||
	       (decode(value, t->helo, &t->helo_n) && helo_valid(str_make(t->helo, t->helo_n)));
}

static bool take_port(struct told *t, struct str value)
{
	uint64_t port;
	(void)t; /* nobody asks for the port later: it is only checked */
	return unavailable(value) || str_u64(value, 65535, &port);
}

static const struct {
	struct str name;
	bool (*take)(struct told *t, struct str value);
} attributes[] = {
	{{"NAME", 4}, take_name},
	{{"ADDR", 4}, take_addr},
	{{"PORT", 4}, take_port},
	{{"HELO", 4}, take_helo},
};

static bool take_attribute(struct told *t, struct str word)
{
	struct str name;
	if (!str_cut(&word, '=', &name) || word.n == 0) { return false; }
	for (size_t i = 0; i < COUNT(attributes); i++) {
		if (str_ieq(name, attributes[i].name)) { return attributes[i].take(t, word); }
	}
	return false;
}

enum step xclient_begin(struct session *s, struct str args)
{
	struct told told = {0};
	struct str word;
	if (!xclient_allowed(s)) { return session_answer(s, REPLY_NOT_HERE); }
	bool good = args.n > 0;
	for (bool more = good; more && good;) {
		more = str_cut(&args, ' ', &word);
		good = word.n == 0 || take_attribute(&told, word);
	}
	if (!good) { return session_answer(s, REPLY_PARAM_BAD); }
	session_forget(s);
	if (told.has_addr) { s->peer = told.addr; }
	if (told.has_name) { session_set(&s->name, str_make(told.name, told.name_n)); }
	if (told.has_helo) { session_set(&s->helo, str_make(told.helo, told.helo_n)); }
	return session_enter(s); /* a new session in all but the connection: greeted again */
}
