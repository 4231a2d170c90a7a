/* Making a plan. Runs before any role does, with all rights the command was started with. */
#include "cmd/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/sup_msg.h"
#include "lib/dns_conf.h"

enum { BIND_WAITS = 50, BIND_WAIT_MS = 20 };

int file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;
	buf_reset(out);
	if (fd < 0) { return err_set(e, ERR_IO, "%s: %s", path, strerror(errno)); }
	while (got > 0 && out->n <= PLAN_FILE_MAX) {
		got = read(fd, buf_reserve(out, 65536), 65536);
		if (got > 0) { buf_grow(out, (size_t)got); }
	}
	int why = errno;
	close(fd);
	if (got < 0) { return err_set(e, ERR_IO, "%s: %s", path, strerror(why)); }
	if (out->n > PLAN_FILE_MAX) {
		return err_set(e, ERR_LIMIT, "%s: longer than %d octets", path, PLAN_FILE_MAX);
	}
	return 0;
}

int file_write(const char *path, struct str content, unsigned mode, struct err *e)
{
	char temporary[4096];
	snprintf(temporary, sizeof temporary, "%s.new", path);
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	bool ok = fd >= 0 && fchmod(fd, mode) == 0;
	for (size_t at = 0; ok && at < content.n;) {
		ssize_t put = write(fd, content.p + at, content.n - at);
		ok = put > 0;
		at += ok ? (size_t)put : 0;
	}
	ok = ok && fsync(fd) == 0;
	if (fd >= 0) { ok = close(fd) == 0 && ok; }
	if (ok) { ok = rename(temporary, path) == 0; }
	return ok ? 0 : err_set(e, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

int path_absolute(const char *path, char *out, size_t size, struct err *e)
{
	char whole[PATH_MAX], above[4096], last[4096];
	int n;
	snprintf(above, sizeof above, "%s", path);
	snprintf(last, sizeof last, "%s", path);
	if (*path == '/') {
		n = snprintf(out, size, "%s", path);
	} else if (realpath(path, whole)) {
		n = snprintf(out, size, "%s", whole);
	} else if (realpath(dirname(above), whole)) {
		n = snprintf(out, size, "%s/%s", whole, basename(last));
	} else {
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	}
	return (size_t)n < size ? 0 : err_set(e, ERR_LIMIT, "%s: too long a path", path);
}

static int load(struct str path, const char *what, struct buf *out, struct err *e)
{
	char name[4096];
	struct err why = {0};
	if (path.n == 0) { return 0; }
	snprintf(name, sizeof name, "%.*s", STR_ARG(path));
	int rc = file_read(name, out, &why);
	return rc < 0 ? err_set(e, rc, "%s: %s", what, why.text) : 0;
}

int plan_load_files(struct plan *p, struct err *e)
{
	const struct tls_conf *tls = conf_get(p->conf, &tls_conf_section);
	const struct dns_section *dns = conf_get(p->conf, &dns_conf_section);
	int rc = load(tls->certificate, "tls.certificate", &p->cert, e);
	if (rc == 0) { rc = load(tls->key, "tls.key", &p->key, e); }
	if (rc == 0) { rc = load(dns->zone, "dns.zone", &p->zone, e); }
	return rc;
}

int plan_check_tls(const struct plan *p, struct err *e)
{
	struct tls_ctx *t = tls_server_new(buf_view(&p->cert), buf_view(&p->key), e);
	tls_put(t);
	return t ? 0 : ERR_TLS;
}

static void swap(struct buf *a, struct buf *b)
{
	struct buf t = *a;
	*a = *b;
	*b = t;
}

void plan_take(struct plan *p, struct plan *fresh)
{
	struct conf *old = p->conf;
	p->conf = fresh->conf;
	fresh->conf = old == p->conf ? NULL : old;
	if (fresh->cert.n) {
		swap(&p->cert, &fresh->cert);
		swap(&p->key, &fresh->key);
	}
	swap(&p->zone, &fresh->zone);
	plan_fini(fresh);
}

static int bind_one(struct plan *p, enum listen_kind kind, struct str text, struct err *e)
{
	struct net_addr a;
	struct err why = {0};
	if (net_addr_parse(text, listen_ports[kind], &a) < 0) {
		return err_set(e, ERR_SYNTAX, "listen.%s: '%.*s' is not ADDRESS or ADDRESS:PORT",
			listen_names[kind], STR_ARG(text));
	}
	if (p->listen_n == PLAN_LISTEN_MAX) {
		return err_set(e, ERR_LIMIT, "listen: more than %d addresses", PLAN_LISTEN_MAX);
	}
	int fd = net_listen(&a, &why);
	for (int i = 0; fd == ERR_INUSE && i < BIND_WAITS; i++) { /* see take_lock in store/env.c */
		usleep(BIND_WAIT_MS * 1000);
		fd = net_listen(&a, &why);
	}
	if (fd < 0) { return err_set(e, fd, "listen.%s: %s", listen_names[kind], why.text); }
	socklen_t len = sizeof a;
	if (getsockname(fd, &a.sa, &len) < 0) { abort(); }
	p->listen[p->listen_n++] = (struct plan_listen){kind, fd, net_addr_port(&a)};
	return 0;
}

int plan_bind(struct plan *p, struct err *e)
{
	const struct listen_conf *c = conf_get(p->conf, &listen_conf_section);
	for (int kind = 0; kind < LISTEN_N; kind++) {
		for (size_t i = 0; i < c->on[kind].n; i++) {
			int rc = bind_one(p, (enum listen_kind)kind, c->on[kind].v[i], e);
			if (rc < 0) { return rc; }
		}
	}
	return 0;
}

uint16_t plan_port(const struct plan *p, enum listen_kind kind)
{
	for (size_t i = 0; i < p->listen_n; i++) {
		if (p->listen[i].kind == kind) { return p->listen[i].port; }
	}
	return 0;
}

size_t plan_secrets(const struct plan *p, enum role_id role, struct role_secret *out)
{
	size_t n = 0;
	const struct role_ops *ops = role_by_id(role);
	if (ops->want_tls && p->cert.n) {
		out[n++] = (struct role_secret){STR("tls.cert"), buf_view(&p->cert)};
		out[n++] = (struct role_secret){STR("tls.key"), buf_view(&p->key)};
	}
	if (ops->want_dns && p->zone.n) {
		out[n++] = (struct role_secret){STR("dns.zone"), buf_view(&p->zone)};
	}
	return n;
}

int plan_hostname(struct plan *p, struct err *e)
{
	const struct top_conf *top = conf_get(p->conf, &top_conf_section);
	char name[256] = "";
	if (top->hostname.n) { return 0; }
	if (gethostname(name, sizeof name - 1) < 0 || !*name) { return 0; }
	return conf_set(p->conf, STR("hostname"), str_of(name), e);
}

void plan_fini(struct plan *p)
{
	for (size_t i = 0; i < p->listen_n; i++) {
		if (p->listen[i].fd >= 0) { close(p->listen[i].fd); }
	}
	buf_fini(&p->cert);
	if (p->key.n) { wipe(p->key.p, p->key.n); }
	buf_fini(&p->key);
	buf_fini(&p->zone);
	conf_free(p->conf);
	p->conf = NULL;
	p->listen_n = 0;
}
