/* Dates as mail writes them, to and from microseconds since the epoch (UTC). */
#pragma once

#include "lib/lib.h"

/* "Tue, 24 Nov 2026 01:49:53 +0000" (RFC 5322 3.3). */
void date_rfc5322(int64_t us, struct buf *out);
/* RFC 5322 3.3 with 4.3's obsolete forms, comments and missing weekday. `zone_out` (may be NULL) is
   minutes east of UTC. ERR_SYNTAX. */
int date_rfc5322_parse(struct str text, int64_t *us_out, int *zone_out);
/* "24-Nov-2026 01:49:53 +0000", day padded with a space (RFC 9051 INTERNALDATE, no quotes). Reading
   takes a day without its padding, too: imapflow sends that. */
void date_internal(int64_t us, struct buf *out);
int date_internal_parse(struct str text, int64_t *us_out);
/* "24-Nov-2026" or "1-Jan-2026" (RFC 9051 date-text): the day's number since the epoch. */
int date_day_parse(struct str text, int64_t *day_out);
/* "2026-11-24T01:49:53Z", RFC 3339, for logs and JSON. */
void date_iso(int64_t us, struct buf *out);
/* The same, or a day "2026-11-24", or a time before `now_us`: "90s", "30m", "2h", "7d". ERR_SYNTAX.
 */
int date_since_parse(struct str text, int64_t now_us, int64_t *us_out);
/* Day number of a moment, in the zone it was written in (RFC 9051 SENTON ignores time and zone). */
static inline int64_t date_day(int64_t us, int zone_minutes)
{
	int64_t s = us / SECOND_US + (int64_t)zone_minutes * 60;
	return s >= 0 ? s / 86400 : -((-s + 86399) / 86400);
}
