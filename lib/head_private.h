/* Between the files that read structured header values: head*.c, addr.c, date.c. */
#pragma once

#include "lib/head.h"

static inline bool head_blank(char c)
{
	return c == ' ' || c == '\t';
}
