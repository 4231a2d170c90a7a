/* cmd: what the supervisor can and cannot do any more once it has given up its rights, each time
   with the proof that the same call works before. And when it takes failures for a crash loop. */
#include "t/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/calm.h"
#include "cmd/rights.h"

#define CHECK_MSG(cond, ...) ((cond) ? (void)0 : tap_fail(__FILE__, __LINE__, __VA_ARGS__))

static char ours[] = "/tmp/posthouse-ours-XXXXXX", others[] = "/tmp/posthouse-others-XXXXXX";

static const char *below(const char *dir)
{
	static char path[64];
	snprintf(path, sizeof path, "%s/file", dir);
	return path;
}

static bool write_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	return fd >= 0 && close(fd) == 0;
}

static bool write_ours(void)
{
	return write_to(below(ours)) && unlink(below(ours)) == 0;
}

static bool write_others(void)
{
	return write_to(below(others)) && unlink(below(others)) == 0;
}

static bool write_null(void)
{
	return write_to("/dev/null");
}

static bool remove_others(void)
{
	return rmdir(others) == 0 && mkdir(others, 0700) == 0;
}

static bool read_others(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool start_program(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) { execl("/bin/true", "true", (char *)NULL); }
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool become_another(void)
{
	return setgid(1) == 0 && setuid(1) == 0;
}

static bool use_anothers(void)
{
	struct stat st;
	return stat("/tmp", &st) == 0 && setegid(1) == 0 && access(ours, W_OK) == 0;
}

static bool give_away(void)
{
	return chown(ours, 1, 1) == 0 && chown(ours, 0, 0) == 0;
}

static bool change_root(void)
{
	return chroot("/") == 0;
}

static bool name_host(void)
{
	char name[256];
	return gethostname(name, sizeof name) == 0 && sethostname(name, strlen(name)) == 0;
}

enum when { ALWAYS, WITH_LANDLOCK, AS_ROOT };
struct attempt {
	const char *name;
	bool (*may)(void);
	bool after; /* works when rights are dropped, too */
	enum when when;
};
static const struct attempt attempts[] = {
	{"write a file where data is", write_ours, true, ALWAYS},
	{"write to /dev/null", write_null, true, ALWAYS},
	{"read a file", read_others, true, ALWAYS},
	{"start a program", start_program, true, ALWAYS},
	{"become another account", become_another, true, AS_ROOT},
	{"use a directory of another account", use_anothers, true, AS_ROOT},
	{"write a file elsewhere", write_others, false, WITH_LANDLOCK},
	{"remove a directory elsewhere", remove_others, false, WITH_LANDLOCK},
	{"give a file away", give_away, false, AS_ROOT},
	{"change the root directory", change_root, false, AS_ROOT},
	{"name the host", name_host, false, AS_ROOT},
};

static bool makes_sense(enum when when)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return when == ALWAYS || (when == AS_ROOT && geteuid() == 0) ||
	       (when == WITH_LANDLOCK && abi > 0);
}

/* In a process of its own. */
static bool works(const struct attempt *a, bool drop)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		const char *dirs[] = {NULL, ours, "/nowhere/at/all"};
		struct err e;
		if (drop && rights_drop(dirs, COUNT(dirs), &e) < 0) { _exit(3); }
		_exit(a->may() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) < 2, "%s: status %x", a->name,
		(unsigned)status);
	return status == 0;
}

static void test_attempts(void)
{
	CHECK(mkdtemp(ours) && mkdtemp(others));
	for (size_t i = 0; i < COUNT(attempts); i++) {
		const struct attempt *a = &attempts[i];
		/* a container may have taken the right before us */
		if (!makes_sense(a->when) || (a->when == AS_ROOT && !works(a, false))) { continue; }
		CHECK_MSG(works(a, false), "%s: not even before", a->name);
		CHECK_MSG(works(a, true) == a->after, "%s: %s", a->name,
			a->after ? "refused" : "works still");
	}
	unlink(below(others));
	rmdir(others);
	rmdir(ours);
}

/* --- system calls --- */

/* Named a second time on purpose. With arguments that make no sense: harmless, and the errors that
   a call itself has are others. */
#define CALL(name) \
	{ \
#		name, SYS_##name \
	}
static const struct {
	const char *name;
	long number;
} calls[] = {
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(personality),
	CALL(pidfd_getfd),
	CALL(kcmp),
	CALL(bpf),
	CALL(perf_event_open),
	CALL(userfaultfd),
	CALL(io_uring_setup),
	CALL(io_uring_enter),
	CALL(io_uring_register),
	CALL(fanotify_init),
	CALL(add_key),
	CALL(request_key),
	CALL(keyctl),
	CALL(mbind),
	CALL(set_mempolicy),
	CALL(move_pages),
	CALL(migrate_pages),
	CALL(vmsplice),
	CALL(chroot),
	CALL(pivot_root),
	CALL(mount),
	CALL(umount2),
	CALL(move_mount),
	CALL(open_tree),
	CALL(fsopen),
	CALL(fsconfig),
	CALL(fsmount),
	CALL(fspick),
	CALL(mount_setattr),
	CALL(name_to_handle_at),
	CALL(open_by_handle_at),
	CALL(unshare),
	CALL(setns),
	CALL(mknodat),
	CALL(quotactl),
	CALL(init_module),
	CALL(finit_module),
	CALL(delete_module),
	CALL(kexec_load),
	CALL(reboot),
	CALL(swapon),
	CALL(swapoff),
	CALL(acct),
	CALL(syslog),
	CALL(sethostname),
	CALL(setdomainname),
	CALL(settimeofday),
	CALL(clock_settime),
	CALL(clock_adjtime),
	CALL(adjtimex),
};

static long senseless;

static int errno_of_senseless(void)
{
	return syscall(senseless, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
}

static int errno_of_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) { _exit(0); }
	return pid < 0 ? errno : 0;
}

static int errno_of_clone3(void)
{
	return syscall(SYS_clone3, NULL, (size_t)0) < 0 ? errno : 0;
}

static int errno_of_socket(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 ? errno : 0;
}

static void *on_thread(void *unused)
{
	return unused;
}

static int errno_of_needed(void)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	for (size_t i = 0; i < COUNT(families); i++) {
		if (socket(families[i], SOCK_DGRAM, 0) < 0 && errno == EACCES) { return EACCES; }
	}
	pthread_t thread;
	return pthread_create(&thread, NULL, on_thread, NULL) == 0 ? 0 : errno;
}

/* In a process of its own. */
static int errno_of(int (*call)(void), bool drop)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct err e;
		_exit(drop && rights_drop(NULL, 0, &e) < 0 ? 255 : call());
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
}

static void test_calls(void)
{
	for (size_t i = 0; i < COUNT(calls); i++) {
		senseless = calls[i].number;
		CHECK_MSG(errno_of(errno_of_senseless, false) != EACCES, "%s: not even before",
			calls[i].name);
		int got = errno_of(errno_of_senseless, true);
		CHECK_MSG(got == EACCES, "%s: %s", calls[i].name, strerror(got));
	}
	CHECK(errno_of(errno_of_namespace, false) != EACCES);
	CHECK_INT(errno_of(errno_of_namespace, true), EACCES);
	CHECK_INT(errno_of(errno_of_clone3, true), ENOSYS);
	CHECK_INT(errno_of(errno_of_socket, true), EAFNOSUPPORT);
	CHECK_INT(errno_of(errno_of_needed, false), 0);
	CHECK_INT(errno_of(errno_of_needed, true), 0);
}

static void test_calm(void)
{
	struct calm c = {0};
	int64_t now = 5 * SECOND_US;
	for (unsigned i = 1; i <= 20; i++, now += CALM_S * SECOND_US) {
		CHECK_INT(calm_failed(&c, now), i);
	}
	for (unsigned week = 0; week < 60; week++) { /* one each week, for a year */
		now += 7 * 86400 * SECOND_US;
		CHECK_INT(calm_failed(&c, now), 1);
	}
	now += CALM_S * SECOND_US;
	CHECK_INT(calm_failed(&c, now), 2);
	CHECK_INT(calm_failed(&c, now), 3);
	CHECK_INT(calm_failed(&c, now + CALM_S * SECOND_US + 1), 1);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {{"before and after", test_attempts},
		{"system calls", test_calls}, {"failures and calm", test_calm}};
	return tap_run(cases, COUNT(cases), argc, argv);
}
