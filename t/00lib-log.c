/* lib: log lines. */
#include "t/tap.h"

#include "lib/log.h"

static struct buf got;
static int lines;

static void on_line(void *ctx, struct str line)
{
	CHECK(ctx == &lines);
	buf_reset(&got);
	buf_str(&got, line);
	lines++;
}

/* The line without its time. */
static struct str rest(void)
{
	return str_skip(buf_view(&got), 25);
}

static void test_shape(void)
{
	struct log_ctx ctx = {.role = "smtp", .session = 0x3f2a}, plain = {.role = "store"};
	log_event(LOG_INFO, &ctx, "accepted", "size=%d rcpt=%d", 512, 2);
	CHECK_STR(rest(), STR("info smtp s=3f2a accepted size=512 rcpt=2"));
	CHECK_INT(got.p[10], 'T');
	CHECK_INT(got.p[23], 'Z');
	log_event(LOG_ERROR, &plain, "lost", "%s", "");
	CHECK_STR(rest(), STR("error store lost"));
	log_event(LOG_WARN, NULL, "odd", "x=%s", "y");
	CHECK_STR(rest(), STR("warn posthouse odd x=y"));
}

static void test_escapes(void)
{
	struct log_ctx ctx = {.role = "mx"};
	log_event(LOG_INFO, &ctx, "helo", "name=%s", "a\r\nb\x1b[2J\x7f\xff\xc2\x9b\xc3\xa4");
	CHECK_STR(
		rest(), STR("info mx helo name=a\\x0d\\x0ab\\x1b[2J\\x7f\\xff\\xc2\\x9b\xc3\xa4"));
	log_event(LOG_INFO, &ctx, "cut", "name=%.*s", 2, "\xe2\x82\xac");
	CHECK_STR(rest(), STR("info mx cut name=\\xe2\\x82"));
}

static void test_bounds(void)
{
	struct log_ctx ctx = {.role = "mx"};
	static char text[100001];
	memset(text, '\n', sizeof text - 1);
	log_event(LOG_INFO, &ctx, "long", "x=%s", text);
	CHECK(got.n <= 4200);
	CHECK(str_chr(buf_view(&got), '\n') < 0);
}

static void test_levels(void)
{
	int before = lines;
	log_set_level(LOG_WARN);
	CHECK(!log_wants(LOG_INFO));
	CHECK(log_wants(LOG_ERROR));
	log_event(LOG_INFO, NULL, "quiet", "x=%d", 1);
	CHECK_INT(lines, before);
	log_event(LOG_WARN, NULL, "loud", "x=%d", 1);
	CHECK_INT(lines, before + 1);
	log_set_level(LOG_DEBUG);
	log_event(LOG_DEBUG, NULL, "loud", "x=%d", 1);
	CHECK_INT(lines, before + 2);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"time, level, role, session, event, pairs", test_shape},
		{"nothing breaks a line or a terminal", test_escapes},
		{"a line is bounded", test_bounds},
		{"levels", test_levels},
	};
	log_sink(on_line, &lines);
	int rc = tap_run(cases, COUNT(cases), argc, argv);
	buf_fini(&got);
	return rc;
}
