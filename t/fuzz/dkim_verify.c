/* Whole messages through the DKIM verifier, and so through libopendkim as we feed it. The first
   octet says how the body is cut; however that is, the verdicts are the same. The keys of RFC 8463
   A.2 stand everywhere: RSA in org, Ed25519 in net; the servers of com fail. */
#include "t/dkim_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char zone[] =
	"*.org TXT ( \"v=DKIM1; k=rsa; t=y; "
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR\"\n"
	" \"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC\"\n"
	" \"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3\"\n"
	" \"Ip3G+2kryOTIKT+l/K4w3QIDAQAB\" )\n"
	"*.net TXT \"v=DKIM1; k=ed25519; t=s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
	"*.com SERVFAIL\n";

static void same(const struct dkim_fixture *a, const struct dkim_fixture *b)
{
	assert(a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert(a->sigs[i].result == b->sigs[i].result);
		assert(a->sigs[i].reason.n && str_eq(a->sigs[i].reason, b->sigs[i].reason));
		assert(a->sigs[i].result != DKIM_RESULT_PASS || a->sigs[i].key_bits);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t now_us = INT64_C(4102444800) * SECOND_US; /* 2100: no t= ahead */
	struct dkim_fixture whole = {0}, pieces = {.piece = size ? 1 + data[0] % 16 : 1};
	struct str message = size ? str_make(data + 1, size - 1) : STR("");
	dkim_fixture_verify(&whole, message, str_of(zone), now_us);
	dkim_fixture_verify(&pieces, message, str_of(zone), now_us);
	same(&whole, &pieces);
	dkim_fixture_fini(&whole);
	dkim_fixture_fini(&pieces);
	return 0;
}
