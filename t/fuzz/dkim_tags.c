/* DKIM tag lists: a signature up to the first NUL, then a key record. What was read is within its
   bounds; a key that was accepted reads the same after having been written for libopendkim. */
#include "auth/dkim_tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now_us = INT64_C(1700000000) * SECOND_US;

static void lists(struct str s)
{
	struct dkim_tags tags;
	for (int utf8 = 0; utf8 < 2; utf8++) {
		int rc = dkim_tags_parse(s, utf8, &tags);
		assert(tags.n <= DKIM_TAGS_MAX && (rc < 0 || tags.n > 0));
		for (size_t i = 0; rc == 0 && i < tags.n; i++) {
			struct str v;
			assert(dkim_tag_find(&tags, tags.tag[i].name, &v));
			assert(str_eq(v, tags.tag[i].value));
		}
	}
}

static void acceptable(const struct dkim_signature *s)
{
	assert(s->algorithm == DKIM_RSA_SHA256 || s->algorithm == DKIM_ED25519_SHA256);
	assert(s->domain.n && s->domain.n <= 253 && s->selector.n && s->selector.n <= 253);
	assert(str_iends(s->identity_domain, s->domain) && str_chr(s->domain, '.') > 0);
	assert(s->body_hash.n == 32 && s->signature.n && s->b.n);
	assert(s->fields_n && s->fields_n <= DKIM_FIELDS_MAX);
	assert(dkim_signature_covers(s, STR("from")));
}

static void same_key(const struct dkim_key *k, const struct dkim_signature *s, struct arena *a)
{
	struct buf record = {0};
	struct dkim_key again;
	dkim_key_write(k, &record);
	assert(record.n < 1024); /* what fits into libopendkim's buffer */
	struct dkim_flaw flaw = dkim_key_parse(buf_view(&record), s, a, &again);
	assert(!flaw.why && again.bits == k->bits && str_eq(again.key, k->key));
	buf_fini(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(size ? (const char *)data : "", size), value;
	struct arena a = {0};
	struct dkim_signature s, rsa = {.algorithm = DKIM_RSA_SHA256},
				 ed = {.algorithm = DKIM_ED25519_SHA256};
	struct dkim_key k;
	str_cut(&rest, '\0', &value);
	lists(value);
	lists(rest);
	struct dkim_flaw flaw = dkim_signature_parse(value, now_us, &a, &s);
	if (!flaw.why) { acceptable(&s); }
	const struct dkim_signature *as[] = {&s, &rsa, &ed};
	for (size_t i = 0; i < COUNT(as); i++) {
		flaw = dkim_key_parse(rest, as[i], &a, &k);
		if (!flaw.why) { same_key(&k, as[i], &a); }
	}
	arena_fini(&a);
	return 0;
}
