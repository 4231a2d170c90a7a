/* posthouse: the commands, and finding the one that is meant. */
#include <stdio.h>
#include <sysexits.h>

#include "cmd/commands.h"
#include "cmd/role_main.h"

const struct command command_role = {
	.name = "role", .arguments = "NAME", .summary = "", .run = cmd_role, .hidden = true};

const struct command *const commands[] = {&command_dev, &command_serve, &command_init,
	&command_check, &command_user, &command_alias, &command_domain, &command_queue,
	&command_explain, &command_fsck, &command_spf, &command_dkim, &command_dmarc, &command_help,
	&command_role};
const size_t commands_n = COUNT(commands);

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < commands_n; i++) {
		if (strcmp(commands[i]->name, name) == 0) { return commands[i]; }
	}
	return NULL;
}

/* The command whose name shares the longest start with what was typed. */
static const char *nearest(const char *typed)
{
	const char *best = NULL;
	size_t most = 0;
	for (size_t i = 0; i < commands_n; i++) {
		size_t n = 0;
		while (typed[n] && typed[n] == commands[i]->name[n]) { n++; }
		if (!commands[i]->hidden && n > most) {
			most = n;
			best = commands[i]->name;
		}
	}
	return best;
}

static int unknown(const char *name)
{
	const char *near = nearest(name);
	fprintf(stderr, "posthouse: there is no command '%s'", name);
	if (near) { fprintf(stderr, "; did you mean '%s'?", near); }
	fprintf(stderr, "\nposthouse help lists them all.\n");
	return EX_USAGE;
}

static int help(const struct command *c, int argc, char **argv)
{
	(void)c;
	if (argc > 0) {
		const struct command *about = find(argv[0]);
		if (!about || about->hidden) { return unknown(argv[0]); }
		command_usage(about, true);
		return EX_OK;
	}
	printf("posthouse - an all-in-one mail server\n\n");
	for (size_t i = 0; i < commands_n; i++) {
		if (!commands[i]->hidden) {
			printf("  posthouse %-8s %s\n", commands[i]->name, commands[i]->summary);
		}
	}
	printf("\nposthouse help COMMAND tells its options. Manual: posthouse(8), "
	       "posthouse.conf(5).\n");
	return EX_OK;
}

const struct command command_help = {.name = "help",
	.arguments = "[COMMAND]",
	.summary = "These lines, or the options of one command.",
	.run = help};

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(&command_help, 0, NULL);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("posthouse %s\n", POSTHOUSE_VERSION);
		return EX_OK;
	}
	if (strcmp(argv[1], "--help") == 0) { return help(&command_help, argc - 2, argv + 2); }
	const struct command *c = find(argv[1]);
	if (!c) { return unknown(argv[1]); }
	if (argc > 2 && strcmp(argv[2], "--help") == 0) {
		command_usage(c, true);
		return EX_OK;
	}
	return c->run(c, argc - 2, argv + 2);
}
