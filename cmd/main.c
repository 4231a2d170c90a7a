/* posthouse: the commands, and running the one that is meant. */
#include <malloc.h>
#include <stdio.h>
#include <sysexits.h>

#include "cmd/commands.h"
#include "cmd/role_main.h"

const struct command command_role = {
	.name = "role", .arguments = "NAME", .summary = "", .run = cmd_role, .hidden = true};

const struct command *const commands[] = {&command_dev, &command_serve, &command_init,
	&command_check, &command_show_status, &command_user, &command_alias, &command_domain,
	&command_queue, &command_explain, &command_fsck, &command_spf, &command_dkim,
	&command_dmarc, &command_help, &command_role};
const size_t commands_n = COUNT(commands);

/* LMDB has a list of 2 MiB that it hardly touches. From a map of its own it costs nothing; malloc
   would take the second one, once a first has been freed, from the heap and clear it. */
static void keep_heap_small(void)
{
	mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
}

int main(int argc, char **argv)
{
	keep_heap_small();
	if (argc < 2) {
		command_help.run(&command_help, 0, NULL);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("posthouse %s\n", POSTHOUSE_VERSION);
		return EX_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		return command_help.run(&command_help, argc - 2, argv + 2);
	}
	const struct command *c = command_by_name(argv[1]);
	if (!c) { return command_unknown(argv[1]); }
	if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
		command_usage(c, true);
		return EX_OK;
	}
	return c->run(c, argc - 2, argv + 2);
}
