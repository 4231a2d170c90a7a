/* The load generator: one run of one mode against a running server, one line of JSON. See
   t/bench/README. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "t/bench/bench.h"

static const struct mode modes[] = {
	{"smtp", mode_smtp, "messages in by SMTP"},
	{"submission", mode_submission, "messages in by SMTP with AUTH PLAIN"},
	{"lmtp", mode_lmtp, "messages in by LMTP"},
	{"append", mode_append, "IMAP APPEND to --mailbox"},
	{"fetch-envelope", mode_fetch_envelope,
		"FETCH of envelopes and structures, --passes times"},
	{"fetch-body", mode_fetch_body, "UID FETCH of all bodies, --passes times"},
	{"mixed", mode_mixed, "STORE, FETCH, SEARCH, COPY, STATUS, ... --ops of them in all"},
	{"login", mode_login, "connect, LOGIN, LOGOUT, --ops times"},
	{"idle", mode_idle, "from a message's 250 on --smtp-port to its EXISTS in IDLE"},
	{"idle-memory", mode_idle_memory, "PSS of the server with --connections in IDLE"},
	{"message", mode_message, "print the first message that smtp would send, and nothing else"},
	{"start", mode_start, "run the server --ops times until it greets: ... -- COMMAND"},
};

enum arg { ARG_TEXT, ARG_NUMBER, ARG_TLS, ARG_FLAG };

#define AT(member) offsetof(struct options, member)

static const struct arg_row {
	const char *name;
	enum arg arg;
	size_t at;
	const char *help;
} args[] = {
	{"host", ARG_TEXT, AT(host), "IPv4 address (127.0.0.1)"},
	{"port", ARG_NUMBER, AT(port), "of the protocol under test"},
	{"tls", ARG_TLS, AT(tls), "none, starttls or implicit (none)"},
	{"smtp-port", ARG_NUMBER, AT(smtp_port), "for idle and start"},
	{"imap-port", ARG_NUMBER, AT(imap_port),
		"smtp, lmtp, submission: wait until all is seen here"},
	{"imap-tls", ARG_TLS, AT(imap_tls), "the same for --imap-port"},
	{"ca", ARG_TEXT, AT(ca), "verify certificates against this file"},
	{"user", ARG_TEXT, AT(user), "address; % is the user's number (user%@bench.test)"},
	{"users", ARG_NUMBER, AT(users), "how many there are (1)"},
	{"password", ARG_TEXT, AT(password), "of all users (secret)"},
	{"helo", ARG_TEXT, AT(helo), "our name (client.test)"},
	{"xclient", ARG_TEXT, AT(xclient), "the client's address, told by XCLIENT"},
	{"header", ARG_TEXT, AT(header), "file with fields that come before each message"},
	{"sender", ARG_TEXT, AT(sender), "reverse-path of smtp and lmtp"},
	{"mailbox", ARG_TEXT, AT(mailbox), "(INBOX)"},
	{"connections", ARG_NUMBER, AT(connections), "side by side (1)"},
	{"messages", ARG_NUMBER, AT(messages), "in all (100)"},
	{"size", ARG_NUMBER, AT(size), "octets of a message (4096)"},
	{"recipients", ARG_NUMBER, AT(recipients), "of each message (1)"},
	{"per-connection", ARG_NUMBER, AT(per_connection), "messages, then QUIT (0 = no limit)"},
	{"no-pipelining", ARG_FLAG, AT(no_pipelining), "wait for each SMTP reply"},
	{"passes", ARG_NUMBER, AT(passes),
		"of the fetch modes (1); mixed: 0 = reuse its mailboxes"},
	{"ops", ARG_NUMBER, AT(ops), "of mixed, login and start (100)"},
	{"pids", ARG_TEXT, AT(pids), "the server's root processes, with commas"},
	{"timeout", ARG_NUMBER, AT(timeout_s), "seconds until a run has failed (300)"},
};

static int usage(void)
{
	fputs("usage: load MODE [--OPTION VALUE ...] [-- COMMAND ...]\n\nmodes:\n", stderr);
	for (size_t i = 0; i < COUNT(modes); i++) {
		fprintf(stderr, "  %-16s %s\n", modes[i].name, modes[i].help);
	}
	fputs("\noptions:\n", stderr);
	for (size_t i = 0; i < COUNT(args); i++) {
		fprintf(stderr, "  --%-16s %s\n", args[i].name, args[i].help);
	}
	return 64;
}

static bool set_tls(const char *value, enum tls *out)
{
	static const char *const names[] = {"none", "starttls", "implicit"};
	for (size_t i = 0; i < COUNT(names); i++) {
		if (strcmp(names[i], value) == 0) {
			*out = (enum tls)i;
			return true;
		}
	}
	return false;
}

static bool set_option(struct options *o, const struct arg_row *row, const char *value)
{
	char *at = (char *)o + row->at;
	switch (row->arg) {
	case ARG_TEXT: *(const char **)(void *)at = value; return true;
	case ARG_FLAG: *(bool *)at = true; return true;
	case ARG_NUMBER: return str_u64(str_of(value), INT32_MAX, (uint64_t *)(void *)at);
	case ARG_TLS: return set_tls(value, (enum tls *)(void *)at);
	}
	return false;
}

static bool read_options(struct options *o, int argc, char **argv)
{
	struct option longs[COUNT(args) + 1] = {0};
	int which, answer;
	for (size_t i = 0; i < COUNT(args); i++) {
		longs[i] = (struct option){args[i].name,
			args[i].arg == ARG_FLAG ? no_argument : required_argument, NULL, 0};
	}
	while ((answer = getopt_long(argc, argv, "", longs, &which)) != -1) {
		if (answer != 0) { return false; }
		if (!set_option(o, &args[which], optarg)) {
			fprintf(stderr, "load: --%s: not a good value: %s\n", args[which].name,
				optarg);
			return false;
		}
	}
	o->command = argv + optind;
	return o->connections && o->users && o->recipients && o->size >= MESSAGE_SIZE_MIN;
}

static SSL_CTX *make_tls(const struct options *o)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	if (!tls) { abort(); }
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF); /* every handshake is a full one */
	if (o->ca) {
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
		if (!SSL_CTX_load_verify_file(tls, o->ca)) {
			fprintf(stderr, "load: cannot read %s\n", o->ca);
			exit(66);
		}
	}
	return tls;
}

static void print_result(struct bench *b, const char *mode)
{
	double seconds = (double)(b->end_us - b->start_us) / 1e6;
	struct latency *l = &b->latency;
	printf("{\"mode\":\"%s\",\"ok\":%s,\"errors\":%llu,\"ops\":%llu,\"seconds\":%.6f,"
	       "\"rate\":%.3f,\"bytes\":%llu,\"bytes_per_s\":%.0f,\"cpu_s\":%.6f,"
	       "\"cpu_us_per_op\":%.3f",
		mode, b->errors ? "false" : "true", (unsigned long long)b->errors,
		(unsigned long long)b->ops, seconds, (double)b->ops / seconds,
		(unsigned long long)b->bytes, (double)b->bytes / seconds, (double)b->cpu_us / 1e6,
		b->ops ? (double)b->cpu_us / (double)b->ops : 0.);
	if (l->n) {
		printf(",\"latency_us\":{\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"max\":%lld}",
			(long long)latency_percentile(l, 50), (long long)latency_percentile(l, 90),
			(long long)latency_percentile(l, 99),
			(long long)latency_percentile(l, 100));
	}
	printf("%s}\n", buf_cstr(&b->extras));
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < COUNT(modes); i++) {
		if (strcmp(modes[i].name, name) == 0) { return &modes[i]; }
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench b = {.opt = {.host = "127.0.0.1",
				  .user = "user%@bench.test",
				  .password = "secret",
				  .helo = "client.test",
				  .sender = "sender@client.test",
				  .mailbox = "INBOX",
				  .connections = 1,
				  .messages = 100,
				  .size = 4096,
				  .recipients = 1,
				  .users = 1,
				  .passes = 1,
				  .ops = 100,
				  .timeout_s = 300}};
	const struct mode *mode = argc > 1 ? find_mode(argv[1]) : NULL;
	if (!mode || !read_options(&b.opt, argc - 1, argv + 1)) { return usage(); }
	signal(SIGPIPE, SIG_IGN);
	b.loop = ev_default_loop(0);
	b.tls = make_tls(&b.opt);
	message_init(&b.message, b.opt.size);
	if (b.opt.header && !message_prepend(&b.message, b.opt.header)) {
		fprintf(stderr, "load: cannot read %s\n", b.opt.header);
		return 66;
	}
	if (mode->run == mode_message) { /* no load, no result */
		mode_message(&b);
		return 0;
	}
	mode->run(&b);
	print_result(&b, mode->name);
	message_fini(&b.message);
	latency_fini(&b.latency);
	buf_fini(&b.extras);
	SSL_CTX_free(b.tls);
	ev_loop_destroy(b.loop);
	return b.errors ? 1 : 0;
}
