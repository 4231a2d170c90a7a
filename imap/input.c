/* Commands as they come in. The imap role. Holds at most IMAP_COMMAND_MAX octets, and nothing
   between commands. */
#include "imap/input.h"

#include "imap/server.h"

enum phase {
	LINE,
	LITERAL,
	DRAIN,  /* octets of a literal that nobody wants */
	MESSAGE /* octets of a literal that APPEND takes by itself */
};

enum { TAIL = 64 /* of a line that is skipped: enough to see a literal at its end */ };

struct literal {
	uint64_t size;
	size_t at; /* where "{" or "~{" stands */
	bool sync, binary;
};

static size_t command_max(const struct session *s)
{
	return s->state & IMAP_IN ? IMAP_COMMAND_MAX : IMAP_COMMAND_EARLY_MAX;
}

/* The octets of the literal that begins, or of what is left of it, are not wanted. So much of them
   is read before we hang up. */
static void drain(struct session *s)
{
	uint64_t max =
		s->state & IMAP_IN ? 2 * s->server->conf->append_max : (uint64_t)IMAP_COMMAND_MAX;
	s->input->phase = DRAIN;
	s->input->hopeless = s->input->left > max;
}

static bool tag_char(char c)
{
	return c > ' ' && c < 0x7f && !memchr("(){%*\"\\+", c, 8);
}

struct str imap_input_tag(struct str text)
{
	struct str tag;
	str_cut(&text, ' ', &tag);
	for (size_t i = 0; i < tag.n; i++) {
		if (!tag_char(tag.p[i])) { return STR(""); }
	}
	return tag.n <= IMAP_TAG_MAX ? tag : STR("");
}

/* The command will not be run. The first reason is the one that is told. */
static void refuse(struct session *s, const char *code, const char *why)
{
	struct imap_input *in = s->input;
	if (in->why) { return; }
	in->code = code;
	in->why = why;
	in->tag = arena_dup(&s->arena, in->append ? s->tag : imap_input_tag(buf_view(&in->text)));
}

/* --- literals --- */

/* "{7}", "{7+}" or "~{7}" at the end of a line. */
static bool find_literal(struct str line, struct literal *out)
{
	ptrdiff_t open = str_rchr(line, '{');
	if (open < 0 || !str_ends(line, STR("}"))) { return false; }
	struct str digits = str_sub(line, (size_t)open + 1, line.n - (size_t)open - 2);
	*out = (struct literal){.at = (size_t)open, .sync = true};
	if (str_ends(digits, STR("+"))) {
		digits.n--;
		out->sync = false;
	}
	if (open > 0 && line.p[open - 1] == '~') {
		out->binary = true;
		out->at--;
	}
	return str_u64(digits, INT64_MAX, &out->size);
}

/* A literal of APPEND is the message unless it is the mailbox name: the first argument. */
static bool is_message(const struct session *s, const struct literal *lit)
{
	const struct imap_input *in = s->input;
	struct str text = str_sub(buf_view(&in->text), 0, lit->at), tag, name;
	if (in->append) { return true; }
	if (!(s->state & IMAP_IN)) { return false; }
	return str_cut(&text, ' ', &tag) && str_cut(&text, ' ', &name) &&
	       str_ieq(name, STR("APPEND")) && text.n > 0;
}

/* What follows a line that ends in a literal. False when the command ends here. */
static bool begin_literal(struct session *s, const struct literal *lit)
{
	struct imap_input *in = s->input;
	in->left = lit->size;
	if (!in->why && is_message(s, lit)) {
		in->text.n = lit->at;
		in->append = true;
		in->message.size = lit->size;
		in->message.sync = lit->sync;
		in->message.binary = lit->binary;
		in->phase = MESSAGE;
		return true;
	}
	if (lit->size > command_max(s) - MIN(in->text.n + 2, command_max(s))) {
		refuse(s, "TOOBIG", "Command is too long");
	}
	if (in->why) {
		if (!lit->sync) { drain(s); }
		return !lit->sync;
	}
	if (lit->sync) { conn_put(s->task.conn, STR("+ OK\r\n")); }
	buf_str(&in->text, STR("\r\n"));
	in->phase = LITERAL;
	return true;
}

/* Only ~{n} may carry NUL (RFC 9051 4.3.1). */
static void check_literal(struct session *s, struct str octets)
{
	if (str_chr(octets, '\0') >= 0) { refuse(s, NULL, "NUL in a literal"); }
}

static void take_literal(struct session *s, struct str got)
{
	struct imap_input *in = s->input;
	got = str_sub(got, 0, in->left);
	if (in->phase == LITERAL) {
		buf_str(&in->text, got);
		check_literal(s, got);
	}
	conn_eat(s->task.conn, got.n);
	in->left -= got.n;
}

/* --- lines --- */

static void take_piece(struct session *s, struct str piece)
{
	struct imap_input *in = s->input;
	buf_str(&in->text, piece);
	in->line_octets += piece.n;
	if (in->line_octets > MIN((size_t)IMAP_LINE_MAX, command_max(s)) ||
		in->text.n > command_max(s)) {
		refuse(s, "TOOBIG", "Command is too long");
	}
	if (in->why && in->text.n > TAIL) {
		buf_drop(&in->text, in->text.n - TAIL);
		in->line_at = 0;
	}
}

/* The line is complete: cut its end and look for what no line may hold. */
static void check_line(struct session *s)
{
	struct imap_input *in = s->input;
	bool crlf = str_ends(buf_view(&in->text), STR("\r\n"));
	in->text.n -= crlf ? 2 : 1;
	struct str line = str_skip(buf_view(&in->text), in->line_at);
	if (!crlf) {
		refuse(s, NULL, "Lines must end with CRLF");
	} else if (str_chr(line, '\0') >= 0 || str_chr(line, '\r') >= 0) {
		refuse(s, NULL, "NUL or CR within a line");
	}
}

static enum input_result end_command(struct imap_input *in)
{
	in->done = true;
	if (in->answered) { return INPUT_SKIPPED; }
	return in->why ? INPUT_BAD : INPUT_COMMAND;
}

static enum input_result end_line(struct session *s)
{
	struct imap_input *in = s->input;
	struct literal lit;
	check_line(s);
	if (!find_literal(str_skip(buf_view(&in->text), in->line_at), &lit)) {
		return end_command(in);
	}
	lit.at += in->line_at;
	if (!begin_literal(s, &lit)) { return end_command(in); }
	return in->phase == MESSAGE ? INPUT_MESSAGE : INPUT_WAIT;
}

static enum input_result take_line(struct session *s, struct str got)
{
	ptrdiff_t lf = str_chr(got, '\n');
	struct str piece = str_sub(got, 0, lf < 0 ? got.n : (size_t)lf + 1);
	take_piece(s, piece);
	conn_eat(s->task.conn, piece.n);
	return lf < 0 ? INPUT_WAIT : end_line(s);
}

static void begin_line(struct imap_input *in)
{
	if (in->why) { buf_reset(&in->text); }
	in->phase = LINE;
	in->line_at = in->text.n;
}

static enum input_result take(struct session *s, struct str got)
{
	enum input_result res = INPUT_WAIT;
	struct imap_input *in = s->input;
	if (in->phase == LINE) {
		res = take_line(s, got);
	} else {
		take_literal(s, got);
	}
	if (in->hopeless) { return INPUT_HOPELESS; }
	if ((in->phase == LITERAL || in->phase == DRAIN) && !in->left) { begin_line(in); }
	return res;
}

enum input_result imap_input_read(struct session *s)
{
	enum input_result res = INPUT_WAIT;
	struct str got;
	while (res == INPUT_WAIT && (got = conn_in(s->task.conn)).n) {
		if (!s->input) { s->input = xnew(struct imap_input); }
		res = take(s, got);
	}
	return res;
}

/* --- messages of APPEND --- */

void imap_input_accept(struct session *s)
{
	if (s->input->message.sync) { conn_put(s->task.conn, STR("+ OK\r\n")); }
	s->input->message.sync = false;
}

struct str imap_input_message(struct session *s)
{
	struct str got = str_sub(conn_in(s->task.conn), 0, s->input->left);
	conn_eat(s->task.conn, got.n);
	s->input->left -= got.n;
	return got;
}

void imap_input_message_end(struct session *s)
{
	buf_reset(&s->input->text);
	begin_line(s->input);
}

/* --- the end --- */

void imap_input_free(struct session *s)
{
	if (!s->input) { return; }
	if (s->input->text.n) { wipe(s->input->text.p, s->input->text.n); } /* LOGIN */
	buf_fini(&s->input->text);
	free(s->input);
	s->input = NULL;
}

void imap_input_end(struct session *s)
{
	struct imap_input *in = s->input;
	if (!in) { return; }
	if (in->done || (in->phase == MESSAGE && in->message.sync)) {
		imap_input_free(s);
		return;
	}
	in->answered = true;
	in->why = "answered";
	buf_reset(&in->text);
	in->line_at = 0;
	if (in->phase == MESSAGE) { drain(s); }
	if (in->phase == DRAIN && !in->left) { begin_line(in); }
}
