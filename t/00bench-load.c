/* The pure parts of the load generator: messages of an exact size, percentiles. */
#include "t/bench/latency.h"
#include "t/bench/message.h"
#include "t/tap.h"

static void lines_are_clean(struct str text)
{
	struct str line;
	while (text.n) {
		CHECK(str_cut(&text, '\n', &line));
		CHECK(line.n > 0 && line.p[line.n - 1] == '\r');
		CHECK(line.n <= 81);
		CHECK(str_chr(line, '\r') == (ptrdiff_t)line.n - 1);
		CHECK(line.p[0] != '.');
	}
}

static void sizes(void)
{
	for (size_t size = MESSAGE_SIZE_MIN; size < MESSAGE_SIZE_MIN + 200; size++) {
		struct message m;
		struct buf out = {0};
		message_init(&m, size);
		message_render(&m, 1234, &out);
		CHECK_INT(out.n, size);
		lines_are_clean(buf_view(&out));
		CHECK(str_find(buf_view(&out), STR("copy 0000001234\r\n")) > 0);
		CHECK(str_find(buf_view(&out), STR("<0000001234.bench@client.test>")) > 0);
		buf_fini(&out);
		message_fini(&m);
	}
}

static void percentiles(void)
{
	struct latency l = {0};
	CHECK_INT(latency_percentile(&l, 99), 0);
	for (int64_t us = 200; us > 0; us--) { latency_add(&l, us); }
	CHECK_INT(latency_percentile(&l, 50), 100);
	CHECK_INT(latency_percentile(&l, 99), 198);
	CHECK_INT(latency_percentile(&l, 100), 200);
	latency_fini(&l);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"messages have the size that was asked for", sizes},
		{"percentiles by nearest rank", percentiles},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
