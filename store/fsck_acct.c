/* Checks of accounts and their addresses. */
#include <stdio.h>

#include "store/fsck.h"

enum { LOGIN_ROOM = 80 };

/* A login that nobody has. */
static struct str free_login(struct fsck *f, uint32_t aid, char room[LOGIN_ROOM])
{
	struct key k;
	int n = snprintf(room, LOGIN_ROOM, "recovered-%u@localhost", aid);
	for (unsigned i = 2;; i++) {
		k = key_none();
		key_str(&k, str_make(room, (size_t)n));
		if (!ap_has(&f->ap, TB_ADDR, &k)) { return str_make(room, (size_t)n); }
		n = snprintf(room, LOGIN_ROOM, "recovered-%u-%u@localhost", aid, i);
	}
}

/* Make an account's record again, with what is left of it; empty `login`: nobody knows. */
static void lost_account(struct fsck *f, uint32_t aid, struct str login)
{
	char room[LOGIN_ROOM];
	struct key k = key1(aid);
	if (ap_has(&f->ap, TB_ACCT, &k)) { return; }
	if (login.n == 0 || login.n > ADDRESS_MAX) { login = free_login(f, aid, room); }
	struct acct ac = {.aid = aid,
		.login = login,
		.disabled = fsck_count(&f->disabled, aid) > 0,
		.created_us = f->ap.now_us};
	if (fsck_found(f, "account %.*s: its record is gone (made again it is %s, without a quota)",
		    STR_ARG(login), ac.disabled ? "disabled as it was" : "enabled")) {
		fsck_do(f, ap_put(&f->ap, TB_ACCT, &k, &ac, 0));
	}
}

static void put_address(struct fsck *f, struct str login, uint32_t aid)
{
	struct key k = key_none();
	struct rec_addr r = {.kind = ADDR_ACCOUNT, .aid = aid};
	fsck_do(f, key_str(&k, login) ? ap_put(&f->ap, TB_ADDR, &k, &r, 0) : ERR_DAMAGED);
}

/* Has another account the same login, and the address? */
static bool is_double(struct fsck *f, const struct acct *ac, const struct rec_addr *r)
{
	struct key k = key1(r->aid);
	struct acct other;
	return r->kind == ADDR_ACCOUNT && r->aid != ac->aid &&
	       ap_get(&f->ap, TB_ACCT, &k, &other) == 0 && str_eq(other.login, ac->login);
}

static void check_account(struct fsck *f, struct acct *ac)
{
	struct key addr = key_none(), k = key1(ac->aid);
	struct rec_addr r;
	char room[LOGIN_ROOM];
	key_str(&addr, ac->login);
	int rc = ap_get(&f->ap, TB_ADDR, &addr, &r);
	if (rc == 0 && is_double(f, ac, &r)) {
		if (fsck_found(f, "account %.*s: there are two", STR_ARG(ac->login))) {
			ac->login = free_login(f, ac->aid, room);
			fsck_do(f, ap_put(&f->ap, TB_ACCT, &k, ac, 0));
			put_address(f, ac->login, ac->aid);
		}
	} else if (rc < 0 || r.kind != ADDR_ACCOUNT || r.aid != ac->aid) {
		if (fsck_found(f, "account %.*s: its address does not lead to it",
			    STR_ARG(ac->login))) {
			put_address(f, ac->login, ac->aid);
		}
	}
}

/* Accounts that others speak of. */
static void find_lost(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	struct rec_addr r;
	struct mbox mb;
	while (fsck_next(f, TB_ADDR, &at, 0, &v)) {
		if (fsck_unpack(f, TB_ADDR, &at, v, &r) == 0 && r.kind == ADDR_ACCOUNT) {
			lost_account(f, r.aid, str_make(at.p, at.n));
		}
		key_step(&at);
	}
	at = key_none();
	while (fsck_next(f, TB_MNAME, &at, 0, NULL)) {
		lost_account(f, get_be32(at.p), STR(""));
		key_step(&at);
	}
	at = key_none();
	while (fsck_next(f, TB_MBOX, &at, 0, &v)) {
		if (fsck_unpack(f, TB_MBOX, &at, v, &mb) == 0) { lost_account(f, mb.aid, STR("")); }
		key_step(&at);
	}
}

uint32_t fsck_new_account(struct fsck *f)
{
	char room[LOGIN_ROOM];
	struct mbox inbox;
	uint32_t aid = f->ap.s->ids.aid++;
	struct str login = free_login(f, aid, room);
	struct acct ac = {.aid = aid, .login = login, .created_us = f->ap.now_us};
	struct key k = key1(aid);
	fsck_do(f, ap_put(&f->ap, TB_ACCT, &k, &ac, 0));
	put_address(f, login, aid);
	fsck_do(f, box_create(&f->ap, aid, STR("INBOX"), 0, &inbox));
	return aid;
}

void fsck_accounts(struct fsck *f)
{
	struct key at = key_none();
	MDB_val v;
	struct acct ac;
	fsck_sort(&f->disabled);
	find_lost(f);
	while (fsck_next(f, TB_ACCT, &at, 0, &v)) {
		if (fsck_unpack(f, TB_ACCT, &at, v, &ac) == 0) { check_account(f, &ac); }
		key_step(&at);
	}
}
