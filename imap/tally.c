/* Counts by key. The imap role; owns a row for every key that is counted at all. */
#include "imap/tally.h"

struct tally_row {
	char key[TALLY_KEY_MAX];
	size_t key_n;
	uint64_t count;
};

struct tally_row *tally_enter(struct tally *t, struct str key, uint64_t max)
{
	struct tally_row *row = map_get(&t->rows, key);
	if ((row ? row->count : 0) >= max) { return NULL; }
	if (!row) {
		assert(key.n <= TALLY_KEY_MAX);
		row = xnew(struct tally_row);
		memcpy(row->key, key.p, key.n);
		row->key_n = key.n;
		map_put(&t->rows, str_make(row->key, row->key_n), row);
	}
	row->count++;
	return row;
}

void tally_leave(struct tally *t, struct tally_row *row)
{
	if (!row || --row->count) { return; }
	map_del(&t->rows, str_make(row->key, row->key_n));
	free(row);
}

void tally_fini(struct tally *t)
{
	size_t at = 0;
	struct str key;
	void *row;
	while ((row = map_next(&t->rows, &at, &key))) {
		map_del(&t->rows, key);
		free(row);
	}
	map_fini(&t->rows);
}
