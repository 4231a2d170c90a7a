/* The mx role: mail from outside (25) and by LMTP from another server of ours. May deliver, never
   asks auth for a login. */
#include "auth/dkim_verify.h"
#include "smtp/server.h"

static int mx_start(struct role *r, struct err *e)
{
	if (!r->one_process) { dkim_verify_prepare(); }
	return server_start(r, e);
}

const struct role_ops mx_role = {
	.id = ROLE_MX,
	.name = "mx",
	.peers = UINT32_C(1) << ROLE_STORE | UINT32_C(1) << ROLE_AUTH,
	.want_tls = true,
	.want_dns = true,
	.start = mx_start,
	.listen = server_listen,
	.handle = server_handle,
	.reload = server_reload,
	.stop = server_stop,
	.fini = server_fini,
};
