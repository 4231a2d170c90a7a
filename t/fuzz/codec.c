/* Codecs: the strict ones are inverse, the streaming ones do not depend on the pieces, all text is
   valid UTF-8. The first line names a charset. */
#include <unicase.h>
#include <uninorm.h>

#include "lib/charset.h"
#include "lib/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void base64(struct str s)
{
	struct buf a = {0}, b = {0};
	base64_encode(s, &a);
	int rc = base64_decode(buf_view(&a), &b);
	assert(rc == 0 && str_eq(buf_view(&b), s));
	buf_reset(&a);
	buf_reset(&b);
	if (base64_decode(s, &a) == 0) {
		base64_encode(buf_view(&a), &b);
		assert(str_eq(buf_view(&b), s));
	}
	buf_fini(&a);
	buf_fini(&b);
}

static void mutf7(struct str s)
{
	struct buf a = {0}, b = {0};
	if (mutf7_decode(s, &a) == 0) {
		int rc = mutf7_encode(buf_view(&a), &b);
		assert(rc == 0 && str_eq(buf_view(&b), s));
	}
	buf_reset(&a);
	buf_reset(&b);
	if (mutf7_encode(s, &a) == 0) {
		int rc = mutf7_decode(buf_view(&a), &b);
		assert(rc == 0 && str_eq(buf_view(&b), s));
	} else {
		assert(!utf8_valid(s));
	}
	buf_fini(&a);
	buf_fini(&b);
}

static void transfer(enum transfer kind, struct str s)
{
	struct transfer_decoder whole = {.kind = kind}, octets = {.kind = kind};
	struct buf a = {0}, b = {0};
	transfer_decode(&whole, s, &a);
	transfer_end(&whole, &a);
	for (size_t i = 0; i < s.n; i++) { transfer_decode(&octets, str_sub(s, i, 1), &b); }
	transfer_end(&octets, &b);
	assert(str_eq(buf_view(&a), buf_view(&b)) && whole.bad == octets.bad);
	assert(a.n <= s.n);
	buf_fini(&a);
	buf_fini(&b);
}

/* Encoded in one piece or in many it is the same, in lines that every host takes, and comes back.
 */
static void encode(enum transfer kind, struct str s)
{
	struct transfer_encoder whole = {.kind = kind}, octets = {.kind = kind};
	struct transfer_decoder back = {.kind = kind};
	struct buf a = {0}, b = {0}, c = {0};
	transfer_encode(&whole, s, &a);
	transfer_encode_end(&whole, &a);
	for (size_t i = 0; i < s.n; i++) { transfer_encode(&octets, str_sub(s, i, 1), &b); }
	transfer_encode_end(&octets, &b);
	assert(str_eq(buf_view(&a), buf_view(&b)) && str_ascii(buf_view(&a)));
	struct str rest = buf_view(&a), line;
	while (rest.n) {
		(void)str_cut(&rest, '\n', &line); /* the last line has none */
		assert(line.n <= TRANSFER_LINE_MAX + 1);
	}
	transfer_decode(&back, buf_view(&a), &c);
	transfer_end(&back, &c);
	assert(str_eq(buf_view(&c), s) && !back.bad);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

/* Folded run by run, text must say what it says folded as a whole. */
static void fold(struct str valid)
{
	struct buf runs = {0};
	size_t n = 0;
	uint8_t *whole =
		u8_casefold((const uint8_t *)valid.p, valid.n, NULL, UNINORM_NFKD, NULL, &n);
	utf8_fold(valid, &runs);
	assert(whole && str_eq(buf_view(&runs), str_make(whole, n)));
	free(whole);
	buf_fini(&runs);
}

static void charset(struct str s)
{
	struct buf text = {0}, folded = {0};
	struct str name;
	(void)str_cut(&s, '\n', &name); /* without a line end all is the name */
	int rc = charset_to_utf8(name, s, &text);
	assert((rc == 0) == charset_known(name));
	assert(utf8_valid(buf_view(&text)));
	fold(buf_view(&text));
	utf8_fold(s, &folded);
	assert(utf8_valid(buf_view(&folded)));
	buf_fini(&text);
	buf_fini(&folded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_make(size ? (const char *)data : "", size);
	base64(s);
	mutf7(s);
	for (int kind = TRANSFER_NONE; kind <= TRANSFER_UNKNOWN; kind++) {
		transfer((enum transfer)kind, s);
	}
	encode(TRANSFER_BASE64, s);
	encode(TRANSFER_QP, s);
	charset(s);
	return 0;
}
