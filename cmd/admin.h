/* How commands reach the store: through the control socket of the running server, or by opening the
   store while none runs. Reading is always done directly. */
#pragma once

#include "cmd/options.h"
#include "lib/conf.h"
#include "store/op.h"

struct admin {
	const struct command *command;
	struct conf *conf;
	char data[4000];
	struct store *store; /* open for reading, or for writing when no server runs */
	bool writes;         /* `store` is open for writing */
	struct loop *loop;   /* of the calls to a running server */
	struct link *link;
	struct arena arena;
	struct err why; /* the configuration cannot be used */
};

/* Options that every such command has; first in its struct. */
struct admin_options {
	const char *config, *data;
	bool json;
};
#define ADMIN_OPTIONS(type) \
	{"config", OPTION_STR, offsetof(struct type, admin.config), "FILE", \
		"default: /etc/posthouse.conf"}, \
	{ \
		"data", OPTION_STR, offsetof(struct type, admin.data), "DIR", \
			"the store, instead of the one that the configuration names" \
	}
#define JSON_OPTION(type) \
	{ \
		"json", OPTION_FLAG, offsetof(struct type, admin.json), NULL, "lists as JSON" \
	}

/* The configuration alone. Tells the user and answers an exit code, 0 = go on; *out is to be freed
   in any case. */
int admin_conf(
	const struct command *c, const struct admin_options *o, struct conf **out, struct err *e);
/* Find the data directory only: a->data. Tells the user and answers an exit code, 0 = go on;
   admin_close in any case. */
int admin_find(struct admin *a, const struct command *c, const struct admin_options *o);
/* Connected to a socket that the running server has in the data directory; -1 when none runs. */
int admin_connect(const struct admin *a, const char *name);
/* Find configuration and store. Tells the user and answers an exit code, 0 = go on. `create`: a
   store that is not there yet is made. */
int admin_open(
	struct admin *a, const struct command *c, const struct admin_options *o, bool create);
/* The same for a command that only looks: the store is opened for reading, whoever writes. */
int admin_read(struct admin *a, const struct command *c, const struct admin_options *o);
/* For who opens the store alone: tells the user how that went, by what store_open answered, and
   answers an exit code, 0 = go on. */
int admin_opened(const struct command *c, int rc, const struct err *e);
/* Apply an operation, either way. `reply` is a struct of the row's reply type or NULL; its lists
   live in a->arena. */
int admin_apply(struct admin *a, const struct msg_type *op, const void *request, void *reply);
/* Begin reading: a snapshot of now. */
int admin_snap(struct admin *a, struct snap *out);
/* 0 = mail of the domain is kept here, ERR_GONE = it is not, or why that cannot be known. */
int admin_has_domain(struct admin *a, struct str domain);
void admin_close(struct admin *a);
/* Read a password: from the terminal without echo (twice), or the first line of stdin. */
int admin_password(const struct command *c, struct buf *out);
/* An address in the arena, its domain in the form that the store knows; ERR_SYNTAX after having
   told the user. `target`: what an alias leads to; the case of its local part may mean something
   there. */
int admin_address(struct admin *a, const char *text, bool target, struct str *out);
/* "@domain" and "domain" likewise. */
int admin_catch_all(struct admin *a, const char *text, struct str *out);
int admin_domain(struct admin *a, const char *text, struct str *out);
/* The same for commands without a struct admin: 0 or ERR_SYNTAX, nobody is told. */
int address_normalise(struct str text, struct arena *a, struct str *out);

/* Where the configuration is unless --config says: what POSTHOUSE_CONFIG names (the container sets
   it), else /etc/posthouse.conf. */
const char *config_default(void);
/* conf_load for commands: relative paths in the file count from the folder that it is in; where
   there is no file it also tells what writes one. */
int config_load(struct conf *c, const char *path, struct err *e);
