/* Every row of every section: defaults that pass their own bounds, help that reads well. */
#include "t/tap.h"

#include "auth/auth.h"
#include "imap/role.h"
#include "lib/dns_conf.h"
#include "smtp/policy.h"
#include "smtp/role.h"
#include "store/role.h"

static const struct conf_section *const sections[] = {&top_conf_section, &auth_conf_section,
	&dns_conf_section, &imap_conf_section, &policy_conf_section, &relay_conf_section,
	&smtp_conf_section, &store_conf_section};

static void test_defaults(void)
{
	struct conf *c = conf_new(sections, COUNT(sections)), *d;
	struct buf once = {0}, twice = {0};
	struct err e = {.text = ""};
	conf_pack(c, STR(""), &once);
	d = conf_new(sections, COUNT(sections));
	CHECK_INT(conf_unpack(d, buf_view(&once), &e), 0);
	CHECK_STR(str_of(e.text), STR(""));
	conf_pack(d, STR(""), &twice);
	CHECK_STR(buf_view(&twice), buf_view(&once));
	buf_fini(&once);
	buf_fini(&twice);
	conf_free(c);
	conf_free(d);
}

static void check_row(const struct conf_section *s, size_t at)
{
	const struct conf_row *r = &s->rows[at];
	struct str help = str_of(r->help), name = str_of(r->name);
	bool good = help.n > 10 && str_ends(help, STR(".")) && ascii_upper(help.p[0]) == help.p[0];
	for (size_t i = 0; i < name.n; i++) {
		good &= (name.p[i] >= 'a' && name.p[i] <= 'z') || ascii_digit(name.p[i]) ||
			name.p[i] == '_';
	}
	for (size_t i = 0; i < at; i++) { good &= strcmp(s->rows[i].name, r->name) != 0; }
	good &= r->offset < s->size && (!r->max || r->min <= r->max);
	good &= (r->type == CONF_CHOICE) == (r->choices != NULL);
	good &= r->type != CONF_STR || r->max > 0;
	good &= !r->valid == !r->form;
	if (!good) { tap_fail(__FILE__, __LINE__, "row %s.%s", s->name, r->name); }
}

static void test_rows(void)
{
	for (size_t s = 0; s < COUNT(sections); s++) {
		for (size_t i = 0; i < sections[s]->n; i++) { check_row(sections[s], i); }
		for (size_t k = 0; k < s; k++) {
			CHECK(strcmp(sections[k]->name, sections[s]->name) != 0);
		}
	}
}

static void test_forms(void)
{
	static const struct {
		const char *key, *good, *bad;
	} v[] = {
		{"hostname", "mail.example.org", "mail example"},
		{"hostname", "vm-1", "mail..example"},
		{"hostname", "xn--bcher-kva.example", "-mail.example"},
		{"hostname", "MX1.example", "mail.example."},
		{"hostname", "1.a-b--c.example", "mail-.example"},
		{"dns.forward", "192.0.2.1:53", "ns.example.org"},
		{"dns.forward", "[2001:db8::1]:5353", "192.0.2.1:port"},
		{"dns.forward", "none", "nothing"},
		{"dns.forward", "roots", "root"},
		{"dns.forward", "", "192.0.2.300"},
		{"relay.route", "smtp.example.org:587", "smtp:example:587"},
		{"relay.route", "[2001:db8::1]:25", "smtp.example.org:0"},
		{"smtp.proxy_from", "192.0.2.0/24, ::1", "192.0.2.0/24, 10.0.0.0/99"},
		{"smtp.xclient_from", "127.0.0.1", "localhost"},
		{"smtp.lmtp_from", "2001:db8::/32", "2001:db8::/129"},
	};
	struct conf *c = conf_new(sections, COUNT(sections));
	for (size_t i = 0; i < COUNT(v); i++) {
		struct err e = {.text = ""};
		CHECK_INT(conf_set(c, str_of(v[i].key), str_of(v[i].good), NULL), 0);
		CHECK_INT(conf_set(c, str_of(v[i].key), str_of(v[i].bad), &e), ERR_SYNTAX);
		CHECK(str_starts(str_of(e.text), str_of(v[i].key)));
		CHECK(strstr(e.text, "is not understood; allowed: ") != NULL);
	}
	conf_free(c);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"defaults keep their own bounds, and travel", test_defaults},
		{"names, bounds and help", test_rows},
		{"addresses, networks and names have their form", test_forms},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
