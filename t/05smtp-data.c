/* smtp: where the text of DATA ends, whichever way the octets are cut. */
#include "t/tap.h"

#include "smtp/dot.h"

struct seen {
	struct buf text;
	uint8_t faults;
	int rc;
	size_t left; /* octets behind the end */
};

static void read_all(struct dot d, struct str in, size_t piece, struct seen *out)
{
	*out = (struct seen){0};
	size_t at = 0;
	while (at < in.n && out->rc == 0) {
		struct str part = str_sub(in, at, piece), run;
		at += part.n;
		while (part.n && out->rc == 0) {
			out->rc = dot_next(&d, &part, &run);
			buf_str(&out->text, run);
		}
		out->left = in.n - at + part.n;
	}
	out->faults = d.faults;
}

#define IN(lit) \
	{ \
		lit, sizeof(lit) - 1 \
	}

static const struct {
	struct str in, text;
	int rc;
	uint8_t faults;
	size_t left;
} cases[] = {
	{IN(".\r\n"), IN(""), 1, 0, 0},
	{IN("a\r\n.\r\n"), IN("a\r\n"), 1, 0, 0},
	{IN("a\r\n.\r\nQUIT\r\n"), IN("a\r\n"), 1, 0, 6},
	{IN("..\r\n.\r\n"), IN(".\r\n"), 1, 0, 0},
	{IN("..a\r\n.b\r\n...\r\n.\r\n"), IN(".a\r\nb\r\n..\r\n"), 1, 0, 0},
	{IN("a.\r\nb\r\n.\r\n"), IN("a.\r\nb\r\n"), 1, 0, 0},
	{IN("\r\n\r\n.\r\n"), IN("\r\n\r\n"), 1, 0, 0},
	/* smuggling: none of these ends the text */
	{IN("a\n.\r\nb\r\n.\r\n"), IN("a\n.\r\nb\r\n"), 1, DOT_BARE_LF, 0},
	{IN("a\r\n.\nb\r\n.\r\n"), IN("a\r\n\nb\r\n"), 1, DOT_BARE_LF, 0},
	{IN("a\n.\nb\r\n.\r\n"), IN("a\n.\nb\r\n"), 1, DOT_BARE_LF, 0},
	{IN("a\r.\r\nb\r\n.\r\n"), IN("a\r.\r\nb\r\n"), 1, DOT_BARE_CR, 0},
	{IN("a\r\n.\rb\r\n.\r\n"), IN("a\r\nb\r\n"), 1, DOT_BARE_CR, 0},
	{IN("a\r.\rb\r\n.\r\n"), IN("a\r.\rb\r\n"), 1, DOT_BARE_CR, 0},
	{IN("a\r\r\n.\r\n"), IN("a\r\r\n"), 1, DOT_BARE_CR, 0},
	{IN("a\r\n.\r\r\n.\r\n"), IN("a\r\n\r\n"), 1, DOT_BARE_CR, 0},
	{IN("a\0b\r\n.\r\n"), IN("a\0b\r\n"), 1, DOT_NUL, 0},
	{IN("12345678\r\n.\r\n"), IN("12345678\r\n"), 1, 0, 0},
	{IN("123456789\r\n.\r\n"), IN("123456789\r\n"), 1, DOT_LINE_LONG, 0},
	{IN("a\r\n"), IN("a\r\n"), 0, 0, 0},
};

static void test_text(void)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t piece = 1; piece <= 20; piece++) {
			struct seen s;
			read_all((struct dot){.line_max = 8}, cases[i].in, piece, &s);
			CHECK_INT(s.rc, cases[i].rc);
			CHECK_STR(buf_view(&s.text), cases[i].text);
			CHECK_INT(s.faults, cases[i].faults);
			CHECK_INT(s.left, cases[i].left);
			buf_fini(&s.text);
		}
	}
}

static void test_chunk(void)
{
	struct seen s;
	for (size_t piece = 1; piece < 12; piece++) {
		read_all((struct dot){.chunk = true}, STR(".\r\n..\r\na"), piece, &s);
		CHECK_STR(buf_view(&s.text), STR(".\r\n..\r\na"));
		CHECK_INT(s.faults, 0);
		buf_fini(&s.text);
		read_all((struct dot){.chunk = true}, STR("a\nb"), piece, &s);
		CHECK_INT(s.faults, DOT_BARE_LF);
		buf_fini(&s.text);
		read_all((struct dot){.chunk = true, .binary = true}, STR("a\nb\r.\0"), piece, &s);
		CHECK_STR(buf_view(&s.text), STR("a\nb\r.\0"));
		CHECK_INT(s.faults, 0);
		buf_fini(&s.text);
	}
}

static void test_chunk_end(void)
{
	struct dot d = {.chunk = true};
	struct str in = STR("a\r"), run;
	CHECK_INT(dot_next(&d, &in, &run), 0);
	CHECK(!dot_at_line_start(&d));
	CHECK_INT(d.faults, DOT_BARE_CR);
}

int main(int argc, char **argv)
{
	static const struct tap_case table[] = {
		{"the text of DATA, cut anywhere", test_text},
		{"chunks of BDAT", test_chunk},
		{"a CR at the end of the last chunk", test_chunk_end},
	};
	return tap_run(table, COUNT(table), argc, argv);
}
