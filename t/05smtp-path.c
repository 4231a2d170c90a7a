/* smtp: addresses and command lines, good and bad. */
#include "t/tap.h"

#include "smtp/command.h"

static const struct {
	const char *in;
	int rc;
	const char *text, *rest;
} paths[] = {
	{"<>", 0, "", ""},
	{"<a@b>", 0, "a@b", ""},
	{"<a@b> SIZE=1", 0, "a@b", " SIZE=1"},
	{"<A.b@Example.ORG>", 0, "A.b@example.org", ""},
	{"<@x.org,@y.org:a@b>", 0, "a@b", ""},
	{"<\"a\"@b>", 0, "a@b", ""},
	{"<\"a b\"@b>", 0, "\"a b\"@b", ""},
	{"<\"a\\\"b\\\\\"@b>", 0, "\"a\\\"b\\\\\"@b", ""},
	{"<\"\"@b>", 0, "\"\"@b", ""},
	{"<\"a@c\"@b>", 0, "\"a@c\"@b", ""},
	{"<\"a>b\"@c>", 0, "\"a>b\"@c", ""},
	{"<a@[192.0.2.1]>", 0, "a@[192.0.2.1]", ""},
	{"<a@[IPv6:2001:DB8::1]>", 0, "a@[ipv6:2001:db8::1]", ""},
	{"<postmaster>", 0, "postmaster", ""},
	{"<PostMaster>", 0, "postmaster", ""},
	{"<o'hara+tag=x@b-c.d>", 0, "o'hara+tag=x@b-c.d", ""},
	{"<m\xc3\xbcller@b\xc3\xbc.de>", 0, "m\xc3\xbcller@b\xc3\xbc.de", ""},
	{"", ERR_SYNTAX, NULL, NULL},
	{"<", ERR_SYNTAX, NULL, NULL},
	{"a@b", ERR_SYNTAX, NULL, NULL},
	{"<a@b", ERR_SYNTAX, NULL, NULL},
	{"<a>", ERR_SYNTAX, NULL, NULL},
	{"<a@>", ERR_SYNTAX, NULL, NULL},
	{"<@b>", ERR_SYNTAX, NULL, NULL},
	{"<@b:>", ERR_SYNTAX, NULL, NULL},
	{"< a@b>", ERR_SYNTAX, NULL, NULL},
	{"<a@b >", ERR_SYNTAX, NULL, NULL},
	{"<a b@c>", ERR_SYNTAX, NULL, NULL},
	{"<.a@b>", ERR_SYNTAX, NULL, NULL},
	{"<a.@b>", ERR_SYNTAX, NULL, NULL},
	{"<a..b@c>", ERR_SYNTAX, NULL, NULL},
	{"<a@b..c>", ERR_SYNTAX, NULL, NULL},
	{"<a@b.>", ERR_SYNTAX, NULL, NULL},
	{"<a@-b>", ERR_SYNTAX, NULL, NULL},
	{"<a@b@c>", ERR_SYNTAX, NULL, NULL},
	{"<\"a\"b@c>", ERR_SYNTAX, NULL, NULL},
	{"<\"a@c>", ERR_SYNTAX, NULL, NULL},
	{"<\"a\\", ERR_SYNTAX, NULL, NULL},
	{"<a@[192.0.2]>", ERR_SYNTAX, NULL, NULL},
	{"<a@[192.0.2.1:25]>", ERR_SYNTAX, NULL, NULL},
	{"<a@[2001:db8::1]>", ERR_SYNTAX, NULL, NULL},
	{"<a@[IPv6:192.0.2.1]>", ERR_SYNTAX, NULL, NULL},
	{"<a@[x:y]>", ERR_SYNTAX, NULL, NULL},
	{"<\xff@b>", ERR_SYNTAX, NULL, NULL},
	{"<\"a\tb\"@c>", ERR_SYNTAX, NULL, NULL},
	{"<a@b(comment)>", ERR_SYNTAX, NULL, NULL},
};

static void test_paths(void)
{
	struct arena a = {0};
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct str rest = str_of(paths[i].in);
		struct path p;
		int rc = path_parse(&rest, &a, &p);
		if (rc != paths[i].rc) { printf("# %s\n", paths[i].in); }
		CHECK_INT(rc, paths[i].rc);
		if (rc < 0 || paths[i].rc < 0) { continue; }
		CHECK_STR(p.text, str_of(paths[i].text));
		CHECK_STR(rest, str_of(paths[i].rest));
	}
	arena_fini(&a);
}

/* What we write we read again as the same. */
static void test_round_trip(void)
{
	struct arena a = {0};
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct path p, again;
		if (paths[i].rc < 0 || !strchr(paths[i].text, '@')) { continue; }
		CHECK_INT(path_parse_mailbox(str_of(paths[i].text), &a, &p), 0);
		CHECK_STR(p.text, str_of(paths[i].text));
		CHECK_INT(path_parse_mailbox(p.text, &a, &again), 0);
		CHECK_STR(again.local, p.local);
	}
	arena_fini(&a);
}

static void test_lengths(void)
{
	struct arena a = {0};
	struct path p;
	char text[600];
	memset(text, 'a', sizeof text);
	memcpy(text + 400, "@b", 2);
	CHECK_INT(path_parse_mailbox(str_make(text, 402), &a, &p), ERR_LIMIT);
	CHECK_INT(path_parse_mailbox(str_make(text + 82, 320), &a, &p), 0);
	CHECK_INT(path_parse_mailbox(str_make(text + 81, 321), &a, &p), ERR_LIMIT);
	memset(text, 'a', sizeof text);
	text[1] = '@';
	CHECK_INT(path_parse_mailbox(str_make(text, 65), &a, &p), 0);
	CHECK_INT(path_parse_mailbox(str_make(text, 66), &a, &p), ERR_SYNTAX); /* a label of 64 */
	arena_fini(&a);
}

static void test_verbs(void)
{
	struct str verb, args;
	CHECK_INT(command_cut(STR("MAIL FROM:<>"), &verb, &args), 0);
	CHECK_STR(verb, STR("MAIL"));
	CHECK_STR(args, STR("FROM:<>"));
	CHECK_INT(command_cut(STR("quit \t "), &verb, &args), 0);
	CHECK_STR(verb, STR("quit"));
	CHECK_STR(args, STR(""));
	CHECK_INT(command_cut(STR(""), &verb, &args), ERR_SYNTAX);
	CHECK_INT(command_cut(STR(" QUIT"), &verb, &args), ERR_SYNTAX);
	CHECK_INT(command_cut(STR("QUIT\0"), &verb, &args), ERR_SYNTAX);
	CHECK_INT(command_cut(STR("NOOP \001"), &verb, &args), ERR_SYNTAX);
	CHECK_INT(command_cut(STR("QUIT:"), &verb, &args), ERR_SYNTAX);
	CHECK_INT(command_cut(STR("ABCDEFGHIJKLM"), &verb, &args), ERR_SYNTAX);
}

static void test_mail(void)
{
	static const struct {
		const char *in;
		enum command_error error;
		uint64_t size;
		uint8_t body, ret;
		const char *envid;
	} cases[] = {
		{"FROM:<a@b>", COMMAND_OK, 0, 0, RET_NONE, ""},
		{"from: <a@b> size=10  BODY=8bitmime", COMMAND_OK, 10, BODY_8BIT, RET_NONE, ""},
		{"FROM:<> RET=HDRS ENVID=a+2Bb", COMMAND_OK, 0, 0, RET_HDRS, "a+2Bb"},
		{"FROM:<> BODY=BINARYMIME SMTPUTF8", COMMAND_OK, 0, BODY_BINARY | BODY_SMTPUTF8,
			RET_NONE, ""},
		{"FROM:<\xc3\xbc@b> SMTPUTF8", COMMAND_OK, 0, BODY_SMTPUTF8, RET_NONE, ""},
		{"FROM:<\xc3\xbc@b>", COMMAND_NEEDS_UTF8, 0, 0, 0, NULL},
		{"FROM:<a@b> AUTH=<>", COMMAND_PARAM_UNKNOWN, 0, 0, 0, NULL},
		{"FROM:<a@b> X=1", COMMAND_PARAM_UNKNOWN, 0, 0, 0, NULL},
		{"FROM:<a@b> SIZE=1 SIZE=1", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> SIZE", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> SIZE=", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> SIZE=-1", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> SIZE=18446744073709551616", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> SMTPUTF8=1", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> BODY=9BIT", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> RET=SOME", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b> ENVID=a+2", COMMAND_PARAM_BAD, 0, 0, 0, NULL},
		{"FROM:<a@b>SIZE=1", COMMAND_SYNTAX, 0, 0, 0, NULL},
		{"FROM<a@b>", COMMAND_SYNTAX, 0, 0, 0, NULL},
		{"FROM:", COMMAND_BAD_PATH, 0, 0, 0, NULL},
		{"FROM:<postmaster>", COMMAND_BAD_PATH, 0, 0, 0, NULL},
		{"", COMMAND_SYNTAX, 0, 0, 0, NULL},
	};
	struct arena a = {0};
	struct mail_args m;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CHECK_INT(mail_args_parse(str_of(cases[i].in), false, &a, &m), cases[i].error);
		if (cases[i].error) { continue; }
		CHECK_INT(m.size, cases[i].size);
		CHECK_INT(m.body, cases[i].body);
		CHECK_INT(m.ret, cases[i].ret);
		CHECK_STR(m.envid, str_of(cases[i].envid));
	}
	CHECK_INT(mail_args_parse(STR("FROM:<a@b> AUTH=<>"), true, &a, &m), COMMAND_OK);
	CHECK_INT(mail_args_parse(STR("FROM:<a@b> AUTH="), true, &a, &m), COMMAND_PARAM_BAD);
	arena_fini(&a);
}

static void test_rcpt(void)
{
	static const struct {
		const char *in;
		enum command_error error;
		uint8_t notify;
		const char *orcpt;
	} cases[] = {
		{"TO:<a@b>", COMMAND_OK, 0, ""},
		{"TO:<postmaster>", COMMAND_OK, 0, ""},
		{"TO:<a@b> NOTIFY=success,FAILURE", COMMAND_OK, NOTIFY_SUCCESS | NOTIFY_FAILURE,
			""},
		{"TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a+40b@c", COMMAND_OK, NOTIFY_NEVER,
			"rfc822;a+40b@c"},
		{"TO:<a@b> NOTIFY=NEVER,SUCCESS", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> NOTIFY=", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> NOTIFY=SUCCESS,", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> ORCPT=rfc822", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> ORCPT=rfc822;\xc3\xbc@c", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> ORCPT=utf-8;\xc3\xbc@c", COMMAND_OK, 0, "utf-8;\xc3\xbc@c"},
		{"TO:<a@b> ORCPT=;x", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> ORCPT=rfc822;a+4", COMMAND_PARAM_BAD, 0, NULL},
		{"TO:<a@b> SIZE=1", COMMAND_PARAM_UNKNOWN, 0, NULL},
		{"TO:<>", COMMAND_BAD_PATH, 0, NULL},
		{"TO:<a>", COMMAND_BAD_PATH, 0, NULL},
		{"TO:<\xc3\xbc@b>", COMMAND_NEEDS_UTF8, 0, NULL},
	};
	struct arena a = {0};
	struct rcpt_args r;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CHECK_INT(rcpt_args_parse(str_of(cases[i].in), false, &a, &r), cases[i].error);
		if (cases[i].error) { continue; }
		CHECK_INT(r.notify, cases[i].notify);
		CHECK_STR(r.orcpt, str_of(cases[i].orcpt));
	}
	CHECK_INT(rcpt_args_parse(STR("TO:<\xc3\xbc@b>"), true, &a, &r), COMMAND_OK);
	arena_fini(&a);
}

static void test_bdat(void)
{
	uint64_t n;
	bool last;
	CHECK_INT(bdat_args_parse(STR("0 LAST"), &n, &last), 0);
	CHECK(n == 0 && last);
	CHECK_INT(bdat_args_parse(STR("12"), &n, &last), 0);
	CHECK(n == 12 && !last);
	CHECK_INT(bdat_args_parse(STR("9223372036854775807 last"), &n, &last), 0);
	CHECK_INT(bdat_args_parse(STR("9223372036854775808"), &n, &last), ERR_LIMIT);
	CHECK_INT(bdat_args_parse(STR(""), &n, &last), ERR_SYNTAX);
	CHECK_INT(bdat_args_parse(STR("x"), &n, &last), ERR_SYNTAX);
	CHECK_INT(bdat_args_parse(STR("-1"), &n, &last), ERR_SYNTAX);
	CHECK_INT(bdat_args_parse(STR("1 LST"), &n, &last), ERR_SYNTAX);
}

static void test_helo(void)
{
	CHECK(helo_valid(STR("mail.example.org")));
	CHECK(helo_valid(STR("[192.0.2.1]")));
	CHECK(!helo_valid(STR("")));
	CHECK(!helo_valid(STR("a b")));
	CHECK(!helo_valid(STR("a\x7f")));
	CHECK(!helo_valid(STR("a\xff")));
}

int main(int argc, char **argv)
{
	static const struct tap_case table[] = {
		{"paths", test_paths},
		{"paths written are paths read", test_round_trip},
		{"lengths of paths", test_lengths},
		{"verbs and arguments", test_verbs},
		{"MAIL", test_mail},
		{"RCPT", test_rcpt},
		{"BDAT", test_bdat},
		{"HELO", test_helo},
	};
	return tap_run(table, COUNT(table), argc, argv);
}
