/* Commands of any state, and how a session becomes a user's: CAPABILITY, NOOP, ID, LOGOUT,
   STARTTLS, LOGIN, AUTHENTICATE (RFC 9051 6.1, 6.2; ID RFC 2971; SASL-IR RFC 4959). The imap role.
   Never logs or keeps what it was told, never decides: auth does. */
#include "auth/auth.h"
#include "auth/sasl.h"
#include "imap/commands.h"
#include "imap/server.h"
#include "lib/codec.h"

enum {
	SASL_LINE_MAX = 12288, /* RFC 4954 4 */
	ID_PAIRS_MAX = 30,     /* RFC 2971 3.3 */
	ID_VALUE_MAX = 1024
};

/* --- any state --- */

enum step cmd_capability(struct session *s)
{
	struct buf *out = session_out(s);
	if (!lex_end(&s->lex)) { return session_bad(s, "CAPABILITY has no arguments"); }
	buf_str(out, STR("* CAPABILITY "));
	capability_text(s, out);
	buf_str(out, STR("\r\n"));
	return session_ok(s, NULL, "CAPABILITY completed");
}

enum step cmd_noop(struct session *s)
{
	if (!lex_end(&s->lex)) { return session_bad(s, "No arguments expected"); }
	return session_ok(s, NULL, "Completed");
}

enum step cmd_logout(struct session *s)
{
	if (!lex_end(&s->lex)) { return session_bad(s, "LOGOUT has no arguments"); }
	session_put(s, "* BYE Logging out\r\n");
	s->state = IMAP_LOGOUT;
	return session_ok(s, NULL, "LOGOUT completed");
}

/* "NIL" or ("key" "value" ...), which is read and forgotten. */
static bool id_parse_list(struct lex *l)
{
	struct str key, value;
	unsigned n = 0;
	if (lex_word(l, "NIL")) { return true; }
	if (!lex_chr(l, '(')) { return false; }
	if (lex_chr(l, ')')) { return true; }
	do {
		if (!lex_string(l, &key) || !lex_space(l) || !lex_nstring(l, &value)) {
			return false;
		}
		if (++n > ID_PAIRS_MAX || value.n > ID_VALUE_MAX) { return false; }
	} while (lex_space(l));
	return lex_chr(l, ')');
}

enum step cmd_id(struct session *s)
{
	if (!id_parse_list(&s->lex) || !lex_end(&s->lex)) { return session_bad_lex(s); }
	session_put(s, "* ID (\"name\" \"posthouse\")\r\n");
	return session_ok(s, NULL, "ID completed");
}

/* --- STARTTLS --- */

static enum step tls_begun(struct session *s)
{
	(void)s; /* the next input is a command */
	return STEP_MORE;
}

static enum step begin_tls(struct session *s)
{
	return imap_session_start_tls(s, tls_begun) ? STEP_WAIT : STEP_DONE;
}

enum step cmd_starttls(struct session *s)
{
	if (!lex_end(&s->lex)) { return session_bad(s, "STARTTLS has no arguments"); }
	if (conn_is_tls(s->task.conn)) { return session_bad(s, "TLS is on already"); }
	if (!s->server->role->tls) { return session_bad(s, "No such command"); }
	enum step next = session_ok(s, NULL, "Begin TLS now");
	s->resume = begin_tls;
	return next;
}

/* --- who is it? --- */

static enum step failed(struct session *s)
{
	metric_add(&imap_login_failures_total, 1);
	if (++s->login_failures >= s->server->conf->login_failures) {
		s->bye = "Too many failed logins";
	}
	return session_no(s, "AUTHENTICATIONFAILED", "Wrong name or password");
}

static enum step logged_in(struct session *s, const struct auth_login_reply *reply)
{
	struct imap_server *sv = s->server;
	struct buf code = {0};
	unsigned char key[4];
	put_be32(key, reply->aid);
	s->by_user =
		tally_enter(&sv->users, str_make(key, sizeof key), sv->conf->sessions_per_user);
	if (!s->by_user) { return session_no(s, "LIMIT", "Too many sessions of this user"); }
	s->state = IMAP_AUTHENTICATED;
	s->aid = reply->aid;
	s->login = str_make(xstrdup(reply->login), reply->login.n);
	metric_add(&imap_logins_total, 1);
	log_event(LOG_INFO, &s->log, "login", "login=%.*s tls=%d", STR_ARG(s->login),
		conn_is_tls(s->task.conn));
	buf_str(&code, STR("CAPABILITY "));
	capability_text(s, &code);
	enum step next = session_ok(s, buf_cstr(&code), "Logged in");
	buf_fini(&code);
	return next;
}

static enum step login_answered(struct session *s)
{
	int rc = s->call.rc;
	if (rc == ERR_DENIED) { return failed(s); }
	return rc < 0 ? session_no(s, "UNAVAILABLE", "No login possible now, try again later")
		      : logged_in(s, s->call.reply);
}

static enum step ask_login(struct session *s, struct str user, struct str password)
{
	char ip[NET_ADDR_TEXT];
	const struct net_addr *peer = conn_peer(s->task.conn);
	if (!user.n || user.n > ADDRESS_MAX || !password.n || password.n > AUTH_PASSWORD_MAX) {
		return failed(s);
	}
	bool named = peer->sa.sa_family != AF_UNSPEC;
	struct auth_login ask = {.user = user,
		.password = password,
		.peer = named ? str_of(net_addr_ip(peer, ip)) : STR(""),
		.service = STR("imap")};
	return imap_session_call(s, ROLE_AUTH, &AUTH_LOGIN, &ask, login_answered);
}

enum step cmd_login(struct session *s)
{
	struct lex *l = &s->lex;
	struct str user, password;
	if (!capability_login(s)) { return session_no(s, "PRIVACYREQUIRED", "Begin TLS first"); }
	if (!lex_astring(l, &user) || !lex_space(l) || !lex_astring(l, &password) || !lex_end(l)) {
		return session_bad_lex(s);
	}
	return ask_login(s, user, password);
}

/* --- SASL --- */

static enum step take_response(struct session *s, struct str line)
{
	struct buf text = {0};
	struct str user, password;
	enum step next;
	int rc = base64_decode(line, &text);
	if (rc == 0) { rc = sasl_plain(buf_view(&text), &user, &password); }
	if (rc == ERR_DENIED) {
		next = failed(s);
	} else if (rc < 0) {
		next = session_bad(s, "Malformed response");
	} else {
		next = ask_login(s, user, password);
	}
	if (text.n) { wipe(text.p, text.n); }
	buf_fini(&text);
	return next;
}

static enum step read_response(struct session *s)
{
	struct str line;
	int rc = conn_line(s->task.conn, SASL_LINE_MAX, &line);
	if (rc == 0) { return imap_session_await(s); }
	if (rc < 0) {
		s->bye = "Malformed line";
		return session_bad(s, "Malformed line");
	}
	if (str_eq(line, STR("*"))) { return session_bad(s, "Cancelled"); }
	return take_response(s, line);
}

enum step cmd_authenticate(struct session *s)
{
	struct lex *l = &s->lex;
	struct str name;
	if (!lex_atom(l, &name)) { return session_bad_lex(s); }
	if (!capability_login(s)) { return session_no(s, "PRIVACYREQUIRED", "Begin TLS first"); }
	if (!str_ieq(name, STR("PLAIN"))) { return session_no(s, "CANNOT", "No such mechanism"); }
	if (lex_end(l)) {
		session_put(s, "+ \r\n");
		s->resume = read_response;
		return STEP_MORE;
	}
	if (!lex_space(l)) { return session_bad_lex(s); }
	struct str initial = str_skip(l->in, l->at);
	return take_response(s, str_eq(initial, STR("=")) ? STR("") : initial);
}
