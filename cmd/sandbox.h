/* What a role's process may still do once it serves: no file system, no new privileges, and only
   the system calls of its row. Linux seccomp-bpf and, where the kernel has it, landlock. */
#pragma once

#include "lib/role.h"

/* For good. ERR_IO with the reason when the kernel refuses. A later violation ends the process with
   SIGSYS. */
int sandbox_close(enum role_id role, struct err *e);
