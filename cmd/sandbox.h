/* What a role's process may still do once it serves: no file system, no new privileges, and only
   the system calls of its row. Linux seccomp-bpf and, where the kernel has it, landlock. */
#pragma once

#include "lib/role.h"

/* The process that resolves names for a role. */
enum { SANDBOX_RESOLVER = ROLE_N };

/* For good. ERR_IO with the reason when the kernel refuses. A later violation ends the process with
   SIGSYS. `role`: enum role_id or SANDBOX_RESOLVER. */
int sandbox_close(unsigned role, struct err *e);
