/* Owns the client side of an IMAP session of the load generator. */
#include "t/bench/imap.h"

#include <stdarg.h>
#include <stdio.h>

enum { RESPONSE_MAX = 4 * 1024 * 1024 };

void imap_fail(struct imap *s, const char *why, struct str line)
{
	bench_fail(s->bench, "imap: %s: %.*s", why, STR_ARG(str_sub(line, 0, 200)));
	peer_close(&s->peer);
	s->broken(s);
}

void imap_tag(struct imap *s)
{
	buf_chr(&s->peer.out, 'a');
	buf_u64(&s->peer.out, ++s->tag_sent);
	buf_chr(&s->peer.out, ' ');
}

void imap_command(struct imap *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof line);
	imap_tag(s);
	buf_add(&s->peer.out, line, (size_t)n);
	buf_str(&s->peer.out, STR("\r\n"));
}

void imap_flush(struct imap *s)
{
	peer_flush(&s->peer);
}

bool imap_numbered(struct str line, struct str word, uint64_t *number_out)
{
	struct str digits;
	return str_cut(&line, ' ', &digits) && str_u64(digits, UINT32_MAX, number_out) &&
	       str_istarts(line, word) && (line.n == word.n || line.p[word.n] == ' ');
}

bool imap_item(struct str line, struct str name, uint64_t *number_out)
{
	ptrdiff_t at = str_ifind(line, name);
	if (at < 0) { return false; }
	line = str_skip(line, (size_t)at + name.n + 1);
	size_t n = 0;
	while (n < line.n && ascii_digit(line.p[n])) { n++; }
	return str_u64(str_sub(line, 0, n), UINT64_MAX, number_out);
}

static void log_in(struct imap *s)
{
	struct buf user = {0};
	bench_user(s->bench, s->user, &user);
	s->phase = IMAP_LOGIN;
	imap_command(s, "LOGIN \"%s\" \"%s\"", buf_cstr(&user), s->bench->opt.password);
	imap_flush(s);
	buf_fini(&user);
}

/* Every command is answered. */
static void proceed(struct imap *s)
{
	switch (s->phase) {
	case IMAP_GREETING: break; /* an answer without a command has already failed */
	case IMAP_TLS: peer_start_tls(&s->peer); break;
	case IMAP_LOGIN: s->phase = IMAP_READY; /* fall through */
	case IMAP_READY: s->next(s); break;
	}
}

static void greeting(struct imap *s, struct str line)
{
	if (!str_istarts(line, STR("* OK "))) {
		imap_fail(s, "unexpected greeting", line);
	} else if (s->tls == TLS_STARTTLS) {
		s->phase = IMAP_TLS;
		imap_command(s, "STARTTLS");
		imap_flush(s);
	} else {
		log_in(s);
	}
}

static void tagged(struct imap *s, struct str line)
{
	struct str tag;
	uint64_t number;
	if (!str_cut(&line, ' ', &tag) || tag.n < 2 || tag.p[0] != 'a' ||
		!str_u64(str_skip(tag, 1), UINT64_MAX, &number) || number != s->tag_done + 1 ||
		number > s->tag_sent) {
		imap_fail(s, "unexpected tag", tag);
		return;
	}
	if (!str_istarts(line, STR("OK"))) {
		imap_fail(s, "command refused", line);
		return;
	}
	s->tag_done = number;
	if (s->tag_done == s->tag_sent) { proceed(s); }
}

/* One whole response, literals left out. */
static void response(struct imap *s, struct str line)
{
	if (s->phase == IMAP_GREETING) {
		greeting(s, line);
	} else if (str_starts(line, STR("* "))) {
		uint64_t number;
		line = str_skip(line, 2);
		if (imap_numbered(line, STR("EXISTS"), &number)) { s->exists = number; }
		if (s->untagged) { s->untagged(s, line); }
	} else if (str_starts(line, STR("+"))) {
		if (s->plus) { s->plus(s); }
	} else {
		tagged(s, line);
	}
}

/* The n of a literal that the line announces at its end, or false. */
static bool announces_literal(struct str line, uint64_t *n_out)
{
	if (line.n < 3 || line.p[line.n - 1] != '}') { return false; }
	ptrdiff_t open = str_rchr(line, '{');
	return open >= 0 && str_u64(str_sub(line, (size_t)open + 1, line.n - (size_t)open - 2),
				    UINT32_MAX, n_out);
}

/* The collected response is complete. Its handler may close the session or open it anew, so it
   works on a text of its own. */
static void collected(struct imap *s)
{
	struct buf whole = s->text;
	s->text = (struct buf){0};
	s->line_at = 0;
	response(s, buf_view(&whole));
	if (s->text.p) {
		buf_fini(&whole);
		return;
	}
	buf_reset(&whole);
	s->text = whole;
}

/* `piece` ends a line: up to its LF, not counted. A response of one piece is not copied. */
static void line_end(struct imap *s, struct str piece)
{
	bool whole = s->text.n == 0;
	uint64_t n;
	if (!whole) { buf_str(&s->text, piece); }
	struct str line = whole ? piece : str_skip(buf_view(&s->text), s->line_at);
	if (line.n == 0 || line.p[line.n - 1] != '\r') {
		imap_fail(s, "line without CRLF", line);
		return;
	}
	line.n--;
	bool literal = announces_literal(line, &n);
	if (whole && !literal) {
		response(s, line);
		return;
	}
	if (whole) {
		buf_str(&s->text, line);
	} else {
		s->text.n--;
	}
	if (!literal) {
		collected(s);
		return;
	}
	s->literal_left = n;
	s->line_at = s->text.n;
}

static void on_input(struct peer *p, struct str data)
{
	struct imap *s = container_of(p, struct imap, peer);
	s->bench->bytes += data.n;
	while (data.n && s->peer.fd >= 0) {
		if (s->literal_left) {
			size_t n = MIN(data.n, s->literal_left);
			s->literal_left -= n;
			data = str_skip(data, n);
			continue;
		}
		ptrdiff_t end = str_chr(data, '\n');
		if (end < 0) {
			buf_str(&s->text, data);
			if (s->text.n > RESPONSE_MAX) { imap_fail(s, "endless response", STR("")); }
			return;
		}
		struct str piece = str_sub(data, 0, (size_t)end);
		data = str_skip(data, (size_t)end + 1);
		line_end(s, piece);
	}
}

static void on_ready(struct peer *p)
{
	struct imap *s = container_of(p, struct imap, peer);
	if (s->phase == IMAP_TLS) { log_in(s); }
}

static void on_closed(struct peer *p, const char *why)
{
	imap_fail(container_of(p, struct imap, peer), why, STR(""));
}

static const struct peer_calls imap_calls = {on_ready, on_input, on_closed};

void imap_open(struct imap *s, struct bench *b)
{
	s->bench = b;
	s->phase = IMAP_GREETING;
	s->tag_sent = s->tag_done = s->literal_left = s->exists = 0;
	s->line_at = 0;
	buf_reset(&s->text);
	peer_open(&s->peer, b, s->port, s->tls == TLS_IMPLICIT, &imap_calls);
}

void imap_fini(struct imap *s)
{
	peer_close(&s->peer);
	buf_fini(&s->peer.out);
	buf_fini(&s->text);
}
