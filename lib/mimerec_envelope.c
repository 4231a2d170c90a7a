/* IMAP strings and ENVELOPE (RFC 9051 7.5.2): raw header values, unfolded, encoded-words as they
   are. Pure functions, every role. */
#include "lib/mimerec_private.h"

#include "lib/addr.h"

enum { QUOTED_MAX = 1000 };

static bool quotable(struct str s)
{
	if (s.n >= QUOTED_MAX) { return false; }
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\r' || c == '\n' || c == '\0' || c >= 0x80) { return false; }
	}
	return true;
}

static void quoted(struct str s, struct buf *out)
{
	buf_chr(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\') { buf_chr(out, '\\'); }
		buf_chr(out, s.p[i]);
	}
	buf_chr(out, '"');
}

/* A literal cannot hold NUL (RFC 9051 4.3): they are left out. */
static void literal(struct str s, struct buf *out)
{
	size_t nuls = 0;
	for (size_t i = 0; i < s.n; i++) { nuls += s.p[i] == '\0'; }
	buf_chr(out, '{');
	buf_u64(out, s.n - nuls);
	buf_str(out, STR("}\r\n"));
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\0') { buf_chr(out, s.p[i]); }
	}
}

void imap_string(struct str s, struct buf *out)
{
	if (quotable(s)) {
		quoted(s, out);
	} else {
		literal(s, out);
	}
}

void imap_nstring(struct str s, struct buf *out)
{
	if (s.p) {
		imap_string(s, out);
	} else {
		buf_str(out, STR("NIL"));
	}
}

void imap_nstring_given(struct str s, struct buf *out)
{
	imap_nstring(s.n ? s : str_make(NULL, 0), out);
}

static void one_address(const struct addr *a, struct buf *out)
{
	struct str nil = {0};
	bool mailbox = a->kind == ADDR_MAILBOX;
	buf_chr(out, '(');
	imap_nstring_given(mailbox ? a->name : nil, out);
	buf_chr(out, ' ');
	imap_nstring_given(mailbox ? a->route : nil, out);
	buf_chr(out, ' ');
	if (a->kind == ADDR_GROUP_END) {
		imap_nstring(nil, out);
	} else {
		imap_string(mailbox ? a->local : a->name, out);
	}
	buf_chr(out, ' ');
	if (mailbox) {
		imap_string(a->domain, out);
	} else {
		imap_nstring(nil, out);
	}
	buf_chr(out, ')');
}

static void field_addresses(struct str value, struct buf *out)
{
	struct arena a = {0};
	struct addr *list;
	size_t n;
	(void)addr_parse(value, &a, &list, &n); /* beyond the limit: those up to it */
	for (size_t i = 0; i < n && out->n < MIMEREC_ADDRS_TEXT_MAX; i++) {
		one_address(&list[i], out);
	}
	arena_fini(&a);
}

/* "(...)" of all fields of that name; false and nothing written when no address is there. */
static bool addresses(struct str header, struct str name, struct buf *out)
{
	struct head_field f;
	size_t start = out->n;
	buf_chr(out, '(');
	while (head_next(&header, &f)) {
		if (str_ieq(f.name, name)) { field_addresses(f.value, out); }
	}
	if (out->n == start + 1) {
		out->n = start;
		return false;
	}
	buf_chr(out, ')');
	return true;
}

/* Sender and Reply-To say what From says when they say nothing. */
static void addresses_or(struct str header, struct str name, struct str instead, struct buf *out)
{
	if (addresses(header, name, out)) { return; }
	if (instead.n && addresses(header, instead, out)) { return; }
	buf_str(out, STR("NIL"));
}

static void text(struct str header, struct str name, struct buf *out)
{
	struct str value;
	struct buf unfolded = {0};
	if (!head_find(header, name, 0, &value)) {
		buf_str(out, STR("NIL"));
		return;
	}
	head_unfold(value, &unfolded);
	imap_string(buf_view(&unfolded), out);
	buf_fini(&unfolded);
}

void mimerec_envelope(struct str header, struct buf *out)
{
	static const struct {
		struct str name, instead;
		bool is_text;
	} fields[] = {
		{STR("Date"), STR(""), true},
		{STR("Subject"), STR(""), true},
		{STR("From"), STR(""), false},
		{STR("Sender"), STR("From"), false},
		{STR("Reply-To"), STR("From"), false},
		{STR("To"), STR(""), false},
		{STR("Cc"), STR(""), false},
		{STR("Bcc"), STR(""), false},
		{STR("In-Reply-To"), STR(""), true},
		{STR("Message-ID"), STR(""), true},
	};
	for (size_t i = 0; i < COUNT(fields); i++) {
		buf_chr(out, i ? ' ' : '(');
		if (fields[i].is_text) {
			text(header, fields[i].name, out);
		} else {
			addresses_or(header, fields[i].name, fields[i].instead, out);
		}
	}
	buf_chr(out, ')');
}
