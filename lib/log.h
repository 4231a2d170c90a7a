/* Log lines: `time level role s=3f2a event key=value ...`, one per fact, to stderr. Every octet
   that could break a line or a terminal is escaped here, in one place. Secrets never come here. */
#pragma once

#include "lib/lib.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Who speaks: the role's name, then the session's id (0 = none). */
struct log_ctx {
	const char *role;
	uint32_t session;
};

void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
/* `event` is a fixed text ("accepted"); the rest is a printf format of key=value pairs. */
void log_event(enum log_level level, const struct log_ctx *ctx, const char *event, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
/* Where lines go, for tests: NULL = stderr. */
void log_sink(void (*fn)(void *ctx, struct str line), void *ctx);
