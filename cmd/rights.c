/* The supervisor's own walls. It stays root where it was started by root: a role that is born anew
   must become its account, and at a reload keys are read that belong to root. */
#include "cmd/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

int rights_drop(const char *const *dirs, size_t n, struct err *e)
{
	struct rlimit none = {0, 0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		return err_set(e, ERR_IO, "no_new_privs: %s", strerror(errno));
	}
	setrlimit(RLIMIT_CORE, &none); /* it holds keys */
	int rc = drop_files(dirs, n, e);
	return rc < 0 ? rc : drop_capabilities(e);
}
