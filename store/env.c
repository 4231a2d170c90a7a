/* Opening the store: directory, lock, LMDB environment, tables, schema. The lock is held by the one
   writer for as long as it lives (flock(2)); readers take none. */
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "lib/fault.h"
#include "store/blob.h"

const char *const table_names[TB_N] = {"meta", "acct", "addr", "cred", "domain", "mbox", "mname",
	"msg", "kw", "chg", "obj", "parse", "blob", "upload", "gc", "thread", "q", "qr", "qdue",
	"audit", "auditid"};

enum { DISK_FLOOR = 64 * 1024 * 1024, LOCK_WAITS = 100, LOCK_WAIT_MS = 20 };
static const size_t map_size = (size_t)1 << 40;
static const size_t small_map_size = 8 * 1024 * 1024; /* of tests that fill it */

int env_rc(int rc)
{
	switch (rc) {
	case 0: return 0;
	case MDB_NOTFOUND: return ERR_GONE;
	case MDB_KEYEXIST: return ERR_EXISTS;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case MDB_READERS_FULL:
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID: return ERR_DAMAGED;
	default: return ERR_IO;
	}
}

int env_begin(struct store *s, MDB_txn **out)
{
	*out = NULL;
	if (s->broken || FAULT("store.begin")) { return ERR_IO; }
	int rc = mdb_txn_begin(s->env, NULL, 0, out);
	s->broken = rc == MDB_PANIC;
	return env_rc(rc);
}

int env_commit(struct store *s, MDB_txn *txn)
{
	if (FAULT("store.commit")) {
		mdb_txn_abort(txn);
		return ERR_IO;
	}
	int rc = mdb_txn_commit(txn);
	if (FAULT("store.committed")) { /* as when the write of the meta page fails at its end */
		s->broken = true;
		return ERR_IO;
	}
	return env_rc(rc);
}

bool store_broken(const struct store *s)
{
	return s->broken;
}

uint64_t env_disk_free(struct store *s)
{
	struct statvfs vfs;
	int fd;
	if (mdb_env_get_fd(s->env, &fd) != 0 || fstatvfs(fd, &vfs) < 0) { return UINT64_MAX; }
	return (uint64_t)vfs.f_bavail * vfs.f_frsize;
}

bool env_disk_low(struct store *s)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (ts.tv_sec == s->disk_checked) { return s->disk_low; }
	s->disk_checked = ts.tv_sec;
	s->disk_low = env_disk_free(s) < s->disk_floor;
	return s->disk_low;
}

/* Take the writer's lock. ERR_INUSE when another process has it. A server that has been killed
   takes a moment to end: whoever starts it again need not know that. */
static int take_lock(struct store *s, struct err *e)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/lock", s->dir);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0) {
		return err_set(e, ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
	}
	int rc = flock(s->lock_fd, LOCK_EX | LOCK_NB);
	for (int i = 0; rc < 0 && errno == EWOULDBLOCK && i < LOCK_WAITS; i++) {
		usleep(LOCK_WAIT_MS * 1000);
		rc = flock(s->lock_fd, LOCK_EX | LOCK_NB);
	}
	if (rc < 0) {
		return err_set(e, ERR_INUSE,
			"%s: another posthouse works on this store; stop it first or use its "
			"control socket",
			s->dir);
	}
	return 0;
}

static int open_tables(struct store *s, MDB_txn *txn)
{
	unsigned flags = s->writable ? MDB_CREATE : 0;
	for (int i = 0; i < TB_N; i++) {
		int rc = mdb_dbi_open(txn, table_names[i], flags, &s->dbi[i]);
		if (rc != 0) { return rc; }
	}
	return 0;
}

static struct key schema_key(void)
{
	struct key k = key_none();
	key_str(&k, STR("schema"));
	return k;
}

int schema_write(struct store *s, MDB_txn *txn)
{
	struct rec_schema schema = {SCHEMA_VERSION};
	struct key k = schema_key();
	return rec_put(s, txn, TB_META, &k, &schema, 0);
}

static bool is_empty(struct store *s, MDB_txn *txn)
{
	for (int tb = 0; tb < TB_N; tb++) {
		MDB_stat st;
		if (mdb_stat(txn, s->dbi[tb], &st) != 0 || st.ms_entries > 0) { return false; }
	}
	return true;
}

static int make_meta(struct store *s, MDB_txn *txn)
{
	s->ids = (struct ids){.oid = 1,
		.mailboxid = 1,
		.qid = 1,
		.aid = 1,
		.mid = 1,
		.uidvalidity = (uint32_t)time(NULL)};
	int rc = schema_write(s, txn);
	return rc < 0 ? rc : ids_write(s, txn);
}

static bool is_lost(int rc)
{
	return rc == ERR_GONE || rc == ERR_DAMAGED;
}

static int lost_meta(struct store *s, uint32_t version, struct err *e)
{
	if (version == 0) {
		return err_set(e, ERR_DAMAGED,
			"%s: both meta records are damaged: nothing tells which schema the store "
			"has. "
			"If this posthouse was the last that worked on it: posthouse fsck --repair "
			"--schema %d",
			s->dir, SCHEMA_VERSION);
	}
	return err_set(e, ERR_DAMAGED,
		"%s: the meta records of the store are damaged: posthouse fsck --repair makes them "
		"again",
		s->dir);
}

int meta_read(struct store *s, MDB_txn *txn, bool mend, uint32_t said, struct err *e)
{
	struct rec_schema schema = {0};
	struct key k = schema_key();
	if (s->writable && is_empty(s, txn)) {
		int rc = make_meta(s, txn);
		return rc < 0 ? err_set(e, rc, "%s: cannot be written", s->dir) : 0;
	}
	int rc = rec_get(s, txn, TB_META, &k, NULL, &schema), ids_rc = ids_read(s, txn);
	if ((rc < 0 && !is_lost(rc)) || (ids_rc < 0 && !is_lost(ids_rc))) {
		return err_set(e, ERR_IO, "%s: the store cannot be read", s->dir);
	}
	s->meta_lost = (rc < 0 ? META_SCHEMA : 0) | (ids_rc < 0 ? META_IDS : 0);
	uint32_t version = rc == 0 ? schema.version : ids_rc == 0 ? s->ids.schema : 0;
	if (version == 0 && mend) { version = said; }
	if ((rc == 0 || version) && version != SCHEMA_VERSION) {
		return err_set(e, ERR_DAMAGED,
			"%s: the store has schema %u, this posthouse reads %d: use the version "
			"that wrote it",
			s->dir, version, SCHEMA_VERSION);
	}
	bool enough = mend ? version > 0 : rc == 0 && (ids_rc == 0 || !s->writable);
	return enough ? 0 : lost_meta(s, version, e);
}

/* How an operator has it opened to be mended. */
struct mending {
	uint32_t schema; /* as he said; 0: he did not */
};

/* `path`: a directory, or with MDB_NOSUBDIR in `more` a file. */
static int open_env(
	struct store *s, const char *path, unsigned more, const struct mending *mend, struct err *e)
{
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (s->writable ? 0 : MDB_RDONLY) | more;
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&s->env);
	if (rc == 0) { rc = mdb_env_set_maxdbs(s->env, TB_N + 4); }
	if (rc == 0) { rc = mdb_env_set_maxreaders(s->env, READERS_MAX); }
	if (rc == 0) {
		rc = mdb_env_set_mapsize(
			s->env, FAULT("store.small_map") ? small_map_size : map_size);
	}
	if (rc == 0) { rc = mdb_env_open(s->env, path, flags, 0660); }
	if (rc == 0) {
		int dead;
		mdb_reader_check(s->env, &dead);
		rc = mdb_txn_begin(s->env, NULL, s->writable ? 0 : MDB_RDONLY, &txn);
	}
	if (rc == 0) { rc = open_tables(s, txn); }
	if (rc != 0) {
		if (txn) { mdb_txn_abort(txn); }
		bool none = rc == ENOENT || rc == MDB_NOTFOUND;
		return err_set(e, none ? ERR_GONE : env_rc(rc), "%s: %s", s->dir,
			none ? "there is no store here yet" : mdb_strerror(rc));
	}
	rc = meta_read(s, txn, mend != NULL, mend ? mend->schema : 0, e);
	if (rc < 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : err_set(e, env_rc(rc), "%s: %s", s->dir, mdb_strerror(rc));
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	if (fd >= 0) { close(fd); }
	return rc;
}

/* A new store gets its name when it is whole and on disk: half of one, left by a power cut, would
   have to be removed by hand. */
static int make_env(struct store *s, struct err *e)
{
	char path[4096], made[4096];
	snprintf(path, sizeof path, "%s/data.mdb", s->dir);
	snprintf(made, sizeof made, "%s/data.new", s->dir);
	if (access(path, F_OK) == 0) { return 0; }
	unlink(made);
	int rc = open_env(s, made, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, NULL, e);
	if (rc == 0 && mdb_env_sync(s->env, 1) != 0) { /* all of it at once */
		rc = err_set(e, ERR_IO, "%s: cannot be written: %s", made, strerror(errno));
	}
	if (s->env) { mdb_env_close(s->env); }
	s->env = NULL;
	if (rc < 0) { return rc; }
	if (rename(made, path) < 0 || sync_directory(s->dir) < 0) {
		return err_set(e, ERR_IO, "%s: cannot be made: %s", path, strerror(errno));
	}
	return 0;
}

static int open_store(const char *dir, bool writable, const struct mending *mend,
	struct store **out, struct err *e)
{
	struct store *s = xnew(struct store);
	s->dir = xstrdup(str_of(dir));
	s->lock_fd = -1;
	s->writable = writable;
	s->disk_floor = DISK_FLOOR;
	s->gc_wait_us = GC_WAIT_S * SECOND_US;
	s->disk_checked = -1;
	int rc = 0;
	if (writable && !mend && mkdir(dir, 0700) < 0 && errno != EEXIST) {
		rc = err_set(e, ERR_IO, "%s: cannot be created: %s", dir, strerror(errno));
	}
	if (rc == 0 && writable) { rc = take_lock(s, e); }
	if (rc == 0 && writable && !mend) { rc = make_env(s, e); }
	if (rc == 0) { rc = open_env(s, s->dir, 0, mend, e); }
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

int store_open(const char *dir, enum store_mode mode, struct store **out, struct err *e)
{
	return open_store(dir, mode == STORE_WRITE, NULL, out, e);
}

int store_open_damaged(const char *dir, uint32_t schema, struct store **out, struct err *e)
{
	char path[4096];
	struct mending mend = {schema};
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	if (access(path, F_OK) < 0) {
		return err_set(e, ERR_GONE, "%s: there is no store here yet", dir);
	}
	return open_store(dir, true, &mend, out, e);
}

void store_close(struct store *s)
{
	if (!s) { return; }
	if (s->spare) { mdb_txn_abort(s->spare); }
	if (s->env) { mdb_env_close(s->env); }
	if (s->lock_fd >= 0) { close(s->lock_fd); }
	free(s->dir);
	free(s);
}
