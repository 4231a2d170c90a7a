/* Verifies messages for a test in another language: `dkim-peer ZONE` reads "LENGTH PIECE\n" and
   that many octets of message from its input, as often as they come, and answers each with a line
   "RESULT REASON" about the topmost signature. PIECE: octets of body fed at once, 0 = all. */
#include <stdio.h>
#include <time.h>

#include "t/dkim_fixture.h"

enum { LINE = 80, MESSAGE_MAX = 4 * 1024 * 1024 };

static bool read_zone(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	size_t n = 0;
	if (!f) { return false; }
	do {
		n = fread(buf_reserve(out, 4096), 1, 4096, f);
		buf_grow(out, n);
	} while (n);
	return fclose(f) == 0;
}

static bool read_message(struct buf *out, size_t *piece_out)
{
	char line[LINE];
	buf_reset(out);
	if (!fgets(line, sizeof line, stdin)) { return false; }
	char *end;
	size_t n = strtoul(line, &end, 10);
	*piece_out = strtoul(end, NULL, 10);
	if (n > MESSAGE_MAX || fread(buf_reserve(out, n), 1, n, stdin) != n) { return false; }
	buf_grow(out, n);
	return true;
}

int main(int argc, char **argv)
{
	struct buf zone = {0}, message = {0};
	struct dkim_fixture f = {0};
	if (argc != 2 || !read_zone(argv[1], &zone)) { return EXIT_FAILURE; }
	while (read_message(&message, &f.piece)) {
		dkim_fixture_verify(
			&f, buf_view(&message), buf_view(&zone), (int64_t)time(NULL) * SECOND_US);
		if (f.n) {
			printf("%s %.*s\n", dkim_result_name(f.sigs[0].result),
				STR_ARG(f.sigs[0].reason));
		} else {
			printf("none\n");
		}
		fflush(stdout);
		dkim_fixture_fini(&f);
	}
	buf_fini(&zone);
	buf_fini(&message);
	return EXIT_SUCCESS;
}
