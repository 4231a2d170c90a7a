/* The TAP harness. */
#include "t/tap.h"

#include <ctype.h>
#include <stdarg.h>

static struct {
	bool failed;
	const char *skip;
} now;

void tap_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	now.failed = true;
	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void tap_skip(const char *reason)
{
	now.skip = reason;
}

static void print_quoted(const char *label, struct str s)
{
	printf("#   %s (%zu) \"", label, s.n);
	for (size_t i = 0; i < s.n && i < 600; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 32 && c < 127) {
			putchar(c);
		} else {
			printf("\\x%02x", c);
		}
	}
	puts("\"");
}

void tap_check_str(const char *file, int line, const char *what, struct str got, struct str want)
{
	if (str_eq(got, want)) { return; }
	tap_fail(file, line, "%s differs", what);
	print_quoted("got ", got);
	print_quoted("want", want);
}

void tap_check_int(const char *file, int line, const char *what, long long got, long long want)
{
	if (got != want) { tap_fail(file, line, "%s is %lld, want %lld", what, got, want); }
}

int tap_run(const struct tap_case *cases, size_t n, int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	bool any_failed = false, no_skip = getenv("POSTHOUSE_NO_SKIP") != NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		now.failed = false;
		now.skip = only && strcmp(only, cases[i].name) != 0 ? "not asked for" : NULL;
		if (!now.skip) {
			cases[i].run();
			if (now.skip && no_skip) {
				tap_fail(cases[i].name, 0, "skipped: %s", now.skip);
			}
		}
		printf("%s %zu - %s%s%s\n", now.failed ? "not ok" : "ok", i + 1, cases[i].name,
			now.skip && !now.failed ? " # SKIP " : "",
			now.skip && !now.failed ? now.skip : "");
		any_failed |= now.failed;
	}
	return any_failed;
}
