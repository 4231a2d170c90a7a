/* RDATA and zone text. First octet: RDATA read at that offset, or 255 = the rest is a zone, of
   which every name is asked. */
#include "lib/dns_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_OCTETS = 8192 };

static void check_name(struct str name)
{
	struct buf normal = {0};
	if (name.n) {
		int rc = dns_name_normal(name, &normal);
		assert(rc == 0 && str_eq(buf_view(&normal), name));
	}
	buf_fini(&normal);
}

static void read_rdata(struct str rdata, size_t offset)
{
	struct arena a = {0};
	struct str s;
	uint16_t pref;
	if (dns_rdata_name(rdata, offset, &a, &s) == 0) { check_name(s); }
	if (dns_rdata_mx(rdata, &a, &pref, &s) == 0) { check_name(s); }
	if (dns_rdata_txt(rdata, &a, &s) == 0) { assert(s.n < rdata.n); }
	arena_fini(&a);
}

static void ask(const struct dns_zone *z, struct str name, enum dns_type type)
{
	struct dns_entry e = {.name = name, .type = type};
	dns_zone_answer(z, &e);
	assert(e.answer.status != DNS_OK || e.answer.n);
	for (size_t i = 0; i < e.answer.n; i++) { read_rdata(e.answer.rr[i].data, 0); }
	arena_fini(&e.arena);
}

static void read_zone(struct str text)
{
	static const enum dns_type types[] = {DNS_A, DNS_CNAME, DNS_MX, DNS_TXT, DNS_TLSA};
	struct err e = {.text = ""};
	struct dns_zone *z = dns_zone_new(text, &e);
	struct str word;
	assert(z || e.text[0]);
	while (z && text.n) {
		str_cut(&text, ' ', &word);
		struct buf name = {0};
		if (dns_name_normal(word, &name) == 0) {
			for (size_t i = 0; i < COUNT(types); i++) {
				ask(z, buf_view(&name), types[i]);
			}
		}
		buf_fini(&name);
	}
	dns_zone_free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > SIZE_MAX_OCTETS) { return 0; }
	struct str rest = str_make(data + 1, size - 1);
	if (data[0] == 255) {
		read_zone(rest);
	} else {
		read_rdata(rest, data[0]);
	}
	return 0;
}
