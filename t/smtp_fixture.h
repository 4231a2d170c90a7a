/* The SMTP server on a loop with a clock that stands still, between a client, an auth and a store
   that do as the test says. Addresses: any local part at example.test exists but "nobody"; "full"
   is over quota; "both" is an alias of one@example.test and far@example.org; "again" cannot be
   looked up now; other domains are remote. The login "one" has the password "secret". */
#pragma once

#include "smtp/server.h"
#include "store/op.h"

struct smtp_fixture {
	struct loop *loop;
	struct conf *conf;
	struct role role;
	struct link *auth, *store; /* their ends */
	struct tls_ctx *client_tls;
	/* the client */
	struct task task;
	bool local;       /* the client counts as one on loopback */
	bool over_tcp;    /* connect over loopback: the client has an address */
	const char *from; /* its address; NULL = none */
	bool gone;        /* the server closed */
	struct buf heard; /* since the last say */
	int tls_rc;       /* of the client's handshake, 1 = none yet */
	bool disabled;    /* auth: the login's account, by now */
	/* what the store got */
	int deliver_rc, full_aid;             /* what it answers; ERR_QUOTA for this account */
	unsigned delivers, audits, audit_ops; /* records, and operations with some */
	struct buf body, envelope;            /* of the last message; as text */
	struct buf checks;  /* of the last audit record: "name=result(action)[exception] ..." */
	struct buf details; /* lines of "name: detail" */
	struct buf upload;
	uint32_t first_chunk; /* of `upload`: 1 when a top will come */
	bool silent;          /* it keeps the operation without an answer */
	struct link_msg *held;
};

/* `settings`: "smtp.errors_max=3 policy.helo=refuse ...", "~" is a blank within one. Nothing can be
   looked up. */
void smtp_start(struct smtp_fixture *f, enum role_id role, const char *settings);
/* The same with a resolver: master-file text that answers everything. */
void smtp_start_zone(
	struct smtp_fixture *f, enum role_id role, const char *settings, const char *zone);
/* The session of the client that is connected. */
struct session *smtp_session(struct smtp_fixture *f);
void smtp_end(struct smtp_fixture *f);
/* A fresh client (the old one is gone). */
void smtp_connect(struct smtp_fixture *f, enum listen_kind kind);
/* Send octets, let everything happen, and answer the replies as "250/2.1.0 354 ...": code and
   status of each, "." behind them when the server has closed. Valid until the next call. */
struct str smtp_say(struct smtp_fixture *f, struct str octets);
#define SAY(f, lit) smtp_say((f), STR(lit))
/* Let time pass; replies as above. */
struct str smtp_wait(struct smtp_fixture *f, int64_t us);
/* Client side of a TLS handshake. */
void smtp_tls(struct smtp_fixture *f);
/* A whole PLAIN login. */
struct str smtp_login(struct smtp_fixture *f);
/* The store answers what it held back. */
void smtp_answer_held(struct smtp_fixture *f);
