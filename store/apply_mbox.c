/* Mailboxes: their names, their making and unmaking, keywords, subscriptions. */
#include "store/apply.h"

static const struct {
	struct str name;
	uint32_t use;
} defaults[] = {
	{{"INBOX", 5}, 0},
	{{"Drafts", 6}, USE_DRAFTS},
	{{"Sent", 4}, USE_SENT},
	{{"Junk", 4}, USE_JUNK},
	{{"Trash", 5}, USE_TRASH},
	{{"Archive", 7}, USE_ARCHIVE},
};

static bool name_ok(struct str name)
{
	struct str level;
	unsigned depth = 0;
	bool more = true;
	if (name.n == 0 || name.n > MAILBOX_NAME_MAX) { return false; }
	while (more) {
		more = str_cut(&name, '/', &level);
		if (level.n == 0 || level.n > MAILBOX_LEVEL_MAX || ++depth > MAILBOX_DEPTH_MAX) {
			return false;
		}
		for (size_t i = 0; i < level.n; i++) {
			if ((unsigned char)level.p[i] < ' ' || level.p[i] == 127) { return false; }
		}
	}
	return true;
}

int box_get(struct apply *ap, uint32_t aid, uint32_t mid, struct mbox *out)
{
	struct key k = key1(mid);
	int rc = ap_get(ap, TB_MBOX, &k, out);
	return rc < 0 ? rc : out->aid == aid ? 0 : ERR_GONE;
}

int box_put(struct apply *ap, const struct mbox *mb)
{
	struct key k = key1(mb->mid);
	int rc = ap_put(ap, TB_MBOX, &k, mb, 0);
	if (rc == 0) { news_mbox_changed(ap->news, mb); }
	return rc;
}

static int by_name(struct apply *ap, uint32_t aid, struct str name, struct rec_mname *out)
{
	struct key k = key_named(aid, name);
	return ap_get(ap, TB_MNAME, &k, out);
}

static int put_name(struct apply *ap, uint32_t aid, struct str name, const struct rec_mname *r)
{
	struct key k = key_named(aid, name);
	return ap_put(ap, TB_MNAME, &k, r, 0);
}

/* How many names the account has, and whether one carries `use`. */
static int survey(struct apply *ap, uint32_t aid, uint32_t use, size_t *n_out, bool *taken)
{
	struct key at = key1(aid), k;
	int rc;
	*n_out = 0;
	*taken = false;
	while ((rc = ap_next_key(ap, TB_MNAME, &at, 4, &k)) == 0) {
		struct rec_mname r;
		rc = ap_get(ap, TB_MNAME, &k, &r);
		if (rc < 0) { return rc; }
		*taken |= r.mid && (r.special_use & use);
		++*n_out;
		at = k;
		at.p[at.n++] = 0;
	}
	return rc == ERR_GONE ? 0 : rc;
}

/* One level, whose parents exist. A row that was only a subscription keeps it. */
static int create_one(
	struct apply *ap, uint32_t aid, struct str name, uint32_t use, struct mbox *out)
{
	struct rec_mname r = {0};
	int rc = by_name(ap, aid, name, &r);
	if (rc < 0 && rc != ERR_GONE) { return rc; }
	if (rc == 0 && r.mid) { return ERR_EXISTS; }
	struct ids *ids = &ap->s->ids;
	if (ids->mid == UINT32_MAX) { return ERR_LIMIT; }
	uint32_t now = (uint32_t)(ap->now_us / SECOND_US);
	ids->uidvalidity = MAX(ids->uidvalidity + 1, now);
	*out = (struct mbox){.mid = ids->mid++,
		.aid = aid,
		.uidvalidity = ids->uidvalidity,
		.uidnext = 1,
		.highestmodseq = 1,
		.mailboxid = ids->mailboxid++};
	r.mid = out->mid;
	r.special_use = use;
	rc = put_name(ap, aid, name, &r);
	return rc < 0 ? rc : box_put(ap, out);
}

int box_create(struct apply *ap, uint32_t aid, struct str name, uint32_t use, struct mbox *out)
{
	struct rec_mname r;
	size_t n;
	bool taken;
	if (!name_ok(name)) { return ERR_SYNTAX; }
	int rc = by_name(ap, aid, name, &r);
	if (rc == 0 && r.mid) { return ERR_EXISTS; }
	rc = survey(ap, aid, use, &n, &taken);
	if (rc < 0) { return rc; }
	if (n + MAILBOX_DEPTH_MAX > MAILBOXES_MAX) { return ERR_LIMIT; }
	if (taken) { return ERR_DENIED; }
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] != '/') { continue; }
		rc = create_one(ap, aid, str_sub(name, 0, i), 0, out);
		if (rc < 0 && rc != ERR_EXISTS) { return rc; }
	}
	return create_one(ap, aid, name, use, out);
}

static struct str use_name(uint32_t use)
{
	for (size_t i = 0; i < COUNT(defaults); i++) {
		if (defaults[i].use == use) { return defaults[i].name; }
	}
	return defaults[0].name;
}

/* The mailbox that carries a special use; else the one with its usual name; else a new one. */
static int box_by_use(struct apply *ap, uint32_t aid, uint32_t use, struct mbox *out)
{
	struct key at = key1(aid), k;
	struct rec_mname r;
	while (ap_next_key(ap, TB_MNAME, &at, 4, &k) == 0) {
		int rc = ap_get(ap, TB_MNAME, &k, &r);
		if (rc < 0) { return rc; }
		if (r.mid && (r.special_use & use)) { return box_get(ap, aid, r.mid, out); }
		at = k;
		at.p[at.n++] = 0;
	}
	if (by_name(ap, aid, use_name(use), &r) == 0 && r.mid) {
		return box_get(ap, aid, r.mid, out);
	}
	return box_create(ap, aid, use_name(use), use, out);
}

int box_for_delivery(
	struct apply *ap, uint32_t aid, struct str folder, uint32_t use, struct mbox *out)
{
	struct rec_mname r;
	if (use) { return box_by_use(ap, aid, use, out); }
	if (folder.n && by_name(ap, aid, folder, &r) == 0 && r.mid) {
		return box_get(ap, aid, r.mid, out);
	}
	int rc = by_name(ap, aid, STR("INBOX"), &r);
	return rc < 0 ? rc : box_get(ap, aid, r.mid, out);
}

int box_defaults(struct apply *ap, uint32_t aid)
{
	for (size_t i = 0; i < COUNT(defaults); i++) {
		struct mbox mb;
		struct rec_mname r = {.subscribed = true, .special_use = defaults[i].use};
		int rc = create_one(ap, aid, defaults[i].name, 0, &mb);
		r.mid = mb.mid;
		if (rc == 0) { rc = put_name(ap, aid, defaults[i].name, &r); }
		if (rc < 0) { return rc; }
	}
	return 0;
}

/* All rows of a mailbox; its messages' octets lose their references. */
static int box_delete(struct apply *ap, uint32_t aid, uint32_t mid)
{
	struct key k = key1(mid);
	struct mbox mb;
	struct msg m;
	int rc = box_get(ap, aid, mid, &mb);
	if (rc < 0) { return rc; }
	rc = acct_use(ap, aid, -(int64_t)mb.bytes, -(int64_t)mb.total);
	while (rc == 0 && (rc = msg_from(ap, mid, 0, &m)) == 0) {
		struct key mk = key2(mid, m.uid);
		rc = ap_del(ap, TB_MSG, &mk);
		if (rc == 0) { rc = object_ref(ap, m.oid, -1); }
		arena_reset(&ap->tmp);
	}
	if (rc == ERR_GONE) { rc = 0; }
	if (rc == 0) { rc = ap_del_prefix(ap, TB_CHG, &k); }
	if (rc == 0) { rc = ap_del_prefix(ap, TB_KW, &k); }
	if (rc == 0) { rc = ap_del(ap, TB_MBOX, &k); }
	if (rc == 0) { news_mbox_changed(ap->news, &mb); }
	return rc;
}

int box_delete_all(struct apply *ap, uint32_t aid)
{
	struct key at = key1(aid), k;
	int rc;
	while ((rc = ap_next_key(ap, TB_MNAME, &at, 4, &k)) == 0) {
		struct rec_mname r;
		rc = ap_get(ap, TB_MNAME, &k, &r);
		if (rc == 0 && r.mid) { rc = box_delete(ap, aid, r.mid); }
		if (rc == 0) { rc = ap_del(ap, TB_MNAME, &k); }
		if (rc < 0) { return rc; }
	}
	return rc == ERR_GONE ? 0 : rc;
}

/* --- keywords --- */

int box_keyword(struct apply *ap, uint32_t mid, struct str name, bool create)
{
	int free_bit = -1;
	for (int bit = 0; bit < KEYWORDS_MAX; bit++) {
		struct key k = key1(mid);
		struct rec_kw r;
		k.p[k.n++] = (unsigned char)bit;
		int rc = ap_get(ap, TB_KW, &k, &r);
		if (rc == 0 && str_ieq(r.name, name)) { return bit; }
		if (rc == ERR_GONE) { /* bits are given in order and never taken back */
			free_bit = bit;
			break;
		}
		if (rc < 0) { return rc; }
	}
	if (!create) { return ERR_GONE; }
	if (free_bit < 0) { return ERR_LIMIT; }
	struct key k = key1(mid);
	k.p[k.n++] = (unsigned char)free_bit;
	struct rec_kw r = {name};
	int rc = ap_put(ap, TB_KW, &k, &r, 0);
	return rc < 0 ? rc : free_bit;
}

int box_keywords(struct apply *ap, uint32_t mid, const struct wire_str_item *names, uint32_t n,
	bool create, uint64_t *flags_out, bool *full)
{
	*flags_out = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (names[i].s.n == 0 || names[i].s.n > KEYWORD_LEN_MAX) { return ERR_SYNTAX; }
		int bit = box_keyword(ap, mid, names[i].s, create);
		if (bit >= 0) {
			*flags_out |= FLAG_KEYWORD(bit);
		} else if (bit == ERR_LIMIT) {
			*full = true;
		} else if (bit != ERR_GONE) {
			return bit;
		}
	}
	return 0;
}

/* --- operations --- */

int apply_mbox_create(struct apply *ap, const void *request, void *reply)
{
	const struct op_mbox_create *op = request;
	struct op_mbox_create_reply *answer = reply;
	struct mbox mb;
	struct key k = key1(op->aid);
	if (!ap_has(ap, TB_ACCT, &k)) { return ERR_GONE; }
	int rc = box_create(ap, op->aid, op->name, op->special_use, &mb);
	if (rc < 0) { return rc; }
	answer->mid = mb.mid;
	answer->mailboxid = mb.mailboxid;
	return 0;
}

int apply_mbox_delete(struct apply *ap, const void *request, void *reply)
{
	const struct op_mbox_delete *op = request;
	struct rec_mname r;
	(void)reply;
	if (str_eq(op->name, STR("INBOX"))) { return ERR_DENIED; }
	int rc = by_name(ap, op->aid, op->name, &r);
	if (rc < 0) { return rc; }
	if (!r.mid) { return ERR_GONE; }
	rc = box_delete(ap, op->aid, r.mid);
	if (rc < 0) { return rc; }
	if (r.subscribed) { /* the subscription outlives the mailbox (RFC 9051 6.3.7) */
		r.mid = r.special_use = 0;
		return put_name(ap, op->aid, op->name, &r);
	}
	struct key k = key_named(op->aid, op->name);
	return ap_del(ap, TB_MNAME, &k);
}

/* One row from one name to another, its subscription with it. */
static int rename_row(struct apply *ap, uint32_t aid, struct str from, struct str to)
{
	struct rec_mname r, there = {0};
	struct key k = key_named(aid, from);
	int rc = by_name(ap, aid, from, &r);
	if (rc < 0) { return rc; }
	if (!r.mid) { return 0; }
	rc = by_name(ap, aid, to, &there);
	if (rc < 0 && rc != ERR_GONE) { return rc; }
	if (rc == 0 && there.mid) { return ERR_EXISTS; }
	struct rec_mname moved = {r.mid, r.subscribed || there.subscribed, r.special_use};
	rc = put_name(ap, aid, to, &moved);
	return rc < 0 ? rc : ap_del(ap, TB_MNAME, &k);
}

/* The next mailbox below `from` ("from/..."), its name in ap->tmp. */
static int next_child(struct apply *ap, uint32_t aid, struct str from, struct str *out)
{
	struct key k = key_named(aid, from), found;
	k.p[k.n++] = '/';
	for (struct key at = k;;) {
		struct rec_mname r;
		int rc = ap_next_key(ap, TB_MNAME, &at, k.n, &found);
		if (rc == 0) { rc = ap_get(ap, TB_MNAME, &found, &r); }
		if (rc < 0) { return rc; }
		*out = arena_dup(&ap->tmp, str_make(found.p + 4, found.n - 4));
		if (r.mid) { return 0; }
		at = found;
		at.p[at.n++] = 0;
	}
}

static int rename_children(struct apply *ap, const struct op_mbox_rename *op)
{
	struct str name;
	int rc;
	while ((rc = next_child(ap, op->aid, op->from, &name)) == 0) {
		struct str rest = str_skip(name, op->from.n);
		struct str to = arena_fmt(&ap->tmp, "%.*s%.*s", STR_ARG(op->to), STR_ARG(rest));
		if (!name_ok(to)) { return ERR_LIMIT; }
		rc = rename_row(ap, op->aid, name, to);
		if (rc < 0) { return rc; }
		arena_reset(&ap->tmp);
	}
	return rc == ERR_GONE ? 0 : rc;
}

/* There must be a mailbox of that name, or one below: a name that is only the parent of others can
   be renamed, too (RFC 9051 6.3.6). */
static int check_from(struct apply *ap, const struct op_mbox_rename *op)
{
	struct rec_mname r;
	struct str child;
	int rc = by_name(ap, op->aid, op->from, &r);
	if (rc == 0 && r.mid) { return 0; }
	return rc < 0 && rc != ERR_GONE ? rc : next_child(ap, op->aid, op->from, &child);
}

/* RENAME INBOX: the messages move to a new mailbox, INBOX stays (RFC 9051 6.3.6). */
static int rename_inbox(struct apply *ap, const struct op_mbox_rename *op)
{
	struct mbox inbox, to;
	struct op_copy_reply moved;
	int rc = box_for_delivery(ap, op->aid, STR(""), 0, &inbox);
	if (rc == 0) { rc = box_create(ap, op->aid, op->to, 0, &to); }
	if (rc < 0) { return rc; }
	struct uid_range all = {1, UINT32_MAX};
	struct op_copy copy = {.aid = op->aid,
		.mid = inbox.mid,
		.to_mid = to.mid,
		.uids = &all,
		.uids_n = 1,
		.move = true};
	return apply_copy(ap, &copy, &moved);
}

int apply_mbox_rename(struct apply *ap, const void *request, void *reply)
{
	const struct op_mbox_rename *op = request;
	struct rec_mname there;
	struct mbox mb;
	(void)reply;
	if (!name_ok(op->to)) { return ERR_SYNTAX; }
	if (str_eq(op->from, STR("INBOX"))) { return rename_inbox(ap, op); }
	if (str_eq(op->from, op->to)) { return ERR_EXISTS; }
	int rc = check_from(ap, op);
	if (rc < 0) { return rc; }
	if (by_name(ap, op->aid, op->to, &there) == 0 && there.mid) { return ERR_EXISTS; }
	if (str_starts(op->to, op->from) && op->to.p[op->from.n] == '/') {
		return ERR_SYNTAX; /* into itself */
	}
	ptrdiff_t slash = str_rchr(op->to, '/');
	if (slash > 0) {
		rc = box_create(ap, op->aid, str_sub(op->to, 0, (size_t)slash), 0, &mb);
		if (rc < 0 && rc != ERR_EXISTS) { return rc; }
	}
	rc = rename_row(ap, op->aid, op->from, op->to);
	return rc < 0 && rc != ERR_GONE ? rc : rename_children(ap, op);
}

int apply_mbox_subscribe(struct apply *ap, const void *request, void *reply)
{
	const struct op_mbox_subscribe *op = request;
	struct rec_mname r = {0};
	size_t n;
	bool taken;
	(void)reply;
	if (!name_ok(op->name)) { return ERR_SYNTAX; }
	int rc = by_name(ap, op->aid, op->name, &r);
	if (rc < 0 && rc != ERR_GONE) { return rc; }
	if (rc == ERR_GONE && !op->on) { return 0; }
	if (rc == ERR_GONE) {
		rc = survey(ap, op->aid, 0, &n, &taken);
		if (rc < 0) { return rc; }
		if (n >= MAILBOXES_MAX) { return ERR_LIMIT; }
	}
	r.subscribed = op->on;
	if (r.mid || op->on) { return put_name(ap, op->aid, op->name, &r); }
	struct key k = key_named(op->aid, op->name);
	return ap_del(ap, TB_MNAME, &k);
}
