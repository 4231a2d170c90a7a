/* Replies of servers. Runs in relay. */
#include "smtp/client_reply.h"

void client_reply_reset(struct client_reply *r)
{
	r->code = 0;
	r->lines = 0;
	buf_reset(&r->text);
}

void client_reply_fini(struct client_reply *r)
{
	buf_fini(&r->text);
}

int client_reply_line(struct client_reply *r, struct str line)
{
	uint64_t code;
	if (!str_u64(str_sub(line, 0, 3), 599, &code) || code < 200 || line.n < 3) {
		return ERR_SYNTAX;
	}
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-') { return ERR_SYNTAX; }
	if (r->lines && (int)code != r->code) { return ERR_SYNTAX; }
	struct str text = str_skip(line, 4);
	if (++r->lines > CLIENT_REPLY_LINES || r->text.n + text.n + 1 > CLIENT_REPLY_MAX) {
		return ERR_LIMIT;
	}
	if (r->lines > 1) { buf_chr(&r->text, '\n'); }
	r->code = (int)code;
	buf_str(&r->text, text);
	return line.n > 3 && line.p[3] == '-' ? 0 : 1;
}

struct str reply_status(int code, struct str text)
{
	struct str word, part;
	uint64_t v;
	unsigned parts = 0;
	ptrdiff_t end = str_find(text, STR(" "));
	word = end < 0 ? text : str_sub(text, 0, (size_t)end);
	struct str rest = word;
	for (bool more = true; more;) {
		more = str_cut(&rest, '.', &part);
		if (!str_u64(part, 999, &v) || ++parts > 3) { return STR(""); }
	}
	bool fits = parts == 3 && word.p[1] == '.' && word.p[0] == '0' + code / 100;
	return fits ? word : STR("");
}

struct str client_reply_status(const struct client_reply *r)
{
	return reply_status(r->code, buf_view(&r->text));
}

void client_reply_text(const struct client_reply *r, size_t max, struct buf *out)
{
	size_t start = out->n;
	if (r->code) { buf_fmt(out, "%d ", r->code); }
	for (size_t i = 0; i < r->text.n && out->n - start < max; i++) {
		char c = r->text.p[i];
		buf_chr(out, c == '\n' ? ' ' : c < 32 || c == 127 ? '?' : c);
	}
}

bool client_reply_keyword(const struct client_reply *r, struct str keyword, struct str *params_out)
{
	struct str rest = buf_view(&r->text), line, word;
	bool more = str_cut(&rest, '\n', &line); /* the first line is the greeting */
	while (more) {
		more = str_cut(&rest, '\n', &line);
		str_cut(&line, ' ', &word);
		if (str_ieq(word, keyword)) {
			*params_out = line;
			return true;
		}
	}
	return false;
}
