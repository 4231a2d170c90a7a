/* Owns the client side of an SMTP or LMTP session of the load generator. */
#include "t/bench/smtp.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>

enum { REPLY_LINE_MAX = 4096 };

static void fail(struct smtp *s, const char *why, struct str line)
{
	bench_fail(s->bench, "%s: %s: %.*s", s->lmtp ? "lmtp" : "smtp", why, STR_ARG(line));
	peer_close(&s->peer);
	s->broken(s);
}

void smtp_expect(struct smtp *s, uint16_t code)
{
	if (s->answered_n == s->expected_n) { s->answered_n = s->expected_n = 0; }
	assert(s->expected_n < SMTP_EXPECTED_MAX);
	s->expected[s->expected_n++] = code;
}

void smtp_command(struct smtp *s, uint16_t code, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line - 2, fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof line - 2);
	buf_add(&s->peer.out, line, (size_t)n);
	buf_str(&s->peer.out, STR("\r\n"));
	smtp_expect(s, code);
}

void smtp_flush(struct smtp *s)
{
	peer_flush(&s->peer);
}

static void say_hello(struct smtp *s)
{
	smtp_command(s, 250, "%s %s", s->lmtp ? "LHLO" : "EHLO", s->bench->opt.helo);
	smtp_flush(s);
}

/* AUTH PLAIN with an initial response, RFC 4954 and RFC 4616. */
static void say_auth(struct smtp *s)
{
	struct buf plain = {0};
	char coded[1024];
	buf_chr(&plain, '\0');
	bench_user(s->bench, 0, &plain);
	buf_chr(&plain, '\0');
	buf_str(&plain, str_of(s->bench->opt.password));
	assert(plain.n < sizeof coded / 2);
	EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain.p, (int)plain.n);
	smtp_command(s, 235, "AUTH PLAIN %s", coded);
	smtp_flush(s);
	buf_fini(&plain);
}

static void hello_done(struct smtp *s)
{
	if (s->bench->opt.xclient && !s->told) {
		s->told = true;
		s->phase = SMTP_XCLIENT;
		smtp_command(s, 220, "XCLIENT ADDR=%s NAME=%s", s->bench->opt.xclient,
			s->bench->opt.helo);
		smtp_flush(s);
	} else if (s->tls == TLS_STARTTLS && s->phase == SMTP_HELLO) {
		s->phase = SMTP_TLS;
		smtp_command(s, 220, "STARTTLS");
		smtp_flush(s);
	} else if (s->login) {
		s->phase = SMTP_AUTH;
		say_auth(s);
	} else {
		s->phase = SMTP_READY;
		s->next(s);
	}
}

/* All replies that were waited for are in. */
static void proceed(struct smtp *s)
{
	switch (s->phase) {
	case SMTP_GREETING:
	case SMTP_XCLIENT:
		s->phase = SMTP_HELLO;
		say_hello(s);
		break;
	case SMTP_TLS:
		s->phase = SMTP_HELLO_TLS;
		peer_start_tls(&s->peer);
		break;
	case SMTP_HELLO:
	case SMTP_HELLO_TLS: hello_done(s); break;
	case SMTP_AUTH: s->phase = SMTP_READY; /* fall through */
	case SMTP_READY: s->next(s); break;
	}
}

/* One reply line without its CRLF, RFC 5321 4.2. False when the session is over. */
static bool reply_line(struct smtp *s, struct str line)
{
	uint64_t code;
	bool more = line.n > 3 && line.p[3] == '-';
	if (line.n < 3 || !str_u64(str_sub(line, 0, 3), 599, &code) ||
		(line.n > 3 && !more && line.p[3] != ' ')) {
		fail(s, "malformed reply", line);
		return false;
	}
	if (s->answered_n == s->expected_n) {
		fail(s, "reply to nothing", line);
		return false;
	}
	if (code != s->expected[s->answered_n]) {
		fail(s, "unexpected reply", line);
		return false;
	}
	if (more) { return true; }
	s->answered_n++;
	return true;
}

static void on_input(struct peer *p, struct str data)
{
	struct smtp *s = container_of(p, struct smtp, peer);
	buf_str(&s->line, data);
	size_t at = 0;
	for (;;) {
		struct str rest = str_skip(buf_view(&s->line), at);
		ptrdiff_t end = str_chr(rest, '\n');
		if (end < 0) { break; }
		if (end == 0 || rest.p[end - 1] != '\r') {
			fail(s, "line without CRLF", rest);
			return;
		}
		if (!reply_line(s, str_sub(rest, 0, (size_t)end - 1))) { return; }
		at += (size_t)end + 1;
	}
	buf_drop(&s->line, at);
	if (s->line.n > REPLY_LINE_MAX) {
		fail(s, "endless line", str_sub(buf_view(&s->line), 0, 80));
	} else if (s->answered_n == s->expected_n && s->line.n == 0 && at > 0) {
		proceed(s);
	}
}

static void on_ready(struct peer *p)
{
	struct smtp *s = container_of(p, struct smtp, peer);
	if (s->phase == SMTP_HELLO_TLS) { say_hello(s); }
}

static void on_closed(struct peer *p, const char *why)
{
	fail(container_of(p, struct smtp, peer), why, STR(""));
}

static const struct peer_calls smtp_calls = {on_ready, on_input, on_closed};

void smtp_open(struct smtp *s, struct bench *b)
{
	s->bench = b;
	s->phase = SMTP_GREETING;
	s->expected_n = s->answered_n = 0;
	s->told = false;
	buf_reset(&s->line);
	smtp_expect(s, 220);
	peer_open(&s->peer, b, s->port, s->tls == TLS_IMPLICIT, &smtp_calls);
}

void smtp_fini(struct smtp *s)
{
	peer_close(&s->peer);
	buf_fini(&s->peer.out);
	buf_fini(&s->line);
}
