/* Reads the arguments of FETCH (RFC 9051 9, fetch; RFC 3501; RFC 3516; RFC 7162 modifiers). Pure
   functions over one whole command. Never looks at a mailbox. */
#include "imap/fetch.h"

enum brackets {
	B_NONE,   /* no section may follow */
	B_MAY,    /* BODY and BODY[...] */
	B_TEXT,   /* a section must follow */
	B_BINARY, /* only part numbers */
	B_WHOLE   /* stands for a section of its own: RFC822 */
};

struct item_row {
	const char *name;
	enum fetch_kind kind;
	enum brackets brackets;
	bool peek, no_partial;
	enum section_text text; /* of B_WHOLE */
	const char *label;      /* what the answer says, when it is not the name */
};

static const struct item_row rows[] = {
	{"UID", FETCH_UID},
	{"FLAGS", FETCH_FLAGS},
	{"INTERNALDATE", FETCH_INTERNALDATE},
	{"SAVEDATE", FETCH_SAVEDATE},
	{"RFC822.SIZE", FETCH_SIZE},
	{"MODSEQ", FETCH_MODSEQ},
	{"EMAILID", FETCH_EMAILID},
	{"THREADID", FETCH_THREADID},
	{"ENVELOPE", FETCH_ENVELOPE},
	{"BODY", FETCH_BODY, B_MAY},
	{"BODY.PEEK", FETCH_SECTION, B_TEXT, .peek = true, .label = "BODY"},
	{"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
	{"BINARY", FETCH_BINARY, B_BINARY},
	{"BINARY.PEEK", FETCH_BINARY, B_BINARY, .peek = true, .label = "BINARY"},
	{"BINARY.SIZE", FETCH_BINARY_SIZE, B_BINARY, .peek = true, .no_partial = true},
	{"RFC822", FETCH_SECTION, B_WHOLE, .text = SECTION_ALL},
	{"RFC822.HEADER", FETCH_SECTION, B_WHOLE, .peek = true, .text = SECTION_HEADER},
	{"RFC822.TEXT", FETCH_SECTION, B_WHOLE, .text = SECTION_TEXT},
};

static const struct {
	const char *name;
	uint32_t kinds;
} macros[] = {
#define FAST (1U << FETCH_FLAGS | 1U << FETCH_INTERNALDATE | 1U << FETCH_SIZE)
	{"FAST", FAST},
	{"ALL", FAST | 1U << FETCH_ENVELOPE},
	{"FULL", FAST | 1U << FETCH_ENVELOPE | 1U << FETCH_BODY},
};

static const struct {
	const char *name;
	enum section_text text;
} texts[] = {
	{"HEADER", SECTION_HEADER},
	{"HEADER.FIELDS", SECTION_FIELDS},
	{"HEADER.FIELDS.NOT", SECTION_FIELDS_NOT},
	{"TEXT", SECTION_TEXT},
	{"MIME", SECTION_MIME},
};

struct parse {
	struct lex *l;
	struct fetch_request *req;
	struct fetch_item **tail;
	unsigned n;
};

static bool fail(struct lex *l, const char *why)
{
	l->error = why;
	return false;
}

/* A run of letters, digits and dots: names stop before '[', which an atom does not. */
static struct str cut_name(struct lex *l)
{
	size_t from = l->at;
	while (l->at < l->in.n) {
		char c = l->in.p[l->at];
		if (!ascii_alpha(c) && !ascii_digit(c) && c != '.') { break; }
		l->at++;
	}
	return str_sub(l->in, from, l->at - from);
}

static struct fetch_item *add_item(struct parse *p, enum fetch_kind kind, struct str label)
{
	struct fetch_item *it = arena_new(p->l->arena, struct fetch_item);
	*it = (struct fetch_item){.kind = kind, .label = label};
	p->req->kinds |= 1U << kind;
	*p->tail = it;
	p->tail = &it->next;
	p->n++;
	return it;
}

static void add_plain(struct parse *p, enum fetch_kind kind)
{
	if (p->req->kinds & 1U << kind) { return; }
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].kind == kind) {
			add_item(p, kind, str_of(rows[i].name));
			return;
		}
	}
}

/* --- sections --- */

static bool field_name(struct lex *l, struct str *out)
{
	if (!lex_astring(l, out)) { return false; }
	for (size_t i = 0; i < out->n; i++) {
		if (out->p[i] <= ' ' || out->p[i] > '~' || out->p[i] == ':') {
			return fail(l, "a header field name holds an octet that it cannot have");
		}
	}
	return out->n ? true : fail(l, "expected a header field name");
}

struct field_node {
	struct field_node *next;
	struct str name;
};

static bool parse_fields(struct lex *l, struct section *sec)
{
	struct field_node *first = NULL, **tail = &first;
	if (!lex_space(l) || !lex_chr(l, '(')) { return fail(l, "expected a list of fields"); }
	do {
		struct field_node *f = arena_new(l->arena, struct field_node);
		if (!field_name(l, &f->name)) { return false; }
		*tail = f;
		tail = &f->next;
		sec->fields_n++;
	} while (lex_space(l));
	if (!lex_chr(l, ')')) { return fail(l, "expected ) after the fields"); }
	sec->fields = arena_array(l->arena, sec->fields_n, sizeof *sec->fields);
	sec->hot = sec->text == SECTION_FIELDS;
	for (uint32_t i = 0; first; first = first->next) {
		sec->fields[i++] = first->name;
		sec->hot = sec->hot && mimerec_is_hot(first->name);
	}
	return true;
}

/* Part numbers; *more when a dot stands behind the last. */
static bool parse_path(struct lex *l, struct section *sec, bool *more)
{
	*more = true;
	while (*more && ascii_digit(lex_peek(l))) {
		if (sec->path_n == FETCH_PATH_MAX) { return fail(l, "part numbers too deep"); }
		if (!lex_nz_number(l, &sec->path[sec->path_n++])) { return false; }
		*more = lex_chr(l, '.');
	}
	return true;
}

static bool parse_text(struct lex *l, struct section *sec)
{
	struct str name = cut_name(l);
	for (size_t i = 0; i < COUNT(texts); i++) {
		if (!str_ieq(name, str_of(texts[i].name))) { continue; }
		sec->text = texts[i].text;
		if (sec->text == SECTION_MIME && !sec->path_n) {
			return fail(l, "MIME needs a part number");
		}
		bool list = sec->text == SECTION_FIELDS || sec->text == SECTION_FIELDS_NOT;
		return list ? parse_fields(l, sec) : true;
	}
	return fail(l, "unknown section");
}

static bool parse_section(struct lex *l, bool binary, struct section *sec)
{
	bool more;
	if (!lex_chr(l, '[')) { return fail(l, "expected [ and a section"); }
	if (!parse_path(l, sec, &more)) { return false; }
	if (binary && sec->path_n && more) { return fail(l, "expected a part number"); }
	if (!binary && more && (sec->path_n || lex_peek(l) != ']') && !parse_text(l, sec)) {
		return false;
	}
	return lex_chr(l, ']') ? true : fail(l, "expected ] after the section");
}

static bool parse_partial(struct lex *l, struct fetch_item *it)
{
	if (!lex_chr(l, '<')) { return true; }
	it->partial = true;
	if (!lex_number64(l, &it->off) || !lex_chr(l, '.') || !lex_number64(l, &it->len) ||
		!it->len || !lex_chr(l, '>')) {
		return fail(l, "expected <offset.length>");
	}
	return true;
}

/* --- labels --- */

static bool needs_quotes(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (strchr("(){%*\"\\]", name.p[i])) { return true; }
	}
	return false;
}

static void put_field(struct buf *b, struct str name)
{
	if (!needs_quotes(name)) {
		buf_str(b, name);
		return;
	}
	buf_chr(b, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\') { buf_chr(b, '\\'); }
		buf_chr(b, name.p[i]);
	}
	buf_chr(b, '"');
}

static const char *text_name(enum section_text text)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		if (texts[i].text == text) { return texts[i].name; }
	}
	return "";
}

static void put_section(struct buf *b, const struct section *sec)
{
	for (uint32_t i = 0; i < sec->path_n; i++) { buf_fmt(b, i ? ".%u" : "%u", sec->path[i]); }
	if (sec->path_n && sec->text != SECTION_ALL) { buf_chr(b, '.'); }
	buf_str(b, str_of(text_name(sec->text)));
	for (uint32_t i = 0; i < sec->fields_n; i++) {
		buf_str(b, i ? STR(" ") : STR(" ("));
		put_field(b, sec->fields[i]);
	}
	if (sec->fields_n) { buf_chr(b, ')'); }
}

static struct str make_label(struct arena *a, const char *name, const struct fetch_item *it)
{
	struct buf b = {0};
	buf_str(&b, str_of(name));
	buf_chr(&b, '[');
	put_section(&b, it->section);
	buf_chr(&b, ']');
	if (it->partial) { buf_fmt(&b, "<%llu>", (unsigned long long)it->off); }
	struct str label = arena_dup(a, buf_view(&b));
	buf_fini(&b);
	return label;
}

/* --- items --- */

static bool parse_bracketed(struct parse *p, const struct item_row *row)
{
	bool binary = row->brackets == B_BINARY;
	struct fetch_item *it =
		add_item(p, row->kind == FETCH_BODY ? FETCH_SECTION : row->kind, str_of(row->name));
	it->section = arena_new(p->l->arena, struct section);
	it->seen = !row->peek;
	if (row->brackets == B_WHOLE) {
		it->section->text = row->text;
		return true;
	}
	if (!parse_section(p->l, binary, it->section)) { return false; }
	if (!row->no_partial && !parse_partial(p->l, it)) { return false; }
	it->label = make_label(p->l->arena, row->label ? row->label : row->name, it);
	return true;
}

static bool parse_item(struct parse *p)
{
	struct str name = cut_name(p->l);
	if (p->n == FETCH_ITEMS_MAX) { return fail(p->l, "too many items"); }
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct item_row *row = &rows[i];
		if (!str_ieq(name, str_of(row->name))) { continue; }
		bool plain = row->brackets == B_NONE ||
			     (row->brackets == B_MAY && lex_peek(p->l) != '[');
		if (!plain) { return parse_bracketed(p, row); }
		add_plain(p, row->kind);
		return true;
	}
	return fail(p->l, "unknown FETCH item");
}

static bool parse_macro(struct parse *p)
{
	size_t at = p->l->at;
	struct str name = cut_name(p->l);
	for (size_t i = 0; i < COUNT(macros); i++) {
		if (!str_ieq(name, str_of(macros[i].name))) { continue; }
		for (unsigned k = 0; k <= FETCH_BODYSTRUCTURE; k++) {
			if (macros[i].kinds & 1U << k) { add_plain(p, (enum fetch_kind)k); }
		}
		return true;
	}
	p->l->at = at;
	return false;
}

static bool parse_items(struct parse *p)
{
	if (!lex_chr(p->l, '(')) { return parse_macro(p) || parse_item(p); }
	do {
		if (!parse_item(p)) { return false; }
	} while (lex_space(p->l));
	return lex_chr(p->l, ')') ? true : fail(p->l, "expected ) after the items");
}

/* --- modifiers --- */

static bool parse_modifier(struct parse *p)
{
	if (lex_word(p->l, "CHANGEDSINCE")) {
		p->req->changed = true;
		return lex_space(p->l) && lex_number64(p->l, &p->req->changed_since);
	}
	if (lex_word(p->l, "VANISHED")) {
		p->req->vanished = true;
		return true;
	}
	return fail(p->l, "unknown FETCH modifier");
}

static bool parse_modifiers(struct parse *p)
{
	if (!lex_space(p->l)) { return true; }
	if (!lex_chr(p->l, '(')) { return fail(p->l, "expected modifiers"); }
	do {
		if (!parse_modifier(p)) { return false; }
	} while (lex_space(p->l));
	if (!lex_chr(p->l, ')')) { return fail(p->l, "expected ) after the modifiers"); }
	if (p->req->vanished && !p->req->changed) {
		return fail(p->l, "VANISHED needs CHANGEDSINCE");
	}
	return true;
}

void fetch_add(struct arena *a, struct fetch_request *req, enum fetch_kind kind)
{
	struct lex l = {.arena = a};
	struct parse p = {.l = &l, .req = req, .tail = &req->items};
	while (*p.tail) { p.tail = &(*p.tail)->next; }
	add_plain(&p, kind);
}

bool fetch_parse(struct lex *l, bool uid, struct fetch_request *out)
{
	struct parse p = {.l = l, .req = out, .tail = &out->items};
	*out = (struct fetch_request){0};
	if (!lex_seqset(l, &out->set) || !lex_space(l)) { return false; }
	if (uid) { add_plain(&p, FETCH_UID); }
	if (!parse_items(&p) || !parse_modifiers(&p)) { return false; }
	if (!lex_end(l)) { return fail(l, "expected the end of the command"); }
	if (out->vanished && !uid) { return fail(l, "VANISHED is for UID FETCH"); }
	if (out->changed) { add_plain(&p, FETCH_MODSEQ); }
	for (const struct fetch_item *it = out->items; it; it = it->next) {
		out->sets_seen = out->sets_seen || it->seen;
	}
	return true;
}
