/* imap: what SEARCH asks for, and whether a message matches. */
#include "t/tap.h"

#include "imap/search.h"

/* --- requests --- */

struct parse_case {
	const char *args;
	const char *want; /* the tree; NULL = refused */
};

static const struct parse_case parses[] = {
	{"ALL", "(all)"},
	{"1:3", "(set)"},
	{"$ uid 4", "(set set)"},
	{"UNSEEN DELETED", "(flags flags)"},
	{"NOT SEEN", "(not(flags))"},
	{"OR SEEN NOT FLAGGED", "(or(flags not(flags)))"},
	{"OR (SEEN 1) (ALL)", "(or((flags set) (all)))"},
	{"(SEEN)", "((flags))"},
	{"FROM x", "(From:x)"},
	{"SUBJECT \"Gr\303\234\303\237E\"", "(Subject:gru\314\210sse)"},
	{"CHARSET iso-8859-1 SUBJECT {2}\r\n\334x", "(Subject:u\314\210x)"},
	{"CHARSET UTF-8 ALL", "(all)"},
	{"CHARSET x-nope ALL", "bad charset"},
	{"HEADER X-Y \"\"", "(X-Y:)"},
	{"HEADER X-Y", NULL},
	{"BODY a TEXT b", "(body:a text:b)"},
	{"KEYWORD foo UNKEYWORD bar", "(keyword keyword)"},
	{"KEYWORD \\Seen", NULL},
	{"LARGER 5 SMALLER 7", "(6..max 0..6)"},
	{"SMALLER 0", "(0..-1)"},
	{"LARGER -1", NULL},
	{"BEFORE 2-Jan-1970 ON 2-Jan-1970 SINCE 2-Jan-1970", "(min..0 1..1 1..max)"},
	{"SENTON \"2-Jan-1970\"", "(1..1)"},
	{"ON yesterday", NULL},
	{"ON", NULL},
	{"OLDER 60 YOUNGER 60", "(60..max min..60)"},
	{"OLDER 0", NULL},
	{"MODSEQ 7", "(7..max)"},
	{"MODSEQ \"/flags/\\\\draft\" all 7", "(7..max)"},
	{"MODSEQ \"/flags/\\\\draft\" 7", NULL},
	{"NEW", "(none)"},
	{"EMAILID M0000000000000012 THREADID x", "(id none)"},
	{"RETURN (MIN MAX) ALL", "min max (all)"},
	{"RETURN () ALL", "all (all)"},
	{"RETURN (COUNT SAVE) CHARSET UTF-8 1", "count save (set)"},
	{"RETURN (FOO) ALL", NULL},
	{"RETURN (MIN", NULL},
	{"RETURN ALL", NULL},
	{"RETURN (MIN)", NULL},
	{"", NULL},
	{"ALL ", NULL},
	{"ALL  ALL", NULL},
	{" ALL", NULL},
	{"NOT", NULL},
	{"OR ALL", NULL},
	{"(ALL", NULL},
	{"()", NULL},
	{"ALL)", NULL},
	{"FOO", NULL},
	{"UID", NULL},
	{"UID x", NULL},
	{"0", NULL},
};

static void put_bound(struct buf *b, int64_t v)
{
	if (v == INT64_MIN || v == INT64_MAX) {
		buf_str(b, v == INT64_MIN ? STR("min") : STR("max"));
	} else {
		buf_fmt(b, "%lld", (long long)v);
	}
}

static void dump(const struct search_key *k, struct buf *b);

static void dump_children(const struct search_key *k, struct buf *b)
{
	buf_chr(b, '(');
	for (const struct search_key *c = k->child; c; c = c->next) {
		dump(c, b);
		if (c->next) { buf_chr(b, ' '); }
	}
	buf_chr(b, ')');
}

static void dump(const struct search_key *k, struct buf *b)
{
	static const char *const names[] = {[SEARCH_ALL] = "all",
		[SEARCH_NONE] = "none",
		[SEARCH_AND] = "",
		[SEARCH_OR] = "or",
		[SEARCH_NOT] = "not",
		[SEARCH_SET] = "set",
		[SEARCH_FLAGS] = "flags",
		[SEARCH_KEYWORD] = "keyword",
		[SEARCH_EMAILID] = "id",
		[SEARCH_THREADID] = "id",
		[SEARCH_BODY] = "body:",
		[SEARCH_TEXT] = "text:"};
	const char *name = k->kind < COUNT(names) ? names[k->kind] : NULL;
	if (name) {
		buf_str(b, str_of(name));
	} else if (k->kind == SEARCH_HEADER) {
		buf_fmt(b, "%.*s:", STR_ARG(k->name));
	} else {
		put_bound(b, k->lo);
		buf_str(b, STR(".."));
		put_bound(b, k->hi);
	}
	buf_str(b, k->text);
	if (k->kind == SEARCH_AND || k->kind == SEARCH_OR || k->kind == SEARCH_NOT) {
		dump_children(k, b);
	}
}

static void dump_request(const struct search_request *req, struct buf *b)
{
	static const char *const names[] = {"min ", "max ", "all ", "count ", "save "};
	for (unsigned i = 0; req->extended && i < COUNT(names); i++) {
		if (req->returns & 1U << i) { buf_str(b, str_of(names[i])); }
	}
	if (req->bad_charset) {
		buf_str(b, STR("bad charset"));
	} else {
		dump(req->root, b);
	}
}

static bool parse(struct str args, struct arena *a, struct search_request *req)
{
	struct lex l = {.in = args, .arena = a};
	return search_parse(&l, req);
}

static void test_parse(void)
{
	for (size_t i = 0; i < COUNT(parses); i++) {
		struct arena a = {0};
		struct search_request req;
		struct buf got = {0};
		if (parse(str_of(parses[i].args), &a, &req)) {
			dump_request(&req, &got);
		} else {
			buf_str(&got, STR("refused"));
		}
		tap_check_str(__FILE__, __LINE__, parses[i].args, buf_view(&got),
			str_of(parses[i].want ? parses[i].want : "refused"));
		buf_fini(&got);
		arena_fini(&a);
	}
}

/* `n` times `part`, then `end`. */
static bool parse_many(const char *part, unsigned n, const char *end)
{
	struct arena a = {0};
	struct buf args = {0};
	struct search_request req;
	for (unsigned i = 0; i < n; i++) { buf_str(&args, str_of(part)); }
	buf_str(&args, str_of(end));
	bool ok = parse(buf_view(&args), &a, &req);
	buf_fini(&args);
	arena_fini(&a);
	return ok;
}

static void test_limits(void)
{
	CHECK(parse_many("NOT ", SEARCH_DEPTH_MAX - 1, "ALL"));
	CHECK(!parse_many("NOT ", SEARCH_DEPTH_MAX, "ALL"));
	CHECK(!parse_many("(", 60000, ""));
	CHECK(!parse_many("OR ", 20000, "ALL"));
	CHECK(parse_many("ALL ", SEARCH_KEYS_MAX - 2, "ALL"));
	CHECK(!parse_many("ALL ", SEARCH_KEYS_MAX - 1, "ALL"));
	CHECK(!parse_many("BODY \"", 1, ""));
}

/* --- matching --- */

static const char prefix[] = "Delivered-To: someone@example.test\r\n";
static const char mail[] =
	"From: =?iso-8859-1?Q?J=F6rg?= <joerg@example.org>\r\n"
	"To: one@example.org,\r\n two@example.org\r\n"
	"Cc: <three (or 3)@ (not 4) example.org>, Four <four@example.org>\r\n"
	"Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n\tand more\r\n"
	"Date: Tue, 3 Nov 2026 23:30:00 -0500\r\n"
	"X-Cold: Frozen Value\r\n"
	"X-Folded: one\r\n\ttwo \r\n  \r\n three\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	"preamble word\r\n--b\r\n"
	"Content-Type: text/plain; charset=iso-8859-1\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	"Die Stra=DFe ist la=\r\nng\r\n--b\r\n"
	"Content-Type: text/plain; charset=utf-8; name=\"attached.txt\"\r\n"
	"Content-Transfer-Encoding: base64\r\n\r\n"
	"aGlkZGVuIHRyZWFzdXJl\r\n--b\r\n" /* hidden treasure */
	"Content-Type: image/png\r\n\r\npicture\r\n--b\r\n"
	"Content-Type: message/rfc822\r\n\r\n"
	"Subject: Inner Subject\r\nContent-Type: text/plain; charset=utf-16be\r\n"
	"Content-Transfer-Encoding: base64\r\n\r\n"
	"AHcAaQBkAGU=\r\n--b--\r\n"; /* wide */

struct match_case {
	const char *args;
	bool want;
};

static const struct match_case matches[] = {
	{"ALL", true},
	{"RECENT", false},
	{"SEEN", true},
	{"UNSEEN", false},
	{"FLAGGED", false},
	{"SEEN UNFLAGGED", true},
	{"NOT SEEN", false},
	{"OR UNSEEN LARGER 10", true},
	{"OR UNSEEN SMALLER 10", false},
	{"(SEEN) NOT (SEEN FLAGGED)", true},
	{"NOT (OR SEEN FLAGGED)", false},
	{"SINCE 24-Nov-2026", true},
	{"BEFORE 24-Nov-2026", false},
	{"ON 24-Nov-2026", true},
	{"SENTON 3-Nov-2026", true}, /* in its own zone */
	{"SENTON 4-Nov-2026", false},
	{"SENTBEFORE 3-Nov-2026", false},
	{"SENTSINCE 3-Nov-2026", true},
	{"OLDER 5", true},
	{"YOUNGER 5", false},
	{"MODSEQ 40", true},
	{"MODSEQ 41", false},
	{"EMAILID M0000000000000011", true},
	{"EMAILID M0000000000000012", false},
	{"FROM \"j\303\226rg\"", true},
	{"FROM joerg@", true},
	{"CC three@example.org", true},
	{"CC \"(or 3)\"", true},
	{"CC four@example.org CC hree@exam", true},
	{"NOT CC three@example.com", true},
	{"HEADER Cc three@example.org", false},
	{"FROM =?iso", false},
	{"TO \"one@example.org, two@\"", true},
	{"CC zzz", false},
	{"SUBJECT \"GR\303\234SSE\"", true},
	{"SUBJECT \"e and\"", true},
	{"SUBJECT \"\"", true},
	{"BCC \"\"", false},
	{"HEADER X-Cold \"frozen v\"", true},
	{"HEADER X-Cold thawed", false},
	{"HEADER X-Folded \"one two three\"", true},
	{"TEXT \"one two three\"", true},
	{"HEADER X-None \"\"", false},
	{"HEADER Delivered-To someone", true},
	{"BODY \"stra\303\237e\"", true},
	{"BODY \"STRASSE IST LANG\"", true},
	{"BODY \"=DFe\"", false},
	{"BODY treasure", true},
	{"BODY aGlkZGVu", false},
	{"BODY wide", true},
	{"BODY picture", false},
	{"BODY \"inner subj\"", true},
	{"BODY attached.txt", true},
	{"BODY frozen", false},
	{"BODY \"\"", true},
	{"TEXT frozen", true},
	{"TEXT x-cold", true},
	{"TEXT treasure", true},
	{"TEXT nowhere", false},
	{"NOT TEXT nowhere", true},
	{"OR BODY nowhere BODY treasure", true},
	{"BODY treasure BODY nowhere", false},
	{"FROM \"j\303\226rg\" BODY lang HEADER x-cold value SEEN", true},
};

struct source {
	struct str octets; /* prefix and message */
	struct mimerec rec;
	size_t most; /* octets given at once */
};

static const struct mimerec *give_record(void *ctx)
{
	return &((struct source *)ctx)->rec;
}

static int give_bytes(void *ctx, uint64_t off, struct str *out)
{
	const struct source *src = ctx;
	*out = str_sub(src->octets, off, src->most);
	return 0;
}

/* Budget 0 stops wherever it can. */
static bool match(const char *args, struct source *src, int64_t budget)
{
	struct arena a = {0};
	struct search_request req;
	struct matcher m = {.req = &req};
	struct msg msg = {.oid = 0x11,
		.modseq = 40,
		.flags = FLAG_SEEN,
		.size = src->octets.n,
		.internaldate_us = 1795500000 * SECOND_US,
		.prefix = str_sub(src->octets, 0, sizeof prefix - 1)};
	struct search_message sm = {.msg = &msg,
		.now_us = 1795500010 * SECOND_US,
		.record = give_record,
		.bytes = give_bytes,
		.ctx = src};
	enum match got = MATCH_UNKNOWN;
	unsigned rounds = 0;
	CHECK(parse(str_of(args), &a, &req));
	matcher_reset(&m);
	while (got == MATCH_UNKNOWN && rounds++ < 10000) {
		m.cost = -1;
		got = matcher_run(&m, &sm, budget);
	}
	CHECK(got != MATCH_UNKNOWN);
	matcher_fini(&m);
	arena_fini(&a);
	return got == MATCH_YES;
}

static void source_build(struct source *src, struct str text, struct arena *a, struct buf *octets)
{
	struct buf packed = {0};
	struct mime *m = mime_new();
	mime_add(m, text);
	mime_end(m);
	mimerec_build(m, &packed);
	mime_free(m);
	CHECK_INT(mimerec_read(arena_dup(a, buf_view(&packed)), a, &src->rec), 0);
	buf_fini(&packed);
	buf_str(octets, str_of(prefix));
	buf_str(octets, text);
	src->octets = buf_view(octets);
	src->most = octets->n;
}

static void test_match(void)
{
	struct arena a = {0};
	struct buf octets = {0};
	struct source src;
	source_build(&src, str_of(mail), &a, &octets);
	for (size_t most = 1; most <= octets.n; most = most == 1 ? 7 : most * 100) {
		src.most = most;
		for (size_t i = 0; i < COUNT(matches); i++) {
			const struct match_case *c = &matches[i];
			tap_check_int(__FILE__, __LINE__, c->args, match(c->args, &src, 1 << 30),
				c->want);
			tap_check_int(
				__FILE__, __LINE__, c->args, match(c->args, &src, 0), c->want);
		}
	}
	src.rec.hot_complete = false; /* then the header is read */
	CHECK(match("SUBJECT \"gr\303\274sse\"", &src, 1 << 30));
	CHECK(!match("SUBJECT nowhere", &src, 1 << 30));
	buf_fini(&octets);
	arena_fini(&a);
}

/* A needle across the places where a long body is cut. */
static void test_long_body(void)
{
	struct arena a = {0};
	struct buf text = {0}, octets = {0};
	struct source src;
	buf_str(&text, STR("Subject: long\r\n\r\n"));
	for (unsigned i = 0; i < 20000; i++) {
		buf_fmt(&text, "line %u.%s", i, i % 7 ? "" : "\r\n");
	}
	source_build(&src, buf_view(&text), &a, &octets);
	src.most = 65512;
	CHECK(match("BODY \"line 19998.line 19999.\"", &src, 1 << 30));
	for (unsigned i = 1; i < 19999; i += 97) {
		char args[80];
		snprintf(args, sizeof args, "BODY \"line %u.%sline %u.\"", i, i % 7 ? "" : "\\\"",
			i + 1);
		CHECK_INT(match(args, &src, 20000), i % 7 != 0);
	}
	buf_fini(&text);
	buf_fini(&octets);
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"requests", test_parse},
		{"limits of requests", test_limits},
		{"matching", test_match},
		{"long bodies", test_long_body},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
