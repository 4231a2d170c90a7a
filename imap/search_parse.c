/* Reads the arguments of SEARCH into a tree of keys (RFC 9051 9, search). Pure functions over one
   whole command; depth and number of keys are bounded. Never looks at a mailbox. */
#include "imap/search.h"

#include "imap/flags.h"
#include "lib/charset.h"
#include "lib/date.h"

enum args {
	A_NONE,
	A_TEXT,
	A_FIELD,
	A_HEADER,
	A_DATE,
	A_SIZE,
	A_AGE,
	A_UID,
	A_KEYWORD,
	A_NOT,
	A_OR,
	A_MODSEQ,
	A_ID
};
enum side { BEFORE, ON, SINCE };

struct key_row {
	const char *name;
	enum search_kind kind;
	enum args args;
	uint64_t mask, want; /* FLAGS, KEYWORD */
	enum side side;      /* dates; sizes and ages: BEFORE is less, SINCE more */
	const char *field;
};

#define FLAG_ROWS(yes, no, flag) \
	{yes, SEARCH_FLAGS, A_NONE, (flag), (flag)}, \
	{ \
		no, SEARCH_FLAGS, A_NONE, (flag), 0 \
	}
#define FIELD_ROW(key, header) \
	{ \
		key, SEARCH_HEADER, A_FIELD, .field = (header) \
	}
#define DATE_ROWS(kind, before, on, since) \
	{before, kind, A_DATE, .side = BEFORE}, {on, kind, A_DATE, .side = ON}, \
	{ \
		since, kind, A_DATE, .side = SINCE \
	}

static const struct key_row rows[] = {
	{"ALL", SEARCH_ALL},
	FLAG_ROWS("ANSWERED", "UNANSWERED", FLAG_ANSWERED),
	FLAG_ROWS("DELETED", "UNDELETED", FLAG_DELETED),
	FLAG_ROWS("DRAFT", "UNDRAFT", FLAG_DRAFT),
	FLAG_ROWS("FLAGGED", "UNFLAGGED", FLAG_FLAGGED),
	FLAG_ROWS("SEEN", "UNSEEN", FLAG_SEEN),
	{"KEYWORD", SEARCH_KEYWORD, A_KEYWORD, .want = 1},
	{"UNKEYWORD", SEARCH_KEYWORD, A_KEYWORD},
	{"NEW", SEARCH_NONE}, /* RECENT UNSEEN; RFC 9051 dropped \Recent */
	{"RECENT", SEARCH_NONE},
	{"OLD", SEARCH_ALL},
	DATE_ROWS(SEARCH_DATE, "BEFORE", "ON", "SINCE"),
	DATE_ROWS(SEARCH_SENT, "SENTBEFORE", "SENTON", "SENTSINCE"),
	DATE_ROWS(SEARCH_SAVED, "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE"),
	{"SAVEDATESUPPORTED", SEARCH_ALL},
	{"OLDER", SEARCH_AGE, A_AGE, .side = SINCE},
	{"YOUNGER", SEARCH_AGE, A_AGE, .side = BEFORE},
	{"LARGER", SEARCH_SIZE, A_SIZE, .side = SINCE},
	{"SMALLER", SEARCH_SIZE, A_SIZE, .side = BEFORE},
	{"UID", SEARCH_SET, A_UID},
	{"MODSEQ", SEARCH_MODSEQ, A_MODSEQ},
	{"EMAILID", SEARCH_EMAILID, A_ID, .want = 'M'},
	{"THREADID", SEARCH_THREADID, A_ID, .want = 'T'},
	FIELD_ROW("BCC", "Bcc"),
	FIELD_ROW("CC", "Cc"),
	FIELD_ROW("FROM", "From"),
	FIELD_ROW("SUBJECT", "Subject"),
	FIELD_ROW("TO", "To"),
	{"HEADER", SEARCH_HEADER, A_HEADER},
	{"BODY", SEARCH_BODY, A_TEXT},
	{"TEXT", SEARCH_TEXT, A_TEXT},
	{"NOT", SEARCH_NOT, A_NOT},
	{"OR", SEARCH_OR, A_OR},
};

static const struct {
	const char *name;
	unsigned bit;
} returns[] = {
	{"MIN", RETURN_MIN},
	{"MAX", RETURN_MAX},
	{"ALL", RETURN_ALL},
	{"COUNT", RETURN_COUNT},
	{"SAVE", RETURN_SAVE},
};

struct parse {
	struct lex *l;
	struct search_request *req;
	struct str charset;
};

static bool fail(struct lex *l, const char *why)
{
	l->error = why;
	return false;
}

static struct search_key *new_key(struct parse *p, enum search_kind kind)
{
	if (p->req->keys == SEARCH_KEYS_MAX) {
		p->l->error = "too many search keys";
		return NULL;
	}
	struct search_key *k = arena_new(p->l->arena, struct search_key);
	k->kind = kind;
	k->more = p->req->all;
	p->req->all = k;
	p->req->keys++;
	return k;
}

/* --- arguments --- */

/* A string to look for: in UTF-8, folded. */
static bool parse_text(struct parse *p, struct search_key *k)
{
	struct str s;
	struct buf utf8 = {0}, folded = {0};
	if (!lex_space(p->l) || !lex_astring(p->l, &s)) { return false; }
	if (s.n > SEARCH_STRING_MAX) { return fail(p->l, "the string is too long"); }
	(void)charset_to_utf8(p->charset, s, &utf8); /* an unknown charset is answered elsewhere */
	utf8_fold(buf_view(&utf8), &folded);
	k->text = arena_dup(p->l->arena, buf_view(&folded));
	p->req->text_max = MAX(p->req->text_max, k->text.n);
	buf_fini(&utf8);
	buf_fini(&folded);
	return true;
}

static bool parse_field(struct parse *p, struct search_key *k, struct str name)
{
	k->name = name;
	k->hot = mimerec_is_hot(name);
	return parse_text(p, k);
}

static bool parse_header(struct parse *p, struct search_key *k)
{
	struct str name;
	return lex_space(p->l) && lex_astring(p->l, &name) && parse_field(p, k, name);
}

static bool parse_date(struct parse *p, struct search_key *k, enum side side)
{
	struct str text;
	int64_t day;
	if (!lex_space(p->l) || !lex_astring(p->l, &text)) { return false; }
	if (date_day_parse(text, &day) < 0) { return fail(p->l, "expected a date"); }
	k->lo = side == BEFORE ? INT64_MIN : day;
	k->hi = side == BEFORE ? day - 1 : side == ON ? day : INT64_MAX;
	return true;
}

static bool parse_size(struct parse *p, struct search_key *k, enum side side)
{
	uint64_t n;
	if (!lex_space(p->l) || !lex_number64(p->l, &n)) { return false; }
	k->lo = side == SINCE ? (int64_t)MIN(n, (uint64_t)INT64_MAX - 1) + 1 : 0;
	k->hi = side == SINCE ? INT64_MAX : (int64_t)n - 1;
	return true;
}

/* RFC 5032: OLDER, at least so many seconds ago; YOUNGER, at most. */
static bool parse_age(struct parse *p, struct search_key *k, enum side side)
{
	uint32_t n;
	if (!lex_space(p->l) || !lex_nz_number(p->l, &n)) { return false; }
	k->lo = side == SINCE ? n : INT64_MIN;
	k->hi = side == SINCE ? INT64_MAX : n;
	return true;
}

/* RFC 7162 3.1.5: the name and kind of a metadata item are read and not used. */
static bool parse_modseq(struct parse *p, struct search_key *k)
{
	struct str entry, kind;
	uint64_t n;
	if (!lex_space(p->l)) { return false; }
	if (lex_peek(p->l) == '"' && !(lex_string(p->l, &entry) && lex_space(p->l) &&
					     lex_atom(p->l, &kind) && lex_space(p->l))) {
		return false;
	}
	if (!lex_number64(p->l, &n)) { return false; }
	k->lo = (int64_t)n;
	k->hi = INT64_MAX;
	p->req->modseq = true;
	return true;
}

static bool hex_digit(char c, uint64_t *out)
{
	c = ascii_lower(c);
	*out = (uint64_t)(ascii_digit(c) ? c - '0' : c - 'a' + 10);
	return ascii_digit(c) || (c >= 'a' && c <= 'f');
}

/* An id that we never gave matches nothing. */
static bool parse_id(struct parse *p, struct search_key *k, char kind)
{
	struct str text;
	if (!lex_space(p->l) || !lex_astring(p->l, &text)) { return false; }
	bool ours = text.n == 17 && text.p[0] == kind;
	for (size_t i = 1; ours && i < text.n; i++) {
		uint64_t digit;
		ours = hex_digit(text.p[i], &digit);
		k->id = k->id << 4 | digit;
	}
	if (!ours) { k->kind = SEARCH_NONE; }
	return true;
}

static bool parse_keyword(struct parse *p, struct search_key *k)
{
	if (!lex_space(p->l) || !lex_flag(p->l, &k->name)) { return false; }
	return k->name.p[0] != '\\' ? true : fail(p->l, "expected a keyword");
}

/* --- keys --- */

static struct search_key *parse_key(struct parse *p, unsigned depth);

static bool parse_children(struct parse *p, struct search_key *k, unsigned n, unsigned depth)
{
	struct search_key **tail = &k->child;
	while (n--) {
		if (!lex_space(p->l)) { return false; }
		*tail = parse_key(p, depth + 1);
		if (!*tail) { return false; }
		tail = &(*tail)->next;
	}
	return true;
}

static bool parse_args(
	struct parse *p, const struct key_row *row, struct search_key *k, unsigned depth)
{
	switch (row->args) {
	case A_NONE: return true;
	case A_TEXT: return parse_text(p, k);
	case A_FIELD:
		k->address = !str_eq(str_of(row->field), STR("Subject"));
		return parse_field(p, k, str_of(row->field));
	case A_HEADER: return parse_header(p, k);
	case A_DATE: return parse_date(p, k, row->side);
	case A_SIZE: return parse_size(p, k, row->side);
	case A_AGE: return parse_age(p, k, row->side);
	case A_UID: k->uid = true; return lex_space(p->l) && lex_seqset(p->l, &k->set);
	case A_KEYWORD: return parse_keyword(p, k);
	case A_NOT: return parse_children(p, k, 1, depth);
	case A_OR: return parse_children(p, k, 2, depth);
	case A_MODSEQ: return parse_modseq(p, k);
	case A_ID: return parse_id(p, k, (char)row->want);
	}
	return false;
}

static struct search_key *parse_named(struct parse *p, unsigned depth)
{
	struct str name;
	if (!lex_atom(p->l, &name)) { return NULL; }
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!str_ieq(name, str_of(rows[i].name))) { continue; }
		struct search_key *k = new_key(p, rows[i].kind);
		if (!k) { return NULL; }
		k->mask = rows[i].mask;
		k->want = rows[i].want;
		return parse_args(p, &rows[i], k, depth) ? k : NULL;
	}
	p->l->error = "unknown search key";
	return NULL;
}

/* Keys by spaces, all of which must match. */
static bool parse_list(struct parse *p, struct search_key *and, unsigned depth)
{
	struct search_key **tail = &and->child;
	do {
		*tail = parse_key(p, depth + 1);
		if (!*tail) { return false; }
		tail = &(*tail)->next;
	} while (lex_space(p->l));
	return true;
}

static struct search_key *parse_group(struct parse *p, unsigned depth)
{
	struct search_key *k = new_key(p, SEARCH_AND);
	if (!k || !parse_list(p, k, depth)) { return NULL; }
	if (lex_chr(p->l, ')')) { return k; }
	p->l->error = "expected ) after the keys";
	return NULL;
}

static struct search_key *parse_key(struct parse *p, unsigned depth)
{
	char c = lex_peek(p->l);
	if (depth > SEARCH_DEPTH_MAX) {
		p->l->error = "search keys nested too deep";
		return NULL;
	}
	if (lex_chr(p->l, '(')) { return parse_group(p, depth); }
	if (!ascii_digit(c) && c != '*' && c != '$') { return parse_named(p, depth); }
	struct search_key *k = new_key(p, SEARCH_SET);
	return k && lex_seqset(p->l, &k->set) ? k : NULL;
}

/* --- the command --- */

static bool parse_return(struct lex *l, struct search_request *req)
{
	struct str name;
	req->extended = true;
	if (!lex_space(l) || !lex_chr(l, '(')) { return fail(l, "expected RETURN options"); }
	while (!lex_chr(l, ')')) {
		size_t i = 0;
		if (req->returns && !lex_space(l)) { return fail(l, "expected a space"); }
		if (!lex_atom(l, &name)) { return false; }
		while (i < COUNT(returns) && !str_ieq(name, str_of(returns[i].name))) { i++; }
		if (i == COUNT(returns)) { return fail(l, "unknown RETURN option"); }
		req->returns |= returns[i].bit;
	}
	return lex_space(l);
}

static bool parse_charset(struct parse *p)
{
	if (!lex_space(p->l) || !lex_astring(p->l, &p->charset)) { return false; }
	p->req->bad_charset = p->charset.n > CHARSET_NAME_MAX || !charset_known(p->charset);
	return lex_space(p->l);
}

bool search_parse(struct lex *l, struct search_request *out)
{
	struct parse p = {.l = l, .req = out, .charset = STR("UTF-8")};
	*out = (struct search_request){0};
	if (lex_word(l, "RETURN") && !parse_return(l, out)) { return false; }
	if (!out->returns) { out->returns = RETURN_ALL; }
	if (lex_word(l, "CHARSET") && !parse_charset(&p)) { return false; }
	if (out->bad_charset) { p.charset = STR("UTF-8"); }
	out->root = new_key(&p, SEARCH_AND);
	if (!parse_list(&p, out->root, 0)) { return false; }
	return lex_end(l) ? true : fail(l, "expected the end of the command");
}
