/* What the server's processes use, read from /proc: the given root processes and all their
   descendants. */
#pragma once

#include <stdint.h>

/* User and system time in microseconds (in steps of a clock tick), with that of children that have
   ended and were waited for. `pids` is a list separated by commas; NULL or empty gives 0. */
uint64_t proc_cpu_us(const char *pids);
/* Proportional set size in KiB, by smaps_rollup; needs the right to read it. `count_out` (or NULL)
   gets the number of processes. */
uint64_t proc_pss_kib(const char *pids, unsigned *count_out);
/* The part of it that is no file: what others on the machine map does not change it. */
uint64_t proc_own_kib(const char *pids);
