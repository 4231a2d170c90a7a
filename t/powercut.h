/* A recording of what was done to a data file: one after the other a head and `len` octets. Marks
   are made by whoever was told that something is safe. */
#pragma once

#include <stdint.h>

enum {
	POWERCUT_WRITE = 'W',        /* at `at`: in the kernel's cache */
	POWERCUT_WRITE_SYNCED = 'S', /* at `at`: on disk when the call returned (O_DSYNC) */
	POWERCUT_TRUNCATE = 'T',     /* to `at` octets */
	POWERCUT_SYNC = 'F',         /* everything before is on disk */
	POWERCUT_STATE = 'A',        /* acknowledged: the text that powercut.c makes of the store */
	POWERCUT_IDENT = 'I'         /* acknowledged: the message of this ident is there */
};

struct powercut_head {
	char type;
	char unused[3];
	uint32_t len;
	uint64_t at;
};
