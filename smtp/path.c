/* Envelope addresses as text. Runs in mx and submit. Never looks anything up. */
#include "smtp/path.h"

#include "lib/charset.h"
#include "lib/net.h"

/* RFC 5322 3.2.3 atext, and RFC 6531 3.3: any octet of UTF-8. */
static bool is_atext(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || (unsigned char)c >= 0x80 ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_let_dig(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_label(struct str s)
{
	if (s.n == 0 || s.n > PATH_LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-') {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (!is_let_dig(s.p[i]) && s.p[i] != '-') { return false; }
	}
	return true;
}

bool path_is_domain(struct str s)
{
	struct str label;
	bool more = s.n > 0 && s.n <= PATH_DOMAIN_MAX;
	bool good = more && utf8_valid(s);
	while (good && more) {
		more = str_cut(&s, '.', &label);
		good = is_label(label);
	}
	return good;
}

bool path_is_literal(struct str s)
{
	struct net_addr addr;
	if (s.n < 3 || s.p[0] != '[' || s.p[s.n - 1] != ']') { return false; }
	struct str ip = str_sub(s, 1, s.n - 2);
	bool v6 = str_istarts(ip, STR("IPv6:"));
	if (v6) { ip = str_skip(ip, 5); }
	for (size_t i = 0; i < ip.n; i++) { /* a port or a second bracket has no place here */
		if (!ascii_digit(ip.p[i]) && ip.p[i] != '.' &&
			!(v6 && (ip.p[i] == ':' || ascii_alpha(ip.p[i])))) {
			return false;
		}
	}
	return net_addr_parse(ip, 0, &addr) == 0 && (addr.sa.sa_family == AF_INET6) == v6;
}

static bool is_dot_string(struct str s)
{
	struct str atom;
	bool more = true;
	while (more) {
		more = str_cut(&s, '.', &atom);
		for (size_t i = 0; i < atom.n; i++) {
			if (!is_atext(atom.p[i])) { return false; }
		}
		if (atom.n == 0) { return false; }
	}
	return true;
}

/* Unquote into `out` (room for `s`). *rest stands behind the closing quote. */
static int cut_quoted(struct str *rest, char *out, size_t *n_out)
{
	size_t i = 1, n = 0;
	for (; i < rest->n && rest->p[i] != '"'; i++) {
		unsigned char c = (unsigned char)rest->p[i];
		if (c == '\\') {
			if (++i == rest->n) { return ERR_SYNTAX; }
			c = (unsigned char)rest->p[i];
			if (c >= 0x80) { return ERR_SYNTAX; }
		}
		if (c < 0x20 || c == 0x7f) { return ERR_SYNTAX; }
		out[n++] = (char)c;
	}
	if (i == rest->n) { return ERR_SYNTAX; }
	*rest = str_skip(*rest, i + 1);
	*n_out = n;
	return 0;
}

static int cut_local(struct str *rest, struct arena *a, struct str *out)
{
	if (rest->n && rest->p[0] == '"') {
		size_t n;
		char *p = arena_alloc(a, rest->n);
		int rc = cut_quoted(rest, p, &n);
		if (rc == 0) { *out = str_make(p, n); }
		return rc;
	}
	size_t n = 0;
	while (n < rest->n && (is_atext(rest->p[n]) || rest->p[n] == '.')) { n++; }
	*out = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, n);
	return is_dot_string(*out) ? 0 : ERR_SYNTAX;
}

static int cut_domain(struct str *rest, struct arena *a, struct path *out)
{
	size_t n = 0;
	out->literal = rest->n && rest->p[0] == '[';
	while (n < rest->n && rest->p[n] != '>' && rest->p[n] != ' ') { n++; }
	struct str s = str_sub(*rest, 0, n);
	if (n > PATH_DOMAIN_MAX) { return ERR_LIMIT; }
	if (!(out->literal ? path_is_literal(s) : path_is_domain(s))) { return ERR_SYNTAX; }
	char *p = arena_alloc(a, n);
	for (size_t i = 0; i < n; i++) { p[i] = ascii_lower(s.p[i]); }
	out->domain = str_make(p, n);
	*rest = str_skip(*rest, n);
	return 0;
}

static struct str join(const struct path *p, struct arena *a)
{
	struct str local = p->local;
	if (is_dot_string(local)) {
		return arena_fmt(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(p->domain));
	}
	char *q = arena_alloc(a, 2 * local.n + 2);
	size_t n = 0;
	q[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\') { q[n++] = '\\'; }
		q[n++] = local.p[i];
	}
	q[n++] = '"';
	return arena_fmt(a, "%.*s@%.*s", (int)n, q, STR_ARG(p->domain));
}

static int cut_mailbox(struct str *rest, struct arena *a, struct path *out)
{
	if (rest->n > 2 * PATH_MAX_LEN) { *rest = str_sub(*rest, 0, 2 * PATH_MAX_LEN); }
	int rc = cut_local(rest, a, &out->local);
	if (rc < 0) { return rc; }
	if (rest->n == 0 || rest->p[0] != '@') {
		bool postmaster = str_ieq(out->local, STR("postmaster"));
		out->kind = PATH_POSTMASTER;
		out->text = out->local = STR("postmaster");
		return postmaster ? 0 : ERR_SYNTAX;
	}
	*rest = str_skip(*rest, 1);
	rc = cut_domain(rest, a, out);
	if (rc < 0) { return rc; }
	if (!utf8_valid(out->local)) { return ERR_SYNTAX; }
	out->kind = PATH_MAILBOX;
	out->local = arena_dup(a, out->local);
	out->text = join(out, a);
	out->utf8 = !str_ascii(out->text);
	return out->text.n <= PATH_MAX_LEN ? 0 : ERR_LIMIT;
}

/* "@a,@b:" */
static int skip_route(struct str *rest)
{
	struct str hop, route = *rest;
	if (route.n == 0 || route.p[0] != '@') { return 0; }
	ptrdiff_t colon = str_chr(str_sub(route, 0, PATH_ROUTE_MAX), ':');
	if (colon < 0) { return ERR_SYNTAX; }
	*rest = str_skip(route, (size_t)colon + 1);
	route = str_sub(route, 0, (size_t)colon);
	for (bool more = true; more;) {
		more = str_cut(&route, ',', &hop);
		if (hop.n < 2 || hop.p[0] != '@' || !path_is_domain(str_skip(hop, 1))) {
			return ERR_SYNTAX;
		}
	}
	return 0;
}

int path_parse(struct str *rest, struct arena *a, struct path *out)
{
	*out = (struct path){.kind = PATH_NULL, .text = STR("")};
	if (rest->n < 2 || rest->p[0] != '<') { return ERR_SYNTAX; }
	struct str in = str_skip(*rest, 1);
	const char *end = in.p + in.n;
	int rc = skip_route(&in);
	if (rc == 0 && (in.n == 0 || in.p[0] != '>' || in.p != rest->p + 1)) {
		rc = cut_mailbox(&in, a, out);
	}
	if (rc < 0) { return rc; }
	if (in.n == 0 || in.p[0] != '>') { return ERR_SYNTAX; }
	*rest = str_make(in.p + 1, (size_t)(end - in.p - 1));
	return 0;
}

int path_parse_mailbox(struct str s, struct arena *a, struct path *out)
{
	*out = (struct path){.kind = PATH_NULL, .text = STR("")};
	if (s.n > PATH_MAX_LEN) { return ERR_LIMIT; }
	int rc = cut_mailbox(&s, a, out);
	return rc < 0 ? rc : s.n || out->kind != PATH_MAILBOX ? ERR_SYNTAX : 0;
}
