/* Which accounts the roles become. */
#include "cmd/system_user.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_user(struct str name, const char *row, bool fallback, uint32_t *uid, uint32_t *gid,
	struct err *e)
{
	char text[128];
	snprintf(text, sizeof text, "%.*s", STR_ARG(name));
	const struct passwd *pw = getpwnam(text);
	if (!pw && fallback) { pw = getpwnam("nobody"); }
	if (!pw) {
		return err_set(e, ERR_GONE,
			"run.%s: the account '%s' does not exist; make it with: useradd --system "
			"--shell /usr/sbin/nologin %s",
			row, text, text);
	}
	if (pw->pw_uid == 0) {
		return err_set(
			e, ERR_DENIED, "run.%s: '%s' is root; name another account", row, text);
	}
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int plan_users(struct plan *p, bool fallback, struct err *e)
{
	const struct run_conf *c = conf_get(p->conf, &run_conf_section);
	if (geteuid() != 0 || !p->processes) { return 0; }
	int rc = find_user(c->user, "user", fallback, &p->uid, &p->gid, e);
	if (rc == 0) { rc = find_user(c->net_user, "net_user", true, &p->net_uid, &p->net_gid, e); }
	return rc;
}

/* What an earlier run as another user has left belongs to the new one. */
static int own(const struct plan *p, const char *file, struct err *e)
{
	char path[4096];
	snprintf(path, sizeof path, "%s%s%s", p->data, *file ? "/" : "", file);
	/* of a link that somebody put there, the link */
	if (p->uid && lchown(path, p->uid, p->gid) < 0 && errno != ENOENT) {
		return err_set(e, ERR_IO, "%s: cannot be given to user %u: %s", path, p->uid,
			strerror(errno));
	}
	return 0;
}

static bool may_enter(const struct plan *p, const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0) { return true; } /* somebody else says what is wrong */
	mode_t bit = st.st_uid == p->uid ? S_IXUSR : st.st_gid == p->gid ? S_IXGRP : S_IXOTH;
	return (st.st_mode & bit) != 0;
}

/* Roles that are not root must get to the data through every folder above it. */
static int reach(const struct plan *p, struct err *e)
{
	char path[sizeof p->data];
	for (size_t i = 1; p->uid && p->data[i]; i++) {
		if (p->data[i] != '/') { continue; }
		snprintf(path, sizeof path, "%.*s", (int)i, p->data);
		if (!may_enter(p, path)) {
			return err_set(e, ERR_DENIED,
				"%s: user %u, whom the roles run as, may not enter it; chmod o+x "
				"%s, or "
				"keep the data elsewhere",
				path, p->uid, path);
		}
	}
	return 0;
}

int plan_data(struct plan *p, struct err *e)
{
	static const char *const files[] = {"", "data.mdb", "lock.mdb", "lock"};
	if (mkdir(p->data, 0700) < 0 && errno != EEXIST) {
		return err_set(e, ERR_IO, "%s: cannot be made: %s", p->data, strerror(errno));
	}
	for (size_t i = 0; i < COUNT(files); i++) {
		int rc = own(p, files[i], e);
		if (rc < 0) { return rc; }
	}
	return reach(p, e);
}
