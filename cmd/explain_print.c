/* Printing audit records. The checks of a record are a flat list of paths ("spf", "spf/helo"); here
   they become a tree. */
#include "cmd/explain_print.h"

#include "lib/date.h"

enum { DEPTH_MAX = 8, NAME_WIDTH = 14 };

static const char *const kinds[] = {[AUDIT_RECEIVED] = "received",
	[AUDIT_SUBMITTED] = "submitted",
	[AUDIT_REFUSED] = "refused",
	[AUDIT_SENT] = "sent",
	[AUDIT_DEFERRED] = "deferred",
	[AUDIT_BOUNCED] = "bounced",
	[AUDIT_LOGIN] = "login"};
static const char *const outcomes[] = {[RCPT_DELIVERED] = "delivered",
	[RCPT_QUEUED] = "queued",
	[RCPT_REFUSED] = "refused",
	[RCPT_DUPLICATE] = "delivered already through another address",
	[RCPT_SENT] = "sent",
	[RCPT_DEFERRED] = "deferred",
	[RCPT_FAILED] = "failed"};

static struct str word(const char *const *words, size_t n, unsigned i)
{
	return str_of(i < n && words[i] ? words[i] : "?");
}

/* --- where a message went --- */

struct place {
	struct str login, mailbox; /* empty: it is gone */
};

static struct place place_of(struct snap *sn, struct arena *a, uint32_t mid)
{
	struct place p = {STR(""), STR("")};
	struct mbox mb;
	struct acct ac;
	struct mname *names;
	size_t n;
	if (snap_mbox(sn, mid, &mb) < 0 || snap_acct(sn, mb.aid, &ac) < 0) { return p; }
	p.login = ac.login;
	if (snap_mnames(sn, mb.aid, a, &names, &n) < 0) { return p; }
	for (size_t i = 0; i < n; i++) {
		if (names[i].mid == mid) { p.mailbox = names[i].name; }
	}
	return p;
}

/* --- the tree of checks --- */

/* Does the path `name` stand directly below `parent` ("" = on top)? Then its last part. */
static bool is_child(struct str parent, struct str name, struct str *last_out)
{
	if (parent.n) {
		if (!str_starts(name, parent) || name.n == parent.n || name.p[parent.n] != '/') {
			return false;
		}
		name = str_skip(name, parent.n + 1);
	}
	*last_out = name;
	return name.n && str_chr(name, '/') < 0;
}

/* --- text --- */

void explain_clean(struct str text, struct buf *out)
{
	struct str line;
	while (str_cut(&text, '\n', &line)) {
		buf_plain(out, line);
		buf_chr(out, '\n');
	}
	buf_plain(out, text);
}

static void put_name(struct buf *out, unsigned depth, struct str name)
{
	for (unsigned i = 0; i <= depth; i++) { buf_str(out, STR("  ")); }
	buf_plain(out, name);
	size_t width = NAME_WIDTH > 2 * depth ? NAME_WIDTH - 2 * depth : 0;
	for (size_t i = name.n; i < width; i++) { buf_chr(out, ' '); }
	buf_chr(out, ' ');
}

static void put_line(struct buf *out, const char *name, struct str value)
{
	if (value.n == 0) { return; }
	put_name(out, 0, str_of(name));
	buf_plain(out, value);
	buf_chr(out, '\n');
}

static void put_checks(struct buf *out, const struct audit *au, struct str parent, unsigned depth)
{
	struct str last;
	for (uint32_t i = 0; depth < DEPTH_MAX && i < au->checks_n; i++) {
		const struct audit_check *c = &au->checks[i];
		if (!is_child(parent, c->name, &last)) { continue; }
		put_name(out, depth, last);
		buf_plain(out, c->result);
		if (c->action.n) {
			buf_str(out, STR(" -> "));
			buf_plain(out, c->action);
		}
		if (c->except.n) {
			buf_str(out, STR(" (not applied: "));
			buf_plain(out, c->except);
			buf_chr(out, ')');
		}
		if (c->detail.n) {
			buf_str(out, STR(": "));
			buf_plain(out, c->detail);
		}
		buf_chr(out, '\n');
		put_checks(out, au, c->name, depth + 1);
	}
}

static void put_rcpt(struct buf *out, struct snap *sn, struct arena *a, const struct audit_rcpt *r)
{
	char id[ID_TEXT];
	struct queue_item it;
	struct place p = {STR(""), STR("")};
	put_name(out, 0, STR("to"));
	buf_chr(out, '<');
	buf_plain(out, r->rcpt);
	buf_str(out, STR("> "));
	buf_str(out, word(outcomes, COUNT(outcomes), r->outcome));
	if (r->mid) {
		p = place_of(sn, a, r->mid);
		buf_fmt(out, ": %.*s%s", STR_ARG(p.login), p.login.n ? " " : "");
		buf_plain(out, p.mailbox.n ? p.mailbox : STR("in a mailbox that is gone"));
		buf_fmt(out, ", UID %u", r->uid);
	}
	if (r->qid) {
		buf_fmt(out, ", queue id %s%s", id_text(r->qid, id),
			snap_queue_item(sn, r->qid, a, &it) == 0 ? " (still there)" : "");
	}
	if (r->detail.n && !str_ieq(r->detail, p.login)) {
		buf_str(out, STR(": "));
		buf_plain(out, r->detail);
	}
	buf_chr(out, '\n');
}

static void put_client(struct buf *out, const struct audit *au)
{
	if (au->peer.n == 0 && au->client.n == 0) { return; }
	put_name(out, 0, STR("client"));
	buf_plain(out, au->peer);
	if (au->client.n) {
		buf_str(out, STR(" ("));
		buf_plain(out, au->client);
		buf_chr(out, ')');
	}
	buf_chr(out, '\n');
}

void explain_text(struct snap *sn, struct arena *a, const struct audit *au, struct buf *out)
{
	char id[ID_TEXT];
	buf_fmt(out, "%s  ", id_text(au->id, id));
	date_iso(au->time_us, out);
	buf_fmt(out, "  %.*s\n", STR_ARG(word(kinds, COUNT(kinds), au->kind)));
	put_client(out, au);
	put_line(out, "helo", au->helo);
	put_line(out, "protocol", au->proto);
	put_line(out, "tls", au->tls);
	put_line(out, "login", au->login);
	if (au->from.n || au->rcpts_n || au->size) {
		put_name(out, 0, STR("sender"));
		buf_chr(out, '<');
		buf_plain(out, au->from);
		buf_str(out, STR(">\n"));
	}
	put_line(out, "author", au->author);
	put_line(out, "message-id", au->msgid);
	if (au->size) {
		put_name(out, 0, STR("size"));
		buf_u64(out, au->size);
		buf_str(out, STR(" octets\n"));
	}
	if (au->checks_n) { buf_str(out, STR("  checks\n")); }
	put_checks(out, au, STR(""), 1);
	for (uint32_t i = 0; i < au->rcpts_n; i++) { put_rcpt(out, sn, a, &au->rcpts[i]); }
	put_line(out, "reply", au->reply);
}

/* --- JSON --- */

static void put_member(struct buf *out, const char *name, struct str value)
{
	if (value.n) { json_member(name, value, out); }
}

static void put_number(struct buf *out, const char *name, uint64_t value)
{
	json_name(name, out);
	buf_u64(out, value);
}

static void json_checks(struct buf *out, const struct audit *au, struct str parent, unsigned depth)
{
	struct str last;
	bool first = true;
	buf_chr(out, '[');
	for (uint32_t i = 0; depth < DEPTH_MAX && i < au->checks_n; i++) {
		const struct audit_check *c = &au->checks[i];
		if (!is_child(parent, c->name, &last)) { continue; }
		buf_str(out, first ? STR("{") : STR(",{"));
		first = false;
		put_member(out, "name", last);
		put_member(out, "result", c->result);
		put_member(out, "detail", c->detail);
		put_member(out, "action", c->action);
		put_member(out, "exception", c->except);
		json_name("steps", out);
		json_checks(out, au, c->name, depth + 1);
		buf_chr(out, '}');
	}
	buf_chr(out, ']');
}

static void json_rcpt(struct buf *out, struct snap *sn, struct arena *a, const struct audit_rcpt *r)
{
	char id[ID_TEXT];
	buf_chr(out, '{');
	put_member(out, "address", r->rcpt);
	put_member(out, "outcome", word(outcomes, COUNT(outcomes), r->outcome));
	put_member(out, "detail", r->detail);
	if (r->mid) {
		struct place p = place_of(sn, a, r->mid);
		put_member(out, "account", p.login);
		put_member(out, "mailbox", p.mailbox);
		put_number(out, "uid", r->uid);
	}
	if (r->qid) { put_member(out, "queueId", str_of(id_text(r->qid, id))); }
	buf_chr(out, '}');
}

static void json_client(struct buf *out, const struct audit *au)
{
	buf_chr(out, '{');
	put_member(out, "ip", au->peer);
	put_member(out, "name", au->client);
	put_member(out, "helo", au->helo);
	put_member(out, "protocol", au->proto);
	put_member(out, "tls", au->tls);
	put_member(out, "login", au->login);
	buf_chr(out, '}');
}

void explain_json(struct snap *sn, struct arena *a, const struct audit *au, struct buf *out)
{
	char id[ID_TEXT];
	struct buf when = {0};
	date_iso(au->time_us, &when);
	buf_chr(out, '{');
	put_member(out, "id", str_of(id_text(au->id, id)));
	put_member(out, "time", buf_view(&when));
	put_member(out, "kind", word(kinds, COUNT(kinds), au->kind));
	json_name("client", out);
	json_client(out, au);
	json_member("sender", au->from, out);
	put_member(out, "author", au->author);
	put_member(out, "messageId", au->msgid);
	put_number(out, "size", au->size);
	json_name("checks", out);
	json_checks(out, au, STR(""), 0);
	json_name("recipients", out);
	buf_chr(out, '[');
	for (uint32_t i = 0; i < au->rcpts_n; i++) {
		if (i) { buf_chr(out, ','); }
		json_rcpt(out, sn, a, &au->rcpts[i]);
	}
	buf_chr(out, ']');
	put_member(out, "reply", au->reply);
	buf_chr(out, '}');
	buf_fini(&when);
}
