/* Renders the FETCH items that are small: numbers, dates, flags, and what the parse record holds in
   wire form. Pure functions over one message. Never reads its octets. */
#include "imap/fetch.h"

#include "lib/date.h"

static void put_number(struct buf *out, uint64_t v)
{
	buf_chr(out, ' ');
	buf_u64(out, v);
}

static void put_date(struct buf *out, int64_t us)
{
	buf_str(out, STR(" \""));
	date_internal(us, out);
	buf_chr(out, '"');
}

/* RFC 8474 7: objectid. */
static void put_id(struct buf *out, char kind, uint64_t id)
{
	buf_fmt(out, " (%c%016llx)", kind, (unsigned long long)id);
}

static void put_record(struct buf *out, const struct mimerec *rec, struct str text)
{
	buf_chr(out, ' ');
	buf_str(out, rec && text.n ? text : STR("NIL"));
}

void fetch_item_put(const struct fetch_item *it, const struct fetch_source *src, struct buf *out)
{
	static const struct mimerec none;
	const struct msg *m = src->msg;
	const struct mimerec *rec = src->rec ? src->rec : &none;
	if (it->kind == FETCH_FLAGS) { /* brings its own name */
		imap_flags(m->flags, src->keywords, out);
		return;
	}
	buf_str(out, it->label);
	switch (it->kind) {
	case FETCH_UID: put_number(out, m->uid); break;
	case FETCH_INTERNALDATE: put_date(out, m->internaldate_us); break;
	case FETCH_SAVEDATE: put_date(out, m->savedate_us); break;
	case FETCH_SIZE: put_number(out, m->size); break;
	case FETCH_MODSEQ: buf_fmt(out, " (%llu)", (unsigned long long)m->modseq); break;
	case FETCH_EMAILID: put_id(out, 'M', m->oid); break;
	case FETCH_THREADID: put_id(out, 'T', m->thread); break;
	case FETCH_ENVELOPE: put_record(out, rec, rec->envelope); break;
	case FETCH_BODY: put_record(out, rec, rec->body); break;
	case FETCH_BODYSTRUCTURE: put_record(out, rec, rec->bodystructure); break;
	default: assert(false && "not a small item"); break;
	}
}
