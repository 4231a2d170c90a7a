/* DKIM key records. Pure; the octets are whatever stands in the DNS. RFC 6376 3.6.1, 6.1.2; RFC
   8301; RFC 8463. */
#include "auth/dkim_tags.h"
#include "lib/codec.h"

/* --- DER (X.690), as much as an RSA key takes --- */

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30 };

/* Cut the next element, which must be of that type, off *rest; its content. */
static bool der_next(struct str *rest, unsigned char type, struct str *content_out)
{
	if (rest->n < 2 || (unsigned char)rest->p[0] != type) { return false; }
	size_t n = (unsigned char)rest->p[1], head = 2;
	if (n & 0x80) {
		size_t octets = n & 0x7f;
		if (octets == 0 || octets > 2 || rest->n < 2 + octets) { return false; }
		n = 0;
		for (size_t i = 0; i < octets; i++) { n = n << 8 | (unsigned char)rest->p[2 + i]; }
		head += octets;
	}
	if (n > rest->n - head) { return false; }
	*content_out = str_sub(*rest, head, n);
	*rest = str_skip(*rest, head + n);
	return true;
}

/* A positive INTEGER without leading zeros; its bits. */
static bool der_positive(struct str *rest, struct str *octets_out, unsigned *bits_out)
{
	struct str v;
	if (!der_next(rest, DER_INTEGER, &v) || v.n == 0 || (v.p[0] & 0x80)) { return false; }
	if (v.p[0] == 0) { v = str_skip(v, 1); }
	if (v.n == 0 || v.p[0] == 0) { return false; }
	*bits_out = (unsigned)(v.n * 8);
	for (unsigned char top = (unsigned char)v.p[0]; !(top & 0x80);
		top = (unsigned char)(top << 1)) {
		--*bits_out;
	}
	*octets_out = v;
	return true;
}

static const char rsa_id[] = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
#define RSA_ID str_make(rsa_id, sizeof rsa_id - 1) /* AlgorithmIdentifier rsaEncryption, NULL */

/* RSAPublicKey (RFC 8017 A.1.1): bits of the modulus; 0 when it is none we would work with. */
static unsigned rsa_bits(struct str der)
{
	struct str body, n, e;
	unsigned bits = 0, e_bits = 0;
	if (!der_next(&der, DER_SEQUENCE, &body) || der.n || !der_positive(&body, &n, &bits) ||
		!der_positive(&body, &e, &e_bits) || body.n) {
		return 0;
	}
	bool odd = (n.p[n.n - 1] & 1) && (e.p[e.n - 1] & 1);
	return odd && e_bits > 1 && e.n <= DKIM_RSA_EXPONENT_MAX ? bits : 0;
}

static void der_head(unsigned char type, size_t n, struct buf *out)
{
	buf_chr(out, (char)type);
	if (n >= 0x100) {
		buf_chr(out, (char)0x82);
		buf_chr(out, (char)(n >> 8));
	} else if (n >= 0x80) {
		buf_chr(out, (char)0x81);
	}
	buf_chr(out, (char)n);
}

static size_t der_size(size_t n)
{
	return n + (n >= 0x100 ? 4 : n >= 0x80 ? 3 : 2);
}

/* SubjectPublicKeyInfo around an RSAPublicKey. */
static struct str rsa_wrap(struct str rsa, struct arena *a)
{
	struct buf out = {0};
	der_head(DER_SEQUENCE, RSA_ID.n + der_size(rsa.n + 1), &out);
	buf_str(&out, RSA_ID);
	der_head(DER_BIT_STRING, rsa.n + 1, &out);
	buf_chr(&out, 0);
	buf_str(&out, rsa);
	struct str spki = arena_dup(a, buf_view(&out));
	buf_fini(&out);
	return spki;
}

/* RFC 6376 says RSAPublicKey, its examples and everybody's records are SubjectPublicKeyInfo: both.
 */
static bool take_rsa(struct str der, struct arena *a, struct dkim_key *k)
{
	struct str rest = der, body, bits;
	if (der_next(&rest, DER_SEQUENCE, &body) && rest.n == 0 && str_starts(body, RSA_ID)) {
		body = str_skip(body, RSA_ID.n);
		if (!der_next(&body, DER_BIT_STRING, &bits) || body.n || bits.n == 0 || bits.p[0]) {
			return false;
		}
		k->bits = rsa_bits(str_skip(bits, 1));
		k->key = der;
	} else {
		k->bits = rsa_bits(der);
		k->key = k->bits && der.n < 0xff00 ? rsa_wrap(der, a) : STR("");
	}
	return k->bits > 0;
}

/* --- records --- */

/* Is one of the colon-separated words among these? */
static bool lists(struct str list, struct str a, struct str b)
{
	struct str one;
	for (bool more = true; more;) {
		more = str_cut(&list, ':', &one);
		one = dkim_trim(one);
		if (str_ieq(one, a) || str_ieq(one, b)) { return true; }
	}
	return false;
}

static bool take_key(struct str p, struct arena *a, struct dkim_key *k)
{
	struct buf octets = {0};
	int rc = base64_decode(dkim_without_white(p, a), &octets);
	struct str der = arena_dup(a, buf_view(&octets));
	buf_fini(&octets);
	if (rc < 0) { return false; }
	if (!k->ed25519) { return take_rsa(der, a, k); }
	k->key = der;
	k->bits = 256;
	return der.n == 32;
}

/* What the tags say about use, before the key itself is looked at. NULL = fine. */
static const char *judge_use(
	const struct dkim_tags *tags, const struct dkim_signature *s, struct dkim_key *k)
{
	struct str v;
	bool wants_ed25519 = s->algorithm == DKIM_ED25519_SHA256;
	if (dkim_tag_find(tags, STR("v"), &v) &&
		(!str_eq(v, STR("DKIM1")) || !str_eq(tags->tag[0].name, STR("v")))) {
		return "the key record is not of version DKIM1";
	}
	if (dkim_tag_find(tags, STR("k"), &v)) {
		k->ed25519 = str_ieq(v, STR("ed25519"));
		if (!k->ed25519 && !str_ieq(v, STR("rsa"))) {
			return "the type of the key is unknown";
		}
	}
	if (k->ed25519 != wants_ed25519) { return "the key is of another type than a= says"; }
	if (dkim_tag_find(tags, STR("h"), &v) && !lists(v, STR("sha256"), STR("sha256"))) {
		return "the key is for other hashes (h=)";
	}
	if (dkim_tag_find(tags, STR("s"), &v) && !lists(v, STR("*"), STR("email"))) {
		return "the key is not for mail (s=)";
	}
	if (dkim_tag_find(tags, STR("t"), &v)) {
		k->testing = lists(v, STR("y"), STR("y"));
		k->no_subdomain = lists(v, STR("s"), STR("s"));
	}
	if (k->no_subdomain && !str_ieq(s->identity_domain, s->domain)) {
		return "i= is a subdomain, which the key does not allow (t=s)";
	}
	return NULL;
}

static struct dkim_flaw judge_bits(const struct dkim_key *k)
{
	struct dkim_flaw flaw = {DKIM_RESULT_POLICY, NULL};
	if (!k->ed25519 && k->bits < DKIM_RSA_BITS_MIN) {
		flaw.why = "the RSA key is shorter than 1024 bits (RFC 8301)";
	} else if (!k->ed25519 && k->bits > DKIM_RSA_BITS_MAX) {
		flaw.why = "the RSA key is longer than 4096 bits";
	}
	return flaw;
}

struct dkim_flaw dkim_key_parse(
	struct str text, const struct dkim_signature *s, struct arena *a, struct dkim_key *out)
{
	struct dkim_tags tags;
	struct dkim_flaw flaw = {DKIM_RESULT_PERMERROR, NULL};
	struct str p = STR("");
	*out = (struct dkim_key){0};
	if (text.n > DKIM_KEY_MAX) {
		flaw.why = "the key record is too long";
		return flaw;
	}
	if (dkim_tags_parse(text, true, &tags) < 0) { /* notes (n=) are in any language */
		flaw.why = "the key record is not a list of tags";
		return flaw;
	}
	out->is_key = dkim_tag_find(&tags, STR("p"), &p);
	if (!out->is_key) {
		flaw.why = "the key record holds no key (p=)";
		return flaw;
	}
	flaw.why = judge_use(&tags, s, out);
	if (flaw.why) { return flaw; }
	if (p.n == 0) {
		flaw.why = "the key has been revoked";
	} else if (!take_key(p, a, out)) {
		flaw.why = "the key cannot be read";
	}
	return flaw.why ? flaw : judge_bits(out);
}

void dkim_key_write(const struct dkim_key *k, struct buf *out)
{
	buf_fmt(out, "k=%s;p=", k->ed25519 ? "ed25519" : "rsa");
	base64_encode(k->key, out);
}
