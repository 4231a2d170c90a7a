/* The administrator's way to the store. */
#include "cmd/admin.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "auth/auth.h"
#include "cmd/plan.h"
#include "lib/idn.h"
#include "smtp/path.h"

enum { ADMIN_TIMEOUT_S = 60 };

const char *config_default(void)
{
	const char *named = getenv("POSTHOUSE_CONFIG");
	return named && *named ? named : "/etc/posthouse.conf";
}

/* Commands and the server are started from anywhere: what a file names is meant from its folder. */
static int complete_paths(struct conf *c, const char *config, struct err *e)
{
	char copy[4096], folder[4096];
	struct buf key = {0}, value = {0};
	snprintf(copy, sizeof copy, "%s", config);
	int rc = path_absolute(dirname(copy), folder, sizeof folder, e);
	for (size_t s = 0; s < conf_sections_n; s++) {
		const struct conf_section *sec = conf_sections[s];
		for (size_t i = 0; i < sec->n && rc == 0; i++) {
			const struct conf_row *row = &sec->rows[i];
			if (!row->path) { continue; }
			struct str path;
			memcpy(&path, (const char *)conf_get(c, sec) + row->offset, sizeof path);
			if (path.n == 0 || path.p[0] == '/') { continue; }
			buf_reset(&key);
			buf_reset(&value);
			buf_fmt(&key, "%s%s%s", sec->name, *sec->name ? "." : "", row->name);
			buf_fmt(&value, "%s/%.*s", folder, STR_ARG(path));
			rc = conf_set(c, buf_view(&key), buf_view(&value), e);
		}
	}
	buf_fini(&key);
	buf_fini(&value);
	return rc;
}

int config_load(struct conf *c, const char *path, struct err *e)
{
	int rc = conf_load(c, path, e);
	if (rc == 0) { rc = complete_paths(c, path, e); }
	struct err why = *e;
	return rc == ERR_GONE ? err_set(e, rc, "%s (posthouse init DOMAIN writes one)", why.text)
			      : rc;
}

/* The configuration is optional when --data says where the store is. */
int admin_conf(
	const struct command *c, const struct admin_options *o, struct conf **out, struct err *e)
{
	const char *path = o->config ? o->config : config_default();
	*out = roles_conf_new();
	int rc = o->config || !o->data ? config_load(*out, path, e) : 0;
	if (rc == 0) { return 0; }
	return command_fail(c, EX_CONFIG, "%s%s", e->text,
		rc == ERR_GONE ? "\n(--config FILE names another configuration, --data DIR the "
				 "store itself)"
			       : "");
}

int admin_find(struct admin *a, const struct command *c, const struct admin_options *o)
{
	*a = (struct admin){.command = c};
	roles_register();
	int status = admin_conf(c, o, &a->conf, &a->why);
	if (status) { return status; }
	const struct top_conf *top = conf_get(a->conf, &top_conf_section);
	if (o->data) {
		snprintf(a->data, sizeof a->data, "%s", o->data);
	} else {
		snprintf(a->data, sizeof a->data, "%.*s", STR_ARG(top->data));
	}
	return 0;
}

int admin_connect(const struct admin *a, const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/%s", a->data, name);
	if ((size_t)n >= sizeof to.sun_path) { return -1; }
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void on_down(void *ctx, struct link *l)
{
	struct admin *a = ctx;
	a->link = NULL;
	link_free(l);
}

static void on_message(void *ctx, struct link_msg *m)
{
	(void)ctx;
	(void)m; /* news */
}

static const struct link_ops link_ops = {.handle = on_message, .down = on_down};

int admin_opened(const struct command *c, int rc, const struct err *e)
{
	if (rc == ERR_GONE) {
		return command_fail(c, EX_NOINPUT,
			"%s\n(posthouse init DOMAIN makes one, and so does the first posthouse "
			"user add)",
			e->text);
	}
	return rc < 0 ? command_fail(c, command_status(rc), "%s", e->text) : 0;
}

int admin_read(struct admin *a, const struct command *c, const struct admin_options *o)
{
	struct err e = {0};
	int status = admin_find(a, c, o);
	if (status) { return status; }
	int rc = store_open(a->data, STORE_READ, &a->store, &e);
	return admin_opened(c, rc, &e);
}

int admin_open(struct admin *a, const struct command *c, const struct admin_options *o, bool create)
{
	struct err e = {0};
	int status = admin_find(a, c, o);
	if (status) { return status; }
	a->loop = loop_new();
	int fd = admin_connect(a, "control");
	if (fd >= 0) { a->link = link_new(a->loop, fd, ROLE_CONTROL, ROLE_STORE, &link_ops, a); }
	int rc = store_open(a->data, STORE_READ, &a->store, &e);
	if (!a->link && (rc == 0 || (rc == ERR_GONE && create))) {
		store_close(a->store);
		a->store = NULL;
		a->writes = true;
		rc = store_open(a->data, STORE_WRITE, &a->store, &e);
	}
	return admin_opened(c, rc, &e);
}

struct asking {
	struct task task;
	struct loop *loop;
	bool done;
};

static enum step asked(struct task *t)
{
	struct asking *q = container_of(t, struct asking, task);
	q->done = true;
	loop_stop(q->loop);
	return STEP_DONE;
}

static void asking_ended(struct task *t)
{
	(void)t;
}

static enum step first_step(struct task *t)
{
	t->step = asked;
	return STEP_WAIT;
}

/* One call to the running server, waited for. */
static int ask(struct admin *a, const struct msg_type *op, const void *request, void *reply)
{
	struct asking q = {.loop = a->loop};
	struct call call = {0};
	task_start(a->loop, &q.task, NULL, first_step, asking_ended);
	link_call(a->link, &call, &q.task, op, request, ADMIN_TIMEOUT_S * SECOND_US);
	while (!q.done) { loop_run(a->loop); }
	int rc = call.rc;
	if (rc == 0 && reply) {
		/* Packed and unpacked once more, so that lists live in our arena. */
		struct buf copy = {0};
		wire_pack(op->reply, call.reply, &copy);
		rc = wire_unpack(
			op->reply, arena_dup(&a->arena, buf_view(&copy)), &a->arena, reply);
		buf_fini(&copy);
	}
	call_fini(&call);
	return rc;
}

int admin_apply(struct admin *a, const struct msg_type *op, const void *request, void *reply)
{
	if (a->writes) { return store_apply(a->store, op, request, &a->arena, reply); }
	return a->link ? ask(a, op, request, reply) : ERR_AGAIN;
}

int admin_snap(struct admin *a, struct snap *out)
{
	int rc = snap_begin(a->store, out);
	if (rc < 0) { command_fail(a->command, 0, "the store cannot be read: %s", err_name(rc)); }
	return rc;
}

int admin_has_domain(struct admin *a, struct str domain)
{
	struct snap sn;
	struct domain d;
	int rc = admin_snap(a, &sn);
	if (rc < 0) { return rc; }
	rc = snap_domain(&sn, domain, &d);
	snap_end(&sn);
	return rc;
}

void admin_close(struct admin *a)
{
	link_free(a->link);
	store_close(a->store);
	if (a->loop) { loop_free(a->loop); }
	conf_free(a->conf);
	arena_fini(&a->arena);
}

static int read_line(const char *prompt, struct buf *out)
{
	char line[AUTH_PASSWORD_MAX + 2];
	struct termios before, quiet;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	if (terminal) {
		fputs(prompt, stderr);
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	char *got = fgets(line, sizeof line, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	buf_reset(out);
	if (!got) { return ERR_GONE; }
	buf_add(out, line, strcspn(line, "\r\n"));
	wipe(line, sizeof line);
	return 0;
}

int admin_password(const struct command *c, struct buf *out)
{
	struct buf again = {0};
	int rc = read_line("Password: ", out);
	if (rc < 0 || out->n == 0) {
		command_fail(c, 0,
			"no password given (it is asked on a terminal, else read from stdin)");
		return ERR_SYNTAX;
	}
	if (isatty(STDIN_FILENO)) {
		read_line("Again: ", &again);
		if (!str_eq(buf_view(out), buf_view(&again))) {
			command_fail(c, 0, "the two passwords differ");
			rc = ERR_SYNTAX;
		}
		if (again.n) { wipe(again.p, again.n); }
		buf_fini(&again);
	}
	return rc;
}

static int address_read(struct str text, bool target, struct arena *a, struct str *out)
{
	struct path p;
	struct str domain;
	int rc = path_parse_mailbox(text, a, &p);
	if (rc == 0 && (p.kind != PATH_MAILBOX || p.literal)) { rc = ERR_SYNTAX; }
	if (rc == 0) { rc = idn_domain(p.domain, a, &domain); }
	if (rc < 0) { return ERR_SYNTAX; }
	char *local = arena_alloc(a, p.text.n);
	size_t n = (size_t)str_rchr(p.text, '@');
	for (size_t i = 0; i < n; i++) {
		local[i] = target ? p.text.p[i] : ascii_lower(p.text.p[i]);
	}
	*out = arena_fmt(a, "%.*s@%.*s", (int)n, local, STR_ARG(domain));
	return out->n > ADDRESS_MAX ? ERR_SYNTAX : 0;
}

int address_normalise(struct str text, struct arena *a, struct str *out)
{
	return address_read(text, false, a, out);
}

int admin_address(struct admin *a, const char *text, bool target, struct str *out)
{
	int rc = address_read(arena_dup(&a->arena, str_of(text)), target, &a->arena, out);
	if (rc < 0) { command_fail(a->command, 0, "'%s' is not an address (local@domain)", text); }
	return rc;
}

int admin_domain(struct admin *a, const char *text, struct str *out)
{
	int rc = idn_domain(arena_dup(&a->arena, str_of(text)), &a->arena, out);
	if (rc < 0) { command_fail(a->command, 0, "'%s' is not a domain", text); }
	return rc;
}

int admin_catch_all(struct admin *a, const char *text, struct str *out)
{
	struct str domain;
	int rc = admin_domain(a, text + 1, &domain);
	if (rc == 0) { *out = arena_fmt(&a->arena, "@%.*s", STR_ARG(domain)); }
	return rc;
}
