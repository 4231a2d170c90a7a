/* Where a section stands in a message (RFC 9051 6.4.5.1), by the part table of its parse record.
   Pure functions. Never reads the message. */
#include "imap/fetch.h"

/* The n-th child of a part, or -1. Children stand behind their parent. */
static ptrdiff_t child(const struct mimerec *rec, size_t parent, uint32_t number)
{
	for (size_t i = parent + 1; i < rec->parts_n; i++) {
		const struct mimerec_part *p = &rec->parts[i];
		if (p->parent == parent && p->number == number) { return (ptrdiff_t)i; }
	}
	return -1;
}

/* The n-th part of a message whose own header is part `m`: without a multipart, its body is part 1.
 */
static ptrdiff_t part_of_message(const struct mimerec *rec, size_t m, uint32_t number)
{
	if (rec->parts[m].kind == MIME_MULTIPART) { return child(rec, m, number); }
	return number == 1 ? (ptrdiff_t)m : -1;
}

/* The message that a part of type message/rfc822 holds, or -1. */
static ptrdiff_t inner_message(const struct mimerec *rec, size_t part)
{
	return rec->parts[part].kind == MIME_MESSAGE ? child(rec, part, 1) : -1;
}

ptrdiff_t section_part(const struct mimerec *rec, const struct section *sec)
{
	ptrdiff_t at = 0;
	if (!rec->parts_n) { return -1; }
	for (uint32_t i = 0; at >= 0 && i < sec->path_n; i++) {
		if (i == 0) {
			at = part_of_message(rec, 0, sec->path[0]);
		} else if (rec->parts[at].kind == MIME_MULTIPART) {
			at = child(rec, (size_t)at, sec->path[i]);
		} else {
			at = inner_message(rec, (size_t)at);
			if (at >= 0) { at = part_of_message(rec, (size_t)at, sec->path[i]); }
		}
	}
	return at;
}

static struct extent header_of(const struct mimerec_part *p)
{
	return (struct extent){p->header_off, p->header_len};
}

static struct extent body_of(const struct mimerec_part *p)
{
	return (struct extent){p->header_off + p->header_len, p->body_len};
}

/* HEADER and TEXT behind part numbers are those of the message inside. */
static ptrdiff_t message_of(const struct mimerec *rec, const struct section *sec, ptrdiff_t part)
{
	return sec->path_n ? inner_message(rec, (size_t)part) : 0;
}

bool section_extent(const struct mimerec *rec, const struct section *sec, size_t prefix_len,
	uint64_t size, struct extent *out)
{
	if (!sec->path_n && sec->text == SECTION_ALL) {
		*out = (struct extent){0, size};
		return true;
	}
	ptrdiff_t at = section_part(rec, sec);
	bool inner = sec->text != SECTION_ALL && sec->text != SECTION_MIME;
	if (at >= 0 && inner) { at = message_of(rec, sec, at); }
	if (at < 0) { return false; }
	bool body = sec->text == SECTION_ALL || sec->text == SECTION_TEXT;
	struct extent e = body ? body_of(&rec->parts[at]) : header_of(&rec->parts[at]);
	e.off += prefix_len;
	if (at == 0 && !body) { /* the prefix is where the message's own header begins */
		e.off -= prefix_len;
		e.len += prefix_len;
	}
	if (e.off > size || e.len > size - e.off) { return false; }
	*out = e;
	return true;
}

static bool named(const struct section *sec, struct str name)
{
	for (uint32_t i = 0; i < sec->fields_n; i++) {
		if (str_ieq(sec->fields[i], name)) { return true; }
	}
	return false;
}

void section_filter(const struct section *sec, struct str header, struct buf *out)
{
	struct head_field f;
	bool want = sec->text == SECTION_FIELDS;
	while (head_next(&header, &f)) {
		if (f.name.n && named(sec, f.name) == want) { buf_str(out, f.whole); }
	}
}

void section_without_nul(struct buf *text, size_t from)
{
	char *nul = text->p + from;
	const char *end = text->p + text->n;
	while (nul < end && (nul = memchr(nul, '\0', (size_t)(end - nul)))) { *nul++ = (char)0x80; }
}

struct extent extent_partial(struct extent e, const struct fetch_item *it)
{
	if (!it->partial) { return e; }
	uint64_t off = MIN(it->off, e.len);
	return (struct extent){e.off + off, MIN(it->len, e.len - off)};
}
