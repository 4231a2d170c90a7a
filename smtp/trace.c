/* Trace fields and missing fields. Runs in mx and submit. Never changes what the author wrote. */
#include "smtp/trace.h"

#include <stdio.h>

#include "lib/date.h"
#include "lib/head.h"
#include "smtp/path.h"

/* --- Received --- */

/* "from helo (name [ip])" (RFC 5321 4.4 Extended-Domain). A name that is none is not repeated. */
static void add_from(const struct trace *t, struct buf *out)
{
	bool good = str_ascii(t->helo) && (path_is_domain(t->helo) || path_is_literal(t->helo));
	struct str addr = t->addr.n ? t->addr : STR("local");
	buf_str(out, STR("Received: from "));
	buf_str(out, good ? t->helo : t->addr.n ? t->addr : STR("unknown"));
	buf_str(out, STR(" ("));
	if (str_ascii(t->name) && path_is_domain(t->name)) {
		buf_str(out, t->name);
		buf_chr(out, ' ');
	}
	buf_str(out, addr);
	buf_str(out, STR(")"));
}

void trace_received(const struct trace *t, struct buf *out)
{
	add_from(t, out);
	if (t->tls.n) { buf_fmt(out, "\r\n\t(using %.*s)", STR_ARG(t->tls)); }
	buf_fmt(out, "\r\n\tby %.*s with %.*s id %.*s", STR_ARG(t->host), STR_ARG(t->with),
		STR_ARG(t->id));
	if (t->rcpt.n) { buf_fmt(out, "\r\n\tfor <%.*s>", STR_ARG(t->rcpt)); }
	buf_str(out, STR(";\r\n\t"));
	date_rfc5322(t->time_us, out);
	buf_str(out, STR("\r\n"));
}

const char *trace_with(const struct trace_proto *p, char out[16])
{
	const char *base = p->lmtp ? "LMTP" : p->utf8 ? "SMTP" : p->extended ? "ESMTP" : "SMTP";
	snprintf(out, 16, "%s%s%s%s", p->utf8 ? "UTF8" : "", base, p->tls ? "S" : "",
		p->login ? "A" : "");
	return out;
}

/* --- looking --- */

size_t trace_header_end(struct str in, size_t *scanned)
{
	if (str_starts(in, STR("\r\n"))) { return 2; }
	size_t from = *scanned > 3 ? *scanned - 3 : 0;
	ptrdiff_t at = str_find(str_skip(in, from), STR("\r\n\r\n"));
	*scanned = in.n;
	return at < 0 ? 0 : from + (size_t)at + 4;
}

/* "News of the club <news.example.org>" (RFC 2919 2, 3). */
static struct str list_id_of(struct str value)
{
	ptrdiff_t from = str_rchr(value, '<');
	struct str id = str_skip(value, (size_t)(from + 1));
	ptrdiff_t to = str_chr(id, '>');
	bool good = from >= 0 && to > 0 && to <= TRACE_LIST_ID_MAX;
	return good ? str_sub(id, 0, (size_t)to) : STR("");
}

static bool is_return_path(const struct head_field *f)
{
	return str_ieq(f->name, STR("Return-Path"));
}

/* RFC 5322 3.6.3, 3.6.6 */
static bool is_bcc(const struct head_field *f)
{
	return str_ieq(f->name, STR("Bcc")) || str_ieq(f->name, STR("Resent-Bcc"));
}

static bool is_empty_msgid(const struct head_field *f)
{
	for (size_t i = 0; i < f->value.n; i++) {
		if (str_chr(STR(" \t\r\n"), f->value.p[i]) < 0) { return false; }
	}
	return str_ieq(f->name, STR("Message-ID"));
}

static bool is_not_sent(const struct head_field *f)
{
	return is_bcc(f) || is_empty_msgid(f);
}

void header_look(struct str header, struct header_facts *out)
{
	struct head_field f;
	*out = (struct header_facts){0};
	while (head_next(&header, &f)) {
		if (str_ieq(f.name, STR("Received"))) {
			out->received++;
		} else if (str_ieq(f.name, STR("From"))) {
			if (out->from++ == 0) { out->from_value = f.value; }
		} else if (str_ieq(f.name, STR("Sender"))) {
			if (!out->sender) { out->sender_value = f.value; }
			out->sender = true;
		} else if (str_ieq(f.name, STR("Date"))) {
			out->date = true;
		} else if (str_ieq(f.name, STR("Message-ID"))) {
			if (is_empty_msgid(&f)) {
				out->msgid_empty = true;
				continue;
			}
			out->msgid = true;
			out->msgid_value = str_sub(str_trim(f.value), 0, TRACE_MSGID_MAX);
		} else if (str_ieq(f.name, STR("List-Id"))) {
			if (out->list_id.n == 0) { out->list_id = list_id_of(f.value); }
		} else if (is_bcc(&f)) {
			out->bcc = true;
		} else if (is_return_path(&f)) {
			out->return_path = true;
		} else if (str_ieq(f.name, STR("Delivered-To"))) {
			if (out->delivered_n < TRACE_DELIVERED_MAX) {
				out->delivered[out->delivered_n] = str_trim(f.value);
			}
			out->delivered_n++;
		}
	}
}

bool header_was_delivered_to(const struct header_facts *f, struct str rcpt)
{
	if (f->delivered_n > TRACE_DELIVERED_MAX) { return true; }
	for (unsigned i = 0; i < f->delivered_n; i++) {
		if (str_ieq(f->delivered[i], rcpt)) { return true; }
	}
	return false;
}

/* --- taking out --- */

static void copy_without(
	struct str header, bool (*is_out)(const struct head_field *f), struct buf *out)
{
	struct head_field f;
	struct str rest = header, at = header;
	while (head_next(&rest, &f)) {
		at = rest;
		if (!is_out(&f)) { buf_str(out, f.whole); }
	}
	buf_str(out, at); /* the empty line */
}

void header_without_return_path(struct str header, struct buf *out)
{
	copy_without(header, is_return_path, out);
}

/* --- submission --- */

void header_complete(struct str header, const struct header_facts *facts, int64_t now_us,
	struct str id, struct str host, struct buf *out)
{
	if (!facts->date) {
		buf_str(out, STR("Date: "));
		date_rfc5322(now_us, out);
		buf_str(out, STR("\r\n"));
	}
	if (!facts->msgid) {
		buf_fmt(out, "Message-ID: <%.*s@%.*s>\r\n", STR_ARG(id), STR_ARG(host));
	}
	if (facts->bcc || facts->msgid_empty) {
		copy_without(header, is_not_sent, out);
	} else {
		buf_str(out, header);
	}
}
