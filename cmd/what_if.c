/* explain --what-if: auth and mx on one loop, as in `dev`; the store's end of their links is played
   here, and takes nothing. */
#include "cmd/what_if.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "auth/auth.h"
#include "cmd/explain_print.h"
#include "cmd/plan.h"
#include "cmd/runner.h"
#include "lib/date.h"
#include "lib/dns_conf.h"
#include "lib/log.h"
#include "smtp/session.h"

enum { LINES_MAX = 8, MESSAGE_MAX = 64 * 1024 * 1024, OID = 1 };

struct trial {
	struct admin *admin;
	const struct what_if *what;
	struct loop *loop;
	struct runner auth, mx;
	struct role_secret zone;
	struct buf zone_text;
	struct link *store_of_auth, *store_of_mx; /* our ends */
	/* the client */
	struct task client;
	struct buf message; /* with dots stuffed and the final one */
	struct buf lines[LINES_MAX];
	size_t lines_n, at;
	struct buf dialogue; /* as it would be seen on the wire, without the message */
	/* what the mx role would have written down */
	struct arena arena;
	struct audit record;
	bool recorded, client_ended;
};

/* --- the store that takes nothing --- */

static void keep_record(struct trial *t, const struct audit *au)
{
	struct buf packed = {0};
	wire_pack(&wire_audit, au, &packed);
	t->recorded = wire_unpack(&wire_audit, arena_dup(&t->arena, buf_view(&packed)), &t->arena,
			      &t->record) == 0;
	buf_fini(&packed);
}

/* Where a message for this account would go, and under which UID. */
static void foresee(struct snap *sn, const struct op_local_rcpt *l, struct op_rcpt_result *out)
{
	struct mname name;
	struct mbox mb;
	int rc = ERR_GONE;
	if (l->use && snap_mbox_by_use(sn, l->aid, l->use, &name) == 0) {
		rc = snap_mbox(sn, name.mid, &mb);
	}
	if (rc < 0 && l->folder.n) { rc = snap_mbox_by_name(sn, l->aid, l->folder, &name, &mb); }
	if (rc < 0) { rc = snap_mbox_by_name(sn, l->aid, STR("INBOX"), &name, &mb); }
	if (rc == 0) {
		*out = (struct op_rcpt_result){
			.mid = mb.mid, .uid = mb.uidnext, .uidvalidity = mb.uidvalidity};
	}
}

static void would_deliver(struct trial *t, struct link_msg *m)
{
	const struct op_deliver *op = m->request;
	struct op_deliver_reply reply = {.oid = OID, .results_n = op->locals_n};
	struct snap sn;
	reply.results = arena_array(&t->arena, op->locals_n, sizeof *reply.results);
	keep_record(t, &op->audit);
	if (snap_begin(t->admin->store, &sn) == 0) {
		for (uint32_t i = 0; i < op->locals_n; i++) {
			foresee(&sn, &op->locals[i], &reply.results[i]);
		}
		op_audit_places(op, reply.results, &t->arena, t->record.rcpts, t->record.rcpts_n);
		snap_end(&sn);
	}
	link_reply(m, 0, &reply);
}

static void on_message(void *ctx, struct link_msg *m)
{
	struct trial *t = ctx;
	if (m->type == &OP_DELIVER) {
		would_deliver(t, m);
	} else if (m->type == &OP_UPLOAD) {
		link_reply(m, 0, &(struct op_upload_reply){.oid = OID});
	} else if (m->type == &OP_AUDIT) {
		const struct op_audit *op = m->request;
		if (op->records_n && !t->recorded) { keep_record(t, &op->records[0]); }
		link_reply(m, 0, NULL);
	} else if (m->type == &OP_DOMAIN_SET || m->type == &OP_ACCT_ADD) {
		link_reply(m, ERR_EXISTS, NULL); /* nothing is made for a trial */
	}
}

static void on_down(void *ctx, struct link *l)
{
	struct trial *t = ctx;
	if (t->store_of_auth == l) { t->store_of_auth = NULL; }
	if (t->store_of_mx == l) { t->store_of_mx = NULL; }
	link_free(l);
}

static const struct link_ops link_ops = {.handle = on_message, .down = on_down};

/* --- the client --- */

static enum step client_read(struct task *task);

static enum step client_say(struct trial *t)
{
	struct str line = buf_view(&t->lines[t->at++]);
	buf_fmt(&t->dialogue, "C: %.*s\n", STR_ARG(line));
	conn_put(t->client.conn, line);
	conn_put(t->client.conn, STR("\r\n"));
	return STEP_MORE;
}

/* After a reply: the message behind 354, the end behind a refusal, else the next line. */
static enum step client_go_on(struct trial *t, unsigned code)
{
	if (code == 354) {
		buf_fmt(&t->dialogue, "C: (message of %zu octets)\n", t->message.n);
		conn_put(t->client.conn, buf_view(&t->message));
		return STEP_MORE;
	}
	if (code >= 400) { t->at = MAX(t->at, t->lines_n - 1); } /* QUIT is the last */
	return t->at < t->lines_n ? client_say(t) : STEP_MORE;
}

static enum step client_read(struct task *task)
{
	struct trial *t = task_of(task, struct trial, client);
	struct str line;
	while (conn_line(task->conn, SESSION_LINE_MAX, &line) == 1) {
		buf_fmt(&t->dialogue, "S: %.*s\n", STR_ARG(line));
		if (line.n < 4 || line.p[3] == '-') { continue; }
		unsigned code = (unsigned)(line.p[0] - '0') * 100 +
				(unsigned)(line.p[1] - '0') * 10 + (unsigned)(line.p[2] - '0');
		client_go_on(t, code);
	}
	return conn_status(task->conn) == CONN_OPEN ? STEP_IN : STEP_DONE;
}

static void client_ended(struct task *task)
{
	struct trial *t = task_of(task, struct trial, client);
	t->client_ended = true;
	runner_stop(&t->mx);
}

/* --- what it says --- */

static int bad_option(const struct trial *t, const char *option, const char *value)
{
	return command_fail(t->admin->command, EX_USAGE, "--%s %s: not valid", option, value);
}

/* No line may end early: what follows would be another command. */
static bool one_line(const char *s)
{
	return !s || strcspn(s, "\r\n") == strlen(s);
}

static void add_line(struct trial *t, const char *before, const char *value, const char *after)
{
	buf_fmt(&t->lines[t->lines_n++], "%s%s%s", before, value, after);
}

static int make_lines(struct trial *t, const struct net_addr *client)
{
	const struct what_if *w = t->what;
	char literal[NET_ADDR_TEXT];
	const char *from = w->from ? w->from : "";
	bool utf8 = !str_ascii(str_of(w->from)) || !str_ascii(str_of(w->to));
	if (!one_line(w->helo)) { return bad_option(t, "helo", w->helo); }
	if (!one_line(w->from)) { return bad_option(t, "from", w->from); }
	if (!one_line(w->to)) { return bad_option(t, "to", w->to); }
	add_line(t, "EHLO ", w->helo ? w->helo : net_addr_literal(client, literal), "");
	add_line(t, "MAIL FROM:<", from, utf8 ? "> SMTPUTF8" : ">");
	add_line(t, "RCPT TO:<", w->to, ">");
	add_line(t, "DATA", "", "");
	add_line(t, "QUIT", "", "");
	return 0;
}

static void default_message(const struct trial *t, struct buf *out)
{
	const struct what_if *w = t->what;
	int64_t now = loop_now_us(t->loop);
	buf_fmt(out, "From: <%s>\r\nTo: <%s>\r\nSubject: what if\r\nDate: ",
		w->from && *w->from ? w->from : "postmaster@localhost", w->to);
	date_rfc5322(now, out);
	buf_str(out, STR("\r\n\r\n"));
}

static int read_message(const struct trial *t, struct buf *out)
{
	const char *path = t->what->file;
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t n = 1;
	if (!f) {
		return command_fail(t->admin->command, EX_NOINPUT, "%s: %s", path, strerror(errno));
	}
	while (n && out->n <= MESSAGE_MAX) {
		n = fread(buf_reserve(out, 65536), 1, 65536, f);
		buf_grow(out, n);
	}
	if (f != stdin) { fclose(f); }
	if (out->n > MESSAGE_MAX) {
		return command_fail(t->admin->command, EX_DATAERR, "%s: too long", path);
	}
	return 0;
}

/* As DATA carries it: lines end with CRLF, dots are stuffed, and the final one. */
static void stuff(struct str in, struct buf *out)
{
	while (in.n) {
		ptrdiff_t lf = str_chr(in, '\n');
		struct str line = lf < 0 ? in : str_sub(in, 0, (size_t)lf);
		in = str_skip(in, lf < 0 ? in.n : (size_t)lf + 1);
		if (str_ends(line, STR("\r"))) { line.n--; }
		if (str_starts(line, STR("."))) { buf_chr(out, '.'); }
		buf_str(out, line);
		buf_str(out, STR("\r\n"));
	}
	buf_str(out, STR(".\r\n"));
}

static int make_message(struct trial *t)
{
	struct buf raw = {0};
	int status = 0;
	if (t->what->file) {
		status = read_message(t, &raw);
	} else {
		default_message(t, &raw);
	}
	stuff(buf_view(&raw), &t->message);
	buf_fini(&raw);
	return status;
}

/* --- the roles --- */

static void on_role_ended(struct runner *r)
{
	struct trial *t = r->ctx;
	loop_stop(t->loop);
}

static int add_link(struct runner *a, struct runner *b, struct err *e)
{
	int fds[2];
	if (net_pair(fds) < 0) { return err_set(e, ERR_IO, "no socket pair"); }
	runner_peer(a, b->role.id, fds[0]);
	runner_peer(b, a->role.id, fds[1]);
	return 0;
}

static int add_store(struct trial *t, struct runner *r, struct link **ours, struct err *e)
{
	int fds[2];
	if (net_pair(fds) < 0) { return err_set(e, ERR_IO, "no socket pair"); }
	runner_peer(r, ROLE_STORE, fds[0]);
	*ours = link_new(t->loop, fds[1], ROLE_STORE, r->role.id, &link_ops, t);
	return 0;
}

static int configure(struct trial *t, struct err *e)
{
	const struct what_if *w = t->what;
	struct conf *conf = t->admin->conf;
	struct plan plan = {.conf = conf};
	char path[4096];
	int rc = plan_hostname(&plan, e);
	if (rc == 0 && w->dns) {
		rc = conf_set(conf, STR("dns.forward"), str_of(w->dns), e);
		/* as in `dev`: the zone of a test's own resolver is not signed */
		if (rc == 0) { rc = conf_set(conf, STR("dns.dnssec"), STR("no"), e); }
	}
	for (size_t i = 0; i < w->set.n && rc == 0; i++) {
		struct str value = str_of(w->set.v[i]), key;
		rc = str_cut(&value, '=', &key)
			     ? conf_set(conf, key, value, e)
			     : err_set(e, ERR_SYNTAX, "--set %s: written SECTION.KEY=VALUE",
				       w->set.v[i]);
	}
	if (rc == 0 && w->dns_zone) {
		rc = conf_set(conf, STR("dns.zone"), str_of(w->dns_zone), e);
	}
	const struct dns_section *dns = conf_get(conf, &dns_conf_section);
	if (rc == 0 && dns->zone.n) {
		snprintf(path, sizeof path, "%.*s", STR_ARG(dns->zone));
		rc = file_read(path, &t->zone_text, e);
		if (t->zone_text.n == 0) { buf_chr(&t->zone_text, '\n'); }
		t->zone = (struct role_secret){STR("dns.zone"), buf_view(&t->zone_text)};
	}
	return rc;
}

static void init_roles(struct trial *t)
{
	struct runner *both[] = {&t->auth, &t->mx};
	runner_init(&t->auth, &auth_role, t->loop, t->admin->conf);
	runner_init(&t->mx, &mx_role, t->loop, t->admin->conf);
	for (size_t i = 0; i < COUNT(both); i++) {
		both[i]->ended = on_role_ended;
		both[i]->ctx = t;
	}
}

static int start_roles(struct trial *t, struct err *e)
{
	t->auth.role.store = t->admin->store;
	t->mx.role.secrets = &t->zone;
	t->mx.role.secrets_n = t->zone.name.n > 0;
	t->mx.role.one_process = t;
	int rc = add_link(&t->auth, &t->mx, e);
	if (rc == 0) { rc = add_store(t, &t->auth, &t->store_of_auth, e); }
	if (rc == 0) { rc = add_store(t, &t->mx, &t->store_of_mx, e); }
	if (rc == 0) { rc = runner_start(&t->auth, e); }
	if (rc == 0) { rc = role_dns(&t->mx.role, e); }
	return rc == 0 ? runner_start(&t->mx, e) : rc;
}

static int start_client(struct trial *t, const struct net_addr *client, struct err *e)
{
	int fds[2];
	if (net_pair(fds) < 0) { return err_set(e, ERR_IO, "no socket pair"); }
	struct conn *server = conn_new(t->loop, fds[0], true);
	conn_set_peer(server, client);
	task_start(
		t->loop, &t->client, conn_new(t->loop, fds[1], false), client_read, client_ended);
	session_start(t->mx.role.state, service_find(LISTEN_SMTP), server);
	return 0;
}

/* --- the whole --- */

static void print(struct trial *t)
{
	struct arena a = {0};
	struct buf out = {0};
	struct snap sn;
	if (admin_snap(t->admin, &sn) < 0) { return; }
	if (t->what->json) {
		buf_str(&out, STR("[\n"));
		if (t->recorded) { explain_json(&sn, &a, &t->record, &out); }
		buf_str(&out, STR("\n]\n"));
	} else {
		buf_str(&out, STR("what if: nothing was delivered or written down\n"));
		if (t->recorded) { explain_text(&sn, &a, &t->record, &out); }
		buf_str(&out, STR("\ndialogue\n"));
		explain_clean(buf_view(&t->dialogue), &out);
	}
	fwrite(out.p, 1, out.n, stdout);
	snap_end(&sn);
	buf_fini(&out);
	arena_fini(&a);
}

static void end(struct trial *t)
{
	runner_fini(&t->mx);
	runner_fini(&t->auth);
	link_free(t->store_of_auth);
	link_free(t->store_of_mx);
	while (loop_turn(t->loop)) {} /* tasks that end */
	dns_free(t->mx.role.dns);
	loop_free(t->loop);
	for (size_t i = 0; i < t->lines_n; i++) { buf_fini(&t->lines[i]); }
	buf_fini(&t->message);
	buf_fini(&t->dialogue);
	buf_fini(&t->zone_text);
	arena_fini(&t->arena);
}

static int begin(struct trial *t, const struct net_addr *client)
{
	struct err e = {{0}};
	int rc = configure(t, &e);
	if (rc == 0) { rc = start_roles(t, &e); }
	if (rc == 0) { rc = start_client(t, client, &e); }
	int status = rc == ERR_SYNTAX || rc == ERR_LIMIT ? EX_USAGE : EX_CONFIG;
	return rc == 0 ? 0 : command_fail(t->admin->command, status, "%s", e.text);
}

int what_if_run(struct admin *a, const struct what_if *w)
{
	struct net_addr client;
	struct trial t = {.admin = a, .what = w, .loop = loop_new()};
	int status = 0;
	init_roles(&t); /* end() takes them down, whatever comes between */
	if (!w->ip || !w->to) {
		status = command_fail(
			a->command, EX_USAGE, "--what-if needs --ip ADDRESS and --to ADDRESS");
	} else if (net_addr_parse(str_of(w->ip), 0, &client) < 0) {
		status = bad_option(&t, "ip", w->ip);
	}
	log_set_level(LOG_ERROR);
	if (status == 0) { status = make_lines(&t, &client); }
	if (status == 0) { status = make_message(&t); }
	if (status == 0) { status = begin(&t, &client); }
	if (status == 0) {
		while (!t.mx.stopped) { loop_run(t.loop); }
		print(&t);
	}
	end(&t);
	return status;
}
