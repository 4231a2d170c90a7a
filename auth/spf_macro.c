/* SPF macros. Pure. RFC 7208 7. */
#include "auth/spf_private.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME_MAX_OCTETS = 253, PARTS_MAX = 512, KEPT = 1024 };

/* --- syntax --- */

/* One macro-expand. */
struct macro {
	char letter; /* lower case; '%', '_', '-' for the short forms */
	bool escape, reverse;
	unsigned parts; /* right-hand parts to keep, 0 = all */
	struct str delimiters;
};

/* Cut a macro-expand, which begins with '%', off the front. */
static int cut_macro(struct str *s, enum spf_macro_use use, struct macro *m)
{
	const char *letters = use == SPFUSE_DOMAIN ? "slodiphv" : "slodiphvcrt";
	size_t i = 3;
	*m = (struct macro){.delimiters = STR("")};
	if (s->n < 2) { return ERR_SYNTAX; }
	if (strchr("%_-", s->p[1]) && s->p[1]) {
		m->letter = s->p[1];
		*s = str_skip(*s, 2);
		return 0;
	}
	if (s->p[1] != '{' || s->n < 4 || !ascii_alpha(s->p[2])) { return ERR_SYNTAX; }
	m->letter = ascii_lower(s->p[2]);
	m->escape = s->p[2] != m->letter;
	if (!strchr(letters, m->letter)) { return ERR_SYNTAX; }
	for (; i < s->n && ascii_digit(s->p[i]); i++) {
		m->parts = MIN(m->parts * 10 + (unsigned)(s->p[i] - '0'), (unsigned)PARTS_MAX);
	}
	if (i > 3 && m->parts == 0) { return ERR_SYNTAX; } /* 7.3: MUST be nonzero */
	if (i < s->n && ascii_lower(s->p[i]) == 'r') {
		m->reverse = true;
		i++;
	}
	size_t from = i;
	while (i < s->n && s->p[i] && strchr(".-+,/_=", s->p[i])) { i++; }
	if (i == s->n || s->p[i] != '}') { return ERR_SYNTAX; }
	m->delimiters = str_sub(*s, from, i - from);
	*s = str_skip(*s, i + 1);
	return 0;
}

static bool alphanum(char c)
{
	return ascii_alpha(c) || ascii_digit(c);
}

static bool is_toplabel(struct str s)
{
	bool special = false; /* a letter, or a hyphen inside */
	if (s.n == 0 || !alphanum(s.p[0]) || !alphanum(s.p[s.n - 1])) { return false; }
	for (size_t i = 0; i < s.n; i++) {
		if (!alphanum(s.p[i]) && s.p[i] != '-') { return false; }
		special |= !ascii_digit(s.p[i]);
	}
	return special;
}

/* What stands behind the last macro of a domain-spec ends it: "." toplabel [ "." ]. */
static bool ends_domain(struct str literal)
{
	if (str_ends(literal, STR("."))) { literal.n--; }
	ptrdiff_t dot = str_rchr(literal, '.');
	return dot >= 0 && is_toplabel(str_skip(literal, (size_t)dot + 1));
}

int spf_macro_check(struct str s, enum spf_macro_use use, struct err *e)
{
	struct macro m;
	struct str literal = STR("");
	if (s.n == 0 && use == SPFUSE_DOMAIN) { return err_set(e, ERR_SYNTAX, "no domain"); }
	while (s.n) {
		char c = s.p[0];
		if (c == '%') {
			if (cut_macro(&s, use, &m) < 0) {
				return err_set(e, ERR_SYNTAX, "a wrong macro");
			}
			literal = STR("");
		} else if ((c >= '!' && c <= '~') || (c == ' ' && use == SPFUSE_TEXT)) {
			literal = str_make(literal.n ? literal.p : s.p, literal.n + 1);
			s = str_skip(s, 1);
		} else {
			return err_set(e, ERR_SYNTAX, "an octet that is no visible US-ASCII");
		}
	}
	if (use == SPFUSE_DOMAIN && literal.n && !ends_domain(literal)) {
		return err_set(e, ERR_SYNTAX, "a domain that does not end in a top-level label");
	}
	return 0;
}

bool spf_macro_uses(struct str s, const char *letters)
{
	struct macro m;
	while (s.n) {
		if (s.p[0] != '%') {
			s = str_skip(s, 1);
		} else if (cut_macro(&s, SPFUSE_TEXT, &m) < 0) {
			return false;
		} else if (strchr(letters, m.letter)) {
			return true;
		}
	}
	return false;
}

/* --- values --- */

/* %{i}: dotted, for IPv6 one nibble a part. */
static void dotted(const struct net_addr *a, struct buf *out)
{
	char ip[NET_ADDR_TEXT];
	if (a->sa.sa_family != AF_INET6) {
		buf_str(out, str_of(net_addr_ip(a, ip)));
		return;
	}
	for (size_t i = 0; i < 16; i++) {
		unsigned octet = a->in6.sin6_addr.s6_addr[i];
		buf_fmt(out, "%s%X.%X", i ? "." : "", octet >> 4, octet & 15);
	}
}

static void value_of(char letter, const struct spf_vars *v, struct buf *out)
{
	char ip[NET_ADDR_TEXT];
	switch (letter) {
	case 's': buf_str(out, v->sender); break;
	case 'l': buf_str(out, v->local); break;
	case 'o': buf_str(out, v->sender_domain); break;
	case 'd': buf_str(out, v->domain); break;
	case 'i': dotted(&v->client, out); break;
	case 'p': buf_str(out, v->validated); break;
	case 'h': buf_str(out, v->helo); break;
	case 'r': buf_str(out, v->receiver); break;
	case 'v':
		buf_str(out, v->client.sa.sa_family == AF_INET6 ? STR("ip6") : STR("in-addr"));
		break;
	case 'c': buf_str(out, str_of(net_addr_ip(&v->client, ip))); break;
	case 't': buf_fmt(out, "%" PRId64, v->now_us / SECOND_US); break;
	default: break;
	}
}

static bool is_delimiter(struct str delimiters, char c)
{
	return str_chr(delimiters, c) >= 0;
}

/* Split, reverse, drop parts on the left, join with dots. Runs of delimiters make empty parts. */
static void transform(const struct macro *m, struct str value, struct buf *out)
{
	struct str parts[PARTS_MAX];
	struct str delimiters = m->delimiters.n ? m->delimiters : STR(".");
	size_t n = 0, from = 0;
	for (size_t i = 0; i <= value.n && n < PARTS_MAX; i++) {
		if (i < value.n && !is_delimiter(delimiters, value.p[i])) { continue; }
		parts[n++] = str_sub(value, from, i - from);
		from = i + 1;
	}
	size_t keep = m->parts ? MIN(m->parts, n) : n;
	for (size_t i = n - keep; i < n; i++) {
		if (i > n - keep) { buf_chr(out, '.'); }
		buf_str(out, parts[m->reverse ? n - 1 - i : i]);
	}
}

static void escape(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (alphanum(c) || (c && strchr("-._~", c))) { /* unreserved, RFC 3986 2.3 */
			buf_chr(out, c);
		} else {
			buf_fmt(out, "%%%02X", (unsigned char)c);
		}
	}
}

static void expand_macro(const struct macro *m, const struct spf_vars *v, struct buf *out)
{
	struct buf value = {0}, parts = {0};
	struct str s;
	switch (m->letter) {
	case '%': buf_chr(out, '%'); return;
	case '_': buf_chr(out, ' '); return;
	case '-': buf_str(out, STR("%20")); return;
	default: break;
	}
	value_of(m->letter, v, &value);
	s = buf_view(&value);
	if (m->parts || m->reverse || m->delimiters.n) {
		transform(m, s, &parts);
		s = buf_view(&parts);
	}
	if (m->escape) {
		escape(s, out);
	} else {
		buf_str(out, s);
	}
	buf_fini(&value);
	buf_fini(&parts);
}

/* 7.3: labels go from the left until 253 octets are left. */
static void fit_name(struct buf *name)
{
	if (name->n && name->p[name->n - 1] == '.') { name->n--; }
	while (name->n > NAME_MAX_OCTETS) {
		ptrdiff_t dot = str_chr(buf_view(name), '.');
		if (dot < 0) { return; } /* one label: cannot be asked for anyway */
		buf_drop(name, (size_t)dot + 1);
	}
	for (size_t i = 0; i < name->n; i++) { name->p[i] = ascii_lower(name->p[i]); }
}

void spf_macro_expand(
	struct str s, enum spf_macro_use use, const struct spf_vars *v, size_t max, struct buf *out)
{
	struct macro m;
	while (s.n) {
		if (s.p[0] != '%') {
			buf_chr(out, s.p[0]);
			s = str_skip(s, 1);
		} else if (cut_macro(&s, SPFUSE_TEXT, &m) == 0) {
			expand_macro(&m, v, out);
		} else {
			break;
		}
		if (use != SPFUSE_DOMAIN && out->n > max) {
			out->n = max;
			return;
		}
		/* only the end of a name counts: what a record repeats must not grow */
		if (use == SPFUSE_DOMAIN && out->n > 2 * KEPT) { buf_drop(out, out->n - KEPT); }
	}
	if (use == SPFUSE_DOMAIN) { fit_name(out); }
}
