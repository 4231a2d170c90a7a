/* For LD_PRELOAD (t/50powercut.py): writes down what a process does to a store's data file, in
   order, and when which of it was safe on disk. Calls the kernel directly, so that it stands before
   the C library and a sanitizer alike. Reads t/powercut.h for the format. */
#undef _FILE_OFFSET_BITS /* the plain names, which LMDB calls, are to be ours */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "t/powercut.h"

enum { FDS_MAX = 4096 };

static int record_fd = -1;
static enum { NOT_OURS, CACHED, AT_ONCE } kind[FDS_MAX]; /* AT_ONCE: opened with O_DSYNC */

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("POSTHOUSE_RECORD");
	if (path) {
		record_fd = (int)syscall(SYS_openat, AT_FDCWD, path,
			O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	}
}

/* One write(2), so that records of several processes do not mix. */
static void note(char type, off_t at, const void *data, size_t n)
{
	int before = errno;
	struct powercut_head head = {.type = type, .len = (uint32_t)n, .at = (uint64_t)at};
	struct iovec v[] = {{&head, sizeof head}, {(void *)data, n}};
	if (syscall(SYS_writev, record_fd, v, n ? 2 : 1) != (long)(sizeof head + n)) { abort(); }
	errno = before;
}

static int known(int fd)
{
	return record_fd >= 0 && fd >= 0 && fd < FDS_MAX ? (int)kind[fd] : NOT_OURS;
}

static int ends(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);
	return n >= t && strcmp(s + n - t, tail) == 0;
}

/* The first name is the one under which a store is made. */
static int is_data(const char *path)
{
	return ends(path, "/data.new") || ends(path, "/data.mdb");
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= 0 && fd < FDS_MAX) {
		kind[fd] = !is_data(path) || (flags & O_ACCMODE) == O_RDONLY ? NOT_OURS
			   : flags & O_DSYNC                                 ? AT_ONCE
									     : CACHED;
	}
	return fd;
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS_MAX) { kind[fd] = NOT_OURS; }
	return (int)syscall(SYS_close, fd);
}

/* Began and, when nothing is left to a cache, ended. */
static void wrote(int fd, off_t at, const void *data, size_t n)
{
	note(known(fd) == AT_ONCE ? POWERCUT_WRITE_SYNCED : POWERCUT_WRITE, at, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	ssize_t put = syscall(SYS_pwrite64, fd, data, n, at);
	if (put > 0 && known(fd)) { wrote(fd, at, data, (size_t)put); }
	return put;
}

ssize_t write(int fd, const void *data, size_t n)
{
	off_t at = known(fd) ? (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
	ssize_t put = syscall(SYS_write, fd, data, n);
	if (put > 0 && known(fd)) { wrote(fd, at, data, (size_t)put); }
	return put;
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	off_t at = known(fd) ? (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
	ssize_t put = syscall(SYS_writev, fd, v, n);
	size_t left = put > 0 && known(fd) ? (size_t)put : 0;
	for (int i = 0; i < n && left; i++) {
		size_t part = v[i].iov_len < left ? v[i].iov_len : left;
		wrote(fd, at, v[i].iov_base, part);
		at += (off_t)part;
		left -= part;
	}
	return put;
}

int ftruncate(int fd, off_t length)
{
	int rc = (int)syscall(SYS_ftruncate, fd, length);
	if (rc == 0 && known(fd)) { note(POWERCUT_TRUNCATE, length, NULL, 0); }
	return rc;
}

static int synced(int fd, int rc)
{
	if (rc == 0 && known(fd)) { note(POWERCUT_SYNC, 0, NULL, 0); }
	return rc;
}

int fdatasync(int fd)
{
	return synced(fd, (int)syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
	return synced(fd, (int)syscall(SYS_fsync, fd));
}

/* Nothing may come by way of the map: it would be written without our seeing it. */
int msync(void *at, size_t n, int flags)
{
	(void)at, (void)n, (void)flags;
	abort();
}
