/* LIST and LSUB (RFC 9051 6.3.9, RFC 5258, 5819, 6154, RFC 3501 6.3.9). The imap role. All names of
   the account are read in one snapshot, in octet order; what a pattern matches is answered in that
   order, with parents that are no mailboxes themselves. */
#include "imap/condstore.h"
#include "imap/list_match.h"
#include "imap/mailbox_commands.h"
#include "imap/status.h"
#include "imap/uses.h"

enum { PATTERNS_MAX = 32 };

enum {
	SELECT_SUBSCRIBED = 1,
	SELECT_RECURSIVE = 2,
	SELECT_SPECIAL_USE = 4,
	SELECT_REMOTE = 8, /* there are no remote ones: nothing more to list */
	RETURN_SUBSCRIBED = 16,
	RETURN_CHILDREN = 32,
	RETURN_SPECIAL_USE = 64,
	RETURN_STATUS = 128,
	EXTENDED = 256, /* a form that RFC 3501 does not have */
	LSUB = 512
};

struct list_request {
	unsigned options;
	uint32_t status; /* items */
	struct str patterns[PATTERNS_MAX];
	size_t patterns_n;
	struct str reference;
};

struct entry {
	struct str name;
	const struct mname *row; /* NULL: only a parent of others */
	bool children;
	bool children_subscribed; /* somewhere below */
	bool children_hidden;     /* one of those does not match the patterns: it is not told */
};

/* --- reading the command --- */

static bool selection_options(struct lex *l, unsigned *options)
{
	static const struct {
		const char *name;
		unsigned bit;
	} rows[] = {{"SUBSCRIBED", SELECT_SUBSCRIBED}, {"REMOTE", SELECT_REMOTE},
		{"RECURSIVEMATCH", SELECT_RECURSIVE}, {"SPECIAL-USE", SELECT_SPECIAL_USE}};
	if (lex_peek(l) != '(') { return true; }
	*options |= EXTENDED;
	lex_chr(l, '(');
	while (lex_peek(l) != ')') {
		size_t i = 0;
		struct str word;
		if (!lex_atom(l, &word)) { return false; }
		while (i < COUNT(rows) && !str_ieq(word, str_of(rows[i].name))) { i++; }
		if (i == COUNT(rows)) {
			l->error = "unknown selection option";
			return false;
		}
		*options |= rows[i].bit;
		if (lex_peek(l) == ' ' && !lex_space(l)) { return false; }
	}
	if ((*options & SELECT_RECURSIVE) && !(*options & SELECT_SUBSCRIBED)) {
		l->error = "RECURSIVEMATCH needs SUBSCRIBED"; /* RFC 5258 3.1 */
		return false;
	}
	return lex_chr(l, ')') && lex_space(l);
}

static bool patterns(struct lex *l, struct list_request *r)
{
	if (lex_peek(l) != '(') { return lex_list_mailbox(l, &r->patterns[r->patterns_n++]); }
	r->options |= EXTENDED;
	lex_chr(l, '(');
	do {
		if (r->patterns_n == PATTERNS_MAX) {
			l->error = "too many patterns";
			return false;
		}
		if (!lex_list_mailbox(l, &r->patterns[r->patterns_n++])) { return false; }
	} while (lex_peek(l) == ' ' && lex_space(l));
	return lex_chr(l, ')');
}

static bool return_option(struct lex *l, struct list_request *r)
{
	struct str word;
	if (!lex_atom(l, &word)) { return false; }
	if (str_ieq(word, STR("SUBSCRIBED"))) {
		r->options |= RETURN_SUBSCRIBED;
	} else if (str_ieq(word, STR("CHILDREN"))) {
		r->options |= RETURN_CHILDREN;
	} else if (str_ieq(word, STR("SPECIAL-USE"))) {
		r->options |= RETURN_SPECIAL_USE;
	} else if (str_ieq(word, STR("STATUS"))) {
		r->options |= RETURN_STATUS;
		return lex_space(l) && status_items(l, &r->status);
	} else {
		l->error = "unknown return option";
		return false;
	}
	return true;
}

static bool return_options(struct lex *l, struct list_request *r)
{
	if (lex_end(l)) { return true; }
	r->options |= EXTENDED;
	if (!lex_space(l) || !lex_word(l, "RETURN") || !lex_space(l) || !lex_chr(l, '(')) {
		return false;
	}
	while (lex_peek(l) != ')') {
		if (!return_option(l, r)) { return false; }
		if (lex_peek(l) == ' ' && !lex_space(l)) { return false; }
	}
	return lex_chr(l, ')') && lex_end(l);
}

/* --- names with their parents --- */

static size_t depth_of(struct str name)
{
	size_t n = 0;
	for (size_t i = 0; i < name.n; i++) { n += name.p[i] == '/'; }
	return n;
}

/* Is `child` below `parent`? */
static bool below(struct str child, struct str parent)
{
	return child.n > parent.n && child.p[parent.n] == '/' && str_starts(child, parent);
}

/* Octet order puts "a b" between "a" and "a/b": a slash sorts before everything here, so that the
   children stand right behind their parent. */
static int by_level(const void *x, const void *y)
{
	struct str a = ((const struct entry *)x)->name, b = ((const struct entry *)y)->name;
	size_t n = MIN(a.n, b.n);
	for (size_t i = 0; i < n; i++) {
		unsigned ca = (unsigned char)a.p[i], cb = (unsigned char)b.p[i];
		if (ca == cb) { continue; }
		ca = ca == '/' ? 0 : ca;
		cb = cb == '/' ? 0 : cb;
		return ca < cb ? -1 : 1;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

/* All names and the parents they imply, without doubles, parents before children. */
static size_t make_entries(const struct mname *names, size_t n, struct arena *a, struct entry **out)
{
	size_t most = 0, total = 0;
	for (size_t i = 0; i < n; i++) { most += depth_of(names[i].name) + 1; }
	struct entry *v = arena_array(a, most + 1, sizeof *v);
	for (size_t i = 0; i < n; i++) {
		struct str name = names[i].name;
		for (size_t k = 0; k < name.n; k++) {
			if (name.p[k] == '/') { v[total++].name = str_sub(name, 0, k); }
		}
		v[total].name = name;
		v[total++].row = &names[i];
	}
	if (total) { qsort(v, total, sizeof *v, by_level); }
	size_t kept = 0;
	for (size_t i = 0; i < total; i++) {
		if (kept && str_eq(v[kept - 1].name, v[i].name)) {
			if (v[i].row) { v[kept - 1].row = v[i].row; }
		} else {
			v[kept++] = v[i];
		}
	}
	*out = v;
	return kept;
}

static bool exists(const struct entry *e)
{
	return e->row && e->row->mid;
}

static bool subscribed(const struct entry *e)
{
	return e->row && e->row->subscribed;
}

static bool matches(const struct list_request *r, struct str name)
{
	for (size_t i = 0; i < r->patterns_n; i++) {
		if (list_match(r->patterns[i], name)) { return true; }
	}
	return false;
}

/* Tell each parent of its children: the chain of parents of the entry at hand is kept as a stack.
 */
static void mark_parents(const struct list_request *r, struct entry *v, size_t n)
{
	size_t stack[MAILBOX_DEPTH_MAX + 2], depth = 0;
	for (size_t i = 0; i < n; i++) {
		bool hidden = subscribed(&v[i]) && !matches(r, v[i].name);
		while (depth && !below(v[i].name, v[stack[depth - 1]].name)) { depth--; }
		for (size_t k = 0; k < depth; k++) {
			v[stack[k]].children |= exists(&v[i]);
			v[stack[k]].children_subscribed |= subscribed(&v[i]);
			v[stack[k]].children_hidden |= hidden;
		}
		if (depth <= MAILBOX_DEPTH_MAX) { stack[depth++] = i; }
	}
}

/* --- answering --- */

/* Is the entry in the answer? CHILDINFO tells what lies below it (RFC 5258 3.1); for that alone it
   is only told when the client would not see it otherwise (3.5). */
static bool selected(const struct list_request *r, const struct entry *e, bool *child_info)
{
	unsigned o = r->options;
	*child_info = false;
	if (o & LSUB) { /* RFC 3501 6.3.9: with %, a parent of a subscribed name is \Noselect */
		bool percent = false;
		for (size_t i = 0; i < r->patterns_n; i++) {
			percent |= str_ends(r->patterns[i], STR("%"));
		}
		*child_info = percent && !subscribed(e) && e->children_subscribed;
		return subscribed(e) || *child_info;
	}
	if (o & SELECT_SUBSCRIBED) {
		bool self = subscribed(e);
		*child_info = (o & SELECT_RECURSIVE) && e->children_subscribed;
		if ((o & SELECT_SPECIAL_USE) && !(exists(e) && e->row->special_use)) {
			self = false;
		}
		return self || (*child_info && e->children_hidden);
	}
	if ((o & SELECT_SPECIAL_USE) && !(exists(e) && e->row->special_use)) { return false; }
	return exists(e) || e->children;
}

static void put_attributes(struct session *s, const struct list_request *r, const struct entry *e,
	bool child_info, struct buf *out)
{
	struct buf attrs = {0};
	unsigned o = r->options;
	if (o & LSUB) {
		if (child_info) { buf_str(&attrs, STR(" \\Noselect")); }
	} else {
		if (!exists(e)) {
			buf_str(&attrs, s->rev2 || (o & EXTENDED) ? STR(" \\NonExistent")
								  : STR(" \\Noselect"));
		}
		if (subscribed(e) && (o & (SELECT_SUBSCRIBED | RETURN_SUBSCRIBED))) {
			buf_str(&attrs, STR(" \\Subscribed"));
		}
		buf_str(&attrs, e->children ? STR(" \\HasChildren") : STR(" \\HasNoChildren"));
		if (exists(e)) { uses_put(e->row->special_use, &attrs); }
	}
	buf_str(out, str_skip(buf_view(&attrs), 1));
	buf_fini(&attrs);
}

static void put_entry(struct session *s, struct snap *sn, const struct list_request *r,
	const struct entry *e, bool child_info)
{
	struct buf *out = session_out(s);
	struct mbox mb;
	buf_str(out, r->options & LSUB ? STR("* LSUB (") : STR("* LIST ("));
	put_attributes(s, r, e, child_info, out);
	buf_str(out, STR(") \"/\" "));
	session_put_mailbox(s, e->name, out);
	if (child_info && !(r->options & LSUB)) {
		buf_str(out, STR(" (\"CHILDINFO\" (\"SUBSCRIBED\"))"));
	}
	buf_str(out, STR("\r\n"));
	if ((r->options & RETURN_STATUS) && exists(e) && snap_mbox(sn, e->row->mid, &mb) == 0) {
		status_put(s, e->name, &mb, r->status);
	}
}

static enum step answer(struct session *s, const struct list_request *r)
{
	struct snap sn;
	struct mname *names;
	struct entry *v;
	size_t names_n;
	int rc = snap_begin(session_store(s), &sn);
	if (rc < 0) { return session_no_rc(s, rc); }
	rc = snap_mnames(&sn, s->aid, &s->arena, &names, &names_n);
	if (rc == 0) {
		size_t n = make_entries(names, names_n, &s->arena, &v);
		mark_parents(r, v, n);
		for (size_t i = 0; i < n; i++) {
			bool child_info;
			if (matches(r, v[i].name) && selected(r, &v[i], &child_info)) {
				put_entry(s, &sn, r, &v[i], child_info);
			}
		}
	}
	snap_end(&sn);
	if (rc < 0) { return session_no_rc(s, rc); }
	if (status_wants_modseq(r->status)) { condstore_enable(s); }
	return session_ok(s, NULL, "Done");
}

/* The reference goes before each pattern (RFC 9051 6.3.9.1). */
static void add_reference(struct session *s, struct list_request *r)
{
	for (size_t i = 0; r->reference.n && i < r->patterns_n; i++) {
		r->patterns[i] = arena_fmt(
			&s->arena, "%.*s%.*s", STR_ARG(r->reference), STR_ARG(r->patterns[i]));
	}
}

/* LIST "" "": the hierarchy separator, and no mailbox. */
static enum step separator(struct session *s, const char *word)
{
	session_put(s, "* %s (\\Noselect) \"/\" \"\"\r\n", word);
	return session_ok(s, NULL, "Done");
}

enum step cmd_list(struct session *s)
{
	struct list_request r = {0};
	struct lex *l = &s->lex;
	if (!selection_options(l, &r.options) || !lex_mailbox(l, &r.reference) || !lex_space(l) ||
		!patterns(l, &r) || !return_options(l, &r)) {
		return session_bad_lex(s);
	}
	bool plain = !(r.options & EXTENDED) && r.patterns_n == 1;
	if (plain && r.patterns[0].n == 0) { return separator(s, "LIST"); }
	add_reference(s, &r);
	return answer(s, &r);
}

enum step cmd_lsub(struct session *s)
{
	struct list_request r = {.options = LSUB, .patterns_n = 1};
	struct lex *l = &s->lex;
	if (!lex_mailbox(l, &r.reference) || !lex_space(l) ||
		!lex_list_mailbox(l, &r.patterns[0]) || !lex_end(l)) {
		return session_bad_lex(s);
	}
	if (r.patterns[0].n == 0) { return separator(s, "LSUB"); }
	add_reference(s, &r);
	return answer(s, &r);
}
