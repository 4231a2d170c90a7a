/* Wildcards. The imap role. Pure. */
#include "imap/list_match.h"

static size_t any_case(struct str name)
{
	size_t n = STR("INBOX").n;
	return str_starts(name, STR("INBOX")) && (name.n == n || name.p[n] == '/') ? n : 0;
}

/* Greedy with two places to come back to: the last '*' may always swallow more; the last '%' behind
   it only up to the next '/'. */
bool list_match(struct str pattern, struct str name)
{
	size_t p = 0, n = 0;
	size_t folded = any_case(name);
	size_t star_p = SIZE_MAX, star_n = 0, percent_p = SIZE_MAX, percent_n = 0;
	for (;;) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star_p = ++p;
			star_n = n;
			percent_p = SIZE_MAX;
		} else if (p < pattern.n && pattern.p[p] == '%') {
			percent_p = ++p;
			percent_n = n;
		} else if (p == pattern.n && n == name.n) {
			return true;
		} else if (p < pattern.n && n < name.n &&
			   (pattern.p[p] == name.p[n] ||
				   (n < folded && ascii_upper(pattern.p[p]) == name.p[n]))) {
			p++;
			n++;
		} else if (percent_p != SIZE_MAX && percent_n < name.n &&
			   name.p[percent_n] != '/') {
			p = percent_p;
			n = ++percent_n;
		} else if (star_p != SIZE_MAX && star_n < name.n) {
			p = star_p;
			n = ++star_n;
			percent_p = SIZE_MAX;
		} else {
			return false;
		}
	}
}
