/* Parse records as FETCH and SEARCH need them. The imap role. Never writes one back. */
#include "imap/record.h"

static int rebuild(struct record *r, struct snap *sn, uint64_t oid)
{
	struct mime *m = mime_new();
	struct str piece;
	int rc;
	for (uint64_t off = 0;; off += piece.n) {
		rc = snap_bytes(sn, oid, off, &piece);
		if (rc < 0 || !piece.n) { break; }
		mime_add(m, piece);
	}
	mime_end(m);
	buf_reset(&r->rebuilt);
	if (rc == 0) { mimerec_build(m, &r->rebuilt); }
	mime_free(m);
	return rc;
}

static bool read_stored(struct record *r, struct snap *sn, uint64_t oid)
{
	struct str packed;
	arena_reset(&r->arena);
	return snap_parse(sn, oid, &packed) == 0 && mimerec_read(packed, &r->arena, &r->rec) == 0 &&
	       r->rec.parts_n;
}

static bool read_rebuilt(struct record *r, struct snap *sn, uint64_t oid)
{
	arena_reset(&r->arena);
	return rebuild(r, sn, oid) == 0 &&
	       mimerec_read(buf_view(&r->rebuilt), &r->arena, &r->rec) == 0 && r->rec.parts_n;
}

const struct mimerec *record_get(struct record *r, struct snap *sn, uint64_t oid)
{
	if (r->state == RECORD_UNREAD) {
		bool there = read_stored(r, sn, oid) || read_rebuilt(r, sn, oid);
		r->state = there ? RECORD_THERE : RECORD_NONE;
	}
	return r->state == RECORD_THERE ? &r->rec : NULL;
}

void record_forget(struct record *r)
{
	r->state = RECORD_UNREAD;
}

void record_fini(struct record *r)
{
	arena_fini(&r->arena);
	buf_fini(&r->rebuilt);
	r->state = RECORD_UNREAD;
}
