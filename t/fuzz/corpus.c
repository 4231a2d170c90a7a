/* Runs a fuzz target over the files of its corpus, without libFuzzer: `fuzz-NAME DIRECTORY`, one
   TAP line for each file. A crash names its file as the last one announced. */
#include <dirent.h>
#include <stdio.h>

#include "lib/lib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool run_file(const char *directory, const char *name)
{
	struct buf path = {0}, content = {0};
	size_t got;
	buf_fmt(&path, "%s/%s", directory, name);
	FILE *f = fopen(buf_cstr(&path), "rb");
	buf_fini(&path);
	if (!f) { return false; }
	while ((got = fread(buf_reserve(&content, 4096), 1, 4096, f)) > 0) {
		buf_grow(&content, got);
	}
	fclose(f);
	struct str seed = buf_view(&content);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)seed.p, seed.n); /* always 0 */
	buf_fini(&content);
	return true;
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int status = 0;
	int n = argc == 2 ? scandir(argv[1], &entries, is_seed, alphasort) : -1;
	if (n <= 0) {
		printf("Bail out! usage: %s DIRECTORY (with at least one file)\n", argv[0]);
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		printf("# %s\n", entries[i]->d_name);
		fflush(stdout);
		bool ok = run_file(argv[1], entries[i]->d_name);
		status |= !ok;
		printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return status;
}
