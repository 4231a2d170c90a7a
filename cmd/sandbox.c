/* Closing the sandbox of a role. Runs once in each role's process, after everything that needs the
   file system has been opened. The table below is the whole policy. */
#include "cmd/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROLE(id) (1u << (id))
enum {
	EVERY = ~0u,
	SERVERS = ROLE(ROLE_MX) | ROLE(ROLE_SUBMIT) | ROLE(ROLE_IMAP), /* accept connections */
	CALLERS = ROLE(SANDBOX_RESOLVER) | ROLE(ROLE_RELAY),           /* open sockets */
	RESOLVED = ROLE(ROLE_MX) | ROLE(ROLE_RELAY), /* have a resolver's process */
	WRITERS = ROLE(ROLE_STORE),
	READERS = ROLE(ROLE_STORE) | ROLE(ROLE_AUTH) | ROLE(ROLE_IMAP) | ROLE(ROLE_RELAY)
};

struct rule {
	int call;
	uint32_t roles;
};

#define ALLOW(name, roles) \
	{ \
		SCMP_SYS(name), roles \
	}
static const struct rule rules[] = {
	/* memory, time, the loop, links */
	ALLOW(brk, EVERY),
	ALLOW(munmap, EVERY),
	ALLOW(mremap, EVERY),
	ALLOW(madvise, EVERY),
	ALLOW(clock_gettime, EVERY),
	ALLOW(clock_nanosleep, EVERY),
	ALLOW(gettimeofday, EVERY),
	ALLOW(time, EVERY),
	ALLOW(epoll_wait, EVERY),
	ALLOW(epoll_pwait, EVERY),
	ALLOW(epoll_pwait2, EVERY),
	ALLOW(epoll_ctl, EVERY),
	/* libev makes its set anew when it reports what we have closed: a listening socket, which
	   the supervisor still has */
	ALLOW(epoll_create1, EVERY),
	ALLOW(poll, EVERY),
	ALLOW(ppoll, EVERY),
	ALLOW(read, EVERY),
	ALLOW(write, EVERY),
	ALLOW(readv, EVERY),
	ALLOW(writev, EVERY),
	ALLOW(recvmsg, EVERY),
	ALLOW(sendmsg, EVERY),
	ALLOW(recvfrom, EVERY),
	ALLOW(sendto, EVERY),
	ALLOW(close, EVERY),
	ALLOW(fcntl, EVERY),
	ALLOW(fstat, EVERY),
	ALLOW(lseek, EVERY),
	ALLOW(shutdown, EVERY),
	ALLOW(getsockopt, EVERY),
	ALLOW(setsockopt, EVERY),
	ALLOW(futex, EVERY),
	ALLOW(getrandom, EVERY),
	ALLOW(getpid, EVERY),
	ALLOW(gettid, EVERY),
	ALLOW(getuid, EVERY),
	ALLOW(geteuid, EVERY),
	ALLOW(getgid, EVERY),
	ALLOW(getegid, EVERY),
	ALLOW(sched_yield, EVERY),
	ALLOW(rt_sigaction, EVERY),
	ALLOW(rt_sigprocmask, EVERY),
	ALLOW(rt_sigreturn, EVERY),
	ALLOW(restart_syscall, EVERY),
	ALLOW(exit, EVERY),
	ALLOW(exit_group, EVERY),
	ALLOW(timerfd_settime, EVERY),
	ALLOW(membarrier, EVERY),
	ALLOW(rseq, EVERY),
	/* servers take connections on sockets that the supervisor bound */
	ALLOW(accept4, SERVERS),
	ALLOW(getsockname, SERVERS | CALLERS),
	ALLOW(getpeername, SERVERS | CALLERS),
	/* the relay delivers, a resolver asks name servers: nobody else reaches out */
	ALLOW(connect, CALLERS),
	ALLOW(bind, ROLE(SANDBOX_RESOLVER)),
	ALLOW(eventfd2, ROLE(SANDBOX_RESOLVER)),
	ALLOW(pipe2, ROLE(SANDBOX_RESOLVER)),
	ALLOW(wait4, RESOLVED), /* for the resolver's process, at the end */
	/* password hashing has threads (never processes: see fill) */
	ALLOW(set_robust_list, ROLE(ROLE_AUTH)),
	ALLOW(sched_getaffinity, ROLE(ROLE_AUTH)),
	ALLOW(sched_setaffinity, ROLE(ROLE_AUTH)),
	/* LMDB: readers lock a slot, the writer writes and syncs */
	ALLOW(pread64, READERS),
	ALLOW(fstatfs, READERS),
	ALLOW(pwrite64, WRITERS),
	ALLOW(pwritev, WRITERS),
	ALLOW(fdatasync, WRITERS),
	ALLOW(fsync, WRITERS),
	ALLOW(ftruncate, WRITERS),
	ALLOW(msync, WRITERS),
#ifdef __SANITIZE_ADDRESS__
	/* what a sanitizer needs to look around and to report */
	ALLOW(sigaltstack, EVERY),
	ALLOW(personality, EVERY),
	ALLOW(prctl, EVERY),
	ALLOW(process_vm_readv, EVERY),
	ALLOW(ptrace, EVERY),
	ALLOW(wait4, EVERY),
	ALLOW(getppid, EVERY),
	ALLOW(tgkill, EVERY),
	ALLOW(sched_getaffinity, EVERY),
	ALLOW(set_robust_list, EVERY),
	ALLOW(clone, EVERY),
	ALLOW(dup, EVERY),
	ALLOW(dup2, EVERY),
	ALLOW(pipe2, EVERY),
	ALLOW(arch_prctl, EVERY),
	ALLOW(getdents64, EVERY),
	ALLOW(prlimit64, EVERY),
#endif
};

/* Refused with an error instead of the end: libraries probe these and go on without. */
static const int refused[] = {
	SCMP_SYS(ioctl),
	SCMP_SYS(clone3), /* glibc falls back to clone, whose flags can be looked at */
	SCMP_SYS(prlimit64),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
#ifdef __SANITIZE_ADDRESS__
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(access),
	SCMP_SYS(socket),
#endif
};

/* Allowed only while one argument, masked, has one value. */
struct narrow {
	int call;
	uint32_t roles;
	unsigned arg;
	uint64_t mask, value;
};

#define ONLY(name, roles, arg, mask, value) \
	{ \
		SCMP_SYS(name), roles, arg, mask, value \
	}
static const struct narrow narrow[] = {
	ONLY(mmap, EVERY, 2, PROT_EXEC, 0), /* no new code */
	ONLY(mprotect, EVERY, 2, PROT_EXEC, 0),
	ONLY(socket, CALLERS, 0, UINT64_MAX, AF_INET),
	ONLY(socket, CALLERS, 0, UINT64_MAX, AF_INET6),
	ONLY(clone, ROLE(ROLE_AUTH), 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM),
	ONLY(kill, WRITERS, 1, UINT64_MAX, 0), /* the reader check: does a process live? */
	ONLY(prctl, ROLE(ROLE_AUTH), 0, UINT64_MAX, PR_SET_NAME),
};

#ifdef __SANITIZE_ADDRESS__
static bool closed;
/* The leak check at exit reads /proc, which is gone in here; it runs where all roles share a
   process. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return closed;
}
#endif

static bool allowed(int call, unsigned role)
{
	for (size_t i = 0; i < COUNT(rules); i++) {
		if (rules[i].call == call && (rules[i].roles & ROLE(role))) { return true; }
	}
	return false;
}

static bool sometimes_allowed(int call, unsigned role)
{
	for (size_t i = 0; i < COUNT(narrow); i++) {
		if (narrow[i].call == call && (narrow[i].roles & ROLE(role))) { return true; }
	}
	return false;
}

static int fill(scmp_filter_ctx f, unsigned role)
{
	int rc = 0;
	for (size_t i = 0; i < COUNT(rules) && rc == 0; i++) {
		if (rules[i].roles & ROLE(role)) {
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, rules[i].call, 0);
		}
	}
	for (size_t i = 0; i < COUNT(refused) && rc == 0; i++) {
		if (allowed(refused[i], role) || sometimes_allowed(refused[i], role)) { continue; }
		int error = refused[i] == SCMP_SYS(clone3) ? ENOSYS : EACCES;
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO((uint32_t)error), refused[i], 0);
	}
	for (size_t i = 0; i < COUNT(narrow) && rc == 0; i++) {
		const struct narrow *n = &narrow[i];
		if (!(n->roles & ROLE(role)) || allowed(n->call, role)) { continue; }
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, n->call, 1,
			SCMP_CMP(n->arg, SCMP_CMP_MASKED_EQ, n->mask, n->value));
	}
	/* abort(3), and nobody else's end */
	if (rc == 0 && !allowed(SCMP_SYS(tgkill), role)) {
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid()));
	}
	return rc;
}

static int close_calls(unsigned role, struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!f) { return err_set(e, ERR_IO, "seccomp: no memory"); }
	int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0) { rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); }
	if (rc == 0) { rc = fill(f, role); }
	if (rc == 0) { rc = seccomp_load(f); }
	seccomp_release(f);
	return rc == 0 ? 0
		       : err_set(e, ERR_IO, "seccomp: %s (the kernel needs seccomp filters)",
				 strerror(-rc));
}

/* Nothing of the file system, whatever system call might be found for it. A kernel without landlock
   or a container that forbids it (EPERM) is fine: the calls are closed, too. */
static int close_files(struct err *e)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				     LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
	if (fd < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) { return 0; }
	if (fd < 0) { return err_set(e, ERR_IO, "landlock: %s", strerror(errno)); }
	long rc = syscall(SYS_landlock_restrict_self, (int)fd, 0);
	int why = errno;
	close((int)fd);
	return rc < 0 ? err_set(e, ERR_IO, "landlock: %s", strerror(why)) : 0;
}

int sandbox_close(unsigned role, struct err *e)
{
	struct rlimit none = {0, 0};
#ifdef __SANITIZE_ADDRESS__
	closed = true;
#endif
	tzset(); /* reads a file */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		return err_set(e, ERR_IO, "no_new_privs: %s", strerror(errno));
	}
	setrlimit(RLIMIT_CORE, &none); /* mail and keys do not belong into core files */
	int rc = close_files(e);
	return rc < 0 ? rc : close_calls(role, e);
}
