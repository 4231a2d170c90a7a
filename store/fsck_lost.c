/* Mail that lost what led to it: rows of messages and of the queue that are damaged or gone. As
   long as its octets are there it is put where somebody finds it. An object's record counts its
   references, so one that is garbage (counted as 0, waiting for gc) stays garbage.

   Whose it was is told by what can still be read of a damaged row, if another record bears it out;
   it must not be shown to somebody else. Where nothing tells, it goes to the postmaster. It is
   never sent: nobody can be sure of its envelope. */
#include <stdio.h>

#include "lib/mimerec.h"
#include "store/fsck.h"

/* --- what damaged rows seem to say --- */

void fsck_hint(struct fsck *f, const struct fsck_hint *hint)
{
	if (f->hints_n == f->hints_cap) {
		f->hints_cap = f->hints_cap ? 2 * f->hints_cap : 64;
		f->hints = realloc(f->hints, f->hints_cap * sizeof *f->hints);
		if (!f->hints) { abort(); }
	}
	f->hints[f->hints_n++] = *hint;
}

void fsck_damaged(struct fsck *f, enum table tb, const struct key *at, MDB_val v)
{
	union {
		struct msg msg;
		struct queue_item item;
		struct acct acct;
	} row;
	bool speaks = tb == TB_MSG || tb == TB_Q || tb == TB_ACCT;
	if (!speaks || !key_fits(tb, str_make(at->p, at->n)) || v.mv_size < 4) { return; }
	struct str body = str_make(v.mv_data, v.mv_size - 4);
	if (wire_unpack(table_wire[tb], body, &f->ap.tmp, &row) < 0) { return; }
	if (tb == TB_MSG && row.msg.uid == get_be32(at->p + 4)) {
		fsck_hint(f, &(struct fsck_hint){.oid = row.msg.oid,
				     .size = row.msg.size - row.msg.prefix.n,
				     .mid = get_be32(at->p)});
	} else if (tb == TB_Q && row.item.qid == get_be64(at->p)) {
		fsck_hint(f, &(struct fsck_hint){.oid = row.item.oid,
				     .size = row.item.size,
				     .queued = true,
				     .aid = row.item.aid,
				     .audit_id = row.item.audit_id});
	} else if (tb == TB_ACCT && row.acct.disabled) {
		fsck_id(&f->disabled, get_be32(at->p));
	}
}

/* Does the audit record say as well that the account submitted it? */
static bool submitted_by(struct fsck *f, uint64_t audit_id, uint32_t aid)
{
	struct key ak = key1(aid), at = key_id(audit_id), id;
	struct acct ac;
	struct audit au;
	if (ap_get(&f->ap, TB_ACCT, &ak, &ac) < 0 ||
		ap_next_key(&f->ap, TB_AUDITID, &at, 8, &id) < 0) {
		return false;
	}
	struct key row = key_ids(get_be64(id.p + 8), audit_id);
	return ap_get(&f->ap, TB_AUDIT, &row, &au) == 0 && str_eq(au.login, ac.login);
}

/* The account that the hint tells, 0: none that is certain. */
static uint32_t account_of(struct fsck *f, const struct fsck_hint *h)
{
	struct key mk = key1(h->mid), ak;
	struct mbox mb;
	uint32_t aid = h->aid;
	if (!h->queued) {
		aid = ap_get(&f->ap, TB_MBOX, &mk, &mb) == 0 ? mb.aid : 0;
	} else if (!h->sound && !submitted_by(f, h->audit_id, aid)) {
		aid = 0;
	}
	ak = key1(aid);
	return aid && ap_has(&f->ap, TB_ACCT, &ak) ? aid : 0;
}

/* --- the postmaster --- */

static uint32_t usable(struct fsck *f, const struct rec_addr *r)
{
	struct key k = key1(r->aid);
	struct acct ac;
	return r->kind == ADDR_ACCOUNT && ap_get(&f->ap, TB_ACCT, &k, &ac) == 0 && !ac.disabled
		       ? r->aid
		       : 0;
}

/* Where an address of postmaster leads, itself or as an alias: of several the oldest account, whose
   server it is. */
static uint32_t by_address(struct fsck *f)
{
	uint32_t oldest = 0;
	static const struct str local = {"postmaster@", 11};
	struct key at = key_none();
	MDB_val v;
	struct rec_addr r, target;
	for (key_str(&at, local); fsck_next(f, TB_ADDR, &at, local.n, &v); key_step(&at)) {
		if (fsck_unpack(f, TB_ADDR, &at, v, &r) < 0) { continue; }
		uint32_t aid = usable(f, &r);
		for (uint32_t i = 0; !aid && i < r.targets_n; i++) {
			struct key k = key_none();
			if (key_str(&k, r.targets[i].s) &&
				ap_get(&f->ap, TB_ADDR, &k, &target) == 0) {
				aid = usable(f, &target);
			}
		}
		if (aid && (!oldest || aid < oldest)) { oldest = aid; }
	}
	return oldest;
}

/* The first account, as for a postmaster without an address of his own; rather one that is enabled.
 */
static uint32_t first_account(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	struct acct ac;
	uint32_t disabled = 0;
	for (; fsck_next(f, TB_ACCT, &at, 0, &v); key_step(&at)) {
		if (fsck_unpack(f, TB_ACCT, &at, v, &ac) < 0) { continue; }
		if (!ac.disabled) { return ac.aid; }
		disabled = disabled ? disabled : ac.aid;
	}
	return disabled;
}

uint32_t fsck_keeper(struct fsck *f)
{
	if (!f->keeper) { f->keeper = by_address(f); }
	if (!f->keeper) { f->keeper = first_account(f); }
	if (!f->keeper && f->repair) { f->keeper = fsck_new_account(f); }
	return f->keeper;
}

/* --- putting it there --- */

/* Subscribed, since many clients show no others. */
static int make_box(struct fsck *f, uint32_t aid, struct str name, struct mbox *out)
{
	struct key k = key_named(aid, name);
	int rc = box_create(&f->ap, aid, name, 0, out);
	struct rec_mname r = {.mid = out->mid, .subscribed = true};
	return rc < 0 ? rc : ap_put(&f->ap, TB_MNAME, &k, &r, 0);
}

/* The account's mailbox for what was found, or a second one when that is full; INBOX when there can
   be no more mailboxes. */
static int box_for_found(struct fsck *f, uint32_t aid, struct mbox *out)
{
	*out = (struct mbox){0};
	char name[32] = "Recovered";
	for (unsigned i = 2;; i++) {
		struct key k = key_named(aid, str_of(name));
		struct rec_mname r;
		if (ap_get(&f->ap, TB_MNAME, &k, &r) < 0 || !r.mid) { break; }
		if (box_get(&f->ap, aid, r.mid, out) == 0 && out->uidnext < UINT32_MAX &&
			out->highestmodseq + 1 < MODSEQ_MAX) {
			return 0;
		}
		snprintf(name, sizeof name, "Recovered-%u", i);
	}
	int rc = make_box(f, aid, str_of(name), out);
	return rc == ERR_LIMIT ? box_for_delivery(&f->ap, aid, STR(""), 0, out) : rc;
}

/* No quota keeps mail out that was in the house already. */
static int count_use(struct fsck *f, uint32_t aid, uint64_t bytes)
{
	struct key k = key1(aid);
	struct acct ac;
	int rc = ap_get(&f->ap, TB_ACCT, &k, &ac);
	if (rc < 0) { return rc; }
	ac.used_bytes += bytes;
	ac.used_msgs++;
	return ap_put(&f->ap, TB_ACCT, &k, &ac, 0);
}

static void put_found(struct fsck *f, uint32_t aid, const struct obj *o)
{
	struct mime *mime = mime_new();
	uint64_t hashes[OP_REFS_MAX];
	struct wire_u64_item refs[OP_REFS_MAX];
	uint32_t n = 0;
	struct mbox mb;
	struct msg m = {.oid = o->oid, .internaldate_us = o->received_us, .size = o->size};
	if (fsck_read(f, o, mime) == 0) {
		mime_end(mime);
		n = (uint32_t)mimerec_refs(mime, hashes, OP_REFS_MAX);
	}
	for (uint32_t i = 0; i < n; i++) { refs[i].v = hashes[i]; }
	mime_free(mime);
	int rc = box_for_found(f, aid, &mb);
	if (rc == 0) { m.thread = thread_of(&f->ap, aid, refs, n, &rc); }
	if (rc == 0) { rc = msg_add(&f->ap, &mb, &m, mb.highestmodseq + 1); }
	if (rc == 0) { rc = box_put(&f->ap, &mb); }
	if (rc == 0) { rc = count_use(f, aid, m.size); }
	fsck_do(f, rc);
}

static void keep(struct fsck *f, const struct obj *o, uint32_t aid, const char *why)
{
	struct key k;
	struct acct ac = {.login = STR("an account that is made for it")};
	if (!aid) { aid = fsck_keeper(f); }
	k = key1(aid);
	if (aid) { fsck_do(f, ap_get(&f->ap, TB_ACCT, &k, &ac)); }
	fsck_id(&f->found, o->oid);
	if (fsck_found(f, "object %llu, %llu octets: %s, it goes to mailbox Recovered of %.*s",
		    (unsigned long long)o->oid, (unsigned long long)o->size, why,
		    STR_ARG(ac.login))) {
		put_found(f, aid, o);
	}
}

/* --- who is lost --- */

static bool any_octets(struct fsck *f, const struct obj *o)
{
	struct key k = key_id(o->oid), found;
	return o->size == 0 || ap_next_key(&f->ap, TB_BLOB, &k, 8, &found) == 0;
}

static int by_object(const void *a, const void *b)
{
	uint64_t x = ((const struct fsck_hint *)a)->oid, y = ((const struct fsck_hint *)b)->oid;
	return x < y ? -1 : x > y;
}

/* The first hint of the object's, or the end of all. */
static size_t first_hint(const struct fsck *f, uint64_t oid)
{
	size_t lo = 0, hi = f->hints_n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (f->hints[mid].oid < oid) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	return lo;
}

/* `missing` of its references are gone. */
static void check_lost(struct fsck *f, const struct obj *o, uint32_t missing)
{
	bool left = fsck_count(&f->refs, o->oid) > 0;
	for (size_t i = first_hint(f, o->oid); i < f->hints_n && f->hints[i].oid == o->oid; i++) {
		const struct fsck_hint *h = &f->hints[i];
		if (h->size != o->size || !(missing || h->extra)) { continue; }
		uint32_t aid = account_of(f, h);
		if (!aid && !h->queued) { continue; }
		keep(f, o, aid,
			!h->queued ? "the row of the message is damaged"
			: h->extra ? "who else it was to be sent to is lost"
				   : "its place in the queue is damaged and it is not sent");
		missing -= !h->extra;
		left = true;
	}
	if (!left) { keep(f, o, 0, "nothing leads to the message"); }
}

static bool has_extra(struct fsck *f, uint64_t oid)
{
	for (size_t i = first_hint(f, oid); i < f->hints_n && f->hints[i].oid == oid; i++) {
		if (f->hints[i].extra) { return true; }
	}
	return false;
}

static void check_objects(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	for (; fsck_next(f, TB_OBJ, &at, 0, &v); key_step(&at)) {
		struct obj o;
		struct key next = at;
		if (fsck_unpack(f, TB_OBJ, &at, v, &o) < 0) { continue; }
		o.oid = get_be64(at.p);
		uint32_t refs = fsck_count(&f->refs, o.oid);
		bool lost = o.refcount > refs || has_extra(f, o.oid);
		if (lost && any_octets(f, &o)) {
			check_lost(f, &o, o.refcount > refs ? o.refcount - refs : 0);
		}
		at = next;
	}
}

/* Are the octets that are there those of a whole message, by its parse record? An upload has none.
 */
static bool parsed_whole(struct fsck *f, uint64_t oid, MDB_val v)
{
	struct mimerec rec;
	uint64_t size = 0;
	int64_t len;
	if (v.mv_size < 4) { return false; }
	struct str body = str_make(v.mv_data, v.mv_size - 4);
	if (rec_sum(body) != get_be32(body.p + body.n) ||
		mimerec_read(body, &f->ap.tmp, &rec) < 0 || rec.parts_n == 0) {
		return false;
	}
	for (uint32_t i = 0; (len = chunk_len(f->ap.s, f->ap.txn, oid, i)) > 0; i++) {
		size += (uint64_t)len;
	}
	return size > 0 && size == rec.header_len + rec.parts[0].body_len;
}

/* Of two records that led to it, both are gone: the object's own as well. */
static void check_parses(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	for (; fsck_next(f, TB_PARSE, &at, 0, &v); key_step(&at)) {
		uint64_t oid = get_be64(at.p);
		struct obj o;
		struct key next = at;
		if (!ap_has(&f->ap, TB_OBJ, &at) && !ap_has(&f->ap, TB_UPLOAD, &at) &&
			!fsck_count(&f->refs, oid) && !fsck_count(&f->dying, oid) &&
			parsed_whole(f, oid, v) && fsck_lost_object(f, oid, &o)) {
			check_lost(f, &o, 1);
		}
		at = next;
	}
}

static void find_dying(struct fsck *f)
{
	struct key at = key_none();
	for (; fsck_next(f, TB_GC, &at, 0, NULL); key_step(&at)) {
		fsck_id(&f->dying, get_be64(at.p + 8));
	}
	fsck_sort(&f->dying);
}

void fsck_lost(struct fsck *f)
{
	fsck_sort(&f->refs);
	if (f->hints_n) { qsort(f->hints, f->hints_n, sizeof *f->hints, by_object); }
	find_dying(f);
	check_objects(f);
	check_parses(f);
	for (size_t i = 0; i < f->found.n; i++) { fsck_id(&f->refs, f->found.v[i]); }
	fsck_sort(&f->refs);
}
