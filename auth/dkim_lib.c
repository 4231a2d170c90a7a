/* libopendkim, and all that has to be known to use it. It is the weakest code of this role: it gets
   only signatures that dkim_tags.c has found well formed, at most DKIM_VERIFIED_MAX of them, only
   the fields these sign, and key records that hold nothing but a checked key. What it passes has
   been judged before; it can only take a pass away. */
#include "auth/dkim_private.h"

#include <opendkim/dkim.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

struct dkim_lib_message {
	DKIM *dkim;
};

static DKIM_LIB *library;
/* Without a field before all others that no h= can name, an h= that selects every field makes the
   library write behind its table. */
static char first_field[64];

/* Called by dkim_eom: the key was checked and made small enough for the library's buffer. */
static DKIM_CBSTAT give_key(DKIM *dkim, DKIM_SIGINFO *info, unsigned char *to, size_t size)
{
	struct dkim_verify *v = dkim_get_user_context(dkim);
	for (size_t i = 0; v && i < v->work_n; i++) {
		if (v->work[i].lib != info || !v->work[i].open) { continue; }
		struct buf record = {0};
		dkim_key_write(&v->work[i].key, &record);
		bool fits = record.n < size;
		if (fits) { memcpy(to, buf_cstr(&record), record.n + 1); }
		buf_fini(&record);
		return fits ? DKIM_CBSTAT_CONTINUE : DKIM_CBSTAT_NOTFOUND;
	}
	return DKIM_CBSTAT_NOTFOUND; /* never the library's own resolver */
}

static bool open_library(void)
{
	dkim_opts_t flags = DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
	uint64_t skew_s = DKIM_SKEW_S;
	uint64_t random;
	if (library) { return true; }
	DKIM_LIB *l = dkim_init(NULL, NULL);
	if (!l) { return false; }
	if (dkim_options(l, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags) ||
		dkim_options(l, DKIM_OP_SETOPT, DKIM_OPTS_CLOCKDRIFT, &skew_s, sizeof skew_s) ||
		dkim_set_key_lookup(l, give_key)) {
		dkim_close(l);
		return false;
	}
	random_bytes(&random, sizeof random);
	snprintf(first_field, sizeof first_field, "X-%016llx: x", (unsigned long long)random);
	library = l;
	return true;
}

static bool is_ours(const struct dkim_work *w)
{
	return w->open && !w->signature.beyond_lib;
}

static void refuse(struct dkim_verify *v, struct dkim_work *w, const char *why)
{
	dkim_decide(w, DKIM_RESULT_NEUTRAL,
		arena_fmt(&v->arena, "libopendkim: %s", why ? why : "unknown error"));
}

static void refuse_all(struct dkim_verify *v, DKIM_STAT rc)
{
	for (size_t i = 0; i < v->work_n; i++) {
		if (is_ours(&v->work[i])) { refuse(v, &v->work[i], dkim_getresultstr(rc)); }
	}
}

static DKIM_STAT feed_field(struct dkim_verify *v, struct str field)
{
	/* dkim_header copies; its parameter is merely not const */
	return dkim_header(v->lib->dkim, (unsigned char *)(uintptr_t)field.p, field.n);
}

/* Each name's fields in their order; between names order means nothing. */
static DKIM_STAT feed_header(struct dkim_verify *v)
{
	const struct dkim_named *f;
	size_t at = 0;
	DKIM_STAT rc = feed_field(v, str_of(first_field));
	while (rc == DKIM_STAT_OK && (f = map_next(&v->named, &at, NULL))) {
		if (str_eq(f->name, STR("dkim-signature")) || f->damaged) { continue; }
		for (size_t i = 0; i < f->have && rc == DKIM_STAT_OK; i++) {
			rc = feed_field(v, f->field[i]);
		}
	}
	for (size_t i = 0; i < v->work_n && rc == DKIM_STAT_OK; i++) {
		struct dkim_work *w = &v->work[i];
		if (is_ours(w) &&
			feed_field(v, w->field) != DKIM_STAT_OK) { /* not the others' fault */
			refuse(v, w, dkim_geterror(v->lib->dkim));
		}
	}
	return rc ? rc : dkim_eoh(v->lib->dkim);
}

static bool says(DKIM_SIGINFO *info, const char *tag, struct str value)
{
	const unsigned char *p = dkim_sig_gettagvalue(info, false, (unsigned char *)(uintptr_t)tag);
	return p && str_eq(str_of((const char *)p), value);
}

/* The library's list is in the order in which we fed, but may have holes. */
static void find_signatures(struct dkim_verify *v)
{
	DKIM_SIGINFO **list = NULL;
	int n = 0, at = 0;
	if (dkim_getsiglist(v->lib->dkim, &list, &n) != DKIM_STAT_OK) { n = 0; }
	for (size_t i = 0; i < v->work_n; i++) {
		struct dkim_work *w = &v->work[i];
		if (!is_ours(w)) { continue; }
		while (at < n && !(says(list[at], "b", w->signature.b) &&
					 says(list[at], "d", w->signature.d) &&
					 says(list[at], "s", w->signature.s))) {
			dkim_sig_ignore(list[at++]);
		}
		w->lib = at < n ? list[at++] : NULL;
		int error = w->lib ? dkim_sig_geterror(w->lib) : DKIM_SIGERROR_OK;
		if (error != DKIM_SIGERROR_UNKNOWN) {
			refuse(v, w,
				w->lib ? dkim_sig_geterrorstr(error)
				       : "does not see the signature");
		}
	}
	while (at < n) { dkim_sig_ignore(list[at++]); }
}

void dkim_lib_header(struct dkim_verify *v)
{
	DKIM_STAT rc = DKIM_STAT_NORESOURCE;
	bool any = false;
	for (size_t i = 0; i < v->work_n; i++) { any |= is_ours(&v->work[i]); }
	if (!any) { return; }
	v->lib = arena_new(&v->arena, struct dkim_lib_message);
	if (open_library()) {
		v->lib->dkim = dkim_verify(library, (const unsigned char *)"message", NULL, &rc);
	}
	if (v->lib->dkim) {
		dkim_set_user_context(v->lib->dkim, v);
		rc = feed_header(v);
	}
	if (rc == DKIM_STAT_OK) {
		find_signatures(v);
	} else {
		refuse_all(v, rc);
		dkim_lib_free(v);
	}
}

void dkim_lib_body(struct dkim_verify *v, struct str octets)
{
	if (!v->lib) { return; }
	DKIM_STAT rc = dkim_body(v->lib->dkim, (unsigned char *)(uintptr_t)octets.p, octets.n);
	if (rc != DKIM_STAT_OK) {
		refuse_all(v, rc);
		dkim_lib_free(v);
	}
}

static void take_verdict(struct dkim_verify *v, struct dkim_work *w)
{
	int error = dkim_sig_geterror(w->lib);
	unsigned flags = dkim_sig_getflags(w->lib);
	bool signed_ok = (flags & DKIM_SIGFLAG_PASSED) != 0;
	if (error == DKIM_SIGERROR_OK && signed_ok && dkim_sig_getbh(w->lib) == DKIM_SIGBH_MATCH) {
		dkim_decide(w, DKIM_RESULT_PASS, STR("good signature"));
	} else if (dkim_sig_getbh(w->lib) == DKIM_SIGBH_MISMATCH) {
		dkim_decide(w, DKIM_RESULT_FAIL, STR("the body was changed"));
	} else if (error == DKIM_SIGERROR_BADSIG) {
		dkim_decide(w, DKIM_RESULT_FAIL,
			STR("the signature does not match the header and the key"));
	} else {
		dkim_decide(w, DKIM_RESULT_PERMERROR,
			arena_fmt(&v->arena, "libopendkim: %s", dkim_sig_geterrorstr(error)));
	}
}

void dkim_lib_end(struct dkim_verify *v)
{
	bool any = false;
	if (!v->lib) { return; }
	for (size_t i = 0; i < v->work_n; i++) {
		struct dkim_work *w = &v->work[i];
		if (w->lib && !w->open) { dkim_sig_ignore(w->lib); }
		any |= w->lib && w->open;
	}
	if (any) {
		(void)dkim_eom(v->lib->dkim, NULL); /* about all of them; we want to know each */
		for (size_t i = 0; i < v->work_n; i++) {
			if (v->work[i].lib && v->work[i].open) { take_verdict(v, &v->work[i]); }
		}
	}
	dkim_lib_free(v);
}

void dkim_lib_free(struct dkim_verify *v)
{
	if (!v->lib) { return; }
	if (v->lib->dkim) { dkim_free(v->lib->dkim); }
	v->lib = NULL;
	for (size_t i = 0; i < v->work_n; i++) { v->work[i].lib = NULL; }
	ERR_clear_error(); /* or the next TLS connection takes what failed here for its own */
}

void dkim_verify_prepare(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* or the first key loads it */
	(void)open_library();                                /* tried again at the first message */
}
