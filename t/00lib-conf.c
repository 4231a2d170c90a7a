/* lib: configuration values, files, complaints, packing. */
#include "t/tap.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/conf.h"
#include "lib/dns_conf.h"
#include "lib/role.h"

struct box {
	bool on;
	uint64_t count, size;
	int64_t wait_us;
	struct str word, secret;
	struct conf_list names;
	int colour;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct conf_row rows[] = {
	{"on", CONF_BOOL, offsetof(struct box, on), .def = "no"},
	{"count", CONF_INT, offsetof(struct box, count), .min = 1, .max = 100, .def = "7",
		.unit = "boxes"},
	{"size", CONF_SIZE, offsetof(struct box, size), .min = 1024, .max = 1 << 30, .def = "50M"},
	{"wait", CONF_DURATION, offsetof(struct box, wait_us), .max = 86400, .def = "90s"},
	{"word", CONF_STR, offsetof(struct box, word), .min = 1, .max = 8, .def = ""},
	{"secret", CONF_STR, offsetof(struct box, secret), .max = 80, .def = "", .secret = true},
	{"names", CONF_LIST, offsetof(struct box, names), .max = 20, .def = "a, b"},
	{"colour", CONF_CHOICE, offsetof(struct box, colour), .def = "green", .choices = colours},
};
static const struct conf_section box_section = {"box", rows, COUNT(rows), sizeof(struct box)};
static const struct conf_section *const sections[] = {
	&top_conf_section, &box_section, &dns_conf_section};

static struct conf *fresh(void)
{
	return conf_new(sections, COUNT(sections));
}

static const char *write_file(struct str text)
{
	static char path[64];
	snprintf(path, sizeof path, "/tmp/posthouse-conf-%d.conf", (int)getpid());
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	CHECK_INT(write(fd, text.p, text.n), (ssize_t)text.n);
	close(fd);
	return path;
}

static int load(struct conf *c, const char *text, struct err *e)
{
	const char *path = write_file(str_of(text));
	int rc = conf_load(c, path, e);
	unlink(path);
	return rc;
}

static void test_defaults(void)
{
	struct conf *c = fresh();
	const struct box *b = conf_get(c, &box_section);
	CHECK(!b->on);
	CHECK_INT(b->count, 7);
	CHECK_INT(b->size, 50 << 20);
	CHECK_INT(b->wait_us, 90 * SECOND_US);
	CHECK_INT(b->word.n, 0);
	CHECK_INT(b->names.n, 2);
	CHECK_STR(b->names.v[1], STR("b"));
	CHECK_INT(b->colour, 1);
	const struct top_conf *top = conf_get(c, &top_conf_section);
	CHECK_STR(top->data, STR("/var/lib/posthouse"));
	conf_free(c);
}

static void test_load(void)
{
	struct conf *c = fresh();
	struct err e;
	const struct box *b = conf_get(c, &box_section);
	int rc = load(c,
		"# comment\n"
		"hostname = mail.example.org\n"
		"/* more */ log_level = debug // and more\n"
		"box {\n"
		"  on = true\n"
		"  count = 100\n"
		"  size = 1k\n"
		"  wait = 2h\n"
		"  word = \"a b\\\"c\"\n"
		"  names = {x, \"y, z\"}\n"
		"  colour = Blue\n"
		"}\n",
		&e);
	CHECK_INT(rc, 0);
	if (rc < 0) { tap_fail(__FILE__, __LINE__, "%s", e.text); }
	CHECK(b->on);
	CHECK_INT(b->count, 100);
	CHECK_INT(b->size, 1024);
	CHECK_INT(b->wait_us, 7200 * SECOND_US);
	CHECK_STR(b->word, STR("a b\"c"));
	CHECK_INT(b->names.n, 2);
	CHECK_STR(b->names.v[1], STR("y, z"));
	CHECK_INT(b->colour, 2);
	const struct top_conf *top = conf_get(c, &top_conf_section);
	CHECK_STR(top->hostname, STR("mail.example.org"));
	CHECK_INT(top->log_level, 3);

	CHECK_INT(load(c, "box { names = {} count += 3 }", &e), ERR_SYNTAX);
	CHECK_INT(b->count, 100); /* the old one stays */
	CHECK_INT(load(c, "box { names = {} }", &e), 0);
	CHECK_INT(b->names.n, 0);
	CHECK_INT(b->count, 7); /* a load starts from the defaults */
	CHECK_INT(load(c, "", &e), 0);
	conf_free(c);
}

/* What is wrong, and a piece of the complaint that must be there. */
static const struct {
	const char *file, *line, *says;
} bad[] = {
	{"box {\n count = 0\n}\n", ":2: box.count: ", "from 1 to 100 boxes"},
	{"box { count = 101 }", ":1: box.count: ", "out of range"},
	{"box { count = many }", ":1: box.count: ", "\"many\" is not understood"},
	{"box { count = -1 }", ":1: box.count: ", "a number"},
	{"box { count = 99999999999999999999999 }", ":1: box.count: ", "not understood"},
	{"box { count = \"\" }", ":1: box.count: ", "not understood"},
	{"\n\nbox { size = 50X }", ":3: box.size: ", "K, M or G, from 1K to 1G"},
	{"box { size = 1023 }", ":1: box.size: ", "out of range"},
	{"box { size = 99999999999G }", ":1: box.size: ", "not understood"},
	{"box { wait = 2weeks }", ":1: box.wait: ", "s, m, h or d"},
	{"box { wait = 2d }", ":1: box.wait: ", "from 0 to 1d"},
	{"box { wait = 1.5s }", ":1: box.wait: ", "not understood"},
	{"box { on = maybe }", ":1: box.on: ", "yes or no"},
	{"box { colour = mauve }", ":1: box.colour: ", "red, green, blue"},
	{"box { word = \"\" }", ":1: box.word: ", "too short"},
	{"box { word = 123456789 }", ":1: box.word: ", "too long: from 1 to 8 octets"},
	{"box { names = {a, \"\"} }", ":1: box.names: ", "empty item"},
	{"box { names = {a, \" \"} }", ":1: box.names: ", "empty item"},
	{"box { names = {a, bbbbbbbbbbbbbbbbbbbbb} }", ":1: box.names: ", "too long"},
	{"box {\n colur = red\n}\n", ":2: box.colur: ", "did you mean colour?"},
	{"box { cuont = 3 }", ":1: box.cuont: ", "did you mean count?"},
	{"box { zebra = 3 }", ":1: box.zebra: ", "known here: on, count, size"},
	{"boks { on = yes }", ":1: boks: ", "did you mean box?"},
	{"count = 3\n", ":1: count: ", "belongs inside box { }"},
	{"box { hostname = x }", ":1: box.hostname: ", "belongs outside of all sections"},
	{"box { count = 3\n count = 4 }", ":2: box.count: ", "set twice"},
	{"box { count = 3 }\nbox { count = 4 }", ":2: box.count: ", "set twice"},
	{"box { count = {3} }", ":1: ", "unexpected"},
	{"box { count 3 }", ":1: ", ""},
	{"box { count = 3 ", ":1: box: ", "not closed"},
	{"box { names = { a ", ": ", ""},
	{"/* no end", ": ", "comment"},
	{"box { count = ", ": ", ""},
	{"box = 3", ":1: ", "missing opening brace"},
	{"hostname = \"unterminated", ":1: ", ""},
	{"}", ":1: ", "unexpected"},
	{"=", ":1: ", "unexpected"},
	{"box { names = {a b} }", ":1: ", "unexpected"},
	/* the line, whatever stands above */
	{"# a\n// b\n/* c\n d */ # e\nbox {\n count = 0 }\n\n\n\n\n\n",
		":6: box.count: ", "1 to 100"},
	{"\n\n/* a\n* /", ":3: ", "*/ is missing"},
	{"\nbox {\n word = 'abc\n}", ":3: ", "string is not closed"},
	{"box { word = \"abc\\", ":1: ", "string is not closed"},
	{"\nbox { word = \"a\\\nb\" }", ":2: ", "string is not closed on its line"},
	{"\nbox { word = 'a\\\nb' }", ":2: ", "string is not closed on its line"},
	{"box { word = 'abc\\", ":1: ", "string is not closed"},
	{"\n\"\" = 3", ":2: ", "no name"},
	{"\nbox {\n count = 3\n '' = 3\n}\n\n", ":4: ", "no name"},
	{"box { word = a'' }", ":1: ", "no name"},
	/* there are no other files */
	{"include(\"/etc/passwd\")", ":1: include: ", "unknown"},
	{"include = x", ":1: include: ", "unknown"},
	/* libconfuse's ways into sections */
	{"box { }\nbox|count = 3\n", ":2: count: ", "belongs inside box { }"},
	{"\"box|names\" = {x}", ":1: ", ""},
	{"box|count|on = yes", ":1: ", ""},
	{"|", ":1: ", ""},
	/* octets that it would drop */
	{"box { names = {*} }", ":1: ", "quotes"},
	{"box { word = a+b }", ":1: ", "quotes"},
	{"box { word = a\rb }", ":1: ", "octet 13"},
	{"box { word = a\001 }", ":1: ", "octet 1"},
	{"box { word = \"\033\" }", ":1: ", "octet 27"},
	{"box { word = \"a\\0b\" }", ":1: ", "escape"},
	{"box { word = \"a\\x00\" }", ":1: ", "escape"},
	{"box { word = \"\\400\" }", ":1: ", "escape"},
	{"box { word = \"\\18\" }", ":1: ", "escape"},
	{"box { word = \"\\0101\" }", ":1: ", "escape"},
	{"box { word = \"${A\" }\n}", ":1: ", "${ is not closed"},
	{"\nbox { word = ${A\n}", ":2: ", "${ is not closed"},
};

static void test_bad_files(void)
{
	struct conf *c = fresh();
	const struct box *b = conf_get(c, &box_section);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = {.text = ""};
		int rc = load(c, bad[i].file, &e);
		struct str text = str_of(e.text);
		if (rc >= 0 || str_find(text, str_of(bad[i].line)) < 0 ||
			str_find(text, str_of(bad[i].says)) < 0) {
			tap_fail(__FILE__, __LINE__, "%s gave %d: %s", bad[i].file, rc, e.text);
		}
	}
	CHECK_INT(b->count, 7);
	CHECK_INT(b->size, 50 << 20);
	conf_free(c);
}

/* What must get through as it is meant. */
static const struct {
	const char *file, *word;
} good[] = {
	{"box { word = \"\\x41\\101\\t\\$\\\\\" }", "AA\t$\\"},
	{"box { word = '${A}\\b\\'' }", "${A}\\b'"},
	{"box { word = \"//#/*\" }", "//#/*"},
	{"box { word = a//b# c\n }", "a//b"},
	{"box /* x */ { /**/ word /* } */ = // \"\n abc # {\r\n }\r\n", "abc"},
	{"box { word = \"$${CONF_TEST_NONE:-in}$\" }", "$in$"},
	{"box { word = ${CONF_TEST_NONE:-out} }", "out"},
	{"box { word = \303\244 }", "\303\244"},
};

static void test_good_files(void)
{
	struct conf *c = fresh();
	const struct box *b = conf_get(c, &box_section);
	struct err e = {.text = ""};
	for (size_t i = 0; i < COUNT(good); i++) {
		if (load(c, good[i].file, &e) < 0) {
			tap_fail(__FILE__, __LINE__, "%s: %s", good[i].file, e.text);
		}
		CHECK_STR(b->word, str_of(good[i].word));
	}
	/* a section in two pieces, comments within a list */
	CHECK_INT(load(c, "box { names = {x, # one\n /* two */ y} }\nbox { count = 4 }", &e), 0);
	CHECK_INT(b->names.n, 2);
	CHECK_STR(b->names.v[1], STR("y"));
	CHECK_INT(b->count, 4);
	conf_free(c);
}

/* A value as long as one may be, and an octet more. */
static void test_token_max(void)
{
	struct conf *c = fresh();
	struct err e = {.text = ""};
	for (int quoted = 0; quoted < 2; quoted++) {
		for (int more = 0; more < 2; more++) {
			struct buf text = {0};
			buf_str(&text, quoted ? STR("\nbox { word = \"") : STR("\nbox { word = "));
			for (int i = 2 * quoted; i < CONF_TOKEN_MAX + more; i++) {
				buf_chr(&text, 'x');
			}
			buf_str(&text, quoted ? STR("\" }") : STR(" }"));
			CHECK_INT(conf_read(c, "a", buf_view(&text), &e), ERR_LIMIT);
			CHECK(str_starts(
				str_of(e.text), more ? STR("a:2: a value is longer than 16384")
						     : STR("a:2: box.word: ")));
			buf_fini(&text);
		}
	}
	conf_free(c);
}

static void test_odd_files(void)
{
	struct conf *c = fresh();
	struct err e;
	struct buf big = {0};
	CHECK_INT(conf_load(c, "/nonexistent/x.conf", &e), ERR_GONE);
	CHECK(str_find(str_of(e.text), STR("/nonexistent/x.conf")) >= 0);
	CHECK_INT(conf_load(c, "/tmp", &e), ERR_IO);
	CHECK(str_find(str_of(e.text), STR("directory")) >= 0);
	const char *path = write_file(STR("box { on = yes }\0 }"));
	CHECK_INT(conf_load(c, path, &e), ERR_SYNTAX);
	CHECK(str_find(str_of(e.text), STR("offset 16")) >= 0);
	for (int i = 0; i < 100000; i++) { buf_str(&big, STR("# filling\n\n\n")); }
	path = write_file(buf_view(&big));
	CHECK_INT(conf_load(c, path, &e), ERR_LIMIT);
	unlink(path);
	buf_reset(&big);
	for (int i = 0; i < 5000; i++) { buf_fmt(&big, "%s", i ? ",x" : "box{names={x"); }
	buf_str(&big, STR("}}"));
	CHECK_INT(load(c, buf_cstr(&big), &e), ERR_LIMIT);
	if (str_find(str_of(e.text), STR("at most 4096")) < 0) {
		tap_fail(__FILE__, __LINE__, "%s", e.text);
	}
	buf_fini(&big);
	conf_free(c);
}

static void test_set(void)
{
	struct conf *c = fresh();
	struct err e;
	const struct box *b = conf_get(c, &box_section);
	const struct top_conf *top = conf_get(c, &top_conf_section);
	CHECK_INT(conf_set(c, STR("box.size"), STR("2M"), &e), 0);
	CHECK_INT(b->size, 2 << 20);
	CHECK_INT(conf_set(c, STR("hostname"), STR("x.example"), NULL), 0);
	CHECK_STR(top->hostname, STR("x.example"));
	CHECK_INT(conf_set(c, STR("box.names"), STR("p, q\\,r,s"), &e), 0);
	CHECK_INT(b->names.n, 3);
	CHECK_STR(b->names.v[1], STR("q,r"));
	CHECK_INT(conf_set(c, STR("box.wait"), STR("250ms"), &e), 0);
	CHECK_INT(b->wait_us, 250000);
	CHECK_INT(conf_set(c, STR("box.size"), STR("2"), &e), ERR_LIMIT);
	CHECK_STR(str_of(e.text), STR("box.size: \"2\" is out of range; allowed: from 1K to 1G"));
	CHECK_INT(conf_set(c, STR("box.sise"), STR("2"), &e), ERR_SYNTAX);
	CHECK_STR(str_of(e.text), STR("box.sise: unknown; did you mean size?"));
	CHECK_INT(conf_set(c, STR("bax.size"), STR("2"), &e), ERR_SYNTAX);
	CHECK_STR(str_of(e.text), STR("bax.size: unknown; did you mean box?"));
	CHECK_INT(conf_set(c, STR(""), STR("2"), NULL), ERR_SYNTAX);
	CHECK_INT(conf_set(c, STR("."), STR("2"), NULL), ERR_SYNTAX);
	CHECK_INT(b->size, 2 << 20);
	conf_free(c);
}

static void check_shown(const struct conf *c, const char *key, const char *value, bool set)
{
	struct buf text = {0};
	bool was_set = !set;
	CHECK_INT(conf_show(c, str_of(key), &text, &was_set), 0);
	CHECK_STR(buf_view(&text), str_of(value));
	CHECK_INT(was_set, set);
	buf_fini(&text);
}

static void test_show(void)
{
	struct conf *c = fresh();
	struct buf text = {0};
	struct err e;
	bool set;
	check_shown(c, "box.size", "50M", false);
	CHECK_INT(load(c, "box { size = 50M names = {a, b} }", &e), 0);
	check_shown(c, "box.size", "50M", true); /* although it is the default */
	check_shown(c, "box.names", "a,b", true);
	check_shown(c, "hostname", "", false);
	CHECK_INT(conf_set(c, STR("hostname"), STR("x"), NULL), 0);
	check_shown(c, "hostname", "x", true);
	CHECK_INT(load(c, "", &e), 0); /* all anew */
	check_shown(c, "hostname", "", false);
	CHECK_INT(conf_show(c, STR("box.sise"), &text, &set), ERR_GONE);
	CHECK_INT(conf_show(c, STR("bax.size"), &text, &set), ERR_GONE);
	CHECK_INT(text.n, 0);
	conf_free(c);
}

static void test_pack(void)
{
	struct conf *c = fresh(), *d = fresh();
	struct err e;
	struct buf packed = {0}, again = {0};
	const struct box *b = conf_get(d, &box_section);
	conf_set(c, STR("box.wait"), STR("1500ms"), NULL);
	conf_set(c, STR("box.word"), STR("a\nb\\c=,"), NULL);
	conf_set(c, STR("box.secret"), STR("hush"), NULL);
	conf_set(c, STR("box.names"), STR("one,a\\,b,back\\\\slash"), NULL);
	conf_set(c, STR("box.colour"), STR("blue"), NULL);
	conf_pack(c, STR(""), &packed);
	CHECK(str_find(buf_view(&packed), STR("hush")) < 0);
	CHECK(str_find(buf_view(&packed), STR("box.size=50M\n")) >= 0);
	buf_reset(&packed);
	conf_pack(c, STR("box"), &packed);
	CHECK_INT(conf_unpack(d, buf_view(&packed), &e), 0);
	CHECK_INT(b->wait_us, 1500000);
	CHECK_STR(b->word, STR("a\nb\\c=,"));
	CHECK_STR(b->secret, STR("hush"));
	CHECK_INT(b->names.n, 3);
	CHECK_STR(b->names.v[2], STR("back\\slash"));
	CHECK_INT(b->colour, 2);
	conf_pack(d, STR("box"), &again);
	CHECK_STR(buf_view(&again), buf_view(&packed));
	for (size_t n = 0; n < packed.n; n++) { /* cut anywhere: refused, or whole lines */
		int rc = conf_unpack(d, str_sub(buf_view(&packed), 0, n), &e);
		CHECK(rc == 0 ? n == 0 || packed.p[n - 1] == '\n' : b->wait_us > 0);
	}
	CHECK_INT(conf_unpack(d, STR("box.nothing=1\n"), &e), ERR_SYNTAX);
	buf_fini(&packed);
	buf_fini(&again);
	conf_free(c);
	conf_free(d);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"defaults come from the rows", test_defaults},
		{"a file sets every kind of value", test_load},
		{"bad files: place, key, what is wrong, what is allowed", test_bad_files},
		{"good files with odd forms", test_good_files},
		{"the longest value", test_token_max},
		{"files that are no configuration", test_odd_files},
		{"single values from text", test_set},
		{"values shown", test_show},
		{"packing and unpacking", test_pack},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
