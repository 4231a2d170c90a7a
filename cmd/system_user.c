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
	if (p->uid && chown(path, p->uid, p->gid) < 0 && errno != ENOENT) {
		return err_set(e, ERR_IO, "%s: cannot be given to user %u: %s", path, p->uid,
			strerror(errno));
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
	return 0;
}
