/* Where an address leads. Runs in the auth role and in commands; reads one snapshot, writes
 * nothing. */
#include "auth/directory.h"

#include "lib/idn.h"

/* Addresses still to be followed and already seen, so that alias loops end. */
struct walk {
	struct snap *sn;
	const struct directory_conf *conf;
	struct arena *arena;
	uint64_t size; /* of the message */
	struct {
		struct str address, detail;
		unsigned depth;
		size_t from; /* whom it was met through, from 1; 0 = it was asked for */
	} todo[TARGETS_MAX];
	size_t next, n;
	bool looped, too_deep;
	struct auth_resolve_reply *out;
};

static bool split(struct str address, struct str *local_out, struct str *domain_out)
{
	ptrdiff_t at = str_rchr(address, '@');
	if (at < 0) { return false; }
	*local_out = str_sub(address, 0, (size_t)at);
	*domain_out = str_skip(address, (size_t)at + 1);
	return true;
}

static struct str lower(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++) { p[i] = ascii_lower(s.p[i]); }
	return str_make(p, s.n);
}

/* With a domain, that in the form in which the store has them. What cannot be a domain stays. */
static struct str complete(const struct directory_conf *c, struct str address, struct arena *a)
{
	struct str local, domain, known;
	if (address.n == 0 || address.n > ADDRESS_MAX) { return STR(""); }
	if (!split(address, &local, &domain)) {
		if (c->default_domain.n == 0) { return STR(""); }
		local = address;
		domain = c->default_domain;
	}
	if (idn_domain(domain, a, &known) < 0) { known = domain; }
	address = arena_fmt(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(known));
	return address.n > ADDRESS_MAX ? STR("") : address;
}

struct str directory_normalise(const struct directory_conf *c, struct str address, struct arena *a)
{
	return lower(complete(c, address, a), a);
}

/* 1 ours, 0 not, ERR_*: a record that cannot be read makes no domain a stranger's. */
static int domain_is_local(struct walk *w, struct str name)
{
	struct domain d;
	int rc = w->conf->all_domains ? 0 : snap_domain(w->sn, name, &d);
	return rc == ERR_GONE ? 0 : rc < 0 ? rc : 1;
}

/* Is number `i` the one that is visited now, or did it lead there? */
static bool is_ancestor(const struct walk *w, size_t i)
{
	size_t at = w->next;
	while (at && at - 1 != i) { at = w->todo[at - 1].from; }
	return at != 0;
}

static int follow(struct walk *w, struct str address, struct str detail, unsigned depth)
{
	for (size_t i = 0; i < w->n; i++) {
		if (!str_ieq(w->todo[i].address, address)) { continue; }
		w->looped |= is_ancestor(w, i);
		return 0;
	}
	w->too_deep |= depth > DIRECTORY_DEPTH_MAX;
	if (w->n == COUNT(w->todo) || w->too_deep) { return ERR_LIMIT; }
	w->todo[w->n].from = w->next;
	w->todo[w->n].address = address;
	w->todo[w->n].detail = detail;
	w->todo[w->n++].depth = depth;
	return 0;
}

/* The mailbox a detail names, by exact name, else ignoring ASCII case; "" when there is none. */
static struct str detail_folder(struct walk *w, uint32_t aid, struct str detail)
{
	struct mname name, *names;
	struct mbox mbox;
	size_t n;
	if (detail.n == 0 || detail.n > MAILBOX_NAME_MAX) { return STR(""); }
	if (snap_mbox_by_name(w->sn, aid, detail, &name, &mbox) == 0) {
		return arena_dup(w->arena, name.name);
	}
	if (snap_mnames(w->sn, aid, w->arena, &names, &n) < 0) { return STR(""); }
	for (size_t i = 0; i < n; i++) {
		if (names[i].mid && str_ieq(names[i].name, detail)) { return names[i].name; }
	}
	return STR("");
}

static int add_target(struct walk *w, struct auth_target target)
{
	struct auth_resolve_reply *out = w->out;
	for (uint32_t i = 0; i < out->targets_n; i++) {
		const struct auth_target *t = &out->targets[i];
		if (t->aid == target.aid && (t->aid || str_ieq(t->address, target.address))) {
			return 0;
		}
	}
	if (out->targets_n == TARGETS_MAX) { return ERR_LIMIT; }
	out->targets[out->targets_n++] = target;
	return 0;
}

/* Is there no room for the message, or, when its size is not known, for any? (RFC 1870 6.1) */
static enum auth_room room_for(const struct acct *ac, uint64_t size)
{
	uint64_t quota = ac->quota_bytes;
	if (quota == 0) { return ROOM_ENOUGH; }
	if (size > quota) { return ROOM_NEVER; }
	return ac->used_bytes >= quota || size > quota - ac->used_bytes ? ROOM_FULL : ROOM_ENOUGH;
}

static int add_account(struct walk *w, uint32_t aid, struct str detail)
{
	struct acct acct;
	int rc = snap_acct(w->sn, aid, &acct);
	if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
	return add_target(w, (struct auth_target){.aid = aid,
				     .address = arena_dup(w->arena, acct.login),
				     .folder = detail_folder(w, aid, detail),
				     .room = (uint8_t)room_for(&acct, w->size)});
}

static int apply_row(struct walk *w, const struct addr_row *row, struct str detail, unsigned depth)
{
	int rc = 0;
	if (row->kind == ADDR_ACCOUNT) { return add_account(w, row->aid, detail); }
	for (size_t i = 0; i < row->targets_n && rc == 0; i++) {
		rc = follow(w, row->targets[i], detail, depth + 1);
	}
	return rc;
}

/* Without a row of its own, postmaster@ goes to whoever was there first: RFC 5321 4.5.1 wants it
 * accepted. */
static int apply_postmaster(struct walk *w)
{
	struct acct acct;
	int rc = snap_acct_next(w->sn, 0, &acct);
	if (rc == ERR_GONE) { w->out->fault = RESOLVE_LATER; }
	return rc == 0 ? add_account(w, acct.aid, STR("")) : rc == ERR_GONE ? 0 : rc;
}

/* The rows that may answer for a local address, in order: itself, without its detail, the
 * catch-all. */
static int visit_local(struct walk *w, struct str address, struct str local, struct str domain,
	struct str detail, unsigned depth)
{
	struct addr_row row;
	int rc = snap_addr(w->sn, address, w->arena, &row);
	ptrdiff_t at = w->conf->separator ? str_chr(local, w->conf->separator) : -1;
	if (rc == ERR_GONE && at > 0) {
		struct str base =
			arena_fmt(w->arena, "%.*s@%.*s", (int)at, local.p, STR_ARG(domain));
		detail = str_skip(local, (size_t)at + 1);
		local = str_sub(local, 0, (size_t)at);
		rc = snap_addr(w->sn, base, w->arena, &row);
	}
	if (rc == ERR_GONE && str_eq(local, STR("postmaster"))) { return apply_postmaster(w); }
	if (rc == ERR_GONE) {
		rc = snap_addr(
			w->sn, arena_fmt(w->arena, "@%.*s", STR_ARG(domain)), w->arena, &row);
	}
	if (rc < 0) { return rc == ERR_GONE ? 0 : rc; }
	return apply_row(w, &row, detail, depth);
}

static int visit(struct walk *w, struct str address, struct str detail, unsigned depth)
{
	struct str local, domain;
	if (!split(address, &local, &domain)) { return 0; }
	int ours = domain_is_local(w, domain);
	if (ours < 0) { return ours; }
	if (!ours) {
		/* what its local part means, case included, is for others to say (RFC 5321 2.4) */
		return add_target(w, (struct auth_target){.address = address});
	}
	address = lower(address, w->arena);
	return visit_local(
		w, address, lower(local, w->arena), lower(domain, w->arena), detail, depth);
}

int directory_resolve(struct snap *sn, const struct directory_conf *c, struct str address,
	uint64_t size, struct arena *a, struct auth_resolve_reply *out)
{
	struct walk *w = arena_new(a, struct walk);
	struct str local, domain;
	*w = (struct walk){.sn = sn, .conf = c, .arena = a, .size = size, .out = out};
	*out = (struct auth_resolve_reply){
		.targets = arena_array(a, TARGETS_MAX, sizeof *out->targets)};
	bool postmaster = str_ieq(address, STR("postmaster"));
	address = complete(c, address, a);
	if (!split(address, &local, &domain)) {
		if (postmaster) { out->fault = RESOLVE_LATER; }
		return 0;
	}
	int rc = domain_is_local(w, domain);
	if (rc < 0) { return rc; }
	out->local_domain = rc == 1;
	rc = follow(w, address, STR(""), 0);
	while (rc == 0 && w->next < w->n) {
		size_t i = w->next++;
		rc = visit(w, w->todo[i].address, w->todo[i].detail, w->todo[i].depth);
	}
	if (rc == ERR_LIMIT && w->too_deep) {
		out->targets_n = 0;
		rc = 0;
	}
	if (rc == 0 && out->targets_n == 0 && (w->looped || w->too_deep)) {
		out->fault = RESOLVE_LOOP;
	}
	return rc;
}

int directory_account(struct snap *sn, const struct directory_conf *c, struct str user,
	struct arena *a, struct acct *out)
{
	struct addr_row row;
	user = directory_normalise(c, user, a);
	if (user.n == 0) { return ERR_GONE; }
	int rc = snap_addr(sn, user, a, &row);
	if (rc == 0 && row.kind != ADDR_ACCOUNT) { rc = ERR_GONE; }
	return rc < 0 ? rc : snap_acct(sn, row.aid, out);
}

int directory_may_send(struct snap *sn, const struct directory_conf *c, uint32_t aid,
	struct str address, struct arena *a)
{
	struct auth_resolve_reply r;
	int rc = directory_resolve(sn, c, address, 0, a, &r);
	for (uint32_t i = 0; rc == 0 && i < r.targets_n; i++) {
		if (r.targets[i].aid == aid) { return 1; }
	}
	return rc == ERR_LIMIT ? 0 : rc; /* such an address takes no mail */
}
