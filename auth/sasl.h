/* SASL messages. Pure functions over decoded octets; the exchange itself belongs to the protocol.
 */
#pragma once

#include "lib/lib.h"

/* PLAIN (RFC 4616): authzid NUL authcid NUL passwd. Borrowed from `in`. ERR_SYNTAX when malformed,
   a part is empty that must not be, or too long for AUTH_LOGIN; ERR_DENIED when another identity is
   asked for. */
int sasl_plain(struct str in, struct str *user_out, struct str *password_out);
