/* Charsets by iconv(3), UTF-8 and case folding by libunistring. Converters that charset_prepare
   loaded are kept for the life of the process: later the file system is gone. Every role; one
   thread. */
#include "lib/charset.h"

#include <errno.h>
#include <iconv.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#define REPLACEMENT STR("\xef\xbf\xbd")

/* What mail is written in, by the name that iconv has for it. Other charsets are not known: they
   could not be loaded later, and the converters of exotic ones are a risk of their own. */
static struct converter {
	struct str name;
	const char *iconv_name; /* NULL = the same */
	iconv_t cd;
	bool open;
} converters[] = {
	{STR("big5"), "big5-hkscs"},
	{STR("big5-hkscs")},
	{STR("cp1250")},
	{STR("cp1251")},
	{STR("cp1252")},
	{STR("cp437")},
	{STR("cp850")},
	{STR("cp852")},
	{STR("cp866")},
	{STR("cp932")},
	{STR("euc-jp")},
	{STR("euc-kr"), "cp949"},
	{STR("gb18030")},
	{STR("gb2312"), "gb18030"},
	{STR("gbk"), "gb18030"},
	{STR("ibm437")},
	{STR("ibm850")},
	{STR("ibm852")},
	{STR("ibm866")},
	{STR("iso-2022-jp")},
	{STR("iso-2022-kr")},
	{STR("iso-8859-1"), "windows-1252"}, /* as everybody reads it */
	{STR("iso-8859-10")},
	{STR("iso-8859-13")},
	{STR("iso-8859-14")},
	{STR("iso-8859-15")},
	{STR("iso-8859-16")},
	{STR("iso-8859-2")},
	{STR("iso-8859-3")},
	{STR("iso-8859-4")},
	{STR("iso-8859-5")},
	{STR("iso-8859-6")},
	{STR("iso-8859-6-i"), "iso-8859-6"},
	{STR("iso-8859-7")},
	{STR("iso-8859-8")},
	{STR("iso-8859-8-i"), "iso-8859-8"},
	{STR("iso-8859-9"), "windows-1254"},
	{STR("koi8-r")},
	{STR("koi8-u")},
	{STR("ks_c_5601-1987"), "cp949"},
	{STR("latin1"), "windows-1252"},
	{STR("macintosh")},
	{STR("shift_jis"), "cp932"},
	{STR("tis-620")},
	{STR("utf-16")},
	{STR("utf-16be")},
	{STR("utf-16le")},
	{STR("utf-7")},
	{STR("windows-1250")},
	{STR("windows-1251")},
	{STR("windows-1252")},
	{STR("windows-1253")},
	{STR("windows-1254")},
	{STR("windows-1255")},
	{STR("windows-1256")},
	{STR("windows-1257")},
	{STR("windows-1258")},
	{STR("windows-31j"), "cp932"},
	{STR("windows-874"), "cp874"},
	{STR("x-gbk"), "gb18030"},
	{STR("x-sjis"), "cp932"},
};

static bool converter_open(struct converter *c)
{
	if (!c->open) {
		c->cd = iconv_open("UTF-8", c->iconv_name ? c->iconv_name : c->name.p);
		c->open = c->cd != (iconv_t)-1;
	}
	return c->open;
}

/* NULL when unknown. */
static struct converter *converter_get(struct str name)
{
	for (size_t i = 0; i < COUNT(converters); i++) {
		struct converter *c = &converters[i];
		if (str_ieq(c->name, name)) { return converter_open(c) ? c : NULL; }
	}
	return NULL;
}

void charset_prepare(void)
{
	for (size_t i = 0; i < COUNT(converters); i++) {
		/* one that is missing is unknown later, too */
		(void)converter_open(&converters[i]);
	}
}

/* ASCII and UTF-8 need no converter. */
static bool is_utf8(struct str name)
{
	static const struct str names[] = {
		STR("utf-8"), STR("utf8"), STR("us-ascii"), STR("ascii"), STR("unicode-1-1-utf-8")};
	for (size_t i = 0; i < COUNT(names); i++) {
		if (str_ieq(names[i], name)) { return true; }
	}
	return false;
}

bool charset_known(struct str name)
{
	return is_utf8(name) || converter_get(name);
}

bool utf8_valid(struct str s)
{
	return !s.n || u8_check((const uint8_t *)s.p, s.n) == NULL;
}

/* windows-1252 from 0x80 to 0x9f; the five octets it does not have are U+FFFD. */
static void add_windows_1252(unsigned char c, struct buf *out)
{
	static const uint16_t high[32] = {0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020,
		0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd,
		0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161,
		0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
	uint8_t utf8[6];
	int n = u8_uctomb(utf8, c < 0xa0 ? high[c - 0x80] : c, sizeof utf8);
	buf_add(out, utf8, (size_t)MAX(n, 0));
}

/* UTF-8 as it is; octets that are none become U+FFFD or, `guess`, what windows-1252 says. */
static void add_utf8(struct str in, bool guess, struct buf *out)
{
	while (in.n) {
		const uint8_t *bad = u8_check((const uint8_t *)in.p, in.n);
		size_t good = bad ? (size_t)((const char *)bad - in.p) : in.n;
		buf_add(out, in.p, good);
		in = str_skip(in, good);
		if (!bad) { return; }
		if (guess) {
			add_windows_1252(*bad, out);
		} else {
			buf_str(out, REPLACEMENT);
		}
		in = str_skip(in, 1);
	}
}

/* One call of iconv(3) into `out`, without input the last one, which brings what the converter
   holds back. False when it stops for another reason than space. */
static bool convert_some(iconv_t cd, struct str *in, struct buf *out)
{
	char *from = (char *)in->p; /* iconv does not write there */
	size_t left = in->n, space = in->n + 64, to_left = space;
	char *to = buf_reserve(out, space);
	size_t rc = iconv(cd, in->n ? &from : NULL, &left, &to, &to_left);
	bool full = rc == (size_t)-1 && errno == E2BIG;
	buf_grow(out, space - to_left);
	*in = str_skip(*in, in->n - left);
	return rc != (size_t)-1 || full;
}

static void convert(iconv_t cd, struct str in, struct buf *out)
{
	iconv(cd, NULL, NULL, NULL, NULL);
	while (in.n) {
		if (!convert_some(cd, &in, out)) {
			buf_str(out, REPLACEMENT);
			in = str_skip(in, 1);
		}
	}
	(void)convert_some(cd, &in, out); /* a state that cannot end has nothing to show */
}

int charset_to_utf8(struct str name, struct str in, struct buf *out)
{
	struct converter *c;
	if (is_utf8(name)) {
		add_utf8(in, false, out);
		return 0;
	}
	c = converter_get(name);
	if (!c) {
		add_utf8(in, true, out);
		return ERR_GONE;
	}
	convert(c->cd, in, out);
	return 0;
}

/* Octets of the ASCII (or not ASCII) run that `s` begins with. */
static size_t run_length(struct str s, bool ascii)
{
	size_t n = 0;
	while (n < s.n && !(s.p[n] & 0x80) == ascii) { n++; }
	return n;
}

void utf8_nfc(struct str s, struct buf *out)
{
	uint8_t room[256];
	size_t n = sizeof room;
	if (run_length(s, true) == s.n) {
		buf_str(out, s);
		return;
	}
	uint8_t *composed = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, room, &n);
	if (!composed) { abort(); } /* memory is out */
	buf_add(out, composed, n);
	if (composed != room) { free(composed); }
}

static void fold_ascii(struct str s, struct buf *out)
{
	char *to = buf_reserve(out, s.n);
	for (size_t i = 0; i < s.n; i++) { to[i] = ascii_lower(s.p[i]); }
	buf_grow(out, s.n);
}

/* `s` is valid UTF-8. */
static void fold_other(struct str s, struct buf *out)
{
	uint8_t room[256];
	size_t n = sizeof room;
	uint8_t *folded = u8_casefold((const uint8_t *)s.p, s.n, NULL, UNINORM_NFKD, room, &n);
	if (!folded) { abort(); } /* memory is out */
	buf_add(out, folded, n);
	if (folded != room) { free(folded); }
}

/* Run by run, which makes no difference: nothing in a decomposition reaches over an ASCII character
   that stands behind it. */
void utf8_fold(struct str s, struct buf *out)
{
	struct buf valid = {0};
	bool ascii = true;
	if (!utf8_valid(s)) {
		add_utf8(s, false, &valid);
		s = buf_view(&valid);
	}
	for (; s.n; ascii = !ascii) {
		struct str run = str_sub(s, 0, run_length(s, ascii));
		if (ascii) {
			fold_ascii(run, out);
		} else {
			fold_other(run, out);
		}
		s = str_skip(s, run.n);
	}
	buf_fini(&valid);
}
