/* The parse record: what of a parsed message is kept, how it is packed and read back, and the
   hashes that tie threads. Pure functions, every role. */
#include "lib/mimerec_private.h"

#include <xxhash.h>

#include "lib/charset.h"
#include "lib/date.h"

WIRE_TABLE(mimerec_part, wire_mimerec_part, WIRE_U32(struct mimerec_part, parent),
	WIRE_U32(struct mimerec_part, number), WIRE_U8(struct mimerec_part, kind),
	WIRE_U8(struct mimerec_part, transfer), WIRE_U64(struct mimerec_part, header_off),
	WIRE_U32(struct mimerec_part, header_len), WIRE_U64(struct mimerec_part, body_len),
	WIRE_U32(struct mimerec_part, lines), WIRE_STR(struct mimerec_part, type, MIME_HEADER_MAX),
	WIRE_STR(struct mimerec_part, subtype, MIME_HEADER_MAX),
	WIRE_STR(struct mimerec_part, charset, CHARSET_NAME_MAX));

WIRE_TABLE(mimerec, wire_mimerec, WIRE_STR(struct mimerec, envelope, MIMEREC_TEXT_MAX),
	WIRE_STR(struct mimerec, body, MIMEREC_TEXT_MAX),
	WIRE_STR(struct mimerec, bodystructure, MIMEREC_TEXT_MAX),
	WIRE_STR(struct mimerec, hot, MIMEREC_HOT_MAX), WIRE_BOOL(struct mimerec, hot_complete),
	WIRE_U32(struct mimerec, header_len), WIRE_U64(struct mimerec, sent_us),
	WIRE_U32(struct mimerec, sent_day),
	WIRE_LIST(struct mimerec, parts, parts_n, wire_mimerec_part, MIME_PARTS_MAX));

/* Sorted by str_icmp. */
static const struct str hot_names[] = {
	STR("Bcc"),
	STR("Cc"),
	STR("Content-Transfer-Encoding"),
	STR("Content-Type"),
	STR("Date"),
	STR("Delivered-To"),
	STR("Disposition-Notification-To"),
	STR("Followup-To"),
	STR("From"),
	STR("Importance"),
	STR("In-Reply-To"),
	STR("List-Id"),
	STR("List-Post"),
	STR("List-Unsubscribe"),
	STR("Message-ID"),
	STR("MIME-Version"),
	STR("Newsgroups"),
	STR("Priority"),
	STR("References"),
	STR("Reply-To"),
	STR("Sender"),
	STR("Subject"),
	STR("To"),
	STR("X-Priority"),
	STR("X-Spam-Flag"),
	STR("X-Spam-Status"),
};

static int by_name(const void *key, const void *row)
{
	return str_icmp(*(const struct str *)key, *(const struct str *)row);
}

bool mimerec_is_hot(struct str name)
{
	return bsearch(&name, hot_names, COUNT(hot_names), sizeof *hot_names, by_name) != NULL;
}

/* False when a field did not fit. */
static bool keep_hot(struct str header, struct buf *out)
{
	struct head_field f;
	bool complete = true;
	while (head_next(&header, &f)) {
		if (!mimerec_is_hot(f.name)) { continue; }
		if (out->n + f.whole.n + 2 > MIMEREC_HOT_MAX) {
			complete = false;
			continue;
		}
		buf_str(out, f.whole);
		if (!str_ends(f.whole, STR("\n"))) { buf_str(out, STR("\r\n")); }
	}
	return complete;
}

static void keep_sent(struct str header, struct mimerec *r)
{
	struct str value;
	int64_t us, day;
	int zone;
	if (!head_find(header, STR("Date"), 0, &value)) { return; }
	if (date_rfc5322_parse(value, &us, &zone) < 0) { return; }
	day = date_day(us, zone);
	r->sent_us = us;
	r->sent_day = day > 0 ? (uint32_t)day : 0;
}

static struct mimerec_part packed_part(const struct mime_part *p, struct arena *a)
{
	struct mimerec_part to = {
		.parent = p->parent,
		.number = p->number,
		.kind = (uint8_t)p->kind,
		.transfer = (uint8_t)p->transfer,
		.header_off = p->header_off,
		.header_len = p->header_len,
		.body_len = p->body_len,
		.lines = p->lines,
		.type = p->type.type,
		.subtype = p->type.subtype,
	};
	bool given = head_typed_param(&p->type, STR("charset"), a, &to.charset);
	if (!given || to.charset.n > CHARSET_NAME_MAX) { to.charset = STR(""); }
	return to;
}

void mimerec_build(const struct mime *m, struct buf *out)
{
	struct arena a = {0};
	struct buf envelope = {0}, body = {0}, structure = {0}, hot = {0};
	struct str header = mime_part(m, 0)->header;
	struct mimerec r = {.header_len = mime_part(m, 0)->header_len};
	mimerec_envelope(header, &envelope);
	mimerec_body(m, false, &body);
	mimerec_body(m, true, &structure);
	r.envelope = buf_view(&envelope);
	r.body = buf_view(&body);
	r.bodystructure = buf_view(&structure);
	r.hot_complete = keep_hot(header, &hot);
	r.hot = buf_view(&hot);
	keep_sent(header, &r);
	r.parts_n = (uint32_t)mime_parts(m);
	r.parts = arena_array(&a, r.parts_n, sizeof *r.parts);
	for (size_t i = 0; i < r.parts_n; i++) { r.parts[i] = packed_part(mime_part(m, i), &a); }
	wire_pack(&wire_mimerec, &r, out);
	buf_fini(&envelope);
	buf_fini(&body);
	buf_fini(&structure);
	buf_fini(&hot);
	arena_fini(&a);
}

int mimerec_read(struct str packed, struct arena *a, struct mimerec *out)
{
	int rc = wire_unpack(&wire_mimerec, packed, a, out);
	if (rc < 0) { return rc; }
	if (!out->parts_n || out->header_len != out->parts[0].header_len) { return ERR_SYNTAX; }
	for (size_t i = 0; i < out->parts_n; i++) {
		const struct mimerec_part *p = &out->parts[i];
		bool tree = i ? p->parent < i && p->number : p->parent == 0;
		bool known = p->kind <= MIME_OTHER && p->transfer <= TRANSFER_UNKNOWN;
		if (!tree || !known) { return ERR_SYNTAX; }
	}
	return 0;
}

/* By what stands between the brackets. Never 0. */
static uint64_t hash_msgid(struct str id)
{
	if (id.n > 1 && id.p[0] == '<') { id = str_sub(id, 1, id.n - 2); }
	uint64_t hash = XXH64(id.p, id.n, 0);
	return hash ? hash : 1;
}

/* The ids of all fields of that name behind those in `out`. */
static size_t add_refs(struct str header, struct str name, uint64_t *out, size_t n, size_t max)
{
	struct head_field f;
	struct str id;
	while (n < max && head_next(&header, &f)) {
		while (n < max && str_ieq(f.name, name) && head_msgid_next(&f.value, &id)) {
			uint64_t hash = hash_msgid(id);
			size_t i = 0;
			while (i < n && out[i] != hash) { i++; }
			if (i == n) { out[n++] = hash; }
		}
	}
	return n;
}

/* The first id; one that forgot its brackets is met. */
static uint64_t own_hash(struct str header)
{
	struct str value, rest, id;
	struct buf bare = {0};
	uint64_t hash = 0;
	if (!head_find(header, STR("Message-ID"), 0, &value)) { return 0; }
	rest = value;
	if (head_msgid_next(&rest, &id)) { return hash_msgid(id); }
	head_unfold(value, &bare);
	if (bare.n) { hash = hash_msgid(buf_view(&bare)); }
	buf_fini(&bare);
	return hash;
}

size_t mimerec_refs(const struct mime *m, uint64_t *out, size_t max)
{
	struct str header = mime_part(m, 0)->header;
	size_t n = 0;
	if (!max) { return 0; }
	out[n++] = own_hash(header);
	n = add_refs(header, STR("In-Reply-To"), out, n, max);
	return add_refs(header, STR("References"), out, n, max);
}
