/* What the header of a part says about it (RFC 2045, 2046, 2183, 2557, 3282), with the defaults
   where it says nothing or nothing readable. Pure functions, every role. */
#include "lib/mime_private.h"

#include "lib/head_private.h"

static struct str unfolded(struct str value, struct arena *a)
{
	struct buf b = {0};
	head_unfold(value, &b);
	struct str s = arena_dup(a, buf_view(&b));
	buf_fini(&b);
	return s;
}

static void default_type(struct mime_part *p, bool digest, struct arena *a)
{
	if (digest) {
		p->type = (struct head_typed){.type = STR("message"), .subtype = STR("rfc822")};
		return;
	}
	p->type = (struct head_typed){.type = STR("text"), .subtype = STR("plain")};
	p->type.params = arena_new(a, struct head_param);
	*p->type.params = (struct head_param){.name = STR("charset"), .value = STR("us-ascii")};
	p->type.params_n = 1;
}

/* RFC 2045 5.2: what cannot be parsed counts as absent. */
static void read_type(struct mime_part *p, struct str value, bool digest, struct arena *a)
{
	if (head_typed(value, a, &p->type) == 0) {
		if (p->type.subtype.n) { return; }
		if (str_ieq(p->type.type, STR("text"))) {
			p->type.subtype = STR("plain");
			return;
		}
	}
	default_type(p, digest, a);
}

static void read_encoding(struct mime_part *p, struct str value)
{
	head_skip_cfws(&value);
	struct str token = head_token(&value);
	p->encoding = token.n ? token : STR("7bit");
	p->transfer = transfer_by_name(p->encoding);
}

bool mime_type_is_message(const struct head_typed *t)
{
	return str_ieq(t->type, STR("message")) &&
	       (str_ieq(t->subtype, STR("rfc822")) || str_ieq(t->subtype, STR("global")));
}

static void set_kind(struct mime_part *p, struct arena *a)
{
	const struct head_typed *t = &p->type;
	if (str_ieq(t->type, STR("multipart"))) {
		p->kind = MIME_MULTIPART;
	} else if (mime_type_is_message(t)) {
		p->kind = p->transfer == TRANSFER_NONE ? MIME_MESSAGE : MIME_OTHER;
	} else {
		p->kind = str_ieq(t->type, STR("text")) ? MIME_TEXT : MIME_OTHER;
	}
	if (p->kind == MIME_MULTIPART && !mime_part_boundary(p, a).n) {
		p->kind = MIME_TEXT; /* nothing could ever be found in it */
		default_type(p, false, a);
	}
}

/* The fields that are text, by their place in the part. */
static const struct {
	struct str name;
	size_t offset;
} text_fields[] = {
	{STR("Content-ID"), offsetof(struct mime_part, id)},
	{STR("Content-Description"), offsetof(struct mime_part, description)},
	{STR("Content-MD5"), offsetof(struct mime_part, md5)},
	{STR("Content-Language"), offsetof(struct mime_part, language)},
	{STR("Content-Location"), offsetof(struct mime_part, location)},
};

static void read_text_field(struct mime_part *p, const struct head_field *f, struct arena *a)
{
	for (size_t i = 0; i < COUNT(text_fields); i++) {
		struct str *to = (struct str *)((char *)p + text_fields[i].offset);
		if (!to->n && str_ieq(f->name, text_fields[i].name)) {
			*to = unfolded(f->value, a);
			return;
		}
	}
}

/* Of a field that stands twice the first counts. */
void mime_part_read(struct mime_part *p, bool digest, struct arena *a)
{
	struct str rest = p->header;
	struct head_field f;
	while (head_next(&rest, &f)) {
		if (!str_istarts(f.name, STR("Content-"))) { continue; }
		if (!p->type.type.n && str_ieq(f.name, STR("Content-Type"))) {
			read_type(p, f.value, digest, a);
		} else if (!p->encoding.n && str_ieq(f.name, STR("Content-Transfer-Encoding"))) {
			read_encoding(p, f.value);
		} else if (!p->disposition.type.n && str_ieq(f.name, STR("Content-Disposition"))) {
			(void)head_typed(f.value, a, &p->disposition); /* unreadable is absent */
		} else {
			read_text_field(p, &f, a);
		}
	}
	if (!p->type.type.n) { default_type(p, digest, a); }
	if (!p->encoding.n) { read_encoding(p, STR("7bit")); }
	set_kind(p, a);
}

struct str mime_part_boundary(const struct mime_part *p, struct arena *a)
{
	struct str b = STR("");
	if (!head_typed_param(&p->type, STR("boundary"), a, &b)) { return STR(""); }
	while (b.n && head_blank(b.p[b.n - 1])) { b.n--; }
	return b.n <= MIME_BOUNDARY_MAX ? b : STR("");
}
