/* Domain names in one form, by libidn2. Pure functions, every role. */
#include "lib/idn.h"

#include <idn2.h>

#include "lib/charset.h"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63, UTF8_MAX = 4 * DOMAIN_MAX };

static bool label_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_';
}

static int ascii_domain(struct str s, struct arena *a, struct str *out)
{
	size_t label = 0;
	if (str_ends(s, STR("."))) { s.n--; }
	if (s.n == 0 || s.n > DOMAIN_MAX) { return ERR_SYNTAX; }
	char *p = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++) {
		bool dot = s.p[i] == '.';
		if (dot ? label == 0 : !label_char(s.p[i])) { return ERR_SYNTAX; }
		label = dot ? 0 : label + 1;
		if (label > LABEL_MAX) { return ERR_SYNTAX; }
		p[i] = ascii_lower(s.p[i]);
	}
	if (label == 0) { return ERR_SYNTAX; }
	*out = str_make(p, s.n);
	return 0;
}

int idn_domain(struct str domain, struct arena *a, struct str *out)
{
	if (str_ascii(domain)) { return ascii_domain(domain, a, out); }
	if (domain.n > UTF8_MAX || str_chr(domain, '\0') >= 0 || !utf8_valid(domain)) {
		return ERR_SYNTAX;
	}
	uint8_t *ascii = NULL;
	int rc = idn2_lookup_u8((const uint8_t *)arena_cstr(a, domain), &ascii,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK) { return ERR_SYNTAX; }
	rc = ascii_domain(str_of((char *)ascii), a, out);
	idn2_free(ascii);
	return rc;
}

bool idn_within(struct str domain, struct str top)
{
	if (!str_iends(domain, top)) { return false; }
	return domain.n == top.n || domain.p[domain.n - top.n - 1] == '.';
}
