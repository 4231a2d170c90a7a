/* Ids as people see them. Base32 without letters that look like digits (Crockford's alphabet). */
#include "store/store.h"

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

const char *id_text(uint64_t id, char out[ID_TEXT])
{
	for (int i = ID_TEXT - 2; i >= 0; i--) {
		out[i] = alphabet[id & 31];
		id >>= 5;
	}
	out[ID_TEXT - 1] = 0;
	return out;
}

int id_parse(struct str text, uint64_t *out)
{
	uint64_t id = 0;
	if (text.n != ID_TEXT - 1) { return ERR_SYNTAX; }
	for (size_t i = 0; i < text.n; i++) {
		const char *at = memchr(alphabet, ascii_lower(text.p[i]), sizeof alphabet - 1);
		if (!at || (i == 0 && at - alphabet > 15)) { return ERR_SYNTAX; }
		id = id << 5 | (uint64_t)(at - alphabet);
	}
	*out = id;
	return 0;
}

uint64_t id_new(int64_t now_us)
{
	enum { COUNT_BITS = 22 };
	static uint32_t count;
	if (!count) { random_bytes(&count, sizeof count); }
	return (uint64_t)now_us >> 10 << COUNT_BITS | (count++ & ((1U << COUNT_BITS) - 1));
}
