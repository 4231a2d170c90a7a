/* Address lists (RFC 5322 3.4, 4.4) as they are met: words are gathered until the character that
   says what they were. Linear in the length of the value. Pure functions, every role. */
#include "lib/addr.h"

#include "lib/head_private.h"

/* One list while it is read. */
struct reader {
	struct str rest;
	struct arena *a;
	struct addr *list;
	size_t n, cap;
	bool in_group;
	bool wary;           /* "a@b <c@d>" names both */
	bool odd;            /* something was skipped or repaired */
	bool odd_local;      /* the words read are no local part */
	bool word, word_dot; /* there was a word before, an atom ending with a dot */
	struct buf phrase;   /* the words read, one space where a gap was */
	struct buf joined;   /* the same without gaps: a local part or a domain */
	struct str comment;  /* the last one: "user@host (Name)" */
};

static int put(struct reader *r, struct addr one)
{
	if (r->n == ADDRS_MAX) { return ERR_LIMIT; }
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 4;
		struct addr *list = arena_array(r->a, cap, sizeof *list);
		if (r->n) { memcpy(list, r->list, r->n * sizeof *list); }
		r->list = list;
		r->cap = cap;
	}
	r->list[r->n++] = one;
	return 0;
}

static bool at(const struct reader *r, char c)
{
	return r->rest.n && r->rest.p[0] == c;
}

/* White space and comments; true when there was any. */
static bool skip_gap(struct reader *r)
{
	size_t before = r->rest.n;
	for (;;) {
		while (r->rest.n && memchr(" \t\r\n", r->rest.p[0], 4)) {
			r->rest = str_skip(r->rest, 1);
		}
		if (!at(r, '(')) { return r->rest.n != before; }
		size_t n = head_comment_length(r->rest);
		bool closed = head_comment_closed(r->rest);
		r->odd |= !closed;
		r->comment = str_trim(str_sub(r->rest, 1, n - 1 - closed));
		r->rest = str_skip(r->rest, n);
	}
}

/* local-part = word *("." word) (RFC 5322 4.4), but for dots too many, which are met. */
static void judge_word(struct reader *r, struct str raw)
{
	bool quoted = raw.p[0] == '"';
	bool joins = !r->word || r->word_dot || raw.p[0] == '.';
	r->odd_local |= !joins;
	for (size_t i = 0; i < raw.n && !quoted; i++) {
		r->odd_local |= memchr("[]\\", raw.p[i], 3) != NULL;
	}
	r->word = true;
	r->word_dot = !quoted && raw.p[raw.n - 1] == '.';
}

static void add_word(struct reader *r, struct str word, bool gap)
{
	if (gap && r->phrase.n) { buf_chr(&r->phrase, ' '); }
	buf_str(&r->phrase, word);
	buf_str(&r->joined, word);
}

/* Words up to the next character that ends them, which is not taken: 0 = end of input. Dots and
   brackets are part of words. */
static char read_words(struct reader *r)
{
	static const char ends[] = "()<>:;@,\" \t\r\n";
	buf_reset(&r->phrase);
	buf_reset(&r->joined);
	r->odd_local = r->word = false;
	for (;;) {
		bool gap = skip_gap(r);
		size_t n = 0;
		if (!r->rest.n) { return 0; }
		if (at(r, '"')) {
			n = head_quoted_length(r->rest);
			r->odd |= !head_quoted_closed(r->rest);
			add_word(r, head_unquote(str_sub(r->rest, 0, n), r->a), gap);
		} else {
			while (n < r->rest.n && !memchr(ends, r->rest.p[n], sizeof ends - 1)) {
				n++;
			}
			if (!n && !at(r, ')')) { return r->rest.p[0]; }
			add_word(r, str_sub(r->rest, 0, n), gap);
			r->odd |= n == 0;
			n += n == 0; /* a stray ")" */
		}
		judge_word(r, str_sub(r->rest, 0, n));
		r->rest = str_skip(r->rest, n);
	}
}

/* Octets up to the first of `stops` behind the first octet; s.n without one. */
static size_t span_to(struct str s, const char *stops, size_t stops_n)
{
	size_t n = 1;
	while (n < s.n && !memchr(stops, s.p[n], stops_n)) { n++; }
	return MIN(n, s.n);
}

/* "[...]", brackets included; 0 when it is never closed. */
static size_t literal_length(struct str s)
{
	size_t n = span_to(s, "[]", 2);
	return n < s.n && s.p[n] == ']' ? n + 1 : 0;
}

/* dot-atom or [literal]; obsolete white space stands around dots only (RFC 5322 4.4). */
static struct str read_domain(struct reader *r)
{
	static const char ends[] = "()<>;,\"@ \t\r\n";
	buf_reset(&r->joined);
	for (;;) {
		bool gap = skip_gap(r);
		bool dot = r->joined.n && r->joined.p[r->joined.n - 1] == '.';
		size_t n = at(r, '[') ? literal_length(r->rest) : 0;
		while (n < r->rest.n && !memchr(ends, r->rest.p[n], sizeof ends - 1)) { n++; }
		if (!n || (gap && r->joined.n && !dot && !at(r, '.'))) { break; }
		buf_add(&r->joined, r->rest.p, n);
		r->rest = str_skip(r->rest, n);
	}
	return arena_dup(r->a, buf_view(&r->joined));
}

/* "@a,@b:" before the address (obs-route); left alone when no ":" follows. */
static struct str read_route(struct reader *r)
{
	size_t n = span_to(r->rest, ":<>;\"", 5);
	if (n == r->rest.n || r->rest.p[n] != ':') { return STR(""); }
	struct str route = str_trim(str_sub(r->rest, 0, n));
	r->rest = str_skip(r->rest, n + 1);
	return route;
}

static void read_angle(struct reader *r, struct addr *one)
{
	r->rest = str_skip(r->rest, 1);
	(void)skip_gap(r); /* a gap means nothing here */
	if (at(r, '@')) {
		one->route = read_route(r);
		r->odd = true; /* it hides the address from those who know no routes */
	}
	char end = read_words(r);
	one->local = arena_dup(r->a, buf_view(&r->joined));
	r->odd |= r->odd_local;
	if (end == '@') {
		r->rest = str_skip(r->rest, 1);
		one->domain = read_domain(r);
	}
	(void)skip_gap(r); /* before the bracket */
	r->odd |= !at(r, '>');
	if (at(r, '>')) { r->rest = str_skip(r->rest, 1); }
}

/* Stray text behind an address goes. ";" outside of a group separates, too: some write it so. */
static void skip_to_separator(struct reader *r)
{
	(void)skip_gap(r); /* comments may hold separators */
	while (r->rest.n && !at(r, ',') && !at(r, ';')) {
		size_t n = at(r, '"') ? head_quoted_length(r->rest) : 1;
		r->odd = true;
		r->rest = str_skip(r->rest, n);
		(void)skip_gap(r); /* as above */
	}
}

static int read_mailbox(struct reader *r, char end)
{
	int rc = 0;
	struct addr one = {.kind = ADDR_MAILBOX};
	r->comment = STR("");
	if (end == '<') {
		one.name = arena_dup(r->a, buf_view(&r->phrase));
		read_angle(r, &one);
	} else if (end == '@') {
		bool odd_local = r->odd_local || !r->joined.n;
		one.local = arena_dup(r->a, buf_view(&r->joined));
		r->rest = str_skip(r->rest, 1);
		one.domain = read_domain(r);
		(void)skip_gap(r); /* the comment that may name the person */
		one.name = r->comment;
		if (r->wary && at(r, '<')) {
			/* a name that looks like an address, not quoted as it must be: some readers
			   show the one, some the other */
			rc = put(r, one);
			one = (struct addr){.kind = ADDR_MAILBOX};
			read_angle(r, &one);
		} else {
			r->odd |= odd_local;
		}
	} else if (end != ':') {
		one.local = arena_dup(r->a, buf_view(&r->phrase));
	}
	skip_to_separator(r);
	if (rc == 0 && (end == '<' || end == '@' || one.local.n)) { rc = put(r, one); }
	return rc;
}

static int read_group_start(struct reader *r)
{
	struct addr one = {.kind = ADDR_GROUP_START};
	r->rest = str_skip(r->rest, 1);
	r->in_group = true;
	one.name = arena_dup(r->a, buf_view(&r->phrase));
	return put(r, one);
}

static int read_group_end(struct reader *r)
{
	struct addr one = {.kind = ADDR_GROUP_END};
	if (!r->in_group) { return 0; }
	r->in_group = false;
	return put(r, one);
}

/* One element and the separator behind it. */
static int read_element(struct reader *r)
{
	int rc;
	char end = read_words(r);
	if (end == ':' && !r->in_group) { return read_group_start(r); }
	rc = read_mailbox(r, end);
	if (at(r, ';') && rc == 0) { rc = read_group_end(r); }
	r->rest = str_skip(r->rest, 1);
	return rc;
}

static int read_list(struct reader *r, struct addr **out, size_t *n_out)
{
	int rc = 0;
	while (rc == 0 && r->rest.n) { rc = read_element(r); }
	if (rc == 0) { rc = read_group_end(r); }
	buf_fini(&r->phrase);
	buf_fini(&r->joined);
	*out = r->list;
	*n_out = r->n;
	return rc;
}

int addr_parse(struct str value, struct arena *a, struct addr **out, size_t *n_out)
{
	struct reader r = {.rest = value, .a = a};
	return read_list(&r, out, n_out);
}

/* A CR or LF that is no part of a fold, or another control. */
static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool fold = str_starts(str_skip(s, i), STR("\r\n"));
		i += fold;
		if ((c < 0x20 && c != '\t' && !fold) || c == 0x7f) { return true; }
	}
	return false;
}

int addr_parse_wary(
	struct str value, struct arena *a, struct addr **out, size_t *n_out, bool *clear_out)
{
	struct reader r = {.rest = value, .a = a, .wary = true};
	int rc = read_list(&r, out, n_out);
	*clear_out = !r.odd && !has_control(value);
	return rc;
}
