/* Log lines. Every role; one write(2) a line, so lines of several processes do not mix. */
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_OCTETS = 4096 };

static enum log_level max_level = LOG_INFO;
static void (*sink)(void *ctx, struct str line);
static void *sink_ctx;

void log_set_level(enum log_level level)
{
	max_level = level;
}

bool log_wants(enum log_level level)
{
	return level <= max_level;
}

void log_sink(void (*fn)(void *ctx, struct str line), void *ctx)
{
	sink = fn;
	sink_ctx = ctx;
}

static void escape(struct str s, struct buf *out)
{
	while (s.n && out->n < LINE_MAX_OCTETS) {
		size_t n = plain_len(s);
		if (n == 0) {
			buf_fmt(out, "\\x%02x", (unsigned char)s.p[0]);
			n = 1;
		} else {
			buf_add(out, s.p, n);
		}
		s = str_skip(s, n);
	}
}

static void put_time(struct buf *out)
{
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	buf_fmt(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
}

void log_event(
	enum log_level level, const struct log_ctx *ctx, const char *event, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	static struct buf line;
	va_list ap;
	char formatted[LINE_MAX_OCTETS];
	if (!log_wants(level)) { return; }
	buf_reset(&line);
	put_time(&line);
	buf_fmt(&line, " %s %s ", names[level], ctx ? ctx->role : "posthouse");
	if (ctx && ctx->session) { buf_fmt(&line, "s=%x ", ctx->session); }
	buf_str(&line, str_of(event));
	va_start(ap, fmt);
	int n = vsnprintf(formatted, sizeof formatted, fmt, ap);
	va_end(ap);
	if (n > 0) {
		buf_chr(&line, ' ');
		escape(str_make(formatted, MIN((size_t)n, sizeof formatted - 1)), &line);
	}
	if (sink) {
		sink(sink_ctx, buf_view(&line));
		return;
	}
	buf_chr(&line, '\n');
	ssize_t written = write(STDERR_FILENO, line.p, line.n);
	(void)written; /* a log that cannot be written must not stop the mail */
}
