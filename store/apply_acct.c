/* Accounts, addresses, domains. Names arrive normalised (lower case, local@domain). */
#include "store/apply.h"

static struct key name_key(struct str name)
{
	struct key k = key_none();
	if (!key_str(&k, name)) { k.n = 0; }
	return k;
}

static bool address_ok(struct str address)
{
	ptrdiff_t at = str_rchr(address, '@');
	return at >= 0 && address.n <= ADDRESS_MAX && (size_t)at + 1 < address.n;
}

static int put_cred(
	struct apply *ap, uint32_t aid, struct str label, struct str scheme, struct str value)
{
	struct key k = key_named(aid, label);
	struct rec_cred r = {scheme, value};
	return ap_put(ap, TB_CRED, &k, &r, 0);
}

int apply_acct_add(struct apply *ap, const void *request, void *reply)
{
	const struct op_acct_add *op = request;
	struct op_acct_reply *answer = reply;
	struct key addr = name_key(op->login);
	if (!address_ok(op->login) || op->login.p[0] == '@') { return ERR_SYNTAX; }
	if (ap_has(ap, TB_ADDR, &addr)) { return ERR_EXISTS; }
	if (ap->s->ids.aid == UINT32_MAX) { return ERR_LIMIT; }
	struct acct ac = {.aid = ap->s->ids.aid++,
		.login = op->login,
		.quota_bytes = op->quota_bytes,
		.created_us = ap->now_us};
	struct rec_addr r = {.kind = ADDR_ACCOUNT, .aid = ac.aid};
	struct key k = key1(ac.aid);
	int rc = ap_put(ap, TB_ACCT, &k, &ac, 0);
	if (rc == 0) { rc = ap_put(ap, TB_ADDR, &addr, &r, 0); }
	if (rc == 0 && op->secret.n) {
		rc = put_cred(ap, ac.aid, STR(""), STR("crypt"), op->secret);
	}
	if (rc == 0) { rc = box_defaults(ap, ac.aid); }
	ap->news->accounts = true;
	answer->aid = ac.aid;
	return rc;
}

int apply_acct_set(struct apply *ap, const void *request, void *reply)
{
	const struct op_acct_set *op = request;
	struct key k = key1(op->aid);
	struct acct ac;
	(void)reply;
	int rc = ap_get(ap, TB_ACCT, &k, &ac);
	if (rc < 0) { return rc; }
	if (op->what & ACCT_SET_SECRET) {
		struct key ck = key_named(op->aid, op->label);
		if (op->secret.n) {
			rc = put_cred(ap, op->aid, op->label, op->scheme, op->secret);
		} else {
			rc = ap_del(ap, TB_CRED, &ck);
		}
		if (rc < 0) { return rc; }
	}
	if (op->what & ACCT_SET_QUOTA) { ac.quota_bytes = op->quota_bytes; }
	if (op->what & ACCT_SET_DISABLED) { ac.disabled = op->disabled; }
	ap->news->accounts = true;
	ap->news->closed |= ac.disabled;
	return ap_put(ap, TB_ACCT, &k, &ac, 0);
}

int apply_acct_del(struct apply *ap, const void *request, void *reply)
{
	const struct op_acct_del *op = request;
	struct key k = key1(op->aid);
	struct acct ac;
	(void)reply;
	int rc = rec_get(ap->s, ap->txn, TB_ACCT, &k, ap->a, &ac);
	if (rc < 0) { return rc; }
	struct key addr = name_key(ac.login);
	rc = box_delete_all(ap, op->aid);
	if (rc == 0) { rc = ap_del_prefix(ap, TB_CRED, &k); }
	if (rc == 0) { rc = ap_del_prefix(ap, TB_THREAD, &k); }
	if (rc == 0) { rc = ap_del(ap, TB_ADDR, &addr); }
	if (rc == 0) { rc = ap_del(ap, TB_ACCT, &k); }
	ap->news->accounts = ap->news->closed = true;
	return rc;
}

int apply_addr_set(struct apply *ap, const void *request, void *reply)
{
	const struct op_addr_set *op = request;
	struct key k = name_key(op->address);
	struct rec_addr there;
	(void)reply;
	if (!address_ok(op->address) || op->targets_n == 0) { return ERR_SYNTAX; }
	for (uint32_t i = 0; i < op->targets_n; i++) {
		if (!address_ok(op->targets[i].s) || op->targets[i].s.p[0] == '@') {
			return ERR_SYNTAX;
		}
	}
	int rc = ap_get(ap, TB_ADDR, &k, &there);
	if (rc < 0 && rc != ERR_GONE) { return rc; }
	if (rc == 0 && there.kind == ADDR_ACCOUNT) { return ERR_EXISTS; }
	struct rec_addr r = {
		.kind = ADDR_ALIAS, .targets = op->targets, .targets_n = op->targets_n};
	ap->news->accounts = true;
	return ap_put(ap, TB_ADDR, &k, &r, 0);
}

int apply_addr_del(struct apply *ap, const void *request, void *reply)
{
	const struct op_addr_del *op = request;
	struct key k = name_key(op->address);
	struct rec_addr there;
	(void)reply;
	int rc = ap_get(ap, TB_ADDR, &k, &there);
	if (rc < 0) { return rc; }
	if (there.kind == ADDR_ACCOUNT) { return ERR_INUSE; } /* delete the account instead */
	ap->news->accounts = true;
	return ap_del(ap, TB_ADDR, &k);
}

int apply_domain_set(struct apply *ap, const void *request, void *reply)
{
	const struct op_domain_set *op = request;
	struct key k = name_key(op->name);
	struct domain d = {.created_us = ap->now_us};
	(void)reply;
	if (op->name.n == 0 || str_chr(op->name, '@') >= 0) { return ERR_SYNTAX; }
	int rc = ap_get(ap, TB_DOMAIN, &k, &d);
	if (rc < 0 && rc != ERR_GONE) { return rc; }
	d.name = op->name;
	d.dkim_selectors = op->dkim_selectors;
	ap->news->accounts = true;
	return ap_put(ap, TB_DOMAIN, &k, &d, 0);
}

int apply_domain_del(struct apply *ap, const void *request, void *reply)
{
	const struct op_domain_del *op = request;
	struct key k = name_key(op->name), at = key_none(), found;
	(void)reply;
	if (!ap_has(ap, TB_DOMAIN, &k)) { return ERR_GONE; }
	at.p[at.n++] = 0;
	while (ap_next_key(ap, TB_ADDR, &at, 0, &found) == 0) {
		struct str address = str_make(found.p, found.n);
		ptrdiff_t sign = str_rchr(address, '@');
		if (sign >= 0 && str_eq(str_skip(address, (size_t)sign + 1), op->name)) {
			return ERR_INUSE;
		}
		at = found;
		at.p[at.n++] = 0;
	}
	ap->news->accounts = true;
	return ap_del(ap, TB_DOMAIN, &k);
}
