/* A zone in memory that answers every question: for tests, `dev` and closed networks. Roles with
   DNS. No packet leaves; a name that is not in the text does not exist. */
#include <arpa/inet.h>

#include "lib/dns_private.h"

enum { TOKENS_MAX = 256, CHAIN_MAX = 10 };

struct record {
	struct record *next;
	enum dns_type type;
	uint32_t ttl;
	bool secure;
	struct str data;
	struct str target; /* CNAME: the name as text */
};

struct node {
	struct record *first, **tail;
	bool servfail, bogus;
};

struct dns_zone {
	struct map nodes; /* by name; names between an owner and the root exist, too */
	struct arena arena;
};

struct token {
	struct str text;
	bool quoted;
};

struct parser {
	struct dns_zone *zone;
	struct str in, origin;
	struct node *owner;
	uint32_t ttl;
	bool secure;
	unsigned line;
	struct token tokens[TOKENS_MAX];
	size_t n, at;
	struct err *e;
};

static int wrong(struct parser *p, const char *what)
{
	struct str t = p->at < p->n ? p->tokens[p->at].text : STR("");
	return err_set(p->e, ERR_SYNTAX, "dns.zone:%u: %s%s%.*s%s", p->line, what,
		t.n ? ": \"" : "", (int)MIN(t.n, 60), t.p, t.n ? "\"" : "");
}

/* --- tokens --- */

/* Cut a token off the front of the text; quotes may hold blanks, not line ends. */
static int take_token(struct parser *p)
{
	struct token t = {.quoted = p->in.p[0] == '"'};
	size_t i = t.quoted, from = i;
	for (; i < p->in.n && p->in.p[i] != '\n'; i++) {
		if (p->in.p[i] == '\\' && i + 1 < p->in.n) {
			i++;
		} else if (t.quoted ? p->in.p[i] == '"'
				    : strchr(" \t\r;()\"", p->in.p[i]) != NULL) {
			break;
		}
	}
	i = MIN(i, p->in.n);
	t.text = str_sub(p->in, from, i - from);
	bool open = t.quoted && (i == p->in.n || p->in.p[i] != '"');
	p->in = str_skip(p->in, i + t.quoted);
	if (open) { return wrong(p, "a quote is not closed"); }
	if (p->n == TOKENS_MAX) { return wrong(p, "too many fields"); }
	p->tokens[p->n++] = t;
	return 0;
}

static void skip_comment(struct parser *p)
{
	ptrdiff_t end = str_chr(p->in, '\n');
	p->in = str_skip(p->in, end < 0 ? p->in.n : (size_t)end);
}

/* The fields of one entry, over several lines inside parentheses. *blank_out: it began with white
   space, so the owner is that of the entry before. */
static int take_entry(struct parser *p, bool *blank_out)
{
	int depth = 0;
	p->n = p->at = 0;
	p->line++;
	*blank_out = p->in.n && (p->in.p[0] == ' ' || p->in.p[0] == '\t');
	while (p->in.n) {
		char c = p->in.p[0];
		if (c == ';') {
			skip_comment(p);
		} else if (c == '\n' && depth == 0) {
			break;
		} else if (strchr(" \t\r\n()", c)) {
			depth += c == '(' ? 1 : c == ')' ? -1 : 0;
			p->line += c == '\n';
			p->in = str_skip(p->in, 1);
		} else {
			int rc = take_token(p);
			if (rc < 0) { return rc; }
		}
		if (depth < 0) { return wrong(p, ") without ("); }
	}
	p->in = str_skip(p->in, 1);
	return depth ? wrong(p, "( without )") : 0;
}

/* --- fields --- */

static bool take_field(struct parser *p, struct token *out)
{
	if (p->at == p->n) { return false; }
	*out = p->tokens[p->at++];
	return true;
}

/* An absolute name in normal form; "" is the root. */
static int full_name(struct parser *p, struct str text, struct buf *out)
{
	struct buf joined = {0};
	bool relative = !str_ends(text, STR("."));
	if (str_chr(text, '\\') >= 0) { return ERR_SYNTAX; }
	if (str_eq(text, STR("."))) { return 0; }
	if (str_eq(text, STR("@"))) {
		buf_str(out, p->origin);
		return 0;
	}
	buf_str(&joined, text);
	if (relative && p->origin.n) { buf_fmt(&joined, ".%.*s", STR_ARG(p->origin)); }
	int rc = dns_name_normal(buf_view(&joined), out);
	buf_fini(&joined);
	return rc;
}

static int put_name(struct parser *p, struct str text, struct buf *out)
{
	struct buf name = {0};
	struct str left, label;
	int rc = full_name(p, text, &name);
	left = buf_view(&name);
	while (rc == 0 && left.n) {
		str_cut(&left, '.', &label);
		buf_chr(out, (char)label.n);
		buf_str(out, label);
	}
	buf_chr(out, '\0');
	buf_fini(&name);
	return rc;
}

static int put_number(struct str text, unsigned octets, struct buf *out)
{
	uint64_t v;
	if (!str_u64(text, (UINT64_C(1) << (8 * octets)) - 1, &v)) { return ERR_SYNTAX; }
	for (unsigned i = octets; i-- > 0;) { buf_chr(out, (char)(v >> (8 * i))); }
	return 0;
}

static int put_ip(int family, struct str text, struct buf *out)
{
	char ip[64] = "", raw[16];
	if (text.n >= sizeof ip) { return ERR_SYNTAX; }
	memcpy(ip, text.p, text.n);
	if (inet_pton(family, ip, raw) != 1) { return ERR_SYNTAX; }
	buf_add(out, raw, family == AF_INET ? 4 : 16);
	return 0;
}

/* A character-string, cut into several when it is longer than one can be. */
static int put_text(struct str text, struct buf *out)
{
	struct buf plain = {0};
	uint64_t v;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '\\' && str_u64(str_sub(text, i + 1, 3), 255, &v) && i + 3 < text.n) {
			c = (char)v;
			i += 3;
		} else if (c == '\\' && i + 1 < text.n) {
			c = text.p[++i];
		}
		buf_chr(&plain, c);
	}
	struct str left = buf_view(&plain);
	do {
		struct str piece = str_sub(left, 0, 255);
		buf_chr(out, (char)piece.n);
		buf_str(out, piece);
		left = str_skip(left, piece.n);
	} while (left.n);
	buf_fini(&plain);
	return 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, ascii_lower(c)) : NULL;
	return at ? (int)(at - digits) : -1;
}

static int put_hex(struct str text, struct buf *out)
{
	if (text.n % 2) { return ERR_SYNTAX; }
	for (size_t i = 0; i < text.n; i += 2) {
		int high = hex_digit(text.p[i]), low = hex_digit(text.p[i + 1]);
		if (high < 0 || low < 0) { return ERR_SYNTAX; }
		buf_chr(out, (char)(high << 4 | low));
	}
	return 0;
}

/* --- records --- */

/* Fields of RDATA: 4 6 addresses, n name, 1 2 l numbers of 1, 2, 4 octets, t x texts or hex digits
   up to the end. */
static const struct {
	const char *name;
	enum dns_type type;
	const char *fields;
} types[] = {
	{"A", DNS_A, "4"},
	{"AAAA", DNS_AAAA, "6"},
	{"CNAME", DNS_CNAME, "n"},
	{"MX", DNS_MX, "2n"},
	{"NS", DNS_NS, "n"},
	{"PTR", DNS_PTR, "n"},
	{"SOA", DNS_SOA, "nnlllll"},
	{"TLSA", DNS_TLSA, "111x"},
	{"TXT", DNS_TXT, "t"},
};

const char *dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < COUNT(types); i++) {
		if (types[i].type == type) { return types[i].name; }
	}
	return "?";
}

static int put_field(struct parser *p, char kind, struct str text, struct buf *out)
{
	switch (kind) {
	case '4': return put_ip(AF_INET, text, out);
	case '6': return put_ip(AF_INET6, text, out);
	case 'n': return put_name(p, text, out);
	case '1': return put_number(text, 1, out);
	case '2': return put_number(text, 2, out);
	case 'l': return put_number(text, 4, out);
	case 't': return put_text(text, out);
	default: return put_hex(text, out);
	}
}

static int put_rdata(struct parser *p, const char *fields, struct buf *out)
{
	struct token t;
	for (; *fields; fields++) {
		bool rest = *fields == 't' || *fields == 'x';
		do {
			if (!take_field(p, &t)) { return wrong(p, "a field is missing"); }
			if (put_field(p, *fields, t.text, out) < 0) {
				p->at--;
				return wrong(p, "not understood");
			}
		} while (rest && p->at < p->n);
	}
	return p->at < p->n ? wrong(p, "one field too many") : 0;
}

/* The node of a name; the names above it come to exist as well. */
static struct node *node_of(struct dns_zone *z, struct str name)
{
	struct node *node = map_get(&z->nodes, name), *above = node;
	struct str parent = name, label;
	while (!above) {
		struct str own = arena_dup(&z->arena, parent);
		above = arena_new(&z->arena, struct node);
		above->tail = &above->first;
		map_put(&z->nodes, own, above);
		node = node ? node : above;
		if (parent.n == 0) { break; }
		str_cut(&parent, '.', &label);
		above = map_get(&z->nodes, parent);
	}
	return node;
}

static int add_record(struct parser *p, uint32_t ttl, size_t type)
{
	struct buf data = {0};
	struct arena *a = &p->zone->arena;
	int rc = put_rdata(p, types[type].fields, &data);
	if (rc == 0) {
		struct record *r = arena_new(a, struct record);
		*r = (struct record){.type = types[type].type,
			.ttl = ttl,
			.secure = p->secure,
			.data = arena_dup(a, buf_view(&data))};
		if (r->type == DNS_CNAME) { rc = dns_rdata_name(r->data, 0, a, &r->target); }
		*p->owner->tail = r;
		p->owner->tail = &r->next;
	}
	buf_fini(&data);
	return rc;
}

static int take_directive(struct parser *p, struct str word)
{
	struct token t;
	struct buf name = {0};
	uint64_t ttl;
	int rc = 0;
	if (!take_field(p, &t)) { return wrong(p, "a field is missing"); }
	if (str_ieq(word, STR("$ORIGIN"))) {
		rc = full_name(p, t.text, &name);
		p->origin = arena_dup(&p->zone->arena, buf_view(&name));
	} else if (str_ieq(word, STR("$TTL")) && str_u64(t.text, INT32_MAX, &ttl)) {
		p->ttl = (uint32_t)ttl;
	} else if (str_ieq(word, STR("$SECURE"))) {
		p->secure = str_ieq(t.text, STR("yes"));
	} else {
		rc = ERR_SYNTAX;
	}
	buf_fini(&name);
	if (rc == 0 && p->at == p->n) { return 0; }
	p->at = 0;
	return wrong(p, "not understood");
}

static int take_owner(struct parser *p)
{
	struct token t;
	struct buf name = {0};
	take_field(p, &t);
	int rc = full_name(p, t.text, &name);
	if (rc == 0) { p->owner = node_of(p->zone, buf_view(&name)); }
	buf_fini(&name);
	if (rc < 0) {
		p->at--;
		return wrong(p, "not a name");
	}
	return 0;
}

/* [TTL] [IN] TYPE RDATA, the first two in any order. */
static int take_record(struct parser *p)
{
	struct token t;
	uint64_t ttl = p->ttl;
	if (!p->owner) { return wrong(p, "the first record needs a name"); }
	for (;;) {
		if (!take_field(p, &t)) { return wrong(p, "a type is missing"); }
		if (!str_ieq(t.text, STR("IN")) && !str_u64(t.text, INT32_MAX, &ttl)) { break; }
	}
	for (size_t i = 0; i < COUNT(types); i++) {
		if (str_ieq(t.text, str_of(types[i].name))) {
			return add_record(p, (uint32_t)ttl, i);
		}
	}
	bool bogus = str_ieq(t.text, STR("BOGUS"));
	if (!bogus && !str_ieq(t.text, STR("SERVFAIL"))) {
		p->at--;
		return wrong(p, "unknown type");
	}
	p->owner->bogus |= bogus;
	p->owner->servfail = true;
	return 0;
}

static int take_line(struct parser *p)
{
	bool blank;
	int rc = take_entry(p, &blank);
	if (rc < 0 || p->n == 0) { return rc; }
	if (!p->tokens[0].quoted && p->tokens[0].text.n && p->tokens[0].text.p[0] == '$') {
		struct token word;
		take_field(p, &word);
		return take_directive(p, word.text);
	}
	rc = blank ? 0 : take_owner(p);
	return rc < 0 ? rc : take_record(p);
}

struct dns_zone *dns_zone_new(struct str text, struct err *e)
{
	struct parser *p = xnew(struct parser);
	struct dns_zone *z = p->zone = xnew(struct dns_zone);
	int rc = 0;
	p->in = text;
	p->e = e;
	p->origin = STR("");
	node_of(z, STR(""));
	while (rc == 0 && p->in.n) { rc = take_line(p); }
	free(p);
	if (rc < 0) {
		dns_zone_free(z);
		return NULL;
	}
	return z;
}

void dns_zone_free(struct dns_zone *z)
{
	if (!z) { return; }
	map_fini(&z->nodes);
	arena_fini(&z->arena);
	free(z);
}

/* --- answers --- */

/* RFC 4592: a wildcard below the closest name that exists. */
static const struct node *find(const struct dns_zone *z, struct str name)
{
	const struct node *node = map_get(&z->nodes, name);
	struct str above = name, label;
	while (!node && above.n) {
		str_cut(&above, '.', &label);
		if (!map_get(&z->nodes, above)) { continue; }
		struct buf wild = {0};
		buf_fmt(&wild, above.n ? "*.%.*s" : "*", STR_ARG(above));
		node = map_get(&z->nodes, buf_view(&wild));
		buf_fini(&wild);
		return node;
	}
	return node;
}

static void add_matching(const struct node *node, struct dns_entry *e, enum dns_type type)
{
	struct dns_answer *a = &e->answer;
	size_t n = 0;
	for (const struct record *r = node->first; r; r = r->next) { n += r->type == type; }
	if (n == 0) { return; }
	a->status = DNS_OK;
	a->rr = arena_array(&e->arena, MIN(n, (size_t)DNS_RRS_MAX), sizeof *a->rr);
	for (const struct record *r = node->first; r && a->n < DNS_RRS_MAX; r = r->next) {
		if (r->type != type) { continue; }
		a->rr[a->n++].data = arena_dup(&e->arena, r->data);
		a->ttl = MIN(a->ttl, r->ttl);
		a->secure = a->secure && r->secure;
	}
}

static const struct record *cname_of(const struct node *node)
{
	const struct record *r = node->first;
	while (r && r->type != DNS_CNAME) { r = r->next; }
	return r;
}

void dns_zone_answer(const struct dns_zone *z, struct dns_entry *e)
{
	struct dns_answer *a = &e->answer;
	struct str name = e->name;
	*a = (struct dns_answer){.secure = true, .ttl = UINT32_MAX};
	for (int hops = 0;; hops++) {
		const struct node *node = find(z, name);
		const struct record *alias = node ? cname_of(node) : NULL;
		if (!node) {
			a->status = DNS_NXDOMAIN;
			break;
		}
		if (node->servfail || hops == CHAIN_MAX) {
			a->status = DNS_SERVFAIL;
			a->bogus = node->bogus;
			break;
		}
		a->status = DNS_NODATA;
		if (!alias || e->type == DNS_CNAME) {
			add_matching(node, e, e->type);
			break;
		}
		a->ttl = MIN(a->ttl, alias->ttl);
		a->secure = a->secure && alias->secure;
		name = alias->target;
	}
	a->canonical = arena_dup(&e->arena, name);
	if (a->status != DNS_OK) { a->secure = false, a->ttl = 0; }
}
