/* The Received-SPF field. RFC 7208 9.1. Nothing a peer said gets in without quotes and escapes. */
#include "auth/spf.h"

enum { LINE_MAX_OCTETS = 76, VALUE_MAX_OCTETS = 400 };

struct field {
	struct buf *out;
	size_t column;
};

/* A piece that is not broken, on a new line when this one is full. */
static void put(struct field *f, struct str piece)
{
	if (f->column && f->column + 1 + piece.n > LINE_MAX_OCTETS) {
		buf_str(f->out, STR("\r\n\t"));
		f->column = 8;
	} else if (f->column) {
		buf_chr(f->out, ' ');
		f->column++;
	}
	buf_str(f->out, piece);
	f->column += piece.n;
}

/* Visible octets and UTF-8 (RFC 6532) pass, `special` ones behind a backslash, others become "?".
 */
static void escape(struct str s, const char *special, struct buf *out)
{
	bool cut = s.n > VALUE_MAX_OCTETS;
	s = str_sub(s, 0, VALUE_MAX_OCTETS);
	while (s.n) {
		unsigned char c = (unsigned char)s.p[0];
		size_t n = plain_len(s);
		if (n && strchr(special, c)) { buf_chr(out, '\\'); }
		buf_str(out, n ? str_sub(s, 0, n) : STR("?"));
		s = str_skip(s, MAX(utf8_len(s), (size_t)1));
	}
	if (cut) { buf_str(out, STR("...")); }
}

static void put_pair(struct field *f, const char *key, struct str value)
{
	struct buf piece = {0};
	buf_fmt(&piece, "%s=\"", key);
	escape(value, "\"\\", &piece);
	buf_str(&piece, STR("\";"));
	put(f, buf_view(&piece));
	buf_fini(&piece);
}

/* "(receiver: why)", broken between words. */
static void put_comment(struct field *f, const struct spf_check *c)
{
	struct buf text = {0};
	struct str rest, word;
	bool more = true;
	buf_chr(&text, '(');
	escape(c->receiver.n ? c->receiver : STR("unknown"), "()\\", &text);
	buf_str(&text, STR(": "));
	escape(c->why, "()\\", &text);
	buf_chr(&text, ')');
	for (rest = buf_view(&text); more;) {
		more = str_cut(&rest, ' ', &word);
		if (word.n) { put(f, word); }
	}
	buf_fini(&text);
}

static bool is_error(enum spf_result r)
{
	return r == SPFRES_TEMPERROR || r == SPFRES_PERMERROR;
}

void spf_received(const struct spf_check *c, struct buf *out)
{
	struct field f = {.out = out};
	struct buf from = {0};
	char ip[NET_ADDR_TEXT];
	bool helo = c->identity == SPFID_HELO;
	put(&f, STR("Received-SPF:"));
	put(&f, str_of(spf_result_name(c->result)));
	put_comment(&f, c);
	put_pair(&f, "receiver", c->receiver.n ? c->receiver : STR("unknown"));
	put_pair(&f, "client-ip", str_of(net_addr_ip(&c->client, ip)));
	put_pair(&f, "helo", c->helo);
	put_pair(&f, "identity", helo ? STR("helo") : STR("mailfrom"));
	if (!helo) {
		if (c->domain.n) { buf_fmt(&from, "%.*s@", STR_ARG(c->local)); }
		buf_str(&from, c->domain);
		put_pair(&f, "envelope-from", buf_view(&from));
	}
	if (is_error(c->result)) {
		put_pair(&f, "problem", c->why);
	} else if (c->result != SPFRES_NONE) {
		put_pair(&f, "mechanism", c->term.n ? c->term : STR("default"));
	}
	buf_str(out, STR("\r\n"));
	buf_fini(&from);
}
