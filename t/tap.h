/* A TAP harness. A test program is a main() that calls tap_run on its table of cases; each case
   gets a name and a plan line of its own, and a failed check prints file, line and both values. */
#pragma once

#include <stdio.h>

#include "lib/lib.h"

struct tap_case {
	const char *name;
	void (*run)(void);
};

/* Runs every case (or the one whose name is argv[1]); answers the exit status. */
int tap_run(const struct tap_case *cases, size_t n, int argc, char **argv);

/* Record a failure of the running case. */
void tap_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Mark the running case as skipped. Loud in CI: POSTHOUSE_NO_SKIP=1 turns it into a failure. */
void tap_skip(const char *reason);
void tap_check_str(const char *file, int line, const char *what, struct str got, struct str want);
void tap_check_int(const char *file, int line, const char *what, long long got, long long want);

#define CHECK(cond) ((cond) ? (void)0 : tap_fail(__FILE__, __LINE__, "not true: %s", #cond))
#define CHECK_STR(got, want) tap_check_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_INT(got, want) \
	tap_check_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
