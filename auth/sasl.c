/* SASL messages. Runs in imap and submit. */
#include "auth/sasl.h"

#include "auth/auth.h"

int sasl_plain(struct str in, struct str *user_out, struct str *password_out)
{
	struct str authzid, user;
	if (!str_cut(&in, '\0', &authzid) || !str_cut(&in, '\0', &user)) { return ERR_SYNTAX; }
	if (user.n == 0 || user.n > ADDRESS_MAX) { return ERR_SYNTAX; }
	if (in.n == 0 || in.n > AUTH_PASSWORD_MAX || str_chr(in, '\0') >= 0) { return ERR_SYNTAX; }
	if (authzid.n && !str_ieq(authzid, user)) { return ERR_DENIED; }
	*user_out = user;
	*password_out = in;
	return 0;
}
