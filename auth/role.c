/* The auth role: answers logins and address look-ups for mx, submit, imap and relay. Reads the
   store's map, hashes passwords in its pool, has no socket but its links. The only change it ever
   asks for is an account at first use, in `dev`. */
#include "auth/auth.h"

#include "auth/conf.h"
#include "auth/directory.h"
#include "auth/password.h"
#include "auth/throttle.h"
#include "lib/log.h"
#include "lib/metric.h"

enum { SECRETS_MAX = PASSWORD_HASHES_MAX * PASSWORD_HASH_LEN };

struct auth {
	struct role *role;
	const struct auth_conf *conf;
	struct password_pool *pool;
	struct password_cache *cache;
	struct throttle throttle;
	struct list logins, makings; /* in progress */
};

static const struct log_ctx LOG = {.role = "auth"};

static METRIC(auth_logins_total, "Logins with the right password.");
static METRIC(auth_login_failures_total, "Logins with a wrong name or password.");
static METRIC(auth_login_errors_total, "Logins that could not be decided, for now.");
static METRIC(auth_throttled_total, "Logins that had to wait for failures before them.");
static METRIC(auth_password_checks_total, "Passwords that had to be hashed.");
static METRIC(auth_lookups_total, "Addresses looked up.");

static struct metric *const metrics[] = {
	&auth_logins_total,
	&auth_login_failures_total,
	&auth_login_errors_total,
	&auth_throttled_total,
	&auth_password_checks_total,
	&auth_lookups_total,
};

/* For a name without a domain that of the configuration, else the store's first. 0, or why that
   cannot be known: then nobody may say that there is no such name. */
static int directory_conf(
	const struct auth *au, struct snap *sn, struct str name, struct directory_conf *out)
{
	*out = (struct directory_conf){.all_domains = au->conf->all_domains,
		.default_domain = au->conf->default_domain,
		.separator = au->conf->separator.n ? au->conf->separator.p[0] : 0};
	struct domain first;
	if (out->default_domain.n || str_chr(name, '@') >= 0) { return 0; }
	int rc = snap_domain_next(sn, STR(""), &first);
	if (rc == 0) { out->default_domain = first.name; }
	if (rc == 0 || rc == ERR_GONE) { return 0; }
	log_event(LOG_ERROR, &LOG, "the first domain cannot be read", "reason=%s", err_name(rc));
	return rc;
}

/* --- an account at first use --- */

struct making {
	struct list node;
	struct task task;
	struct call call;
	struct auth *au;
	struct link_msg *m;
	struct str address; /* in m->arena */
};

static void answer(struct auth *au, struct link_msg *m, bool may_make);

static void making_ended(struct task *t)
{
	struct making *mk = task_of(t, struct making, task);
	call_fini(&mk->call);
	list_del(&mk->node);
	if (mk->m) { link_reply(mk->m, ERR_AGAIN, NULL); }
	free(mk);
}

static enum step making_answer(struct task *t)
{
	struct making *mk = task_of(t, struct making, task);
	struct link_msg *m = mk->m;
	mk->m = NULL;
	if (t->rc < 0 && t->rc != ERR_EXISTS) {
		link_reply(m, ERR_AGAIN, NULL);
	} else {
		answer(mk->au, m, false);
	}
	return STEP_DONE;
}

static enum step making_account(struct task *t)
{
	struct making *mk = task_of(t, struct making, task);
	call_fini(&mk->call);
	link_call(mk->au->role->peer[ROLE_STORE], &mk->call, t, &OP_ACCT_ADD,
		&(struct op_acct_add){.login = mk->address}, 0);
	t->step = making_answer;
	return STEP_WAIT;
}

static enum step making_domain(struct task *t)
{
	struct making *mk = task_of(t, struct making, task);
	struct str domain = str_skip(mk->address, (size_t)str_rchr(mk->address, '@') + 1);
	link_call(mk->au->role->peer[ROLE_STORE], &mk->call, t, &OP_DOMAIN_SET,
		&(struct op_domain_set){.name = domain}, 0);
	t->step = making_account;
	return STEP_WAIT;
}

static void make_account(struct auth *au, struct link_msg *m, struct str address)
{
	struct making *mk = xnew(struct making);
	mk->au = au;
	mk->m = m;
	mk->address = address;
	list_add(&au->makings, &mk->node);
	task_start(au->role->loop, &mk->task, NULL,
		au->conf->all_domains ? making_domain : making_account, making_ended);
}

/* The address an account should be made for: without its detail. "" when it is not ours. */
static int address_to_make(struct snap *sn, const struct directory_conf *c, struct str address,
	struct arena *a, struct str *out)
{
	struct domain d;
	int rc = 0;
	*out = STR("");
	address = directory_normalise(c, address, a);
	ptrdiff_t at = str_rchr(address, '@');
	if (at <= 0) { return 0; }
	struct str local = str_sub(address, 0, (size_t)at),
		   domain = str_skip(address, (size_t)at + 1);
	if (domain.n && !c->all_domains) { rc = snap_domain(sn, domain, &d); }
	if (domain.n == 0 || rc < 0) { return rc == ERR_GONE ? 0 : rc; }
	ptrdiff_t plus = c->separator ? str_chr(local, c->separator) : -1;
	if (plus > 0) { local = str_sub(local, 0, (size_t)plus); }
	*out = arena_fmt(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain));
	return 0;
}

/* --- logins --- */

struct login {
	struct list node;
	struct auth *au;
	struct link_msg *m;
	struct timer timer;
	struct password_job job;
	struct auth_login_reply reply;
	char secrets[SECRETS_MAX];
	size_t secrets_n;
	bool hashing;
};

static void login_free(struct login *lg)
{
	timer_stop(&lg->timer);
	list_del(&lg->node);
	wipe(lg->secrets, sizeof lg->secrets);
	wipe(lg->job.password, sizeof lg->job.password);
	free(lg);
}

static void login_reply(struct login *lg, int rc)
{
	const struct auth_login *req = lg->m->request;
	log_event(rc == 0 ? LOG_INFO : LOG_WARN, &LOG, rc == 0 ? "login" : "login refused",
		"user=%.*s peer=%.*s service=%.*s%s%s", STR_ARG(req->user), STR_ARG(req->peer),
		STR_ARG(req->service), rc == 0 ? "" : " reason=", rc == 0 ? "" : err_name(rc));
	metric_add(rc == 0            ? &auth_logins_total
		   : rc == ERR_DENIED ? &auth_login_failures_total
				      : &auth_login_errors_total,
		1);
	link_reply(lg->m, rc, rc == 0 ? &lg->reply : NULL);
	login_free(lg);
}

static void on_refuse(struct timer *t)
{
	login_reply(container_of(t, struct login, timer), ERR_DENIED);
}

/* It took a while: the account may have been closed meanwhile. */
static int still_open(const struct login *lg)
{
	struct snap sn;
	struct acct acct;
	int rc = snap_begin(lg->au->role->store, &sn);
	if (rc < 0) { return ERR_AGAIN; }
	rc = snap_acct(&sn, lg->reply.aid, &acct);
	bool closed = rc == ERR_GONE || (rc == 0 && acct.disabled);
	snap_end(&sn);
	return closed ? ERR_DENIED : rc;
}

static void on_hashed(struct password_job *j)
{
	struct login *lg = container_of(j, struct login, job);
	struct auth *au = lg->au;
	const struct auth_login *req = lg->m->request;
	int64_t now = loop_now_us(au->role->loop);
	lg->hashing = false;
	if (j->matched) {
		throttle_passed(&au->throttle, req->peer);
		password_cache_add(au->cache, lg->reply.aid, str_make(lg->secrets, lg->secrets_n),
			req->password, now);
		login_reply(lg, still_open(lg));
		return;
	}
	throttle_failed(&au->throttle, req->peer, now);
	timer_start(au->role->loop, &lg->timer, au->conf->failure_delay_us, on_refuse);
}

static void on_verify(struct timer *t)
{
	struct login *lg = container_of(t, struct login, timer);
	const struct auth_login *req = lg->m->request;
	memcpy(lg->job.password, req->password.p, req->password.n);
	lg->job.password[req->password.n] = '\0';
	lg->job.done = on_hashed;
	lg->hashing = true;
	metric_add(&auth_password_checks_total, lg->job.hashes_n > 0);
	if (password_check(lg->au->pool, &lg->job) < 0) {
		lg->hashing = false;
		login_reply(lg, ERR_AGAIN);
	}
}

/* Copy the crypt(3) secrets of an account out of the snapshot. */
static int load_secrets(struct login *lg, struct snap *sn, struct arena *a)
{
	struct cred *creds;
	size_t n;
	int rc = snap_creds(sn, lg->reply.aid, a, &creds, &n);
	if (rc < 0) { return rc; }
	for (size_t i = 0; i < n && lg->job.hashes_n < PASSWORD_HASHES_MAX; i++) {
		struct str v = creds[i].value;
		if (!str_eq(creds[i].scheme, STR("crypt")) || v.n == 0 ||
			v.n >= PASSWORD_HASH_LEN) {
			continue;
		}
		memcpy(lg->job.hashes[lg->job.hashes_n++], v.p, v.n);
		memcpy(lg->secrets + lg->secrets_n, v.p, v.n);
		lg->secrets_n += v.n;
	}
	return 0;
}

static int find_login(struct login *lg, struct str *make_out)
{
	const struct auth_login *req = lg->m->request;
	struct auth *au = lg->au;
	struct snap sn;
	struct acct acct;
	int rc = snap_begin(au->role->store, &sn);
	if (rc < 0) { return rc; }
	struct directory_conf c;
	rc = directory_conf(au, &sn, req->user, &c);
	if (rc == 0) { rc = directory_account(&sn, &c, req->user, &lg->m->arena, &acct); }
	if (rc == ERR_GONE && au->conf->any_password) {
		struct str base; /* who signed up as user+1@ logs in as user+1@ */
		rc = address_to_make(&sn, &c, req->user, &lg->m->arena, &base);
		if (rc == 0) { rc = directory_account(&sn, &c, base, &lg->m->arena, &acct); }
	}
	if (rc == 0 && acct.disabled) { rc = ERR_GONE; }
	if (rc == 0) {
		lg->reply.aid = acct.aid;
		lg->reply.login = arena_dup(&lg->m->arena, acct.login);
		rc = load_secrets(lg, &sn, &lg->m->arena);
	} else if (rc == ERR_GONE && au->conf->auto_accounts) {
		rc = address_to_make(&sn, &c, req->user, &lg->m->arena, make_out);
	}
	snap_end(&sn);
	return rc == ERR_GONE ? 0 : rc;
}

static void login_start(struct auth *au, struct link_msg *m, bool may_make)
{
	struct login *lg = xnew(struct login);
	const struct auth_login *req = m->request;
	struct str make = STR("");
	*lg = (struct login){.au = au, .m = m};
	list_add(&au->logins, &lg->node);
	int rc = find_login(lg, &make);
	int64_t now = loop_now_us(au->role->loop);
	if (rc < 0) {
		login_reply(lg, ERR_AGAIN);
	} else if (may_make && make.n) {
		login_free(lg);
		make_account(au, m, make);
	} else if (lg->reply.aid &&
		   (au->conf->any_password ||
			   password_cache_has(au->cache, lg->reply.aid,
				   str_make(lg->secrets, lg->secrets_n), req->password, now))) {
		login_reply(lg, 0);
	} else {
		int64_t wait_us = throttle_wait_us(&au->throttle, req->peer, now);
		metric_add(&auth_throttled_total, wait_us > 0);
		timer_start(au->role->loop, &lg->timer, wait_us, on_verify);
	}
}

/* --- addresses --- */

static void resolve(struct auth *au, struct link_msg *m, bool may_make)
{
	const struct auth_resolve *req = m->request;
	struct auth_resolve_reply reply;
	struct str make = STR("");
	struct snap sn;
	int rc = snap_begin(au->role->store, &sn);
	metric_add(&auth_lookups_total, may_make); /* it comes once more with a new account */
	if (rc == 0) {
		struct directory_conf c;
		rc = directory_conf(au, &sn, req->address, &c);
		if (rc == 0) {
			rc = directory_resolve(&sn, &c, req->address, req->size, &m->arena, &reply);
		}
		if (rc == 0 && reply.targets_n == 0 && reply.local_domain &&
			(req->create || au->conf->auto_accounts)) {
			rc = address_to_make(&sn, &c, req->address, &m->arena, &make);
		}
		if (may_make && make.n) {
			snap_end(&sn);
			make_account(au, m, make);
			return;
		}
		link_reply(m, rc, &reply); /* packed before the snapshot ends: its strings point
					      into the map */
		snap_end(&sn);
		return;
	}
	link_reply(m, ERR_AGAIN, NULL);
}

/* 1, 0, ERR_DENIED when the account may no longer log in, or what the store says. */
static int judge_sender(struct auth *au, struct snap *sn, struct link_msg *m)
{
	const struct auth_may_send *req = m->request;
	struct directory_conf c;
	struct acct acct;
	int rc = snap_acct(sn, req->aid, &acct);
	if (rc == ERR_GONE || (rc == 0 && acct.disabled)) { return ERR_DENIED; }
	if (rc < 0) { return rc; }
	if (req->address.n == 0) { return 1; }
	rc = directory_conf(au, sn, req->address, &c);
	return rc < 0 ? rc : directory_may_send(sn, &c, req->aid, req->address, &m->arena);
}

static void may_send(struct auth *au, struct link_msg *m)
{
	struct snap sn;
	if (snap_begin(au->role->store, &sn) < 0) {
		link_reply(m, ERR_AGAIN, NULL);
		return;
	}
	int rc = judge_sender(au, &sn, m);
	struct auth_may_send_reply reply = {.allowed = rc == 1};
	snap_end(&sn);
	link_reply(m, MIN(rc, 0), &reply);
}

static void answer(struct auth *au, struct link_msg *m, bool may_make)
{
	if (m->type == &AUTH_LOGIN) {
		login_start(au, m, may_make);
	} else if (m->type == &AUTH_RESOLVE) {
		resolve(au, m, may_make);
	} else {
		may_send(au, m);
	}
}

/* --- the role --- */

static void auth_handle(struct role *r, struct link_msg *m)
{
	bool ours = m->type == &AUTH_LOGIN || m->type == &AUTH_RESOLVE || m->type == &AUTH_MAY_SEND;
	if (ours) { answer(r->state, link_keep(m), true); }
}

static void auth_reload(struct role *r)
{
	struct auth *au = r->state;
	au->conf = conf_get(r->conf, &auth_conf_section);
	au->throttle.first_us = au->conf->failure_delay_us;
	au->throttle.most_us = MAX(au->conf->failure_delay_us, au->conf->failure_delay_max_us);
}

static int auth_start(struct role *r, struct err *e)
{
	struct auth *au = xnew(struct auth);
	metrics_register(metrics, COUNT(metrics));
	(void)e; /* nothing here can fail: the store was opened before */
	au->role = r;
	r->state = au;
	list_init(&au->logins);
	list_init(&au->makings);
	throttle_init(&au->throttle, 0, 0);
	auth_reload(r);
	au->pool = password_pool_new(r->loop, (unsigned)au->conf->workers);
	au->cache = password_cache_new();
	return 0;
}

static void auth_stop(struct role *r)
{
	role_stopped(r); /* whoever still waits gets ERR_AGAIN when the link goes down */
}

static void auth_fini(struct role *r)
{
	struct auth *au = r->state;
	list_each(node, &au->makings) {
		list_del(node); /* it ends after us */
		task_kill(&list_entry(node, struct making, node)->task);
	}
	list_each(node, &au->logins) {
		struct login *lg = list_entry(node, struct login, node);
		if (!lg->hashing) { login_reply(lg, ERR_AGAIN); }
	}
	password_pool_free(au->pool); /* the rest is answered from here */
	list_each(node, &au->logins) {
		login_reply(list_entry(node, struct login, node), ERR_AGAIN);
	}
	password_cache_free(au->cache);
	throttle_fini(&au->throttle);
	free(au);
	r->state = NULL;
}

const struct role_ops auth_role = {
	.id = ROLE_AUTH,
	.name = "auth",
	.peers = UINT32_C(1) << ROLE_STORE | UINT32_C(1) << ROLE_MX | UINT32_C(1) << ROLE_SUBMIT |
		 UINT32_C(1) << ROLE_IMAP | UINT32_C(1) << ROLE_RELAY,
	.want_store = true,
	.start = auth_start,
	.handle = auth_handle,
	.reload = auth_reload,
	.stop = auth_stop,
	.fini = auth_fini,
};
