/* Packed configuration, and single values: a line "section.key=value" at a time. What was accepted
   packs, and unpacks to the same. Files are cut by libconfuse; what it cuts comes here. */
#include "lib/conf.h"
#include "lib/dns_conf.h"
#include "lib/role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct all {
	bool on;
	uint64_t count, size;
	int64_t wait_us;
	struct str word;
	struct conf_list names;
	int colour;
};

static const char *const colours[] = {"red", "green", NULL};

static const struct conf_row rows[] = {
	{"on", CONF_BOOL, offsetof(struct all, on), .def = "no"},
	{"count", CONF_INT, offsetof(struct all, count), .def = "7"},
	{"size", CONF_SIZE, offsetof(struct all, size), .min = 1024, .def = "50M"},
	{"wait", CONF_DURATION, offsetof(struct all, wait_us), .def = "90s"},
	{"word", CONF_STR, offsetof(struct all, word), .max = 80, .def = ""},
	{"names", CONF_LIST, offsetof(struct all, names), .max = 20, .def = "a,b"},
	{"colour", CONF_CHOICE, offsetof(struct all, colour), .def = "red", .choices = colours},
};
static const struct conf_section section = {"all", rows, COUNT(rows), sizeof(struct all)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_section *const sections[] = {&section, &top_conf_section};
	struct conf *c = conf_new(sections, COUNT(sections)),
		    *d = conf_new(sections, COUNT(sections));
	struct buf once = {0}, twice = {0};
	struct err e = {.text = ""};
	int rc = conf_unpack(c, str_make(data, size), &e);
	assert(rc == 0 || e.text[0]);
	conf_pack(c, STR(""), &once);
	rc = conf_unpack(d, buf_view(&once), &e);
	assert(rc == 0);
	conf_pack(d, STR(""), &twice);
	assert(str_eq(buf_view(&once), buf_view(&twice)));
	buf_fini(&once);
	buf_fini(&twice);
	conf_free(c);
	conf_free(d);
	return 0;
}
