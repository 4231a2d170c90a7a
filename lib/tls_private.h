/* What tls.c shares with conn.c. */
#pragma once

#include <openssl/ssl.h>

#include "lib/tls.h"

/* A fresh SSL, still without BIOs. `sni`: for clients the name to send and, when the context
 * verifies, to match. NULL: out of memory. */
SSL *tls_ssl_new(struct tls_ctx *c, bool server, struct str sni);
