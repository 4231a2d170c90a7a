/* The supervisor's own walls. It stays root where it was started by root: a role that is born anew
   must become its account, and at a reload keys are read that belong to root. */
#include "cmd/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP(name) (1u << (name))
enum { KEPT = CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_KILL) | CAP(CAP_DAC_OVERRIDE) };

/* What landlock calls making, changing and removing. */
enum {
	CHANGE_FILE = LANDLOCK_ACCESS_FS_WRITE_FILE,
	CHANGE = CHANGE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
		 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
		 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		 LANDLOCK_ACCESS_FS_MAKE_SYM
};

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{0}};
	if (syscall(SYS_capget, &head, caps) < 0) { goto failed; }
	uint32_t kept = geteuid() == 0 ? caps[0].permitted & KEPT : 0;
	caps[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept};
	caps[1] = (struct __user_cap_data_struct){0};
	if (syscall(SYS_capset, &head, caps) == 0) { return 0; }
failed:
	return err_set(e, ERR_IO, "capabilities: %s", strerror(errno));
}

/* Allow changes at `path`. What is not there cannot be changed: no rule. */
static int allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr a = {
		.allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
	if (a.parent_fd < 0) { return errno == ENOENT ? 0 : -1; }
	long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
	int why = errno;
	close(a.parent_fd);
	errno = why;
	return (int)rc;
}

static int drop_files(const char *const *dirs, size_t n, struct err *e)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = CHANGE};
	int rules =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
	if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) { return 0; }
	int rc = rules < 0 ? -1 : allow(rules, "/dev/null", CHANGE_FILE);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (dirs[i]) { rc = allow(rules, dirs[i], CHANGE); }
	}
	if (rc == 0) { rc = (int)syscall(SYS_landlock_restrict_self, rules, 0); }
	int why = errno;
	if (rules >= 0) { close(rules); }
	return rc < 0 ? err_set(e, ERR_IO, "landlock: %s", strerror(why)) : 0;
}

/* --- system calls --- */

/* Roles are born with this filter and need much until they have their own: so it names what neither
   they nor the supervisor ever need. What is refused fails with EACCES. */
static const int refused[] = {
/* other processes */
#ifndef __SANITIZE_ADDRESS__ /* it looks around with these */
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(personality),
#endif
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	/* parts of the kernel with a long history of holes */
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(mbind),
	SCMP_SYS(set_mempolicy),
	SCMP_SYS(move_pages),
	SCMP_SYS(migrate_pages),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(vmsplice),
	/* another view of the file system */
	SCMP_SYS(chroot),
	SCMP_SYS(pivot_root),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsconfig),
	SCMP_SYS(fsmount),
	SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
	SCMP_SYS(quotactl),
	/* the machine */
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(syslog),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(vhangup),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
};

/* Namespaces: with one of users anybody is root in there, and more of the kernel can be reached. */
static const uint64_t namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID,
	CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};

/* Links, resolvers, and what the C library asks about interfaces. */
static bool family_needed(int family)
{
	return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

static int fill(scmp_filter_ctx f)
{
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	int rc = 0;
	for (size_t i = 0; i < COUNT(refused) && rc == 0; i++) {
		rc = seccomp_rule_add(f, no, refused[i], 0);
	}
	for (size_t i = 0; i < COUNT(namespaces) && rc == 0; i++) {
		rc = seccomp_rule_add(f, no, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	}
	/* whose flags cannot be looked at; glibc goes back to clone */
	if (rc == 0) { rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0); }
	for (int family = 0; family < AF_MAX && rc == 0; family++) {
		if (family_needed(family)) { continue; }
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (uint64_t)family));
	}
	return rc;
}

static int drop_calls(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	if (!f) { return err_set(e, ERR_IO, "seccomp: no memory"); }
	int rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0) { rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); }
	if (rc == 0) { rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); }
	if (rc == 0) { rc = fill(f); }
	if (rc == 0) { rc = seccomp_load(f); }
	seccomp_release(f);
	return rc == 0 ? 0
		       : err_set(e, ERR_IO, "seccomp: %s (the kernel needs seccomp filters)",
				 strerror(-rc));
}

int rights_drop(const char *const *dirs, size_t n, struct err *e)
{
	struct rlimit none = {0, 0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		return err_set(e, ERR_IO, "no_new_privs: %s", strerror(errno));
	}
	setrlimit(RLIMIT_CORE, &none); /* it holds keys */
	int rc = drop_files(dirs, n, e);
	if (rc == 0) { rc = drop_capabilities(e); }
	return rc < 0 ? rc : drop_calls(e);
}
