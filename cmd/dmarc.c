/* posthouse dmarc: where the DMARC policy of a domain comes from: the walk through the DNS, the
   record that governs, and what in the records does not do what its author may think. */
#include <stdio.h>
#include <sysexits.h>

#include "auth/dmarc.h"
#include "cmd/commands.h"
#include "cmd/try.h"
#include "lib/idn.h"
#include "lib/wire.h"

struct dmarc {
	struct try_options try;
};
static const struct option_row options[] = {TRY_OPTIONS(dmarc)};

/* The walk to be shown, then the policy for a message that nothing authenticates. */
struct dmarc_try {
	struct try try;
	struct dmarc_walk walk;
	struct dmarc_check check;
};

static enum step check_step(struct try *t)
{
	struct dmarc_try *d = container_of(t, struct dmarc_try, try);
	if (dmarc_walk_step(&d->walk) == 0) { return STEP_WAIT; }
	return dmarc_check_step(&d->check) ? STEP_DONE : STEP_WAIT;
}

static const struct dmarc_author *author_of(const struct dmarc_try *d)
{
	return &d->check.authors[0];
}

/* --- one name that was asked --- */

/* What there is at the name. */
static void outcome(const struct dmarc_step *s, struct buf *out)
{
	static const char *const words[] = {[DNS_NODATA] = "no text",
		[DNS_NXDOMAIN] = "no such name",
		[DNS_SERVFAIL] = "the name server failed",
		[DNS_BAD] = "too long for a name"};
	if (s->found) {
		buf_str(out, s->text);
	} else if (s->records) {
		buf_fmt(out, "%u records begin with v=DMARC1: none of them counts", s->records);
	} else {
		buf_str(out, str_of(s->status == DNS_OK ? "no DMARC record" : words[s->status]));
	}
}

/* Sentences, one a line. */
static void warnings(const struct dmarc_step *s, struct buf *out)
{
	struct dmarc_warnings w = {.n = 0};
	struct dmarc_record record;
	if (s->others) {
		buf_fmt(out, "%u text%s no DMARC record: not looked at\n", s->others,
			s->others == 1 ? " is" : "s are");
	}
	if (!s->found) { return; }
	int rc = dmarc_parse(s->text, &record, &w);
	if (rc == 0 && s->unusable) {
		buf_fmt(out, "it is longer than %d octets and not used\n", DMARC_RECORD_MAX);
	}
	for (size_t i = 0; i < w.n; i++) {
		const struct dmarc_warning *one = &w.list[i];
		buf_str(out, one->tag);
		if (one->value.n) { buf_fmt(out, "=%.*s", STR_ARG(one->value)); }
		buf_fmt(out, " %s\n", one->says);
	}
}

/* --- text: what came from outside is shown without control characters --- */

static void line(const char *name, struct str value)
{
	struct buf out = {0};
	buf_plain(&out, value);
	printf("%-13s%.*s\n", name, STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

static void print_step(const struct dmarc_step *s)
{
	struct buf out = {0};
	struct str left, one;
	buf_fmt(&out, "_dmarc.%.*s: ", STR_ARG(s->name));
	outcome(s, &out);
	line("asked", buf_view(&out));
	buf_reset(&out);
	warnings(s, &out);
	for (left = buf_view(&out); left.n;) {
		str_cut(&left, '\n', &one);
		line("  mind", one);
	}
	buf_fini(&out);
}

/* What happens to a message that nothing authenticates. */
static void policy_sentence(const struct dmarc_author *a, struct buf *out)
{
	struct arena arena = {0};
	if (a->result == DMARC_RESULT_FAIL) {
		buf_fmt(out, "%s (%s=%s at %.*s%s)", dmarc_policy_name(a->policy), a->tag,
			dmarc_policy_name(a->published), STR_ARG(a->record->name),
			a->record->record.testing ? ", t=y takes one step off" : "");
	} else {
		buf_fmt(out, "%s: %.*s", a->result == DMARC_RESULT_TEMPERROR ? "not known" : "none",
			STR_ARG(dmarc_reason(a, &arena)));
	}
	arena_fini(&arena);
}

static void print_text(const struct dmarc_try *d)
{
	const struct dmarc_author *a = author_of(d);
	struct buf out = {0};
	for (size_t i = 0; i < d->walk.n; i++) { print_step(&d->walk.steps[i]); }
	line("organisation", dmarc_organisation(&d->walk));
	policy_sentence(a, &out);
	line("policy", buf_view(&out));
	if (a->result == DMARC_RESULT_FAIL) {
		buf_reset(&out);
		buf_fmt(&out, "DKIM %s, SPF %s",
			a->record->record.strict_dkim ? "strict" : "relaxed",
			a->record->record.strict_spf ? "strict" : "relaxed");
		line("alignment", buf_view(&out));
	}
	buf_fini(&out);
}

/* --- JSON --- */

static void json_step(const struct dmarc_step *s, struct buf *out)
{
	static const char *const words[] = {"ok", "nodata", "nxdomain", "servfail", "bad"};
	struct buf text = {0};
	struct str left, one;
	buf_str(out, STR("{\"name\":"));
	buf_fmt(&text, "_dmarc.%.*s", STR_ARG(s->name));
	json_str(buf_view(&text), out);
	buf_fmt(out, ",\"status\":\"%s\",\"records\":%u,\"others\":%u,\"found\":%s",
		words[s->status], s->records, s->others, s->found ? "true" : "false");
	json_member("text", s->text, out);
	buf_str(out, STR(",\"warnings\":["));
	buf_reset(&text);
	warnings(s, &text);
	for (left = buf_view(&text); left.n;) {
		str_cut(&left, '\n', &one);
		json_str(one, out);
		if (left.n) { buf_chr(out, ','); }
	}
	buf_str(out, STR("]}"));
	buf_fini(&text);
}

static void json_policy(const struct dmarc_try *d, struct buf *out)
{
	const struct dmarc_author *a = author_of(d);
	struct buf sentence = {0};
	bool applies = a->result == DMARC_RESULT_FAIL;
	json_member("organisation", dmarc_organisation(&d->walk), out);
	json_member("governing", a->record ? a->record->name : STR(""), out);
	json_member("tag", str_of(applies ? a->tag : ""), out);
	json_member("published", str_of(applies ? dmarc_policy_name(a->published) : ""), out);
	policy_sentence(a, &sentence);
	json_member("policy", str_of(applies ? dmarc_policy_name(a->policy) : ""), out);
	json_member("sentence", buf_view(&sentence), out);
	if (applies) {
		const struct dmarc_record *r = &a->record->record;
		buf_fmt(out, ",\"adkim\":\"%c\",\"aspf\":\"%c\",\"testing\":%s",
			r->strict_dkim ? 's' : 'r', r->strict_spf ? 's' : 'r',
			r->testing ? "true" : "false");
	}
	buf_fini(&sentence);
}

static void print_json(const struct dmarc_try *d)
{
	struct buf out = {0};
	buf_str(&out, STR("{\"domain\":"));
	json_str(d->walk.start, &out);
	buf_str(&out, STR(",\"asked\":["));
	for (size_t i = 0; i < d->walk.n; i++) {
		if (i) { buf_chr(&out, ','); }
		json_step(&d->walk.steps[i], &out);
	}
	buf_chr(&out, ']');
	json_policy(d, &out);
	printf("%.*s}\n", STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

/* --- the command --- */

static int status_of(const struct dmarc_author *a)
{
	switch (a->result) {
	case DMARC_RESULT_FAIL: return EX_OK; /* as it must without any identifier */
	case DMARC_RESULT_TEMPERROR: return EX_TEMPFAIL;
	default: return EXIT_FAILURE;
	}
}

static int look_up(const struct command *c, const struct dmarc *o, const char *domain)
{
	struct dmarc_try d = {.walk = {.n = 0}};
	struct authors authors = {.n = 1};
	int status = try_open(&d.try, c, &o->try);
	struct try *t = &d.try;
	if (status == 0 && idn_domain(str_of(domain), &t->arena, &authors.domains[0]) < 0) {
		status = command_fail(c, EX_USAGE, "'%s' is no domain name", domain);
	}
	if (status == 0) {
		dmarc_walk_start(
			&d.walk, t->dns, &t->budget, &t->task, &t->arena, authors.domains[0]);
		dmarc_check_start(&d.check, t->dns, &t->budget, &t->task, &t->arena);
		dmarc_check_authors(&d.check, &authors);
		try_run(t, check_step);
		(o->try.json ? print_json : print_text)(&d);
		status = status_of(author_of(&d));
		dmarc_walk_fini(&d.walk);
		dmarc_check_fini(&d.check);
	}
	try_close(t);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct dmarc o = {0};
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n < 0) { return EX_USAGE; }
	if (n != 1) {
		return command_fail(c, EX_USAGE, "written: posthouse %s %s", c->name, c->arguments);
	}
	return look_up(c, &o, args[0]);
}

const struct command command_dmarc = {.name = "dmarc",
	.arguments = "DOMAIN",
	.summary =
		"Which DMARC policy governs a domain, where it stands, and what is odd about it.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
