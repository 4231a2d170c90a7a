/* The text of DATA: cut at any place, the answer is the same as that of a reading octet by octet
   which does nothing else than RFC 5321 4.5.2 says. */
#include "smtp/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct buf text;
	size_t end; /* octets up to and with the final dot's CRLF; 0 = it did not come */
};

static void by_rule(struct str in, struct seen *out)
{
	bool start = true; /* of a line */
	for (size_t i = 0; i < in.n;) {
		struct str rest = str_skip(in, i);
		if (start && str_starts(rest, STR(".\r\n"))) {
			out->end = i + 3;
			return;
		}
		if (start && rest.p[0] == '.') {
			i++;
			start = false;
			continue;
		}
		buf_chr(&out->text, rest.p[0]);
		start = rest.p[0] == '\n' && i > 0 && in.p[i - 1] == '\r';
		i++;
	}
}

static bool faulty(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool after_cr = i > 0 && text.p[i - 1] == '\r';
		if (c == '\0' || (c == '\n') != after_cr) { return true; }
	}
	return false;
}

static void by_pieces(struct str in, size_t piece, struct seen *out, uint8_t *faults)
{
	struct dot d = {0};
	size_t at = 0;
	for (int rc = 0; at < in.n && rc == 0;) {
		struct str part = str_sub(in, at, piece), run;
		at += part.n;
		while (part.n && rc == 0) {
			rc = dot_next(&d, &part, &run);
			buf_str(&out->text, run);
		}
		if (rc == 1) { out->end = at - part.n; }
	}
	*faults = d.faults;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);
	struct seen want = {{0}, 0};
	by_rule(in, &want);
	for (size_t piece = 1; piece <= 7; piece += 2) {
		struct seen got = {{0}, 0};
		uint8_t faults;
		by_pieces(in, piece == 7 ? size : piece, &got, &faults);
		assert(got.end == want.end);
		bool bad = faulty(buf_view(&want.text));
		if (got.end && !faults) {
			assert(!bad && str_eq(buf_view(&got.text), buf_view(&want.text)));
		}
		assert(!bad || faults || !got.end);
		buf_fini(&got.text);
	}
	buf_fini(&want.text);
	return 0;
}
