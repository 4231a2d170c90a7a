/* AUTH (RFC 4954): PLAIN and LOGIN. Runs in submit. Never logs or keeps what it was told, never
   decides: auth does. */
#include "auth/sasl.h"
#include "lib/codec.h"
#include "smtp/session.h"

const char auth_mechanisms[] = "PLAIN LOGIN";

/* --- the question to auth --- */

static enum step login_answered(struct task *t)
{
	struct session *s = session_of(t);
	const struct auth_login_reply *reply = s->call.reply;
	int rc = s->call.rc;
	if (rc == 0) {
		s->aid = reply->aid;
		session_set(&s->login, reply->login);
	}
	call_fini(&s->call);
	return session_answer(s, rc == 0            ? REPLY_AUTH_OK
				 : rc == ERR_DENIED ? REPLY_AUTH_BAD
						    : REPLY_AUTH_LATER);
}

static enum step ask_login(struct session *s, struct str user, struct str password)
{
	char ip[NET_ADDR_TEXT];
	if (user.n == 0 || user.n > ADDRESS_MAX || password.n == 0 ||
		password.n > AUTH_PASSWORD_MAX) {
		return session_answer(s, REPLY_AUTH_BAD);
	}
	struct auth_login ask = {.user = user,
		.password = password,
		.peer = session_ip(s, ip),
		.service = STR("submit")};
	return session_call(s, ROLE_AUTH, &AUTH_LOGIN, &ask, login_answered);
}

/* --- the dialogue --- */

static enum step take_response(struct session *s, struct str line)
{
	struct buf text = {0};
	enum step next;
	if (base64_decode(line, &text) < 0) {
		next = session_answer(s, REPLY_AUTH_ENCODING);
	} else {
		next = s->auth_response(s, buf_view(&text));
	}
	if (text.n) { wipe(text.p, text.n); }
	buf_fini(&text);
	return next;
}

static enum step auth_read(struct task *t)
{
	struct session *s = session_of(t);
	struct str line;
	enum step next;
	if (s->server->role->stopping || s->evicted) { return session_close(s, REPLY_STOPPING); }
	int rc = conn_line(t->conn, SESSION_AUTH_LINE_MAX, &line);
	if (rc < 0) { return session_close(s, rc == ERR_LIMIT ? REPLY_AUTH_LONG : REPLY_LINE_END); }
	if (rc == 0) {
		if (session_lost(s, &next)) { return next; }
		s->listening = true;
		return session_await(s, s->server->conf->first_timeout_us, false);
	}
	s->listening = false;
	session_calm(s);
	if (str_eq(line, STR("*"))) { return session_answer(s, REPLY_AUTH_CANCELLED); }
	return take_response(s, line);
}

static enum step ask_response(
	struct session *s, enum reply_id prompt, enum step (*then)(struct session *, struct str))
{
	session_reply(s, prompt);
	s->auth_response = then;
	s->task.step = auth_read;
	return STEP_MORE;
}

/* --- mechanisms --- */

static enum step plain_response(struct session *s, struct str text)
{
	struct str user, password;
	int rc = sasl_plain(text, &user, &password);
	if (rc == ERR_DENIED) { return session_answer(s, REPLY_AUTH_BAD); }
	return rc < 0 ? session_answer(s, REPLY_AUTH_ENCODING) : ask_login(s, user, password);
}

static enum step login_password(struct session *s, struct str text)
{
	enum step next = ask_login(s, buf_view(&s->auth_user), text);
	buf_fini(&s->auth_user);
	return next;
}

static enum step login_user(struct session *s, struct str text)
{
	buf_reset(&s->auth_user);
	buf_str(&s->auth_user, str_sub(text, 0, ADDRESS_MAX + 1));
	return ask_response(s, REPLY_AUTH_PASSWORD, login_password);
}

static const struct mechanism {
	struct str name;
	enum reply_id prompt;
	enum step (*first)(struct session *s, struct str text);
} mechanisms[] = {
	{{"PLAIN", 5}, REPLY_AUTH_GO_ON, plain_response}, /* RFC 4616 */
	{{"LOGIN", 5}, REPLY_AUTH_USER, login_user},
};

enum step auth_begin(struct session *s, struct str args)
{
	struct str name;
	bool initial = str_cut(&args, ' ', &name);
	if (!session_may_auth(s)) { return session_answer(s, REPLY_AUTH_CLEAR); }
	if (s->aid) { return session_answer(s, REPLY_AUTH_TWICE); }
	if (name.n == 0) { return session_answer(s, REPLY_ARGS); }
	for (size_t i = 0; i < COUNT(mechanisms); i++) {
		const struct mechanism *m = &mechanisms[i];
		if (!str_ieq(name, m->name)) { continue; }
		if (!initial) { return ask_response(s, m->prompt, m->first); }
		s->auth_response = m->first;
		args = str_trim(args);
		/* "=" is a response without octets (RFC 4954 4) */
		return take_response(s, str_eq(args, STR("=")) ? STR("") : args);
	}
	return session_answer(s, REPLY_AUTH_MECHANISM);
}
