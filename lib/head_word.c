/* Encoded-words of header fields (RFC 2047) as UTF-8. Pure functions, every role. */
#include "lib/head.h"

#include "lib/charset.h"
#include "lib/codec.h"
#include "lib/codec_private.h"
#include "lib/head_private.h"

/* "=?" charset ["*" language] "?" encoding "?" text "?=" */
struct word {
	struct str charset, text;
	bool base64;
	size_t n; /* octets of the whole */
};

/* Nothing in a word may hold a "?", so each attempt ends at the next one: linear over a header. */
static bool parse_word(struct str s, struct word *w)
{
	struct str rest = str_skip(s, 2), encoding;
	struct str charset_and_language = str_sub(rest, 0, CHARSET_NAME_MAX + 16);
	ptrdiff_t mark = str_chr(charset_and_language, '?');
	if (!str_starts(s, STR("=?")) || mark <= 0) { return false; }
	struct str name = str_sub(rest, 0, (size_t)mark);
	(void)str_cut(&name, '*', &w->charset); /* no language is as good */
	rest = str_skip(rest, (size_t)mark + 1);
	encoding = str_sub(rest, 0, 2);
	w->base64 = str_ieq(encoding, STR("b?"));
	if (!w->base64 && !str_ieq(encoding, STR("q?"))) { return false; }
	rest = str_skip(rest, 2);
	mark = str_chr(rest, '?');
	if (mark < 0 || (size_t)mark + 1 >= rest.n || rest.p[mark + 1] != '=') { return false; }
	w->text = str_sub(rest, 0, (size_t)mark);
	w->n = (size_t)(rest.p + mark + 2 - s.p);
	return true;
}

/* "Q" (RFC 2047 4.2): "_" is a space, "=XY" an octet. */
static void decode_q(struct str s, struct buf *out)
{
	while (s.n) {
		int octet = s.p[0] == '=' ? hex_escape(s) : -1;
		char plain = s.p[0] == '_' ? ' ' : s.p[0];
		buf_chr(out, octet < 0 ? plain : (char)octet);
		s = str_skip(s, octet < 0 ? 1 : 3);
	}
}

static void decode_word(const struct word *w, struct buf *out)
{
	if (!w->base64) {
		decode_q(w->text, out);
		return;
	}
	struct transfer_decoder d = {.kind = TRANSFER_BASE64};
	transfer_decode(&d, w->text, out);
	transfer_end(&d, out);
}

/* Octets of neighbouring words of one charset, converted together: a character may be cut in two
   by writers that count octets. */
struct words {
	struct buf octets;
	struct str charset;
};

static void words_flush(struct words *ws, struct buf *out)
{
	/* what cannot be converted is shown as U+FFFD */
	(void)charset_to_utf8(ws->charset, buf_view(&ws->octets), out);
	buf_reset(&ws->octets);
}

static void plain_text(struct str s, struct buf *out)
{
	(void)charset_to_utf8(STR(""), s, out); /* UTF-8, or windows-1252 where it is none */
}

/* Offset of the next encoded-word, s.n without one. */
static size_t find_word(struct str s, struct word *w)
{
	for (size_t at = 0; at < s.n;) {
		ptrdiff_t start = str_find(str_skip(s, at), STR("=?"));
		if (start < 0) { return s.n; }
		at += (size_t)start;
		if (parse_word(str_skip(s, at), w)) { return at; }
		at += 2;
	}
	return s.n;
}

void head_decode(struct str value, struct buf *out)
{
	struct buf unfolded = {0};
	struct words ws = {0};
	head_unfold(value, &unfolded);
	struct str rest = buf_view(&unfolded);
	bool after_word = false;
	while (rest.n) {
		struct word w;
		size_t at = find_word(rest, &w);
		struct str before = str_sub(rest, 0, at);
		bool another = at < rest.n;
		bool between = after_word && another && str_trim(before).n == 0;
		if (!between || !str_ieq(w.charset, ws.charset)) { words_flush(&ws, out); }
		if (!between) { plain_text(before, out); }
		if (another) {
			decode_word(&w, &ws.octets);
			ws.charset = w.charset;
		}
		after_word = another;
		rest = str_skip(rest, at + (another ? w.n : 0));
	}
	words_flush(&ws, out);
	buf_fini(&ws.octets);
	buf_fini(&unfolded);
}
