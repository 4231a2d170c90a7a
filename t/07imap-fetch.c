/* imap: what FETCH asks for, and where it stands in a message. */
#include "t/tap.h"

#include "imap/fetch.h"

/* --- requests --- */

struct parse_case {
	const char *args;
	const char *want; /* labels by spaces, * behind those that set \Seen; NULL = refused */
	bool uid;
};

static const struct parse_case parses[] = {
	{"1 FLAGS", "FLAGS"},
	{"1:* all", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE"},
	{"1 FAST", "FLAGS INTERNALDATE RFC822.SIZE"},
	{"1 FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY"},
	{"1 (FLAGS ALL)", NULL},
	{"1 (uid flags Flags)", "UID FLAGS"},
	{"1 (FLAGS)", "UID FLAGS", true},
	{"1 (FLAGS UID)", "UID FLAGS", true},
	{"1 (BODY BODYSTRUCTURE)", "BODY BODYSTRUCTURE"},
	{"1 BODY[]", "BODY[]*"},
	{"1 body.peek[]", "BODY[]"},
	{"1 BODY[]<5.10>", "BODY[]<5>*"},
	{"1 BODY[]<5.0>", NULL},
	{"1 BODY[]<5>", NULL},
	{"1 BODY[text]", "BODY[TEXT]*"},
	{"1 BODY[1]", "BODY[1]*"},
	{"1 BODY[1.2.3]", "BODY[1.2.3]*"},
	{"1 BODY[1.2.TEXT]", "BODY[1.2.TEXT]*"},
	{"1 BODY[1.MIME]", "BODY[1.MIME]*"},
	{"1 BODY[MIME]", NULL},
	{"1 BODY[1.]", NULL},
	{"1 BODY[0]", NULL},
	{"1 BODY[.1]", NULL},
	{"1 BODY[1.FOO]", NULL},
	{"1 BODY[", NULL},
	{"1 BODY]", NULL},
	{"1 BODY.PEEK", NULL},
	{"1 BODY.PEEK[HEADER.FIELDS (from TO)]", "BODY[HEADER.FIELDS (from TO)]"},
	{"1 BODY[2.HEADER.FIELDS.NOT (x)]<0.9>", "BODY[2.HEADER.FIELDS.NOT (x)]<0>*"},
	{"1 BODY[HEADER.FIELDS (\"a(b\")]", "BODY[HEADER.FIELDS (\"a(b\")]*"},
	{"1 BODY[HEADER.FIELDS ({4}\r\nFrom)]", "BODY[HEADER.FIELDS (From)]*"},
	{"1 BODY[HEADER.FIELDS ({4}\r\nF\r\nm)]", NULL},
	{"1 BODY[HEADER.FIELDS ()]", NULL},
	{"1 BODY[HEADER.FIELDS]", NULL},
	{"1 BODY[TEXT (a)]", NULL},
	{"1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
		"RFC822* RFC822.HEADER RFC822.TEXT* RFC822.SIZE"},
	{"1 BINARY[]", "BINARY[]*"},
	{"1 BINARY.PEEK[1.2]<0.7>", "BINARY[1.2]<0>"},
	{"1 BINARY.SIZE[1]", "BINARY.SIZE[1]"},
	{"1 BINARY.SIZE[1]<0.7>", NULL},
	{"1 BINARY[TEXT]", NULL},
	{"1 BINARY[1.]", NULL},
	{"1 MODSEQ", "MODSEQ"},
	{"1 (EMAILID THREADID SAVEDATE)", "EMAILID THREADID SAVEDATE"},
	{"1 FLAGS (CHANGEDSINCE 12)", "FLAGS MODSEQ"},
	{"1 (UID) (CHANGEDSINCE 12 VANISHED)", "UID MODSEQ", true},
	{"1 (UID) (CHANGEDSINCE 12 VANISHED)", NULL},
	{"1 (UID) (VANISHED)", NULL, true},
	{"1 FLAGS (FOO)", NULL},
	{"1 FLAGS CHANGEDSINCE 12", NULL},
	{"1 FLAGS ", NULL},
	{"1 ", NULL},
	{"1", NULL},
	{"", NULL},
	{"1 ()", NULL},
	{"1 (FLAGS ", NULL},
	{"1 (FLAGS UID", NULL},
	{"1 (FLAGS  UID)", NULL},
	{"1 FLAGSX", NULL},
	{"x FLAGS", NULL},
	{"0 FLAGS", NULL},
};

static bool parse(struct str args, bool uid, struct arena *a, struct fetch_request *req)
{
	struct lex l = {.in = args, .arena = a};
	return fetch_parse(&l, uid, req);
}

static void test_parse(void)
{
	for (size_t i = 0; i < COUNT(parses); i++) {
		struct arena a = {0};
		struct fetch_request req;
		struct buf got = {0};
		bool ok = parse(str_of(parses[i].args), parses[i].uid, &a, &req);
		for (const struct fetch_item *it = ok ? req.items : NULL; it; it = it->next) {
			if (got.n) { buf_chr(&got, ' '); }
			buf_str(&got, it->label);
			if (it->seen) { buf_chr(&got, '*'); }
		}
		const char *want = parses[i].want ? parses[i].want : "refused";
		if (!ok) { buf_str(&got, STR("refused")); }
		tap_check_str(__FILE__, __LINE__, parses[i].args, buf_view(&got), str_of(want));
		buf_fini(&got);
		arena_fini(&a);
	}
}

static void test_limits(void)
{
	struct arena a = {0};
	struct fetch_request req;
	struct buf args = {0};
	buf_str(&args, STR("1 BODY[1"));
	for (unsigned i = 1; i < FETCH_PATH_MAX; i++) { buf_str(&args, STR(".1")); }
	buf_str(&args, STR("]"));
	CHECK(parse(buf_view(&args), false, &a, &req));
	args.n--;
	buf_str(&args, STR(".1]"));
	CHECK(!parse(buf_view(&args), false, &a, &req));
	buf_reset(&args);
	buf_str(&args, STR("1 (RFC822"));
	for (unsigned i = 1; i < FETCH_ITEMS_MAX; i++) { buf_str(&args, STR(" RFC822")); }
	buf_str(&args, STR(")"));
	CHECK(parse(buf_view(&args), false, &a, &req));
	args.n--;
	buf_str(&args, STR(" RFC822)"));
	CHECK(!parse(buf_view(&args), false, &a, &req));
	buf_fini(&args);
	arena_fini(&a);
}

/* --- sections --- */

#define PREFIX "Return-Path: <a@b>\r\n"
#define INNER_HEADER \
	"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\nMIME-Version: " \
	"1.0\r\n\r\n"
#define INNER_TEXT \
	"--i\r\n\r\none\r\n--i\r\nContent-Type: text/html\r\nX-Part: 2\r\n\r\n<b>\r\n--i--\r\n"
#define HEADER \
	"From: a@b\r\nSubject: outer\r\n folded\r\nX-Cold: yes\r\nContent-Type: multipart/mixed; " \
	"boundary=o\r\nMIME-Version: 1.0\r\n\r\n"
#define MIME_3 "Content-Type: message/rfc822\r\nContent-Description: fwd\r\n\r\n"
#define TEXT \
	"preamble\r\n--o\r\n\r\nfirst\r\n--o\r\nContent-Type: " \
	"image/png\r\n\r\npixels\r\n--o\r\n" MIME_3 INNER_HEADER INNER_TEXT \
	"\r\n--o--\r\nepilogue\r\n"

#define PLAIN_HEADER "Subject: plain\r\n\r\n"
#define PLAIN_TEXT "line\r\n"

static const char nested[] = HEADER TEXT, plain[] = PLAIN_HEADER PLAIN_TEXT,
		  forward[] = MIME_3 PLAIN_HEADER PLAIN_TEXT;

/* Headers that end at a delimiter: the line end before it is the delimiter's (RFC 2046 5.1.1). */
static const char headless[] = HEADER
	"--o\r\n" MIME_3 "Subject: in\r\nX: y\r\n--o\r\nX: z\r\n--o\r\n--o\r\n" MIME_3 "--o--\r\n";

struct section_case {
	const char *message;
	const char *section;
	const char *want; /* NULL = NIL */
};

static const struct section_case sections[] = {
	{nested, "", PREFIX HEADER TEXT},
	{nested, "HEADER", PREFIX HEADER},
	{nested, "TEXT", TEXT},
	{nested, "1", "first"},
	{nested, "1.MIME", "\r\n"},
	{nested, "1.1", NULL},
	{nested, "1.TEXT", NULL},
	{nested, "1.HEADER", NULL},
	{nested, "2", "pixels"},
	{nested, "2.MIME", "Content-Type: image/png\r\n\r\n"},
	{nested, "3", INNER_HEADER INNER_TEXT},
	{nested, "3.MIME", MIME_3},
	{nested, "3.HEADER", INNER_HEADER},
	{nested, "3.TEXT", INNER_TEXT},
	{nested, "3.1", "one"},
	{nested, "3.2", "<b>"},
	{nested, "3.2.MIME", "Content-Type: text/html\r\nX-Part: 2\r\n\r\n"},
	{nested, "3.3", NULL},
	{nested, "3.1.1", NULL},
	{nested, "4", NULL},
	{nested, "4294967295", NULL},
	{plain, "", PREFIX PLAIN_HEADER PLAIN_TEXT},
	{plain, "1", PLAIN_TEXT},
	{plain, "1.MIME", PREFIX PLAIN_HEADER},
	{plain, "TEXT", PLAIN_TEXT},
	{plain, "2", NULL},
	{plain, "1.1", NULL},
	{forward, "1", PLAIN_HEADER PLAIN_TEXT},
	{forward, "1.HEADER", PLAIN_HEADER},
	{forward, "1.TEXT", PLAIN_TEXT},
	{forward, "1.1", PLAIN_TEXT},
	{forward, "1.1.MIME", PLAIN_HEADER},
	{forward, "1.1.1", NULL},
	{forward, "TEXT", PLAIN_HEADER PLAIN_TEXT},
	{headless, "1", "Subject: in\r\nX: y"},
	{headless, "1.HEADER", "Subject: in\r\nX: y"},
	{headless, "1.TEXT", ""},
	{headless, "1.1", ""},
	{headless, "1.1.MIME", "Subject: in\r\nX: y"},
	{headless, "2", ""},
	{headless, "2.MIME", "X: z"},
	{headless, "3", ""},
	{headless, "3.MIME", ""},
	{headless, "4", ""},
	{headless, "4.MIME", MIME_3},
	{headless, "4.HEADER", ""},
	{headless, "4.TEXT", ""},
	{headless, "5", NULL},
};

static void build(struct str message, struct arena *a, struct buf *packed, struct mimerec *rec)
{
	struct mime *m = mime_new();
	mime_add(m, message);
	mime_end(m);
	mimerec_build(m, packed);
	mime_free(m);
	CHECK_INT(mimerec_read(buf_view(packed), a, rec), 0);
}

static void test_sections(void)
{
	for (size_t i = 0; i < COUNT(sections); i++) {
		const struct section_case *c = &sections[i];
		struct arena a = {0};
		struct buf packed = {0}, all = {0};
		struct mimerec rec;
		struct fetch_request req;
		struct extent e;
		struct str args = arena_fmt(&a, "1 BODY[%s]", c->section);
		build(str_of(c->message), &a, &packed, &rec);
		buf_str(&all, STR(PREFIX));
		buf_str(&all, str_of(c->message));
		CHECK(parse(args, false, &a, &req));
		bool there = section_extent(&rec, req.items->section, sizeof PREFIX - 1, all.n, &e);
		struct str got = there ? str_sub(buf_view(&all), e.off, e.len) : STR("(nil)");
		tap_check_str(__FILE__, __LINE__, c->section, got,
			c->want ? str_of(c->want) : STR("(nil)"));
		buf_fini(&all);
		buf_fini(&packed);
		arena_fini(&a);
	}
}

/* A record that does not fit its message finds nothing outside of it. */
static void test_damaged(void)
{
	struct mimerec_part parts[] = {
		{.kind = MIME_MULTIPART, .header_len = 4, .body_len = 100},
		{.parent = 0, .number = 1, .header_off = UINT64_MAX - 3, .header_len = 9},
		{.parent = 0,
			.number = 2,
			.header_off = 5,
			.header_len = 2,
			.body_len = UINT64_MAX},
	};
	struct mimerec rec = {.parts = parts, .parts_n = 3}, none = {0};
	struct section text = {.text = SECTION_TEXT}, one = {.path = {1}, .path_n = 1},
		       two = {.path = {2}, .path_n = 1};
	struct extent e;
	CHECK(!section_extent(&rec, &text, 0, 50, &e));
	CHECK(!section_extent(&rec, &two, 0, 50, &e));
	CHECK(!section_extent(&none, &text, 0, 50, &e));
	CHECK(section_part(&none, &one) < 0);
	CHECK(!section_extent(&rec, &one, 0, 50, &e) || e.off + e.len <= 50);
}

struct filter_case {
	const char *items;
	const char *want;
};

static void test_filter(void)
{
	static const struct filter_case cases[] = {
		{"BODY[HEADER.FIELDS (x-cold FROM)]", "From: a@b\r\nX-Cold: yes\r\n"},
		{"BODY[HEADER.FIELDS (Subject)]", "Subject: outer\r\n folded\r\n"},
		{"BODY[HEADER.FIELDS (Subjec)]", ""},
		{"BODY[HEADER.FIELDS.NOT (Subject Content-Type MIME-Version)]",
			"From: a@b\r\nX-Cold: yes\r\n"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = {0};
		struct fetch_request req;
		struct buf got = {0};
		CHECK(parse(arena_fmt(&a, "1 %s", cases[i].items), false, &a, &req));
		section_filter(req.items->section, STR(HEADER), &got);
		CHECK_STR(buf_view(&got), str_of(cases[i].want));
		CHECK_INT(req.items->section->hot, i == 1);
		buf_fini(&got);
		arena_fini(&a);
	}
}

static void test_partial(void)
{
	struct fetch_item it = {.partial = true, .off = 3, .len = 4};
	struct extent e = extent_partial((struct extent){10, 5}, &it);
	CHECK_INT(e.off, 13);
	CHECK_INT(e.len, 2);
	it.off = UINT64_MAX;
	e = extent_partial((struct extent){10, 5}, &it);
	CHECK_INT(e.len, 0);
	it.partial = false;
	CHECK_INT(extent_partial((struct extent){10, 5}, &it).len, 5);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"requests", test_parse},
		{"limits of requests", test_limits},
		{"sections", test_sections},
		{"damaged records", test_damaged},
		{"header fields", test_filter},
		{"partials", test_partial},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
