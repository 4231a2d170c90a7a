/* One transaction: who sends, to whom, and where each recipient leads. Also what was refused, for
   the audit record. */
#pragma once

#include "auth/auth.h"
#include "lib/dns.h"
#include "smtp/command.h"
#include "smtp/policy.h"

struct verdict;

struct env_rcpt {
	struct str text; /* normalised address */
	struct str orcpt;
	uint8_t notify;
	bool refused;
	struct str reply;      /* refused: what we said */
	uint32_t first, count; /* accepted: its places in env.targets */
};

/* Where a recipient leads: an index into locals or remotes. */
struct env_target {
	bool remote;
	bool again; /* met before, through an earlier recipient */
	uint32_t at;
	struct str address; /* the account's login or where to, unless it was met before */
};

struct envelope {
	struct arena arena;
	uint64_t id; /* of the audit record, in the Received field and in the reply */
	int64_t started_us;
	struct mail_args mail;
	struct env_rcpt *rcpts; /* in the order of the commands, refused ones too */
	uint32_t rcpts_n, rcpts_cap, accepted_n;
	uint32_t tried_n; /* RCPT commands, malformed ones too */
	struct env_target *targets;
	uint32_t targets_n, targets_cap;
	struct op_local_rcpt *locals; /* one per account */
	uint32_t locals_n, locals_cap;
	struct op_remote_rcpt *remotes; /* one per address */
	uint32_t remotes_n, remotes_cap;
	struct dns_budget budget; /* of all questions about it, from MAIL on */
	struct policy_evidence spf, dkim, dmarc;
	struct verdict *verdict; /* they come from; NULL where nothing is looked up */
	struct policy_finding found[POLICY_N - POLICY_OF_SESSION];
	struct str msgid, author; /* Message-ID and From of the header */
	struct str refusal;       /* what we answered to its message, when that was no */
	bool committed;           /* its audit record has been stored with it */
};

struct envelope *envelope_new(int64_t now_us);
void envelope_free(struct envelope *e); /* NULL is fine */
/* A recipient we refused; `reply` is copied. */
void envelope_refuse(struct envelope *e, struct str rcpt, struct str reply);
/* A reply with what it is about, in the envelope's memory. */
struct str envelope_reply(struct envelope *e, enum reply_id id, struct str detail);
/* What we answer to its message, when that is no: for the audit record. */
void envelope_refused(struct envelope *e, enum reply_id id, struct str detail);
/* A recipient that leads to `targets` (n of them, at least one). An account or an address that was
   met before is not added again. ERR_LIMIT when there would be more than OP_RCPTS_MAX of a kind:
   nothing is added. */
int envelope_accept(
	struct envelope *e, const struct rcpt_args *r, const struct auth_target *targets, size_t n);
/* The last step before delivery: Return-Path and Delivered-To of each local recipient. */
void envelope_prefixes(struct envelope *e);
/* The last step before delivery, too: a queue row for each recipient delivered here whose sender
   wants to know (RFC 3461 4.1 NOTIFY=SUCCESS). */
void envelope_reports(struct envelope *e);
/* Or instead of it: no success is told to this sender, here or of what is sent on. */
void envelope_no_reports(struct envelope *e);
