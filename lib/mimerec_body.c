/* BODY and BODYSTRUCTURE (RFC 9051 7.5.2), written in one pass over the parts in document order: a
   part is begun when it comes and finished when one comes that is not in it. Pure functions, every
   role. */
#include "lib/mimerec_private.h"

#include "lib/mime_private.h"

static void params(const struct head_typed *t, struct buf *out)
{
	if (!t->params_n) {
		buf_str(out, STR("NIL"));
		return;
	}
	for (size_t i = 0; i < t->params_n; i++) {
		const struct head_param *p = &t->params[i];
		struct buf name = {0};
		buf_str(&name, p->name);
		if (p->extended) { buf_chr(&name, '*'); }
		buf_chr(out, i ? ' ' : '(');
		imap_string(buf_view(&name), out);
		buf_chr(out, ' ');
		imap_string(p->value, out);
		buf_fini(&name);
	}
	buf_chr(out, ')');
}

static void disposition(const struct head_typed *t, struct buf *out)
{
	if (!t->type.n) {
		buf_str(out, STR("NIL"));
		return;
	}
	buf_chr(out, '(');
	imap_string(t->type, out);
	buf_chr(out, ' ');
	params(t, out);
	buf_chr(out, ')');
}

/* "en" or ("en" "de"), out of "en, de" (RFC 3282). */
static void language(struct str list, struct buf *out)
{
	struct buf tags = {0};
	struct str tag;
	size_t n = 0;
	while (list.n) {
		(void)str_cut(&list, ',', &tag); /* the last one has no comma */
		tag = str_trim(tag);
		if (!tag.n) { continue; }
		if (n++) { buf_chr(&tags, ' '); }
		imap_string(tag, &tags);
	}
	if (n > 1) { buf_chr(out, '('); }
	buf_str(out, n ? buf_view(&tags) : STR("NIL"));
	if (n > 1) { buf_chr(out, ')'); }
	buf_fini(&tags);
}

/* Disposition, language, location: the extension data that all parts have. */
static void extension(const struct mime_part *p, struct buf *out)
{
	buf_chr(out, ' ');
	disposition(&p->disposition, out);
	buf_chr(out, ' ');
	language(p->language, out);
	buf_chr(out, ' ');
	imap_nstring_given(p->location, out);
}

/* Type and subtype. What would promise a structure that is not there (beyond a limit, or a message
   in base64) is octets to the client. */
static void media(const struct mime_part *p, struct buf *out)
{
	bool container = str_ieq(p->type.type, STR("multipart")) || mime_type_is_message(&p->type);
	bool octets = p->kind == MIME_OTHER && container;
	imap_string(octets ? STR("application") : p->type.type, out);
	buf_chr(out, ' ');
	imap_string(octets ? STR("octet-stream") : p->type.subtype, out);
}

/* All of a part up to what its children say. */
static void part_begin(const struct mime *m, size_t i, struct buf *out)
{
	const struct mime_part *p = mime_part(m, i);
	buf_chr(out, '(');
	if (p->kind == MIME_MULTIPART) { return; }
	media(p, out);
	buf_chr(out, ' ');
	params(&p->type, out);
	buf_chr(out, ' ');
	imap_nstring_given(p->id, out);
	buf_chr(out, ' ');
	imap_nstring_given(p->description, out);
	buf_chr(out, ' ');
	imap_string(p->encoding, out);
	buf_chr(out, ' ');
	buf_u64(out, p->body_len);
	if (p->kind == MIME_MESSAGE) {
		buf_chr(out, ' ');
		mimerec_envelope(mime_part(m, i + 1)->header, out);
		buf_chr(out, ' ');
	}
}

/* A multipart must have one part (RFC 9051 9, body-type-mpart). */
static void empty_part(bool extended, struct buf *out)
{
	buf_str(out, STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"));
	buf_str(out, extended ? STR(" NIL NIL NIL NIL)") : STR(")"));
}

/* What stands behind the children. */
static void part_end(const struct mime_part *p, bool extended, struct buf *out)
{
	if (p->kind == MIME_MULTIPART) {
		if (!p->children) { empty_part(extended, out); }
		buf_chr(out, ' ');
		imap_string(p->type.subtype, out);
	} else if (p->kind != MIME_OTHER) {
		buf_chr(out, ' ');
		buf_u64(out, p->lines);
	}
	if (extended) {
		buf_chr(out, ' ');
		if (p->kind == MIME_MULTIPART) {
			params(&p->type, out);
		} else {
			imap_nstring_given(p->md5, out);
		}
		extension(p, out);
	}
	buf_chr(out, ')');
}

void mimerec_body(const struct mime *m, bool extended, struct buf *out)
{
	size_t at = 0;
	part_begin(m, 0, out);
	for (size_t i = 1; i < mime_parts(m); i++) {
		size_t parent = mime_part(m, i)->parent;
		for (; at != parent; at = mime_part(m, at)->parent) {
			part_end(mime_part(m, at), extended, out);
		}
		part_begin(m, i, out);
		at = i;
	}
	for (; at != 0; at = mime_part(m, at)->parent) {
		part_end(mime_part(m, at), extended, out);
	}
	part_end(mime_part(m, 0), extended, out);
}
