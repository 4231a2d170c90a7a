/* The messages of the auth role, as tables. */
#include "auth/auth.h"

WIRE_TABLE(auth_login, wire_auth_login, WIRE_STR(struct auth_login, user, ADDRESS_MAX),
	WIRE_STR(struct auth_login, password, AUTH_PASSWORD_MAX),
	WIRE_STR(struct auth_login, peer, NET_ADDR_TEXT),
	WIRE_STR(struct auth_login, service, AUTH_SERVICE_MAX));
WIRE_TABLE(auth_login_reply, wire_auth_login_reply, WIRE_U32(struct auth_login_reply, aid),
	WIRE_STR(struct auth_login_reply, login, ADDRESS_MAX));
WIRE_TABLE(auth_resolve, wire_auth_resolve, WIRE_STR(struct auth_resolve, address, ADDRESS_MAX),
	WIRE_BOOL(struct auth_resolve, create), WIRE_U64(struct auth_resolve, size));
WIRE_TABLE(auth_target, wire_auth_target, WIRE_U32(struct auth_target, aid),
	WIRE_STR(struct auth_target, address, ADDRESS_MAX),
	WIRE_STR(struct auth_target, folder, MAILBOX_NAME_MAX), WIRE_U8(struct auth_target, room));
WIRE_TABLE(auth_resolve_reply, wire_auth_resolve_reply,
	WIRE_BOOL(struct auth_resolve_reply, local_domain),
	WIRE_U8(struct auth_resolve_reply, fault),
	WIRE_LIST(struct auth_resolve_reply, targets, targets_n, wire_auth_target, TARGETS_MAX));
WIRE_TABLE(auth_may_send, wire_auth_may_send, WIRE_U32(struct auth_may_send, aid),
	WIRE_STR(struct auth_may_send, address, ADDRESS_MAX));
WIRE_TABLE(auth_may_send_reply, wire_auth_may_send_reply,
	WIRE_BOOL(struct auth_may_send_reply, allowed));

#define FROM(role) (UINT32_C(1) << (role))

const struct msg_type AUTH_LOGIN = {.type = 200,
	.name = "auth-login",
	.request = &wire_auth_login,
	.reply = &wire_auth_login_reply,
	.from = FROM(ROLE_SUBMIT) | FROM(ROLE_IMAP),
	.to = ROLE_AUTH,
	.secret = true};
const struct msg_type AUTH_RESOLVE = {.type = 201,
	.name = "auth-resolve",
	.request = &wire_auth_resolve,
	.reply = &wire_auth_resolve_reply,
	.from = FROM(ROLE_MX) | FROM(ROLE_SUBMIT) | FROM(ROLE_RELAY),
	.to = ROLE_AUTH};
const struct msg_type AUTH_MAY_SEND = {.type = 202,
	.name = "auth-may-send",
	.request = &wire_auth_may_send,
	.reply = &wire_auth_may_send_reply,
	.from = FROM(ROLE_SUBMIT),
	.to = ROLE_AUTH};

void auth_register(void)
{
	link_register(&AUTH_LOGIN, 1);
	link_register(&AUTH_RESOLVE, 1);
	link_register(&AUTH_MAY_SEND, 1);
}
