/* Who is speaking, and where does an address lead: the messages of the auth role. It reads accounts
   and addresses from the store read-only, hashes passwords in a pool of threads, and holds back
   whoever guesses. */
#pragma once

#include "lib/link.h"
#include "lib/role.h"
#include "store/op.h"

extern const struct role_ops auth_role;
extern const struct conf_section auth_conf_section;

enum {
	AUTH_PASSWORD_MAX = 1024, /* octets; longer ones are refused by the caller */
	AUTH_SERVICE_MAX = 32
};

/* Verify a login. mx may not send this. Asked with the plain secret over the link (same machine,
 * socket pair); rows are secret. */
struct auth_login {
	struct str user, password;
	struct str peer;    /* IP text, for back-off */
	struct str service; /* "imap", "submit" */
};
struct auth_login_reply {
	uint32_t aid;
	struct str login; /* primary address */
};
/* rc: 0, ERR_DENIED (unknown user, wrong password, disabled: one answer for all, after the back-off
 * delay), ERR_AGAIN. */

/* Resolve one recipient address: accounts, aliases (several targets, nested up to 10, loops cut),
   catch-all, subaddress, postmaster@ any local domain and bare postmaster. */
struct auth_resolve {
	struct str address; /* local@domain as the parser normalised it; a domain of ours or not */
	bool create;        /* dev: make an account for any address of a local domain */
	uint64_t size;      /* octets of the message as far as they are known, 0 = they are not */
};
enum auth_room {
	ROOM_ENOUGH,
	ROOM_FULL, /* nothing more goes in, or not `size` octets */
	ROOM_NEVER /* not even when it is empty */
};
struct auth_target {
	uint32_t aid;       /* local; 0 = remote */
	struct str address; /* remote: where to; local: the account's login */
	struct str folder;  /* local: the mailbox a +detail names, "" = INBOX */
	uint8_t room;       /* local: enum auth_room */
};
enum {
	RESOLVE_OK,
	RESOLVE_LOOP, /* aliases that lead to themselves and nowhere else, or too far */
	RESOLVE_LATER /* a postmaster there must be (RFC 5321 4.5.1), and will be with an account */
};
struct auth_resolve_reply {
	bool local_domain; /* the domain is ours: an empty list means "no such user" */
	uint8_t fault;     /* or this, RESOLVE_* */
	struct auth_target *targets;
	uint32_t targets_n;
};

/* May this login use this address as envelope sender or author? Its own address, aliases that lead
 * to it, subaddresses of those. */
struct auth_may_send {
	uint32_t aid;
	struct str address; /* "" = as nobody, which every login may */
};
/* rc: 0, ERR_DENIED (the account was disabled or removed since the login), ERR_AGAIN. */
struct auth_may_send_reply {
	bool allowed;
};

extern const struct msg_type AUTH_LOGIN, AUTH_RESOLVE, AUTH_MAY_SEND;
void auth_register(void);

/* Hash a password for storage (crypt(3), default yescrypt). Used by commands. */
int auth_hash(struct str password, struct str scheme, struct buf *out, struct err *e);
