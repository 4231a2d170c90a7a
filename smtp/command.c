/* Command lines as text. Runs in mx and submit. Knows the grammar, not the session. */
#include "smtp/command.h"

#include "lib/charset.h"

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

int command_cut(struct str line, struct str *verb_out, struct str *args_out)
{
	size_t n = 0;
	for (size_t i = 0; i < line.n; i++) {
		if (is_control(line.p[i]) && line.p[i] != '\t') { return ERR_SYNTAX; }
	}
	while (n < line.n && ascii_alpha(line.p[n])) { n++; }
	if (n == 0 || n > COMMAND_VERB_MAX) { return ERR_SYNTAX; }
	if (n < line.n && line.p[n] != ' ' && line.p[n] != '\t') { return ERR_SYNTAX; }
	*verb_out = str_sub(line, 0, n);
	*args_out = str_trim(str_skip(line, n));
	return 0;
}

bool helo_valid(struct str args)
{
	if (args.n == 0 || args.n > COMMAND_HELO_MAX || !utf8_valid(args)) { return false; }
	for (size_t i = 0; i < args.n; i++) {
		if (is_control(args.p[i]) || args.p[i] == ' ') { return false; }
	}
	return true;
}

int bdat_args_parse(struct str args, uint64_t *size_out, bool *last_out)
{
	struct str number;
	*last_out = str_cut(&args, ' ', &number);
	if (*last_out && !str_ieq(str_trim(args), STR("LAST"))) { return ERR_SYNTAX; }
	for (size_t i = 0; i < number.n; i++) {
		if (!ascii_digit(number.p[i])) { return ERR_SYNTAX; }
	}
	if (number.n == 0) { return ERR_SYNTAX; }
	return str_u64(number, INT64_MAX, size_out) ? 0 : ERR_LIMIT;
}

/* --- values of parameters --- */

static bool is_hexchar(struct str s)
{
	for (size_t i = 1; i < 3; i++) {
		if (i >= s.n || !(ascii_digit(s.p[i]) || (s.p[i] >= 'A' && s.p[i] <= 'F'))) {
			return false;
		}
	}
	return true;
}

/* RFC 3461 4: printable ASCII but "+" and "=", or "+" and two hexadecimal digits, here UTF-8 as
   well. */
static bool is_xtext(struct str s, size_t max)
{
	if (s.n > max || !utf8_valid(s)) { return false; }
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (is_control(c) || c == ' ' || c == '=' ||
			(c == '+' && !is_hexchar(str_skip(s, i)))) {
			return false;
		}
	}
	return true;
}

static bool set_size(void *to, struct str value, struct arena *a)
{
	struct mail_args *m = to;
	(void)a; /* a number needs no memory */
	return value.n <= 20 && str_u64(value, UINT64_MAX, &m->size);
}

static bool set_body(void *to, struct str value, struct arena *a)
{
	struct mail_args *m = to;
	(void)a; /* a word of a table needs no memory */
	if (str_ieq(value, STR("8BITMIME"))) {
		m->body |= BODY_8BIT;
	} else if (str_ieq(value, STR("BINARYMIME"))) {
		m->body |= BODY_BINARY;
	} else {
		return str_ieq(value, STR("7BIT"));
	}
	return true;
}

static bool set_utf8(void *to, struct str value, struct arena *a)
{
	struct mail_args *m = to;
	(void)a; /* no value */
	m->body |= BODY_SMTPUTF8;
	return value.n == 0;
}

static bool set_ret(void *to, struct str value, struct arena *a)
{
	struct mail_args *m = to;
	(void)a; /* a word of a table needs no memory */
	m->ret = str_ieq(value, STR("FULL"))   ? RET_FULL
		 : str_ieq(value, STR("HDRS")) ? RET_HDRS
					       : RET_NONE;
	return m->ret != RET_NONE;
}

static bool set_envid(void *to, struct str value, struct arena *a)
{
	struct mail_args *m = to;
	m->envid = arena_dup(a, value);
	return value.n && str_ascii(value) && is_xtext(value, 100);
}

static bool set_auth(void *to, struct str value, struct arena *a)
{
	(void)to, (void)a; /* nothing is kept of it */
	return value.n && str_ascii(value) && is_xtext(value, COMMAND_XTEXT_MAX);
}

static bool set_notify(void *to, struct str value, struct arena *a)
{
	static const struct {
		struct str word;
		uint8_t bit;
	} words[] = {{{"SUCCESS", 7}, NOTIFY_SUCCESS}, {{"FAILURE", 7}, NOTIFY_FAILURE},
		{{"DELAY", 5}, NOTIFY_DELAY}};
	struct rcpt_args *r = to;
	struct str word;
	bool more = true;
	(void)a; /* a mask needs no memory */
	if (str_ieq(value, STR("NEVER"))) {
		r->notify = NOTIFY_NEVER;
		return true;
	}
	while (more) {
		uint8_t bit = 0;
		more = str_cut(&value, ',', &word);
		for (size_t i = 0; i < COUNT(words); i++) {
			if (str_ieq(word, words[i].word)) { bit = words[i].bit; }
		}
		if (!bit) { return false; }
		r->notify |= bit;
	}
	return true;
}

/* addr-type ";" xtext, which is ASCII but for one type (RFC 6533 3). */
static bool set_orcpt(void *to, struct str value, struct arena *a)
{
	struct rcpt_args *r = to;
	struct str type, rest = value;
	r->orcpt = arena_dup(a, value);
	if (!str_cut(&rest, ';', &type) || type.n == 0 || rest.n == 0) { return false; }
	for (size_t i = 0; i < type.n; i++) {
		if (!ascii_alpha(type.p[i]) && !ascii_digit(type.p[i]) && type.p[i] != '-') {
			return false;
		}
	}
	bool octets = str_ascii(rest) || str_ieq(type, STR("utf-8"));
	return octets && is_xtext(rest, COMMAND_XTEXT_MAX);
}

/* --- the lines --- */

struct param {
	struct str name;
	bool (*set)(void *to, struct str value, struct arena *a);
	bool with_auth; /* only where AUTH is offered */
};

static const struct param mail_params[] = {
	{{"SIZE", 4}, set_size, false},     /* RFC 1870 6 */
	{{"BODY", 4}, set_body, false},     /* RFC 6152 2, 3030 3 */
	{{"SMTPUTF8", 8}, set_utf8, false}, /* RFC 6531 3.4 */
	{{"RET", 3}, set_ret, false},       /* RFC 3461 4.3 */
	{{"ENVID", 5}, set_envid, false},   /* RFC 3461 4.4 */
	{{"AUTH", 4}, set_auth, true},      /* RFC 4954 5 */
};
static const struct param rcpt_params[] = {
	{{"NOTIFY", 6}, set_notify, false}, /* RFC 3461 4.1 */
	{{"ORCPT", 5}, set_orcpt, false},   /* RFC 3461 4.2 */
};

static const struct param *find_param(
	const struct param *rows, size_t n, struct str name, bool with_auth)
{
	for (size_t i = 0; i < n; i++) {
		if (str_ieq(rows[i].name, name) && (with_auth || !rows[i].with_auth)) {
			return &rows[i];
		}
	}
	return NULL;
}

static enum command_error parse_params(struct str rest, const struct param *rows, size_t n,
	bool with_auth, struct arena *a, void *to)
{
	uint32_t seen = 0;
	struct str word;
	bool more = true;
	if (rest.n && rest.p[0] != ' ') { return COMMAND_SYNTAX; }
	for (int count = 0; more; count++) {
		more = str_cut(&rest, ' ', &word);
		if (word.n == 0) { continue; }
		if (count > COMMAND_PARAMS_MAX) { return COMMAND_SYNTAX; }
		struct str name, value = word;
		bool has_value = str_cut(&value, '=', &name);
		const struct param *row = find_param(rows, n, name, with_auth);
		if (!row) { return COMMAND_PARAM_UNKNOWN; }
		uint32_t bit = UINT32_C(1) << (row - rows);
		bool good = !(seen & bit) && has_value == (value.n > 0) && row->set(to, value, a);
		if (!good) { return COMMAND_PARAM_BAD; }
		seen |= bit;
	}
	return COMMAND_OK;
}

/* "FROM:" and the path; a blank behind the colon is let pass. */
static enum command_error parse_path(
	struct str *args, struct str keyword, struct arena *a, struct path *out)
{
	if (!str_istarts(*args, keyword)) { return COMMAND_SYNTAX; }
	*args = str_trim(str_skip(*args, keyword.n));
	return path_parse(args, a, out) < 0 ? COMMAND_BAD_PATH : COMMAND_OK;
}

enum command_error mail_args_parse(
	struct str args, bool with_auth, struct arena *a, struct mail_args *out)
{
	*out = (struct mail_args){0};
	enum command_error error = parse_path(&args, STR("FROM:"), a, &out->from);
	if (error) { return error; }
	if (out->from.kind == PATH_POSTMASTER) { return COMMAND_BAD_PATH; }
	error = parse_params(args, mail_params, COUNT(mail_params), with_auth, a, out);
	if (!error && out->from.utf8 && !(out->body & BODY_SMTPUTF8)) {
		error = COMMAND_NEEDS_UTF8;
	}
	return error;
}

enum command_error rcpt_args_parse(
	struct str args, bool utf8, struct arena *a, struct rcpt_args *out)
{
	*out = (struct rcpt_args){0};
	enum command_error error = parse_path(&args, STR("TO:"), a, &out->to);
	if (error) { return error; }
	if (out->to.kind == PATH_NULL) { return COMMAND_BAD_PATH; }
	error = parse_params(args, rcpt_params, COUNT(rcpt_params), false, a, out);
	return !error && out->to.utf8 && !utf8 ? COMMAND_NEEDS_UTF8 : error;
}
