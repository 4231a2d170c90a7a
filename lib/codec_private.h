/* Between codec.c, codec_transfer.c, codec_mutf7.c and head*.c. */
#pragma once

#include "lib/lib.h"

/* 0..63 for a digit of base64, -1 for what is none. */
int base64_value(char c);
/* 0..15 for a hexadecimal digit of either case, -1 for what is none. */
int hex_value(char c);
