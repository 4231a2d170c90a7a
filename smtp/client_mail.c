/* The transaction of a session out: envelope and message. Runs in relay. Sends only what stands in
   the store; a code counts for a recipient when the reply to RCPT refused it or the reply to the
   whole message was read. */
#include "smtp/client_private.h"
#include "smtp/orcpt.h"

/* RFC 5321 4.5.3.2 */
static const int64_t DATA_US = 120 * SECOND_US, BLOCK_US = 180 * SECOND_US,
		     DOT_US = 600 * SECOND_US;

/* Every recipient that was asked for and has no code gets this one, and the session is over
   politely. */
static enum step finish_all(struct client *c, int code, struct str text, bool said)
{
	text = arena_dup(&c->arena, str_sub(text, 0, CLIENT_TEXT_MAX));
	for (size_t i = 0; i < c->rcpts_n; i++) {
		if (c->rcpts[i].code == 0 && !c->rcpts[i].left) {
			c->rcpts[i].code = code;
			c->rcpts[i].reply = text;
			c->rcpts[i].said = said;
		}
	}
	c->result = CLIENT_ANSWERED;
	return client_quit(c);
}

static enum step finish_all_by_reply(struct client *c)
{
	struct buf b = {0};
	client_reply_text(&c->in, CLIENT_TEXT_MAX, &b);
	enum step next = finish_all(c, c->in.code, buf_view(&b), true);
	buf_fini(&b);
	return next;
}

/* --- the message itself --- */

static enum step step_answered(struct client *c)
{
	return finish_all_by_reply(c);
}

void client_stuff(struct str s, bool *line_start, struct buf *out)
{
	while (s.n) {
		if (*line_start && s.p[0] == '.') { buf_chr(out, '.'); }
		ptrdiff_t lf = str_chr(s, '\n');
		size_t n = lf < 0 ? s.n : (size_t)lf + 1;
		buf_add(out, s.p, n);
		*line_start = lf >= 0;
		s = str_skip(s, n);
	}
}

static enum step body_end(struct client *c)
{
	conn_put(c->task.conn, c->line_start ? STR(".\r\n") : STR("\r\n.\r\n"));
	c->in_body = true; /* from here on nobody knows until the reply */
	return client_await(c, DOT_US, step_answered);
}

/* The converted text of the octets up to c->offset. */
static void convert_octets(struct client *c, struct str s, struct buf *out)
{
	convert_add(c->convert, s, out);
	if (c->offset == c->size) { convert_end(c->convert, out); }
}

/* Is there room for more? */
static bool put_octets(struct client *c, struct str s)
{
	struct buf *out = conn_out(c->task.conn), converted = {0};
	if (c->fit.chunked) {
		buf_str(out, s);
	} else if (c->fit.convert) {
		convert_octets(c, s, &converted);
		client_stuff(buf_view(&converted), &c->line_start, out);
		buf_fini(&converted);
	} else {
		client_stuff(s, &c->line_start, out);
	}
	return !conn_out_full(c->task.conn);
}

/* Give the message's octets to `take` while it wants more. 1 that was all, 0 not yet, < 0 the store
   failed. */
static int read_message(struct client *c, bool (*take)(struct client *, struct str))
{
	struct snap sn;
	struct str s = STR("");
	bool more = true;
	int rc = snap_begin(c->store, &sn);
	if (rc < 0) { return rc; }
	while (rc == 0 && more && c->offset < c->size) {
		rc = snap_bytes(&sn, c->oid, c->offset, &s);
		if (rc == 0 && s.n == 0) { rc = ERR_DAMAGED; }
		if (rc < 0) { break; }
		c->offset += s.n;
		more = take(c, s);
	}
	snap_end(&sn);
	return rc < 0 ? rc : c->offset == c->size;
}

static enum step unreadable(struct client *c)
{
	return client_lost(c, "4.3.0", "the stored message could not be read");
}

/* It does not want to hear the rest. Whatever it says now, it has not taken the message; there is
   no place for QUIT. */
static enum step interrupted(struct client *c)
{
	if (c->in.code < 400) { return client_lost(c, "4.5.0", "the server replied too early"); }
	(void)finish_all_by_reply(c);
	return STEP_DONE;
}

static enum step send_body(struct task *t)
{
	struct client *c = client_of(t);
	(void)conn_read_now(t->conn); /* seldom is there anything */
	int rc = client_reply_come(c);
	if (rc > 0) { return interrupted(c); }
	if (rc < 0) { return client_lost(c, "4.5.0", "the server's reply is malformed"); }
	if (conn_status(t->conn) != CONN_OPEN) {
		return client_lost(c, "4.4.2", "the connection broke while sending the message");
	}
	conn_deadline(t->conn, BLOCK_US);
	rc = read_message(c, put_octets);
	if (rc < 0) { return unreadable(c); }
	if (rc == 0) { return STEP_OUT; }
	if (!c->fit.chunked) { return body_end(c); }
	c->in_body = true;
	return client_await(c, DOT_US, step_answered);
}

static enum step begin_body(struct client *c)
{
	client_reply_reset(&c->in); /* none is due before the end */
	c->line_start = true;
	c->task.step = send_body;
	return STEP_MORE;
}

static enum step step_data_go(struct client *c)
{
	if (c->in.code >= 400) { return finish_all_by_reply(c); }
	/* a 250 here is no promise: nothing has been sent */
	if (c->in.code != 354) {
		return client_lost(c, "4.5.0", "the server did not ask for the message");
	}
	return begin_body(c);
}

static enum step send_message(struct client *c)
{
	if (c->fit.chunked) {
		conn_fmt(c->task.conn, "BDAT %llu LAST\r\n", (unsigned long long)c->size);
		return begin_body(c);
	}
	conn_put(c->task.conn, STR("DATA\r\n"));
	return client_await(c, DATA_US, step_data_go);
}

/* --- envelope --- */

static void put_notify(struct buf *out, uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = {{NOTIFY_NEVER, "NEVER"}, {NOTIFY_SUCCESS, "SUCCESS"},
		{NOTIFY_FAILURE, "FAILURE"}, {NOTIFY_DELAY, "DELAY"}};
	const char *sep = " NOTIFY=";
	for (size_t i = 0; i < COUNT(words); i++) {
		if (notify & words[i].bit) {
			buf_fmt(out, "%s%s", sep, words[i].word);
			sep = ",";
		}
	}
}

static void put_rcpt(struct client *c, const struct client_rcpt *r)
{
	struct buf *out = conn_out(c->task.conn);
	buf_fmt(out, "RCPT TO:<%.*s>", STR_ARG(r->rcpt));
	if (c->offer.dsn) {
		struct buf orcpt = {0};
		put_notify(out, r->notify);
		if (orcpt_param(r->orcpt, c->offer.utf8, &orcpt)) {
			buf_fmt(out, " ORCPT=%.*s", (int)orcpt.n, orcpt.p);
		}
		buf_fini(&orcpt);
	}
	buf_str(out, STR("\r\n"));
}

/* The next recipient from `i` on that is asked for in this transaction. */
static size_t asked_from(const struct client *c, size_t i)
{
	while (i < c->rcpts_n && (c->rcpts[i].code || c->rcpts[i].left)) { i++; }
	return i;
}

/* There are too many recipients (RFC 5321 4.5.3.1.10, 552 in old words): once some have been taken,
   the others get another transaction. */
static bool too_many(const struct client *c)
{
	struct str status = client_reply_status(&c->in);
	bool taken = false;
	for (size_t i = 0; i < c->at; i++) { taken |= !c->rcpts[i].code && !c->rcpts[i].left; }
	return taken && ((c->in.code == 552 && (!status.n || str_eq(status, STR("5.5.3")))) ||
				(c->in.code == 452 && (!status.n || str_eq(status, STR("4.5.3")))));
}

static void take_rcpt_reply(struct client *c, struct client_rcpt *r)
{
	struct buf b = {0};
	if (c->in.code < 300) { return; }
	if (too_many(c)) {
		r->left = true;
		return;
	}
	client_reply_text(&c->in, CLIENT_TEXT_MAX, &b);
	r->code = c->in.code;
	r->said = true;
	r->reply = arena_dup(&c->arena, buf_view(&b));
	buf_fini(&b);
}

/* Nobody was taken. */
static enum step step_reset(struct client *c)
{
	return finish_all(c, 0, STR(""), false);
}

static enum step step_rcpt(struct client *c)
{
	take_rcpt_reply(c, &c->rcpts[c->at]);
	c->at = asked_from(c, c->at + 1);
	if (c->at < c->rcpts_n) {
		if (!c->offer.pipelining) { put_rcpt(c, &c->rcpts[c->at]); }
		return client_await(c, CLIENT_COMMAND_US, step_rcpt);
	}
	return asked_from(c, 0) < c->rcpts_n ? send_message(c) : step_reset(c);
}

static enum step step_mailed(struct client *c)
{
	if (c->in.code >= 300 && c->in.code < 500) { return client_refused(c); }
	if (c->in.code >= 500) { return finish_all_by_reply(c); }
	c->at = asked_from(c, 0);
	for (size_t i = c->at; i < c->rcpts_n; i = asked_from(c, i + 1)) {
		put_rcpt(c, &c->rcpts[i]);
		if (!c->offer.pipelining) { break; }
	}
	return client_await(c, CLIENT_COMMAND_US, step_rcpt);
}

static struct str domain_of(struct str address)
{
	return str_skip(address, (size_t)(str_rchr(address, '@') + 1));
}

/* Leave for another transaction what this server takes no more of in one (RFC 9422 4). */
static void keep_limits(struct client *c)
{
	const struct client_offer *o = &c->offer;
	size_t first = asked_from(c, 0), n = 0;
	for (size_t i = first; i < c->rcpts_n; i = asked_from(c, i + 1)) {
		bool other = !str_ieq(domain_of(c->rcpts[i].rcpt), domain_of(c->rcpts[first].rcpt));
		bool over = (o->rcpts_max && n == o->rcpts_max) || (o->one_domain && other);
		c->rcpts[i].left = over;
		n += !over;
	}
}

static const char NO_UTF8[] = "5.6.7 the address needs SMTPUTF8 and the server does not offer it";

/* What this host cannot be sent ends here, for good (RFC 6531 3.5, RFC 3030 3): recipients one by
   one, or NULL, else why none of them. */
static const char *leave_out(struct client *c)
{
	const char *no = client_offer_fit(&c->offer, c->needs, c->body, &c->fit);
	if (!no && c->fit.convert) { no = convert_begin(c->convert, !c->offer.eight); }
	if (!no && !client_offer_address(&c->offer, c->from, &c->arena, &c->from)) { no = NO_UTF8; }
	for (size_t i = 0; !no && i < c->rcpts_n; i++) {
		struct client_rcpt *r = &c->rcpts[i];
		if (client_offer_address(&c->offer, r->rcpt, &c->arena, &r->rcpt)) { continue; }
		r->code = 550;
		r->reply = client_with_host(c, NO_UTF8);
	}
	return no;
}

static bool needs_utf8(const struct client *c)
{
	bool utf8 = c->fit.utf8 || !str_ascii(c->from);
	for (size_t i = 0; i < c->rcpts_n; i++) { utf8 |= !str_ascii(c->rcpts[i].rcpt); }
	return utf8 && c->offer.utf8;
}

static enum step send_mail(struct client *c)
{
	struct buf *out = conn_out(c->task.conn);
	c->dsn_passed_on = c->offer.dsn;
	buf_fmt(out, "MAIL FROM:<%.*s>", STR_ARG(c->from));
	if (c->offer.size) { buf_fmt(out, " SIZE=%llu", (unsigned long long)c->wire_size); }
	if (c->fit.chunked) {
		buf_str(out, STR(" BODY=BINARYMIME"));
	} else if (c->offer.eight && (c->needs->eight || (c->body & BODY_8BIT))) {
		buf_str(out, STR(" BODY=8BITMIME"));
	}
	if (needs_utf8(c)) { buf_str(out, STR(" SMTPUTF8")); }
	if (c->offer.dsn) {
		if (c->ret != RET_NONE) {
			buf_fmt(out, " RET=%s", c->ret == RET_FULL ? "FULL" : "HDRS");
		}
		if (c->envid.n) { buf_fmt(out, " ENVID=%.*s", STR_ARG(c->envid)); }
	}
	buf_str(out, STR("\r\n"));
	return client_await(c, CLIENT_COMMAND_US, step_mailed);
}

/* RFC 1870 7: what the server will never accept is not offered to it. As Postfix, we ask no other
   host then: 552 would have been final, too (6.2). */
static enum step size_known(struct client *c)
{
	uint64_t max = c->offer.size_max;
	if (max && c->wire_size > max) {
		struct str why =
			arena_fmt(&c->arena, "5.3.4 the message has %llu octets, %.*s takes %llu",
				(unsigned long long)c->wire_size, STR_ARG(c->host),
				(unsigned long long)max);
		return finish_all(c, 552, why, false);
	}
	keep_limits(c);
	return send_mail(c);
}

static bool count_octets(struct client *c, struct str s)
{
	struct buf converted = {0};
	convert_octets(c, s, &converted);
	c->wire_size += converted.n;
	if (converted.n) { c->line_start = converted.p[converted.n - 1] == '\n'; }
	buf_fini(&converted);
	return false; /* others may do something meanwhile */
}

/* What the message will be as this server gets it: it is converted once for nothing. */
static enum step count_message(struct task *t)
{
	struct client *c = client_of(t);
	int rc = read_message(c, count_octets);
	if (rc < 0) { return unreadable(c); }
	if (rc == 0) {
		task_wake(t, 0);
		return STEP_WAIT;
	}
	c->wire_size += c->line_start ? 0 : 2;
	c->offset = 0;
	(void)convert_begin(c->convert, !c->offer.eight); /* it has said that it can */
	return size_known(c);
}

enum step client_mail(struct client *c)
{
	const char *no = leave_out(c);
	if (no) { return finish_all(c, 550, client_with_host(c, no), false); }
	if (asked_from(c, 0) == c->rcpts_n) { return finish_all(c, 550, STR(""), false); }
	if (c->fit.convert && c->offer.size) {
		c->task.step = count_message;
		return STEP_MORE;
	}
	c->wire_size = c->size + (c->needs->line_open && !c->fit.chunked ? 2 : 0);
	return size_known(c);
}
