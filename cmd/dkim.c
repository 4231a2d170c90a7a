/* posthouse dkim verify FILE: what the DKIM signatures of a message are worth, and why. */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "auth/dkim_verify.h"
#include "cmd/commands.h"
#include "cmd/try.h"
#include "lib/wire.h"

enum { HEADER_MAX = 1024 * 1024, PIECE = 64 * 1024 };

struct dkim {
	struct try_options try;
};
static const struct option_row options[] = {TRY_OPTIONS(dkim)};

/* --- the message --- */

struct reader {
	struct dkim_verify *v;
	struct buf header, crlf;
	char last;
	bool in_body;
};

/* As files hold text: a bare LF ends a line, too. */
static void add_crlf(struct reader *r, struct str s)
{
	buf_reset(&r->crlf);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && r->last != '\r') { buf_chr(&r->crlf, '\r'); }
		buf_chr(&r->crlf, s.p[i]);
		r->last = s.p[i];
	}
}

/* Octets of the header with its empty line, 0 = not yet all here. */
static size_t header_length(struct str s)
{
	ptrdiff_t end = str_find(s, STR("\r\n\r\n"));
	return str_starts(s, STR("\r\n")) ? 2 : end < 0 ? 0 : (size_t)end + 4;
}

static void add(struct reader *r, struct str octets, bool last)
{
	add_crlf(r, octets);
	if (r->in_body) {
		dkim_verify_body(r->v, buf_view(&r->crlf));
		return;
	}
	buf_str(&r->header, buf_view(&r->crlf));
	size_t n = header_length(buf_view(&r->header));
	if (n == 0 && !last) { return; }
	n = n ? n : r->header.n; /* a message without a body */
	r->in_body = true;
	dkim_verify_header(r->v, str_sub(buf_view(&r->header), 0, n));
	dkim_verify_body(r->v, str_skip(buf_view(&r->header), n));
}

static int read_message(const struct command *c, FILE *f, const char *name, struct dkim_verify *v)
{
	struct reader r = {.v = v};
	char *piece = xcalloc(1, PIECE);
	size_t n = 0;
	do {
		n = fread(piece, 1, PIECE, f);
		add(&r, str_make(piece, n), n < PIECE);
	} while (n == PIECE && (r.in_body || r.header.n <= HEADER_MAX));
	int status = EX_OK;
	if (ferror(f)) {
		status = command_fail(c, EX_NOINPUT, "%s: %s", name, strerror(errno));
	} else if (!r.in_body) {
		status = command_fail(c, EX_DATAERR, "%s: the header is longer than 1 MB", name);
	}
	free(piece);
	buf_fini(&r.header);
	buf_fini(&r.crlf);
	return status;
}

/* --- the verdict --- */

static void print_value(const char *name, struct str value)
{
	if (value.n == 0) { return; }
	printf("  %-9s ", name);
	while (value.n) { /* a stranger's octets, on a terminal */
		size_t n = plain_len(value);
		if (n == 0) { printf("\\x%02x", (unsigned char)value.p[0]); }
		printf("%.*s", (int)n, value.p);
		value = str_skip(value, MAX(n, (size_t)1));
	}
	printf("\n");
}

static void print_text(const struct dkim_sig *s)
{
	printf("%s: %.*s\n", dkim_result_name(s->result), STR_ARG(s->reason));
	print_value("domain", s->domain);
	print_value("selector", s->selector);
	print_value("identity", s->identity);
	print_value("algorithm", s->algorithm);
	print_value("b", s->b);
	print_value("asked", s->asked);
	if (s->key_bits) {
		printf("  %-9s %u bits%s%s\n", "key", s->key_bits, s->weak ? ", weak" : "",
			s->testing ? ", for testing (t=y)" : "");
	}
}

static void print_json(const struct dkim_sig *s, bool first)
{
	struct buf out = {0};
	buf_fmt(&out, "%s\n{\"result\":\"%s\"", first ? "" : ",", dkim_result_name(s->result));
	json_member("reason", s->reason, &out);
	json_member("domain", s->domain, &out);
	json_member("selector", s->selector, &out);
	json_member("identity", s->identity, &out);
	json_member("algorithm", s->algorithm, &out);
	json_member("b", s->b, &out);
	json_member("asked", s->asked, &out);
	buf_fmt(&out, ",\"key_bits\":%u,\"weak\":%s,\"testing\":%s}", s->key_bits,
		s->weak ? "true" : "false", s->testing ? "true" : "false");
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
}

/* EX_OK when at least one signature is good. */
static int print_verdict(const struct dkim_verify *v, bool json)
{
	size_t n;
	bool pass = false;
	const struct dkim_sig *sigs = dkim_verify_sigs(v, &n);
	if (json) { printf("["); }
	if (n == 0 && !json) { printf("none: the message has no DKIM-Signature field\n"); }
	for (size_t i = 0; i < n; i++) {
		pass |= sigs[i].result == DKIM_RESULT_PASS;
		if (json) {
			print_json(&sigs[i], i == 0);
		} else {
			print_text(&sigs[i]);
		}
	}
	if (json) { printf("\n]\n"); }
	return pass ? EX_OK : EXIT_FAILURE;
}

/* --- the command --- */

struct verify {
	struct try try;
	const struct command *command;
	FILE *file;
	const char *name;
	struct dkim_verify *v;
	int status;
};

static enum step verify_step(struct try *t)
{
	struct verify *a = container_of(t, struct verify, try);
	if (!a->v) { /* answers may wake us from here on */
		struct dkim_env env = {.dns = t->dns,
			.budget = &t->budget,
			.task = &t->task,
			.now_us = loop_now_us(t->loop)};
		a->v = dkim_verify_new(&env);
		a->status = read_message(a->command, a->file, a->name, a->v);
	}
	return a->status == EX_OK && dkim_verify_step(a->v) == 0 ? STEP_WAIT : STEP_DONE;
}

static int verify(const struct command *c, const struct dkim *o, const char *name)
{
	bool from_stdin = strcmp(name, "-") == 0;
	struct verify a = {.command = c, .name = from_stdin ? "standard input" : name};
	a.file = from_stdin ? stdin : fopen(name, "rb");
	if (!a.file) { return command_fail(c, EX_NOINPUT, "%s: %s", name, strerror(errno)); }
	int status = try_open(&a.try, c, &o->try);
	if (status == 0) {
		try_run(&a.try, verify_step);
		status = a.status == EX_OK ? print_verdict(a.v, o->try.json) : a.status;
		dkim_verify_free(a.v);
	}
	try_close(&a.try);
	if (!from_stdin) { fclose(a.file); }
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct dkim o = {0};
	const char *args[ARGS_MAX];
	int n = options_read(c, argc, argv, &o, args);
	if (n < 0) { return EX_USAGE; }
	if (n != 2 || strcmp(args[0], "verify") != 0) {
		return command_fail(c, EX_USAGE, "written: posthouse %s %s", c->name, c->arguments);
	}
	return verify(c, &o, args[1]);
}

const struct command command_dkim = {.name = "dkim",
	.arguments = "verify FILE",
	.summary = "What the DKIM signatures of a message are worth, and why; FILE - is the input.",
	.run = run,
	.options = options,
	.options_n = COUNT(options)};
