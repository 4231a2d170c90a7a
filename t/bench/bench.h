/* What every mode of the load generator shares: the options, the loop, the counters and the result.
   One process, one loop, no threads. A wrong answer of the server is counted by bench_fail and
   makes the whole run fail at its end. */
#pragma once

#include <ev.h>
#include <openssl/ssl.h>

#include "lib/lib.h"
#include "t/bench/latency.h"
#include "t/bench/message.h"

enum tls { TLS_NONE, TLS_STARTTLS, TLS_IMPLICIT };

struct options {
	const char *host, *ca, *user, *password, *sender, *mailbox, *pids;
	const char *helo, *xclient, *header;
	uint64_t port, smtp_port, imap_port;
	uint64_t connections, messages, size, recipients, users, per_connection, passes, ops,
		timeout_s;
	enum tls tls, imap_tls;
	bool no_pipelining;
	char **command; /* mode start: what to run */
};

struct bench {
	struct options opt;
	struct ev_loop *loop;
	SSL_CTX *tls;
	struct message message;
	struct latency latency;
	ev_timer deadline;
	int64_t start_us, end_us;
	uint64_t cpu_start_us, cpu_us; /* user and system time of the server's processes */
	uint64_t ops, bytes, errors;
	uint64_t live;     /* sessions that have not ended */
	uint64_t arrived;  /* sessions waiting at the starting line */
	struct buf extras; /* more members of the JSON result, each with a comma in front */
};

int64_t now_us(void); /* monotonic */

/* Count a wrong answer; the first ten are printed to stderr. */
void bench_fail(struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Start and stop the clock and the server's CPU account. */
void bench_start(struct bench *b);
void bench_stop(struct bench *b);
/* Run the loop until every session has ended or the deadline is over. */
void bench_run(struct bench *b);
/* A session has ended; the last one breaks the loop. */
void bench_leave(struct bench *b);
/* Add `"name":value` to the result. */
void bench_extra(struct bench *b, const char *name, double value);
/* The address of user `n`: the pattern with its `%` replaced by the number modulo --users. */
void bench_user(const struct bench *b, uint64_t n, struct buf *out);

/* A row of the table of modes. */
struct mode {
	const char *name;
	void (*run)(struct bench *b);
	const char *help;
};

void mode_message(struct bench *b);
void mode_smtp(struct bench *b);
void mode_submission(struct bench *b);
void mode_lmtp(struct bench *b);
void mode_append(struct bench *b);
void mode_fetch_envelope(struct bench *b);
void mode_fetch_body(struct bench *b);
void mode_mixed(struct bench *b);
void mode_login(struct bench *b);
void mode_idle(struct bench *b);
void mode_idle_memory(struct bench *b);
void mode_start(struct bench *b);
