/* A whole file of the configuration, through the lexer of libconfuse. What was accepted packs, and
   unpacks to the same; what was not is told with its line; and whatever came before, the next file
   is read as if it were the first (libconfuse's lexer is one for the process). */
#include "lib/conf.h"
#include "lib/dns_conf.h"
#include "lib/role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct all {
	bool on;
	uint64_t count;
	struct str word;
	struct conf_list names;
};

static const struct conf_row rows[] = {
	{"on", CONF_BOOL, offsetof(struct all, on), .def = "no"},
	{"count", CONF_INT, offsetof(struct all, count), .def = "7"},
	{"word", CONF_STR, offsetof(struct all, word), .max = 80, .def = ""},
	{"names", CONF_LIST, offsetof(struct all, names), .max = 20, .def = "a,b"},
};
static const struct conf_section section = {"all", rows, COUNT(rows), sizeof(struct all)};

static void check_packed(const struct conf *c, struct conf *d)
{
	struct buf once = {0}, twice = {0};
	struct err e;
	conf_pack(c, STR(""), &once);
	int rc = conf_unpack(d, buf_view(&once), &e);
	assert(rc == 0);
	conf_pack(d, STR(""), &twice);
	assert(str_eq(buf_view(&once), buf_view(&twice)));
	buf_fini(&once);
	buf_fini(&twice);
}

static void check_next(struct conf *c)
{
	const struct all *all = conf_get(c, &section);
	struct err e;
	int rc = conf_read(c, "next", STR("# x\nall { word = a'' names = {b} }"), &e);
	assert(rc == ERR_SYNTAX && str_starts(str_of(e.text), STR("next:2: ")));
	rc = conf_read(c, "next", STR("all { word = \"}\" names = {b} }"), &e);
	assert(rc == 0 && !all->on && all->count == 7);
	assert(str_eq(all->word, STR("}")) && all->names.n == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_section *const sections[] = {&section, &top_conf_section};
	struct conf *c = conf_new(sections, COUNT(sections)),
		    *d = conf_new(sections, COUNT(sections));
	struct err e = {.text = ""};
	int rc = conf_read(c, "file", str_make(data, size), &e);
	if (rc == 0) {
		check_packed(c, d);
	} else {
		assert(str_starts(str_of(e.text), STR("file:")));
	}
	check_next(c);
	conf_free(c);
	conf_free(d);
	return 0;
}
