/* Fault hooks: places where tests let something go wrong that seldom does by itself. Only in builds
   with -Dfaults=true; otherwise FAULT is the constant false and costs nothing.

	if (FAULT("store.commit") || mdb_txn_commit(txn)) { ... }

   The environment variable POSTHOUSE_FAULTS says what happens, items by commas:

	store.commit:3        the third pass fails
	store.commit:3+       the third and all after it
	store.commit:3:kill   the process dies there, as by kill -9
	mx@mem.alloc:100      only in the process of that role

   Points are named "folder.what". Passes are counted in each process by itself. A role that the
   supervisor had to start again runs without faults. The first fault of each item is told on
   stderr: "# fault role@point:pass". */
#pragma once

#include <stdbool.h>
#include <unistd.h>

#ifdef POSTHOUSE_FAULTS
/* Does this pass of the point fail? */
bool fault_pass(const char *point);
/* Replace the plan (the text of POSTHOUSE_FAULTS, "" = none) and count from 0. ERR_SYNTAX when it
   is not understood; nothing fails then. For tests within one process. */
int fault_plan(const char *text);
/* The role of this process, for items that name one. */
void fault_role(const char *name);
/* The environment for another program, with `forget` one without faults. Until the next call. */
char **fault_environ(bool forget);
#	define FAULT(point) fault_pass(point)
#else
#	define FAULT(point) false
static inline void fault_role(const char *name)
{
	(void)name; /* no faults in this build */
}
static inline char **fault_environ(bool forget)
{
	(void)forget;
	return environ;
}
#endif
