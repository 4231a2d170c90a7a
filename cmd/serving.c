/* Serving: in the supervisor's process, or the only one. */
#include "cmd/serving.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/house.h"
#include "cmd/rights.h"
#include "lib/log.h"
#include "lib/wire.h"

enum { NOTIFY_S = 5, STOP_AGAIN_S = 1 };

/* A listening socket in the data directory. */
struct door {
	struct watch watch;
	struct run *run;
	void (*enter)(struct house *h, int fd);
	int fd; /* -1: not open */
	char path[4096];
};

struct run {
	struct serving *s;
	struct plan *plan;
	struct loop *loop;
	struct house *house;
	struct door control, status_door;
	struct buf at_start; /* conf_pack_at_start, when we started */
	int status;
	int64_t stopping_us; /* since when, 0 = not; monotonic */
	struct log_ctx log;
};

/* --- readiness --- */

static void ready_line(const struct run *r, struct buf *out)
{
	static const enum listen_kind order[] = {LISTEN_SMTP, LISTEN_SUBMISSION, LISTEN_SUBMISSIONS,
		LISTEN_IMAP, LISTEN_IMAPS, LISTEN_LMTP};
	buf_fmt(out, "{\"ready\":true,\"pid\":%d,\"host\":\"127.0.0.1\"", (int)getpid());
	for (size_t i = 0; i < COUNT(order); i++) {
		buf_fmt(out, ",\"%s\":%u", listen_names[order[i]], plan_port(r->plan, order[i]));
	}
	buf_fmt(out, ",\"ca\":");
	json_str(str_of(r->s->ca_file), out);
	buf_fmt(out, ",\"data\":");
	json_str(str_of(r->plan->data), out);
	buf_fmt(out, "}\n");
}

/* sd_notify(3), the protocol in three lines. */
static void notify_systemd(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (!path || !*path || strlen(path) >= sizeof to.sun_path) { return; }
	memcpy(to.sun_path, path, strlen(path));
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@') { to.sun_path[0] = 0; }
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) { return; }
	struct timeval wait = {.tv_sec = NOTIFY_S}; /* nobody may hold us for longer */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0) {
		perror("NOTIFY_SOCKET");
	}
	close(fd);
}

static void give_up(struct run *r, const char *why)
{
	command_fail(r->s->command, 0, "%s", why);
	r->status = EX_CANTCREAT;
	house_stop(r->house);
}

static void on_ready(void *ctx)
{
	struct run *r = ctx;
	struct err e = {0};
	struct buf line = {0};
	ready_line(r, &line);
	int rc = r->s->ready_file ? file_write(r->s->ready_file, buf_view(&line), 0644, &e) : 0;
	if (rc < 0) {
		give_up(r, e.text);
	} else {
		if (r->s->ready_line) {
			fwrite(line.p, 1, line.n, stdout);
			fflush(stdout);
		}
		notify_systemd("READY=1");
		log_event(LOG_INFO, &r->log, "ready", "pid=%d", (int)getpid());
	}
	buf_fini(&line);
}

static void on_ended(void *ctx, int status)
{
	struct run *r = ctx;
	if (r->status == EX_OK) { r->status = status; }
	loop_stop(r->loop);
}

static const struct house_ops house_ops = {.ready = on_ready, .ended = on_ended};

/* --- signals --- */

static void on_stop(void *ctx, int signo)
{
	struct run *r = ctx;
	int64_t now = loop_mono_us(r->loop);
	/* timeout(1) and others signal the process and then its group: one wish, not two */
	if (r->stopping_us && now - r->stopping_us < STOP_AGAIN_S * SECOND_US) { return; }
	log_event(LOG_INFO, &r->log, r->stopping_us ? "stopping at once" : "stopping", "signal=%d",
		signo);
	r->stopping_us = now;
	notify_systemd("STOPPING=1");
	house_stop(r->house);
}

/* Keys whose new value has no effect before a restart. */
static void tell_late(const struct run *r)
{
	struct buf fresh = {0}, names = {0};
	struct str was = buf_view(&r->at_start), is, before, now, key;
	conf_pack_at_start(r->plan->conf, &fresh);
	is = buf_view(&fresh);
	while (str_cut(&was, '\n', &before) && str_cut(&is, '\n', &now)) {
		if (str_eq(before, now)) { continue; }
		str_cut(&now, '=', &key);
		buf_fmt(&names, "%s%.*s", names.n ? " " : "", STR_ARG(key));
	}
	if (names.n) {
		log_event(LOG_WARN, &r->log, "a change needs a restart", "keys=\"%.*s\"",
			STR_ARG(buf_view(&names)));
	}
	buf_fini(&fresh);
	buf_fini(&names);
}

static void on_reload(void *ctx, int signo)
{
	struct run *r = ctx;
	struct err e = {0};
	char text[64];
	(void)signo;
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)loop_mono_us(r->loop));
	notify_systemd(text);
	if (r->s->reload(r->s, r->plan, &e) < 0) {
		log_event(LOG_ERROR, &r->log, "not reloaded", "reason=\"%s\"", e.text);
	} else {
		const struct top_conf *top = conf_get(r->plan->conf, &top_conf_section);
		log_set_level((enum log_level)top->log_level);
		house_reload(r->house);
		tell_late(r);
		log_event(LOG_INFO, &r->log, "reloaded", "pid=%d", (int)getpid());
	}
	notify_systemd("READY=1");
}

/* --- sockets in the data directory --- */

/* Root and whoever runs the server may use them. */
static bool trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void on_door(struct watch *w, int events)
{
	struct door *d = container_of(w, struct door, watch);
	(void)events;
	int fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) { return; }
	if (trusted(fd)) {
		d->enter(d->run->house, fd);
	} else {
		close(fd);
	}
}

static int open_door(struct run *r, const char *name, void (*enter)(struct house *, int fd),
	struct door *d, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(d->path, sizeof d->path, "%s/%s", r->plan->data, name);
	if ((size_t)n >= sizeof at.sun_path) {
		return err_set(e, ERR_LIMIT, "%s: too long a path for the %s socket (%zu octets)",
			d->path, name, sizeof at.sun_path - 1);
	}
	memcpy(at.sun_path, d->path, (size_t)n);
	unlink(d->path);
	d->run = r;
	d->enter = enter;
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t before = umask(0177);
	bool ok = d->fd >= 0 && bind(d->fd, (struct sockaddr *)&at, sizeof at) == 0 &&
		  listen(d->fd, 16) == 0;
	umask(before);
	if (!ok) { return err_set(e, ERR_IO, "%s: %s", d->path, strerror(errno)); }
	watch_set(r->loop, &d->watch, d->fd, WATCH_READ, on_door);
	return 0;
}

static void close_door(struct door *d)
{
	if (d->fd < 0) { return; }
	watch_stop(&d->watch);
	close(d->fd);
	unlink(d->path);
}

/* --- running --- */

static int write_pid(const char *path, struct err *e)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
	return file_write(path, str_make(text, (size_t)n), 0644, e);
}

/* Ports and keys are there: what the supervisor will still change are these directories. A process
   that is all roles keeps its rights. */
static int drop_rights(const struct run *r, struct err *e)
{
	char pid_file[4096], ready_file[4096];
	const struct serving *s = r->s;
	if (!r->plan->processes) { return 0; }
	snprintf(pid_file, sizeof pid_file, "%s", s->pid_file ? s->pid_file : "");
	snprintf(ready_file, sizeof ready_file, "%s", s->ready_file ? s->ready_file : "");
	const char *dirs[] = {r->plan->data, s->pid_file ? dirname(pid_file) : NULL,
		s->ready_file ? dirname(ready_file) : NULL, s->writes};
	return rights_drop(dirs, COUNT(dirs), e);
}

int serving_run(struct serving *s, struct plan *p)
{
	struct run r = {.s = s,
		.plan = p,
		.control.fd = -1,
		.status_door.fd = -1,
		.log = {.role = "supervisor"}};
	struct err e = {0};
	const struct top_conf *top = conf_get(p->conf, &top_conf_section);
	log_set_level((enum log_level)top->log_level);
	roles_register();
	conf_pack_at_start(p->conf, &r.at_start);
	r.loop = loop_new();
	loop_on_signal(r.loop, SIGTERM, on_stop, &r);
	loop_on_signal(r.loop, SIGINT, on_stop, &r);
	loop_on_signal(r.loop, SIGHUP, on_reload, &r);
	if (s->ready_file) {
		unlink(s->ready_file);
	} /* of one that was killed: not true any more */
	int rc = s->pid_file ? write_pid(s->pid_file, &e) : 0;
	bool no_pid = rc < 0;
	if (rc == 0) { rc = drop_rights(&r, &e); }
	if (rc == 0) { rc = house_start(r.loop, p, &house_ops, &r, &r.house, &e); }
	if (rc == 0) { rc = open_door(&r, "control", house_control, &r.control, &e); }
	if (rc == 0) { rc = open_door(&r, "status", house_status, &r.status_door, &e); }
	if (rc < 0) {
		command_fail(s->command, 0, "%s", e.text);
		r.status = no_pid ? EX_CANTCREAT : rc == ERR_INUSE ? EX_TEMPFAIL : EX_CONFIG;
	} else {
		loop_run(r.loop);
	}
	close_door(&r.control);
	close_door(&r.status_door);
	house_free(r.house);
	loop_free(r.loop);
	buf_fini(&r.at_start);
	if (s->pid_file) { unlink(s->pid_file); }
	if (s->ready_file) { unlink(s->ready_file); }
	return r.status;
}
