/* Delivery status notifications. Runs in relay. */
#include "smtp/dsn.h"

#include "lib/charset.h"
#include "lib/date.h"
#include "lib/net.h"
#include "smtp/client_reply.h"
#include "smtp/orcpt.h"

static const struct {
	const char *action, *subject, *lead;
} WORDS[] = {
	[DSN_FAILED] = {"failed", "Undelivered mail: returned to sender",
		"Your message could not be delivered to the recipients below. It will not "
		"be\r\ntried again.\r\n"},
	[DSN_DELAYED] = {"delayed", "Delayed mail: still trying",
		"Your message has not been delivered yet to the recipients below. You need\r\n"
		"not send it again: delivery goes on.\r\n"},
	[DSN_DELIVERED] = {"delivered", "Delivered mail",
		"Your message was put into the mailboxes of the recipients below.\r\n"},
	[DSN_RELAYED] = {"relayed", "Mail relayed",
		"Your message was handed on to servers that send no further reports, for the\r\n"
		"recipients below.\r\n"},
};

/* One line of text from outside: no control octets, bounded, folded nowhere; beyond ASCII only
   UTF-8, and only with `utf8`. */
static void put_words(struct buf *out, struct str s, bool utf8)
{
	utf8 = utf8 && utf8_valid(s);
	for (size_t i = 0; i < s.n && i < 900; i++) {
		unsigned char c = (unsigned char)s.p[i];
		buf_chr(out, c < 32 || c == 127 || (c > 127 && !utf8) ? '?' : s.p[i]);
	}
}

static void put_text(struct buf *out, struct str s)
{
	put_words(out, s, true);
}

static void put_date(struct buf *out, const char *field, int64_t us)
{
	buf_fmt(out, "%s: ", field);
	date_rfc5322(us, out);
	buf_str(out, STR("\r\n"));
}

static size_t count(const struct dsn *d, enum dsn_action action)
{
	size_t n = 0;
	for (size_t i = 0; i < d->rcpts_n; i++) { n += d->rcpts[i].action == action; }
	return n;
}

/* The worst of it: there is one. */
static enum dsn_action gravest(const struct dsn *d)
{
	enum dsn_action action = DSN_FAILED;
	while (count(d, action) == 0) { action++; }
	return action;
}

static void put_human_rcpt(const struct dsn_rcpt *r, struct buf *out)
{
	buf_chr(out, '<');
	put_text(out, r->rcpt);
	buf_str(out, STR(">\r\n    "));
	if (r->expired) { buf_str(out, STR("the time for delivery is over. Last answer: ")); }
	if (r->said) {
		put_text(out, r->host);
		buf_str(out, STR(" said: "));
	}
	put_text(out, r->reply);
	buf_str(out, STR("\r\n\r\n"));
}

static void put_human(const struct dsn *d, struct buf *out)
{
	buf_str(out, STR("This is the mail system at "));
	put_text(out, d->hostname);
	buf_str(out, STR(".\r\n"));
	for (enum dsn_action action = 0; action < COUNT(WORDS); action++) {
		if (count(d, action) == 0) { continue; }
		buf_fmt(out, "\r\n%s\r\n", WORDS[action].lead);
		for (size_t i = 0; i < d->rcpts_n; i++) {
			if (d->rcpts[i].action == action) { put_human_rcpt(&d->rcpts[i], out); }
		}
	}
}

/* RFC 6533 4.1: only what is beyond ASCII is of type utf-8. */
static void put_recipient_address(struct str address, bool utf8, struct buf *out)
{
	bool ascii = str_ascii(address);
	buf_fmt(out, "Final-Recipient: %s;", ascii ? "rfc822" : "utf-8");
	if (ascii || utf8) {
		put_words(out, address, utf8);
	} else {
		utf8_addr_xtext(address, out);
	}
	buf_str(out, STR("\r\n"));
}

/* A name, or an address as domain literal. */
static void put_mta(struct str host, struct buf *out)
{
	struct net_addr a;
	char text[NET_ADDR_TEXT];
	bool literal = net_addr_parse(host, 0, &a) == 0;
	buf_str(out, STR("Remote-MTA: dns; "));
	put_words(out, literal ? str_of(net_addr_literal(&a, text)) : host, false);
	buf_str(out, STR("\r\n"));
}

static void put_recipient(const struct dsn *d, const struct dsn_rcpt *r, struct buf *out)
{
	buf_str(out, STR("\r\n"));
	if (r->orcpt.n) {
		struct buf value = {0};
		orcpt_field(r->orcpt, d->utf8, &value);
		buf_str(out, STR("Original-Recipient: "));
		put_words(out, buf_view(&value), d->utf8);
		buf_str(out, STR("\r\n"));
		buf_fini(&value);
	}
	put_recipient_address(r->rcpt, d->utf8, out);
	buf_fmt(out, "Action: %s\r\nStatus: ", WORDS[r->action].action);
	put_text(out, r->status);
	buf_str(out, STR("\r\n"));
	/* RFC 3464 2.3.6: with it the diagnostic is that MTA's */
	if (r->said && r->host.n) { put_mta(r->host, out); }
	buf_fmt(out, "Diagnostic-Code: %s; ", r->said ? "smtp" : "x-posthouse");
	put_words(out, r->reply, d->utf8);
	buf_str(out, STR("\r\n"));
	if (r->action == DSN_DELAYED) { put_date(out, "Will-Retry-Until", r->retry_until_us); }
}

static void put_status_part(const struct dsn *d, struct buf *out)
{
	buf_fmt(out, "--%.*s\r\nContent-Type: message/%sdelivery-status\r\n", STR_ARG(d->boundary),
		d->utf8 ? "global-" : "");
	if (d->utf8) { buf_str(out, STR("Content-Transfer-Encoding: 8bit\r\n")); }
	buf_str(out, STR("\r\nReporting-MTA: dns; "));
	put_text(out, d->hostname);
	buf_str(out, STR("\r\n"));
	if (d->envid.n) {
		struct buf value = {0};
		xtext_decode(d->envid, &value);
		buf_str(out, STR("Original-Envelope-Id: "));
		put_words(out, buf_view(&value), d->utf8);
		buf_str(out, STR("\r\n"));
		buf_fini(&value);
	}
	put_date(out, "Arrival-Date", d->arrived_us);
	for (size_t i = 0; i < d->rcpts_n; i++) { put_recipient(d, &d->rcpts[i], out); }
	buf_str(out, STR("\r\n"));
}

static void put_header(const struct dsn *d, struct buf *out)
{
	char id[ID_TEXT];
	put_date(out, "Date", d->now_us);
	buf_str(out, STR("From: Mail Delivery System <MAILER-DAEMON@"));
	put_text(out, d->hostname);
	buf_str(out, STR(">\r\nTo: <"));
	put_text(out, d->to);
	buf_fmt(out, ">\r\nSubject: %s\r\nMessage-ID: <%s@", WORDS[gravest(d)].subject,
		id_text(d->id, id));
	put_text(out, d->hostname);
	buf_fmt(out,
		">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; "
		"report-type=%sdelivery-status;\r\n\tboundary=\"%.*s\"\r\n\r\n",
		d->utf8 ? "global-" : "", STR_ARG(d->boundary));
}

void dsn_head(const struct dsn *d, struct buf *out)
{
	const char *returned =
		d->full ? (d->utf8 ? "message/global" : "message/rfc822")
			: (d->utf8 ? "message/global-headers" : "text/rfc822-headers");
	put_header(d, out);
	buf_fmt(out,
		"--%.*s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
		"8bit\r\n\r\n",
		STR_ARG(d->boundary));
	put_human(d, out);
	put_status_part(d, out);
	buf_fmt(out, "--%.*s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
		STR_ARG(d->boundary), returned);
}

void dsn_tail(const struct dsn *d, struct buf *out)
{
	buf_fmt(out, "\r\n--%.*s--\r\n", STR_ARG(d->boundary));
}

struct str dsn_status(int code, struct str reply)
{
	struct str status = reply_status(code, str_skip(reply, 4));
	return status.n      ? status
	       : code >= 500 ? STR("5.0.0")
	       : code >= 400 ? STR("4.0.0")
			     : STR("2.0.0");
}
