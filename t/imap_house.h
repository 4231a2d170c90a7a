/* imap, auth and store on one loop whose clock stands still, as in `posthouse dev`: sessions over
   TCP and the real store. Every local part of example.test is an account, any password is right. */
#pragma once

#include "imap/server.h"
#include "t/store_fixture.h"

struct house {
	struct fixture fx;
	struct loop *loop;
	struct conf *conf;
	struct role roles[ROLE_N];
	struct tls_ctx *client_tls;
};
extern struct house house;

void house_start(void);
/* Ends with an fsck. */
void house_end(void);
/* A key of the configuration, for sessions from now on. */
void house_set(const char *key, const char *value);
/* Let everything happen that can. */
void house_settle(void);

struct client {
	struct task task;
	struct buf heard; /* since the last client_say */
	bool gone;
	int tls_rc; /* 1 = no handshake yet */
};
/* Connect; the greeting. `tls`: as to the port of IMAPS. */
struct str client_start(struct client *c, bool tls);
void client_end(struct client *c);
/* Connect and log in as u@example.test. */
void client_log_in(struct client *c);
/* Send octets, let everything happen, answer what came. Valid until the next call. */
struct str client_say(struct client *c, struct str octets);
#define SAY(c, lit) client_say((c), STR(lit))
/* As client_say, for what is answered by a thread: a password is hashed. */
struct str client_say_slow(struct client *c, struct str octets);
/* The client's side of a handshake, and what came after it. */
struct str client_tls(struct client *c);
/* Whether `needle` stands in `text`; says so when it does not. */
bool has(struct str text, const char *needle);
