/* What conf.c and conf_value.c share: one value of one row. */
#pragma once

#include "lib/conf.h"

/* Check `text` against its row and write the value into the section's struct at `base`; strings are
   copied into `a`. On ERR_SYNTAX or ERR_LIMIT nothing is written and `e` says what is wrong and
   what is allowed. */
int conf_value_set(
	const struct conf_row *row, struct str text, struct arena *a, void *base, struct err *e);
/* May `item` be the n-th of a list? */
int conf_value_check_item(const struct conf_row *row, struct str item, size_t n, struct err *e);
/* The value as text that conf_value_set reads back. */
void conf_value_put(const struct conf_row *row, const void *base, struct buf *out);
