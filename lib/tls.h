/* TLS contexts (OpenSSL 3): TLS 1.2 and above, session tickets, SNI, reload without dropping
 * sessions. */
#pragma once

#include "lib/lib.h"

struct tls_ctx; /* counted; a connection holds one */

/* Server context from PEM text (certificate chain first, then key; or two texts). NULL and the
 * reason in `e`. */
struct tls_ctx *tls_server_new(struct str cert_pem, struct str key_pem, struct err *e);
enum tls_verify {
	TLS_OPPORTUNISTIC, /* any certificate will do (RFC 3207 relay without policy) */
	TLS_VERIFY /* chain to `ca_pem` (empty: the system's store) and the name must match */
};
struct tls_ctx *tls_client_new(enum tls_verify verify, struct str ca_pem, struct err *e);
struct tls_ctx *tls_get(struct tls_ctx *c);
void tls_put(struct tls_ctx *c); /* NULL is fine */
/* Ticket keys survive a reload: copy them from the old context. */
void tls_share_tickets(struct tls_ctx *to, const struct tls_ctx *from);

#define TLS_OWN_CA "posthouse CA" /* its name */
/* For `dev` and `init`: a CA and a certificate for `names` (host names or addresses) signed by it,
   ECDSA P-256. All three outputs are PEM. */
int tls_make_certificate(const struct str *names, size_t n, struct buf *ca_pem,
	struct buf *cert_pem, struct buf *key_pem, struct err *e);
