/* What a server says to our client: lines up to LF, as replies one behind the other. Each is read
   as an answer to EHLO and as an error to be reported. */
#include "smtp/client_offer.h"
#include "smtp/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 200 };

static void check_text(const struct client_reply *r)
{
	struct buf text = {0};
	client_reply_text(r, TEXT_MAX, &text);
	struct str s = buf_view(&text);
	assert(s.n <= TEXT_MAX && str_find(s, STR("\n")) < 0 && str_find(s, STR("\r")) < 0);
	struct str status = dsn_status(r->code, s);
	char class = r->code >= 500 ? '5' : r->code >= 400 ? '4' : '2';
	assert(status.n >= 5 && status.p[0] == class);
	buf_fini(&text);
}

static void check_offer(const struct client_reply *r)
{
	struct arena a = {0};
	struct client_offer o;
	struct client_fit fit;
	struct str address = STR(""), params;
	client_offer_read(r, &a, &o);
	for (unsigned bits = 0; bits < 16; bits++) {
		struct convert_needs needs = {bits & 1, bits & 2, bits & 4, bits & 8};
		(void)client_offer_fit(&o, &needs, BODY_8BIT, &fit);
	}
	if (!client_offer_address(&o, STR("\xc3\xbc@example.test"), &a, &address)) {
		assert(!o.utf8);
	}
	if (client_offer_address(&o, STR("u@\xc3\xbc.example.test"), &a, &address)) {
		assert(o.utf8 || str_ascii(address));
	}
	if (client_reply_keyword(r, STR("SIZE"), &params)) { assert(params.n <= r->text.n); }
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size), line;
	struct client_reply r = {0};
	if (size > 65536) { return 0; }
	while (str_cut(&in, '\n', &line)) {
		int rc = client_reply_line(&r, line);
		assert(r.text.n <= CLIENT_REPLY_MAX && r.lines <= CLIENT_REPLY_LINES);
		if (rc == 1) {
			assert(r.code >= 200 && r.code <= 599);
			assert(client_reply_status(&r).n <= r.text.n);
			check_text(&r);
			check_offer(&r);
		}
		if (rc != 0) { client_reply_reset(&r); }
	}
	client_reply_fini(&r);
	return 0;
}
