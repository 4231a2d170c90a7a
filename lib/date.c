/* Dates of mail: one reader of tokens for all forms, and the civil calendar (proleptic Gregorian,
   no time zone data base). Pure functions, every role. */
#include "lib/date.h"

#include "lib/head_private.h"

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

struct civil {
	int year, month, day, hour, minute, second; /* month 1..12 */
	int zone;                                   /* minutes east of UTC */
};

/* Days since 1970-01-01, with years that begin in March so that the leap day comes last. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_of_day(int64_t days, struct civil *c)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * of_year + 2) / 153;
	c->day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
	c->month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
	c->year = (int)(year + era * 400 + (c->month <= 2));
}

/* The moment in UTC; returns the day number. */
static int64_t civil_of(int64_t us, struct civil *c)
{
	int64_t day = date_day(us, 0);
	int64_t s = us / SECOND_US - (us % SECOND_US < 0) - day * 86400;
	if (s < 0) {
		day--;
		s += 86400;
	}
	civil_of_day(day, c);
	c->hour = (int)(s / 3600);
	c->minute = (int)(s / 60 % 60);
	c->second = (int)(s % 60);
	return day;
}

static bool civil_valid(const struct civil *c)
{
	static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
	if (c->month < 1 || c->month > 12 || c->year < 1 || c->year > 9999) { return false; }
	if (c->day < 1 || c->day > lengths[c->month - 1] - (c->month == 2 && !leap)) {
		return false;
	}
	return c->hour < 24 && c->minute < 60 && c->second <= 60;
}

static int64_t us_of(const struct civil *c)
{
	int64_t s = days_of(c->year, c->month, c->day) * 86400 + c->hour * 3600 +
		    (c->minute - c->zone) * 60 + c->second;
	return s * SECOND_US;
}

void date_rfc5322(int64_t us, struct buf *out)
{
	struct civil c;
	int64_t day = civil_of(us, &c);
	buf_fmt(out, "%s, %d %s %04d %02d:%02d:%02d +0000", weekdays[(day % 7 + 7) % 7], c.day,
		months[c.month - 1], c.year, c.hour, c.minute, c.second);
}

void date_internal(int64_t us, struct buf *out)
{
	struct civil c;
	(void)civil_of(us, &c); /* the day number is of no use here */
	buf_fmt(out, "%2d-%s-%04d %02d:%02d:%02d +0000", c.day, months[c.month - 1], c.year, c.hour,
		c.minute, c.second);
}

void date_iso(int64_t us, struct buf *out)
{
	struct civil c;
	(void)civil_of(us, &c); /* the day number is of no use here */
	buf_fmt(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.minute,
		c.second);
}

/* A number of `min` to `max` digits at the front of *s. */
static bool take_number(struct str *s, size_t min, size_t max, int *out)
{
	size_t n = 0;
	int v = 0;
	while (n < s->n && n < max && ascii_digit(s->p[n])) { v = v * 10 + (s->p[n++] - '0'); }
	if (n < min || (n < s->n && ascii_digit(s->p[n]))) { return false; }
	*out = v;
	*s = str_skip(*s, n);
	return true;
}

static bool take_char(struct str *s, char c)
{
	if (!s->n || s->p[0] != c) { return false; }
	*s = str_skip(*s, 1);
	return true;
}

static struct str take_word(struct str *s)
{
	size_t n = 0;
	while (n < s->n && ascii_alpha(s->p[n])) { n++; }
	struct str word = str_make(s->p, n);
	*s = str_skip(*s, n);
	return word;
}

/* By the first three letters when `exact` is false: "June" is met. */
static bool take_month(struct str *s, bool exact, int *out)
{
	struct str word = take_word(s);
	if (word.n < 3 || (exact && word.n != 3)) { return false; }
	for (int i = 0; i < 12; i++) {
		if (str_ieq(str_sub(word, 0, 3), str_make(months[i], 3))) {
			*out = i + 1;
			return true;
		}
	}
	return false;
}

/* "+hhmm". */
static bool take_offset(struct str *s, int *out)
{
	bool west = s->n && s->p[0] == '-';
	int hhmm;
	if (!west && !(s->n && s->p[0] == '+')) { return false; }
	*s = str_skip(*s, 1);
	if (!take_number(s, 4, 4, &hhmm) || hhmm % 100 > 59) { return false; }
	*out = (hhmm / 100 * 60 + hhmm % 100) * (west ? -1 : 1);
	return true;
}

static bool take_time(struct str *s, struct civil *c)
{
	return take_number(s, 2, 2, &c->hour) && take_char(s, ':') &&
	       take_number(s, 2, 2, &c->minute) && take_char(s, ':') &&
	       take_number(s, 2, 2, &c->second);
}

int date_internal_parse(struct str text, int64_t *us_out)
{
	struct civil c = {0};
	size_t day_digits = take_char(&text, ' ') ? 1 : 2;
	bool ok = take_number(&text, 1, day_digits, &c.day) && take_char(&text, '-') &&
		  take_month(&text, true, &c.month) && take_char(&text, '-') &&
		  take_number(&text, 4, 4, &c.year) && take_char(&text, ' ') &&
		  take_time(&text, &c) && take_char(&text, ' ') && take_offset(&text, &c.zone);
	if (!ok || text.n || !civil_valid(&c)) { return ERR_SYNTAX; }
	*us_out = us_of(&c);
	return 0;
}

int date_day_parse(struct str text, int64_t *day_out)
{
	struct civil c = {0};
	bool ok = take_number(&text, 1, 2, &c.day) && take_char(&text, '-') &&
		  take_month(&text, true, &c.month) && take_char(&text, '-') &&
		  take_number(&text, 4, 4, &c.year);
	if (!ok || text.n || !civil_valid(&c)) { return ERR_SYNTAX; }
	*day_out = days_of(c.year, c.month, c.day);
	return 0;
}

/* "2h" before now. */
static bool ago(struct str text, int64_t now_us, int64_t *us_out)
{
	static const struct str letters = STR("smhd");
	static const int seconds[] = {1, 60, 3600, 86400};
	int n;
	if (!take_number(&text, 1, 6, &n) || text.n != 1) { return false; }
	ptrdiff_t unit = str_chr(letters, text.p[0]);
	if (unit < 0) { return false; }
	*us_out = now_us - (int64_t)n * seconds[unit] * SECOND_US;
	return true;
}

int date_since_parse(struct str text, int64_t now_us, int64_t *us_out)
{
	struct civil c = {0};
	if (ago(text, now_us, us_out)) { return 0; }
	bool ok = take_number(&text, 4, 4, &c.year) && take_char(&text, '-') &&
		  take_number(&text, 2, 2, &c.month) && take_char(&text, '-') &&
		  take_number(&text, 2, 2, &c.day);
	if (ok && text.n) {
		ok = take_char(&text, 'T') && take_number(&text, 2, 2, &c.hour) &&
		     take_char(&text, ':') && take_number(&text, 2, 2, &c.minute) &&
		     take_char(&text, ':') && take_number(&text, 2, 2, &c.second) &&
		     take_char(&text, 'Z') && text.n == 0;
	}
	if (!ok || !civil_valid(&c)) { return ERR_SYNTAX; }
	*us_out = us_of(&c);
	return 0;
}

/* RFC 5322 4.3: the names that have a meaning; all others count as -0000. */
static int zone_by_name(struct str name)
{
	static const struct {
		struct str name;
		int minutes;
	} zones[] = {
		{STR("EDT"), -4 * 60},
		{STR("EST"), -5 * 60},
		{STR("CDT"), -5 * 60},
		{STR("CST"), -6 * 60},
		{STR("MDT"), -6 * 60},
		{STR("MST"), -7 * 60},
		{STR("PDT"), -7 * 60},
		{STR("PST"), -8 * 60},
	};
	for (size_t i = 0; i < COUNT(zones); i++) {
		if (str_ieq(zones[i].name, name)) { return zones[i].minutes; }
	}
	return 0;
}

/* hour ":" minute [":" second], with white space around any of them (obs-hour). */
static bool loose_time(struct str *s, struct civil *c)
{
	int *fields[] = {&c->hour, &c->minute, &c->second};
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (i && !take_char(s, ':')) { return i == 2; }
		head_skip_cfws(s);
		if (!take_number(s, 1, 2, fields[i])) { return false; }
		head_skip_cfws(s);
	}
	return true;
}

/* Two and three digits: RFC 5322 4.3 obs-year. */
static bool loose_year(struct str *s, int *out)
{
	size_t before = s->n;
	if (!take_number(s, 2, 4, out)) { return false; }
	size_t digits = before - s->n;
	if (digits == 3) { *out += 1900; }
	if (digits == 2) { *out += *out < 50 ? 2000 : 1900; }
	return true;
}

/* A missing zone is read as -0000. */
static bool loose_zone(struct str *s, int *out)
{
	if (s->n && (s->p[0] == '+' || s->p[0] == '-')) { return take_offset(s, out); }
	*out = zone_by_name(take_word(s));
	return true;
}

static bool loose_date(struct str *s, struct civil *c)
{
	if (s->n && ascii_alpha(s->p[0])) {
		(void)take_word(s); /* the weekday says nothing the date does not */
		head_skip_cfws(s);
		(void)take_char(s, ','); /* some leave it out */
		head_skip_cfws(s);
	}
	if (!take_number(s, 1, 2, &c->day)) { return false; }
	head_skip_cfws(s);
	(void)take_char(s, '-'); /* "24-Nov-2026" is met */
	if (!take_month(s, false, &c->month)) { return false; }
	(void)take_char(s, '-');
	head_skip_cfws(s);
	return loose_year(s, &c->year);
}

int date_rfc5322_parse(struct str text, int64_t *us_out, int *zone_out)
{
	struct civil c = {0};
	head_skip_cfws(&text);
	if (!loose_date(&text, &c)) { return ERR_SYNTAX; }
	head_skip_cfws(&text);
	if (!loose_time(&text, &c) || !loose_zone(&text, &c.zone) || !civil_valid(&c)) {
		return ERR_SYNTAX;
	}
	*us_out = us_of(&c);
	if (zone_out) { *zone_out = c.zone; }
	return 0;
}
