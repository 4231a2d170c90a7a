/* Configuration. Every key is a row owned by the folder that uses it; rows of one section fill one
   C struct. `cmd` collects the sections. A load fills a fresh struct set; on an error the old one
   stays. */
#pragma once

#include "lib/lib.h"

enum conf_type {
	CONF_BOOL,     /* bool */
	CONF_INT,      /* uint64_t, plain number */
	CONF_SIZE,     /* uint64_t octets; text takes K, M, G */
	CONF_DURATION, /* int64_t microseconds; text takes ms, s, m, h, d; a bare number is seconds
			*/
	CONF_STR,      /* struct str, owned by the conf */
	CONF_LIST,  /* struct conf_list of str; text: items by commas, \ protects the next octet */
	CONF_CHOICE /* int: index into `choices`, a NULL-terminated table of words */
};

enum {
	CONF_FILE_MAX = 1024 * 1024, /* octets of a file; there is no way to include another */
	CONF_TOKEN_MAX = 16 * 1024   /* of a word or a string in it, as written */
};

struct conf_list {
	struct str *v;
	size_t n;
};

struct conf_row {
	const char *name;
	enum conf_type type;
	size_t offset;
	/* Numbers in the type's unit (durations in seconds), octets of strings and of list items.
	   max 0 = none. An empty default passes by. */
	uint64_t min, max;
	const char *def; /* as it would stand in the file; lists: "" or items by commas */
	const char *unit;
	const char *help; /* one sentence; the man page is checked against it */
	const char *const *choices;
	bool path; /* of a file or directory; in a file, a relative one is meant from its folder */
	bool at_start; /* counts from the start only: a reload changes nothing */
	/* Strings and items of lists: whether the text has the right form, and that form in words
	   for the error. NULL = any text. */
	bool (*valid)(struct str text);
	const char *form;
	bool secret; /* left out when the conf is packed for a role that does not own the section */
};

struct conf_section {
	const char *name; /* "" = top level */
	const struct conf_row *rows;
	size_t n, size; /* size of the C struct */
};

struct conf;

/* All sections that exist; kept by the conf. Values are the defaults. */
struct conf *conf_new(const struct conf_section *const *sections, size_t n);
void conf_free(struct conf *c);
/* Read a file in libconfuse's grammar, starting from the defaults. Errors say file:line: key: what
   is wrong and what is allowed. ERR_GONE when there is no such file. */
int conf_load(struct conf *c, const char *path, struct err *e);
/* The same of a text that is there already; `path` for the errors. */
int conf_read(struct conf *c, const char *path, struct str text, struct err *e);
/* Set one value from text, checked against its row: "smtp.message_max", "50M". */
int conf_set(struct conf *c, struct str key, struct str value, struct err *e);
/* The filled struct of a section; never NULL for a section that was registered. The address stays
   the same over conf_load and conf_unpack; strings and lists in it do not. */
const void *conf_get(const struct conf *c, const struct conf_section *s);
/* What a row takes, in words: "yes or no", "size from 1K to 4G". */
void conf_row_takes(const struct conf_row *row, struct buf *out);
/* One value as conf_set takes it, by its key. *set_out: it was set, be it to its default. ERR_GONE:
   there is no such key. */
int conf_show(const struct conf *c, struct str key, struct buf *out, bool *set_out);
/* All values as text lines, and back: how a conf travels to a role. Secret rows go along only for
   the section named `owner` ("" = none). */
void conf_pack(const struct conf *c, struct str owner, struct buf *out);
/* The same of the rows that count from the start only, secret ones as well. */
void conf_pack_at_start(const struct conf *c, struct buf *out);
int conf_unpack(struct conf *c, struct str in, struct err *e);
