/* PROXY protocol headers: a header that is there is there with more behind it, and not before its
   last octet. */
#include "smtp/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, MIN(size, (size_t)1024));
	struct proxy p, less;
	size_t used = 0, used_less;
	if (proxy_parse(in, &p, &used) != 1) { return 0; }
	assert(used > 0 && used <= in.n);
	assert(proxy_parse(str_sub(in, 0, used), &less, &used_less) == 1 && used_less == used);
	for (size_t n = 0; n < used; n++) {
		int rc = proxy_parse(str_sub(in, 0, n), &less, &used_less);
		assert(rc == 0);
	}
	return 0;
}
