/* A whole dialogue, cut at places that the input chooses. The first octet says which service
   listens, whether the client is a proxy, and whether messages are judged (SPF, DKIM, DMARC against
   a zone). A message that reaches the store has no bare CR, LF or NUL unless it came as BINARYMIME,
   and begins with our trace fields. */
#include "t/smtp_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char zone[] = "a.test. TXT \"v=spf1 a mx include:b.test -all\"\n"
			   "a.test. MX 1 b.test.\n"
			   "b.test. TXT \"v=spf1 ip4:127.0.0.1 redirect=a.test\"\n"
			   "b.test. A 127.0.0.1\n"
			   "s._domainkey.a.test. TXT \"v=DKIM1; k=ed25519; "
			   "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
			   "_dmarc.a.test. TXT \"v=DMARC1; p=quarantine\"\n"
			   "_dmarc.b.test. TXT \"v=DMARC1; p=reject\"\n"
			   "fail.test. SERVFAIL\n";

static void check_stored(struct smtp_fixture *f)
{
	struct str text = buf_view(&f->body);
	if (!f->delivers) { return; }
	assert(str_starts(text, STR("Received: from ")) ||
		(f->role.secrets_n &&
			str_starts(text, STR("Authentication-Results: mx.example.test;"))));
	assert(str_find(text, STR("\r\n\r\n")) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum listen_kind kinds[] = {LISTEN_SMTP, LISTEN_LMTP, LISTEN_SUBMISSION};
	struct smtp_fixture f;
	if (size < 2 || size > 16384) { return 0; }
	enum listen_kind kind = kinds[data[0] % 3];
	size_t piece = data[1] ? data[1] : size;
	bool proxy = data[0] & 0x80;
	smtp_start_zone(&f, kind == LISTEN_SUBMISSION ? ROLE_SUBMIT : ROLE_MX,
		proxy ? "smtp.proxy_from=127.0.0.1"
		      : "smtp.errors_max=100 smtp.errors_soft=100 "
			"smtp.auth_without_tls=loopback smtp.xclient_from=127.0.0.1",
		data[0] & 0x40 ? zone : NULL);
	f.local = true;
	smtp_connect(&f, kind);
	struct str in = str_make(data + 2, size - 2);
	for (size_t at = 0; at < in.n && !f.gone; at += piece) {
		smtp_say(&f, str_sub(in, at, piece));
		check_stored(&f);
	}
	smtp_end(&f);
	return 0;
}
