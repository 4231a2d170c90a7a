/* posthouse fsck: what is wrong in the store, and mending it. Runs while no server does. */
#include "store/fsck.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

bool fsck_found(struct fsck *f, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	f->findings++;
	if (f->report) { f->report(f->ctx, str_make(text, MIN((size_t)n, sizeof text - 1))); }
	return f->repair;
}

void fsck_do(struct fsck *f, int rc)
{
	if (rc < 0 && f->rc == 0) { f->rc = rc; }
}

void fsck_id(struct fsck_ids *ids, uint64_t oid)
{
	if (ids->n == ids->cap) {
		ids->cap = ids->cap ? 2 * ids->cap : 4096;
		ids->v = realloc(ids->v, ids->cap * sizeof *ids->v);
		if (!ids->v) { abort(); }
	}
	ids->v[ids->n++] = oid;
}

bool fsck_any(struct fsck *f, enum table tb, struct key *at, size_t fixed, MDB_val *v)
{
	MDB_cursor *c;
	MDB_val key = key_val(at), value;
	arena_reset(&f->ap.tmp);
	if (f->rc < 0) { return false; }
	int rc = mdb_cursor_open(f->ap.txn, f->ap.s->dbi[tb], &c);
	if (rc == 0) {
		rc = at->n ? mdb_cursor_get(c, &key, &value, MDB_SET_RANGE)
			   : mdb_cursor_get(c, &key, &value, MDB_FIRST);
		mdb_cursor_close(c);
	}
	if (rc == MDB_NOTFOUND) { return false; }
	if (rc != 0) {
		fsck_do(f, env_rc(rc));
		return false;
	}
	if (key.mv_size < fixed || memcmp(key.mv_data, at->p, fixed) != 0) { return false; }
	assert(key.mv_size < sizeof at->p); /* LMDB's limit */
	memmove(at->p, key.mv_data, key.mv_size);
	at->n = key.mv_size;
	if (v) { *v = value; }
	return true;
}

bool fsck_next(struct fsck *f, enum table tb, struct key *at, size_t fixed, MDB_val *v)
{
	while (fsck_any(f, tb, at, fixed, v)) {
		if (key_fits(tb, str_make(at->p, at->n))) { return true; }
		key_step(at);
	}
	return false;
}

int store_fsck(
	struct store *s, bool repair, void (*report)(void *ctx, struct str finding), void *ctx)
{
	static void (*const passes[])(struct fsck *) = {fsck_records, fsck_ids, fsck_accounts,
		fsck_mailboxes, fsck_queue, fsck_audit, fsck_lost, fsck_objects, fsck_ids_end};
	struct timespec now;
	struct ids before = s->ids;
	struct fsck f = {.repair = repair, .report = report, .ctx = ctx};
	clock_gettime(CLOCK_REALTIME, &now);
	f.ap = (struct apply){
		.s = s, .a = &f.arena, .news = &f.news, .now_us = now.tv_sec * SECOND_US};
	if (repair && !s->writable) { return ERR_DENIED; }
	f.rc = repair ? env_begin(s, &f.ap.txn)
		      : env_rc(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &f.ap.txn));
	if (f.rc < 0) { return f.rc; }
	if (!s->writable) { s->meta_lost = ids_read(s, f.ap.txn) < 0 ? META_IDS : 0; }
	for (size_t i = 0; i < COUNT(passes) && f.rc == 0; i++) { passes[i](&f); }
	if (f.rc == 0 && repair) {
		f.rc = ids_write(s, f.ap.txn);
		if (f.rc == 0) {
			f.rc = env_commit(s, f.ap.txn);
		} else {
			mdb_txn_abort(f.ap.txn);
		}
	} else {
		mdb_txn_abort(f.ap.txn);
	}
	if (f.rc < 0) { s->ids = before; }
	if (f.rc == 0 && repair) { s->meta_lost = 0; }
	arena_fini(&f.ap.tmp);
	arena_fini(&f.arena);
	news_fini(&f.news);
	free(f.refs.v);
	free(f.dying.v);
	free(f.found.v);
	free(f.disabled.v);
	free(f.hints);
	return f.rc < 0 ? f.rc : f.findings;
}
