/* Error codes and sentences. Every role. */
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
	}
	return code;
}

const char *err_name(int code)
{
	static const char *const names[] = {"ok", "again", "io", "gone", "exists", "quota", "full",
		"syntax", "limit", "denied", "closed", "timeout", "damaged", "tls", "inuse"};
	int i = code > 0 ? 0 : -code;
	return i < (int)(sizeof names / sizeof *names) ? names[i] : "unknown";
}
