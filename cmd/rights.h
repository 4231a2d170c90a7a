/* What the supervisor may still do once it serves. It has bound the ports and read the keys; from
   then on it starts roles, gives them accounts, ends them, and reads its files again at a reload.
 */
#pragma once

#include "lib/lib.h"

/* For good, and for every role that is started from now on: no_new_privs, no core files; of root's
   capabilities those to become another account, to end a process of one, and to use a data
   directory that belongs to one; where the kernel has landlock, files are written or made below
   `dirs` only (NULL entries are passed by; those that do not exist are left out). Reading stays as
   it is. System calls that nobody here ever needs fail with EACCES, in roles as well. ERR_IO. */
int rights_drop(const char *const *dirs, size_t n, struct err *e);
