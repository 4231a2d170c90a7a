/* cmd: what each role can not do any more once its sandbox has closed, each time with the proof
   that the same call works before. Built without sanitizers whatever the rest is: they need calls
   that a release does not allow. */
#include "t/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/sandbox.h"

#define ROLE(id) (1u << (id))
enum {
	NOBODY = 0,
	STORE = ROLE(ROLE_STORE),
	AUTH = ROLE(ROLE_AUTH),
	RELAY = ROLE(ROLE_RELAY),
	SERVERS = ROLE(ROLE_MX) | ROLE(ROLE_SUBMIT) | ROLE(ROLE_IMAP),
	RESOLVER = ROLE(SANDBOX_RESOLVER),
	EVERYBODY = ~0u
};

static const struct {
	unsigned id;
	const char *name;
} roles[] = {{ROLE_STORE, "store"}, {ROLE_AUTH, "auth"}, {ROLE_MX, "mx"}, {ROLE_SUBMIT, "submit"},
	{ROLE_IMAP, "imap"}, {ROLE_RELAY, "relay"}, {SANDBOX_RESOLVER, "resolver"}};

/* --- what there is to work with, opened before the sandbox closes --- */

static int store_fd;     /* a file open for reading and writing */
static int listening_fd; /* with a connection that waits */
static int bound_fd, fresh_fd;
static struct sockaddr_in target; /* where fresh_fd could connect to */
static void *page;

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int tcp_bound(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = tcp();
	return bind(fd, (struct sockaddr *)&any, sizeof any) == 0 ? fd : -1;
}

static void prepare(void)
{
	char name[] = "/tmp/posthouse-sandbox-XXXXXX";
	socklen_t len = sizeof target;
	store_fd = mkstemp(name);
	unlink(name);
	listening_fd = tcp_bound();
	bound_fd = tcp_bound();
	fresh_fd = tcp();
	int client = tcp();
	if (store_fd < 0 || ftruncate(store_fd, 8192) < 0 || bound_fd < 0 ||
		listen(listening_fd, 8) < 0 ||
		getsockname(listening_fd, (struct sockaddr *)&target, &len) < 0) {
		abort();
	}
	if (connect(client, (struct sockaddr *)&target, len) < 0 && errno != EINPROGRESS) {
		abort();
	}
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* --- attempts: true when it worked --- */

static bool may_read_file(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0;
}

static bool may_make_file(void)
{
	const char *name = "/tmp/posthouse-sandbox-made";
	int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600);
	return fd >= 0 && unlink(name) == 0;
}

static bool may_stat(void)
{
	struct stat st;
	return stat("/etc/passwd", &st) == 0;
}

static bool may_change_directory(void)
{
	return chdir("/") == 0;
}

static bool may_open_inet_socket(void)
{
	return tcp() >= 0;
}

static bool may_open_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool may_open_netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool may_pair_sockets(void)
{
	int fds[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}

static bool may_connect(void)
{
	return connect(fresh_fd, (struct sockaddr *)&target, sizeof target) == 0 ||
	       errno == EINPROGRESS;
}

static bool may_bind(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	return bind(fresh_fd, (struct sockaddr *)&any, sizeof any) == 0;
}

static bool may_listen(void)
{
	return listen(bound_fd, 8) == 0;
}

static bool may_accept(void)
{
	return accept4(listening_fd, NULL, NULL, SOCK_NONBLOCK) >= 0;
}

static bool may_execute(void)
{
	char *argv[] = {"true", NULL};
	execv("/bin/true", argv);
	return false; /* the control ends with true(1)'s 0 */
}

static bool may_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) { _exit(0); }
	return pid > 0;
}

static void *in_thread(void *arg)
{
	return arg;
}

static bool may_start_thread(void)
{
	pthread_t t;
	return pthread_create(&t, NULL, in_thread, NULL) == 0 && pthread_join(t, NULL) == 0;
}

static bool may_trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool may_read_memory_of_others(void)
{
	char c;
	struct iovec here = {&c, 1}, there = {page, 1};
	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

static bool may_change_user(void)
{
	return setuid(getuid()) == 0;
}

static bool may_signal(void)
{
	return kill(getpid(), SIGCONT) == 0;
}

static bool may_ask_for_life(void)
{
	return kill(getpid(), 0) == 0;
}

static bool may_write_at(void)
{
	return pwrite(store_fd, "x", 1, 0) == 1;
}

static bool may_sync(void)
{
	return fdatasync(store_fd) == 0;
}

static bool may_truncate(void)
{
	return ftruncate(store_fd, 4096) == 0;
}

static bool may_read_at(void)
{
	char c;
	return pread(store_fd, &c, 1, 0) == 1;
}

static bool may_map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool may_make_code(void)
{
	return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool may_map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool may_leave_namespace(void)
{
	return unshare(CLONE_FS) == 0;
}

static bool may_make_memory_file(void)
{
	return memfd_create("x", 0) >= 0;
}

static bool may_set_limits(void)
{
	return syscall(SYS_setpriority, 0, 0, 0) == 0;
}

static const struct attempt {
	const char *what;
	bool (*may)(void);
	unsigned who; /* for whom it still works */
} attempts[] = {
	{"read a file", may_read_file, NOBODY},
	{"make a file", may_make_file, NOBODY},
	{"look for a file", may_stat, NOBODY},
	{"change the directory", may_change_directory, NOBODY},
	{"open an inet socket", may_open_inet_socket, RELAY | RESOLVER},
	{"open a unix socket", may_open_unix_socket, NOBODY},
	{"open a netlink socket", may_open_netlink_socket, NOBODY},
	{"make a socket pair", may_pair_sockets, NOBODY},
	{"connect out", may_connect, RELAY | RESOLVER},
	{"bind", may_bind, RESOLVER},
	{"listen", may_listen, NOBODY},
	{"accept", may_accept, SERVERS},
	{"execute a program", may_execute, NOBODY},
	{"fork", may_fork, NOBODY},
	{"start a thread", may_start_thread, AUTH},
	{"ptrace", may_trace, NOBODY},
	{"read another's memory", may_read_memory_of_others, NOBODY},
	{"become another user", may_change_user, NOBODY},
	{"send a signal", may_signal, NOBODY},
	{"ask whether a process lives", may_ask_for_life, STORE},
	{"write into the store", may_write_at, STORE},
	{"sync", may_sync, STORE},
	{"shorten a file", may_truncate, STORE},
	{"read the store", may_read_at, STORE | AUTH | RELAY | ROLE(ROLE_IMAP)},
	{"map code", may_map_code, NOBODY},
	{"make code of data", may_make_code, NOBODY},
	{"map memory", may_map, EVERYBODY},
	{"leave a namespace", may_leave_namespace, NOBODY},
	{"make a file of memory", may_make_memory_file, NOBODY},
	{"change a priority", may_set_limits, NOBODY},
};

/* --- trying --- */

#define CHECK_MSG(cond, ...) ((cond) ? (void)0 : tap_fail(__FILE__, __LINE__, __VA_ARGS__))

enum outcome { WORKED, REFUSED, KILLED, ODD };

/* In a process of its own; `role` < 0: without a sandbox. */
static enum outcome try_it(const struct attempt *a, int role)
{
	int status = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e;
		prepare();
		if (role >= 0 && sandbox_close((unsigned)role, &e) < 0) { _exit(3); }
		_exit(a->may() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) { return WTERMSIG(status) == SIGSYS ? KILLED : ODD; }
	return WEXITSTATUS(status) == 0 ? WORKED : WEXITSTATUS(status) == 1 ? REFUSED : ODD;
}

static void test_controls(void)
{
	for (size_t i = 0; i < COUNT(attempts); i++) {
		CHECK_MSG(try_it(&attempts[i], -1) == WORKED, "%s: does not even work before",
			attempts[i].what);
	}
}

static void test_role(size_t at)
{
	for (size_t i = 0; i < COUNT(attempts); i++) {
		const struct attempt *a = &attempts[i];
		enum outcome got = try_it(a, (int)roles[at].id);
		bool may = (a->who & ROLE(roles[at].id)) != 0;
		CHECK_MSG(may ? got == WORKED : got == REFUSED || got == KILLED,
			"%s: %s: outcome %d", roles[at].name, a->what, got);
	}
}

static void test_store(void)
{
	test_role(0);
}

static void test_auth(void)
{
	test_role(1);
}

static void test_mx(void)
{
	test_role(2);
}

static void test_submit(void)
{
	test_role(3);
}

static void test_imap(void)
{
	test_role(4);
}

static void test_relay(void)
{
	test_role(5);
}

static void test_resolver(void)
{
	test_role(6);
}

/* Numbers of calls that no role needs and that have opened kernels before: each ends the
   process. */
static void test_calls(void)
{
	static const long calls[] = {SYS_io_uring_setup, SYS_bpf, SYS_keyctl, SYS_add_key,
		SYS_userfaultfd, SYS_perf_event_open, SYS_mount, SYS_pivot_root, SYS_chroot,
		SYS_setns, SYS_init_module, SYS_kexec_load, SYS_open_by_handle_at, SYS_pidfd_open,
		SYS_pidfd_getfd, SYS_process_madvise, SYS_vfork, SYS_execveat, SYS_setgid,
		SYS_setgroups, SYS_capset, SYS_reboot, SYS_swapon, SYS_mknod, SYS_symlink, SYS_link,
		SYS_rename, SYS_unlink, SYS_mkdir, SYS_chmod, SYS_chown, SYS_inotify_init1,
		SYS_landlock_create_ruleset, SYS_seccomp, SYS_personality, SYS_shmget, SYS_msgget};
	for (size_t at = 0; at < COUNT(roles); at++) {
		for (size_t i = 0; i < COUNT(calls); i++) {
			int status = 0;
			pid_t pid = fork();
			if (pid == 0) {
				struct err e;
				if (sandbox_close(roles[at].id, &e) < 0) { _exit(3); }
				syscall(calls[i], 0, 0, 0, 0, 0, 0);
				_exit(0);
			}
			waitpid(pid, &status, 0);
			CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
				"%s: system call %ld: status %x", roles[at].name, calls[i],
				(unsigned)status);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"every attempt works before the sandbox closes", test_controls},
		{"store", test_store},
		{"auth", test_auth},
		{"mx", test_mx},
		{"submit", test_submit},
		{"imap", test_imap},
		{"relay", test_relay},
		{"resolver", test_resolver},
		{"calls that end every role", test_calls},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
