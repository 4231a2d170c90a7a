/* A login's message, as the client sent it: base64, then PLAIN. What is taken is what was there. */
#include "auth/auth.h"
#include "auth/sasl.h"
#include "lib/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plain(struct str in)
{
	struct str user, password;
	if (sasl_plain(in, &user, &password) < 0) { return; }
	assert(user.n > 0 && user.n <= ADDRESS_MAX);
	assert(password.n > 0 && password.n <= AUTH_PASSWORD_MAX);
	assert(password.p + password.n == in.p + in.n); /* the last part */
	assert(user.p > in.p && user.p[-1] == 0 && user.p + user.n + 1 == password.p);
	assert(!memchr(user.p, 0, user.n) && !memchr(password.p, 0, password.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);
	struct buf raw = {0};
	if (base64_decode(in, &raw) == 0) { check_plain(buf_view(&raw)); }
	check_plain(in);
	buf_fini(&raw);
	return 0;
}
