/* What the files of the configuration share: conf.c has the sections and lines for roles,
   conf_value.c one value of one row, conf_file.c what is in a file, conf_text.c what may be in one.
 */
#pragma once

#include "lib/conf.h"

enum { CONF_NAME_SHOWN = 40 }; /* octets of a name in a complaint */

struct conf {
	const struct conf_section **sections;
	void **values; /* the C struct of each section */
	bool **set;    /* per section and row: not left at its default */
	size_t n;
	struct arena arena; /* strings and lists */
};

/* The index of a section, or c->n. */
size_t conf_find_section(const struct conf *c, struct str name);
const struct conf_row *conf_find_row(const struct conf_section *sec, struct str name);
/* ERR_SYNTAX with what may be meant instead. `s` may be c->n. */
int conf_unknown_key(const struct conf *c, size_t s, struct str name, struct err *e);
/* The row is set, be it to its default. */
void conf_mark(struct conf *c, size_t s, const struct conf_row *row);
/* Values of `from` into `to`, whose structs keep their addresses; frees `from`. */
void conf_adopt(struct conf *to, struct conf *from);

/* Make the text of a file fit for libconfuse, whose lexer drops octets that it does not know,
   counts lines with comments twice, takes none within a list, and stays within a string that is not
   closed even for the next file. Comments become blanks. ERR_SYNTAX and ERR_LIMIT with file and
   line. */
int conf_text_prepare(const char *path, struct buf *text, struct err *e);

/* Check `text` against its row and write the value into the section's struct at `base`; strings are
   copied into `a`. On ERR_SYNTAX or ERR_LIMIT nothing is written and `e` says what is wrong and
   what is allowed. */
int conf_value_set(
	const struct conf_row *row, struct str text, struct arena *a, void *base, struct err *e);
/* May `item` be the n-th of a list? */
int conf_value_check_item(const struct conf_row *row, struct str item, size_t n, struct err *e);
/* The value as text that conf_value_set reads back. */
void conf_value_put(const struct conf_row *row, const void *base, struct buf *out);
