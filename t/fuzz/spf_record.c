/* SPF records and macros. The first octet says who asks (bit 0: IPv6); up to the first line end
   stands the local-part, behind it a record, whose macros are expanded as a domain and as text. */
#include "auth/spf_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SIZE_MAX_OCTETS = 8192,
	LOCAL_MAX = 1024, /* more than a path may have (RFC 5321 4.5.3.1.3) */
	TEXT_MAX = 450
};

static void expand(struct str spec, const struct spf_vars *v)
{
	struct buf out = {0};
	spf_macro_expand(spec, SPFUSE_DOMAIN, v, 0, &out);
	assert(out.n <= 253 || str_chr(buf_view(&out), '.') < 0);
	assert(out.cap < 16 * 1024);
	buf_reset(&out);
	spf_macro_expand(spec, SPFUSE_TEXT, v, TEXT_MAX, &out);
	assert(out.n <= TEXT_MAX);
	buf_fini(&out);
}

static void check_term(struct str text, const struct spf_vars *v, bool must)
{
	struct spf_term t;
	struct err e = {.text = ""};
	int rc = spf_term_parse(text, &t, &e);
	assert(rc == 0 || (rc == ERR_SYNTAX && e.text[0] && !must));
	if (rc < 0) { return; }
	assert(t.bits4 <= 32 && t.bits6 <= 128 && strchr("+-~?", t.qualifier));
	assert(str_eq(t.text, text));
	if (t.spec.n && t.kind != SPFTERM_OTHER) {
		assert(spf_macro_check(t.spec, SPFUSE_DOMAIN, NULL) == 0);
	}
	expand(t.spec, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > SIZE_MAX_OCTETS) { return 0; }
	struct str local, record = str_make(data + 1, size - 1), term;
	str_cut(&record, '\n', &local);
	local = str_sub(local, 0, LOCAL_MAX);
	struct spf_vars v = {.sender = local,
		.local = local,
		.sender_domain = STR("example.org"),
		.domain = STR("mail.example.org"),
		.validated = STR("mx.example.net"),
		.helo = local,
		.receiver = STR("mx")};
	net_addr_parse(data[0] & 1 ? STR("2001:db8::1") : STR("192.0.2.1"), 0, &v.client);
	bool good = spf_is_record(record) && spf_record_check(record, NULL) == 0;
	struct str rest = good ? spf_terms(record) : record;
	while (spf_next_term(&rest, &term)) { check_term(term, &v, good); }
	if (spf_macro_check(record, SPFUSE_TEXT, NULL) == 0) { expand(record, &v); }
	return 0;
}
