/* What is to run: configuration, key material, bound sockets. Made by `serve` and `dev`, used by
   whoever starts the roles. */
#pragma once

#include "cmd/cmd_conf.h"
#include "cmd/roles.h"

enum { PLAN_LISTEN_MAX = 64, PLAN_FILE_MAX = 1024 * 1024 };

struct plan_listen {
	enum listen_kind kind;
	int fd; /* -1: handed to its role */
	uint16_t port;
};

struct plan {
	struct conf *conf;
	char data[4000];            /* directory of the store */
	struct buf cert, key, zone; /* PEM, PEM, master-file text */
	struct plan_listen listen[PLAN_LISTEN_MAX];
	size_t listen_n;
	bool processes;
	uint32_t uid, gid, net_uid, net_gid; /* what the roles become; 0 = stay as we are */
};

/* Read a whole file of at most PLAN_FILE_MAX octets. */
int file_read(const char *path, struct buf *out, struct err *e);
/* Write it at once: a temporary file in the same directory, synced, renamed. */
int file_write(const char *path, struct str content, unsigned mode, struct err *e);

/* A path from the root, of what need not be there yet; the folder that it is in must. */
int path_absolute(const char *path, char *out, size_t size, struct err *e);

/* Certificate, key and zone by the configuration. */
int plan_load_files(struct plan *p, struct err *e);
/* Do certificate and key work together? */
int plan_check_tls(const struct plan *p, struct err *e);
/* What was loaded anew replaces what there is: configuration, files; the made certificate of a plan
   without one stays. Takes over all of `fresh`. */
void plan_take(struct plan *p, struct plan *fresh);
/* Bind everything in the listen section. */
int plan_bind(struct plan *p, struct err *e);
/* The first port bound for a kind, 0 = none. */
uint16_t plan_port(const struct plan *p, enum listen_kind kind);
/* The secrets a role may have; `out` has room for SUP_SECRETS_MAX. Borrowed from the plan. */
size_t plan_secrets(const struct plan *p, enum role_id role, struct role_secret *out);
/* Fill an empty host name with the system's. */
int plan_hostname(struct plan *p, struct err *e);
void plan_fini(struct plan *p);
