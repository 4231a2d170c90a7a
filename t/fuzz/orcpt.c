/* Original recipients: what goes out is what a host may get, and no form loses what another had. */
#include "lib/charset.h"
#include "smtp/orcpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_param(struct str in, bool smtputf8)
{
	struct buf once = {0}, twice = {0}, field = {0}, again = {0};
	if (orcpt_param(in, smtputf8, &once)) {
		assert(once.n <= MAX(in.n, (size_t)ORCPT_MAX));
		assert(smtputf8 ? utf8_valid(buf_view(&once)) : str_ascii(buf_view(&once)));
		bool same = orcpt_param(buf_view(&once), smtputf8, &twice);
		assert(same && str_eq(buf_view(&once), buf_view(&twice)));
		orcpt_field(in, true, &field);
		orcpt_field(buf_view(&once), true, &again);
		assert(str_eq(buf_view(&field), buf_view(&again)));
	}
	buf_fini(&once);
	buf_fini(&twice);
	buf_fini(&field);
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);
	if (!utf8_valid(in)) { return 0; }
	for (size_t i = 0; i < size; i++) { /* a parameter has no others (smtp_command) */
		if (in.p[i] == '=' || in.p[i] == 127 || (unsigned char)in.p[i] <= ' ') { return 0; }
	}
	check_param(in, false);
	check_param(in, true);
	return 0;
}
