/* The submit role: mail of our users (587 with STARTTLS, 465). May deliver and queue, after a
   login. */
#include "smtp/server.h"

const struct role_ops submit_role = {
	.id = ROLE_SUBMIT,
	.name = "submit",
	.peers = UINT32_C(1) << ROLE_STORE | UINT32_C(1) << ROLE_AUTH,
	.want_tls = true,
	.start = server_start,
	.listen = server_listen,
	.handle = server_handle,
	.reload = server_reload,
	.stop = server_stop,
	.fini = server_fini,
};
