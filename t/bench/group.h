/* A group of IMAP sessions that do the same work side by side. All log in and prepare first; then
   they start together, and each round ends when the last of them is done. */
#pragma once

#include "t/bench/imap.h"

struct group;

struct member {
	struct imap imap;
	struct group *group;
	uint64_t index;
	uint64_t step;   /* how often `work` was called in this round */
	uint64_t lines;  /* untagged responses of interest since the last `work` */
	uint64_t *sizes; /* RFC822.SIZE by sequence number, freed with the group */
	int64_t begun_us;
	enum { MEMBER_LOGIN, MEMBER_PREPARE, MEMBER_WORK, MEMBER_WAIT } phase;
};

struct group {
	struct bench *bench;
	struct member *members;
	uint64_t n, alive, waiting, round, rounds;
	uint64_t next;        /* for the mode's own numbering */
	int64_t round_us;     /* when it began */
	uint64_t round_bytes; /* bench->bytes at that time */
	/* Queue what comes before the clock starts (at least one command). */
	void (*prepare)(struct member *m);
	/* All commands queued by the last call are answered; queue more, or answer false: done. */
	bool (*work)(struct member *m);
	void (*line)(struct member *m, struct str line); /* an untagged response */
	/* Round `round` (from 1) took `seconds`. May be NULL. */
	void (*over)(struct group *g, double seconds);
};

/* Fill in the functions and `rounds`; runs everything, between bench_start and bench_stop. */
void group_run(struct group *g, struct bench *b);
