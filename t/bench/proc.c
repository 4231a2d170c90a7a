/* CPU time and memory of process trees. */
#include "t/bench/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/lib.h"

enum { PROCS_MAX = 65536 };

struct proc {
	long pid, parent;
	uint64_t ticks;
	bool ours;
};

struct table {
	struct proc *p;
	size_t n;
};

/* Fields 4 (ppid) and 14-17 (utime, stime, cutime, cstime) of /proc/PID/stat, proc(5). The name in
   field 2 may hold anything, so reading starts behind its last parenthesis. */
static bool read_stat(long pid, struct proc *out)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f) { return false; }
	size_t n = fread(line, 1, sizeof line, f);
	fclose(f);
	struct str rest = str_make(line, n), word;
	ptrdiff_t name_end = str_rchr(rest, ')');
	if (name_end < 0) { return false; }
	*out = (struct proc){.pid = pid};
	rest = str_skip(rest, (size_t)name_end + 2);
	for (int field = 3; field <= 17; field++) {
		uint64_t value = 0;
		str_cut(&rest, ' ', &word);
		if (field >= 4 && !str_u64(word, UINT64_MAX, &value)) { value = 0; }
		if (field == 4) { out->parent = (long)value; }
		if (field >= 14) { out->ticks += value; }
	}
	return true;
}

static void table_read(struct table *t)
{
	t->p = xcalloc(PROCS_MAX, sizeof *t->p);
	t->n = 0;
	DIR *dir = opendir("/proc");
	if (!dir) { return; }
	struct dirent *e;
	while ((e = readdir(dir)) && t->n < PROCS_MAX) {
		if (!isdigit((unsigned char)e->d_name[0])) { continue; }
		if (read_stat(strtol(e->d_name, NULL, 10), &t->p[t->n])) { t->n++; }
	}
	closedir(dir);
}

static bool is_root(const char *pids, long pid)
{
	struct str rest = str_of(pids), word;
	while (rest.n) {
		uint64_t value;
		str_cut(&rest, ',', &word);
		if (str_u64(word, INT32_MAX, &value) && (long)value == pid) { return true; }
	}
	return false;
}

static bool parent_is_ours(const struct table *t, long parent)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->p[i].pid == parent) { return t->p[i].ours; }
	}
	return false;
}

/* Mark the roots and whatever descends from them; passes until nothing new is found, because a
   child's number may be lower than its parent's. */
static void mark_ours(struct table *t, const char *pids)
{
	bool more = true;
	for (size_t i = 0; i < t->n; i++) { t->p[i].ours = is_root(pids, t->p[i].pid); }
	while (more) {
		more = false;
		for (size_t i = 0; i < t->n; i++) {
			if (!t->p[i].ours && parent_is_ours(t, t->p[i].parent)) {
				more = t->p[i].ours = true;
			}
		}
	}
}

uint64_t proc_cpu_us(const char *pids)
{
	struct table t;
	uint64_t ticks = 0;
	if (!pids || !*pids) { return 0; }
	table_read(&t);
	mark_ours(&t, pids);
	for (size_t i = 0; i < t.n; i++) { ticks += t.p[i].ours ? t.p[i].ticks : 0; }
	free(t.p);
	return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* One line of smaps_rollup in KiB. */
static uint64_t memory_of(long pid, const char *name)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
	FILE *f = fopen(path, "re");
	if (!f) { return 0; }
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, name, strlen(name)) == 0) {
			kib = strtoull(line + strlen(name), NULL, 10);
			break;
		}
	}
	fclose(f);
	return kib;
}

uint64_t proc_pss_kib(const char *pids, unsigned *count_out)
{
	struct table t;
	uint64_t kib = 0;
	unsigned count = 0;
	if (pids && *pids) {
		table_read(&t);
		mark_ours(&t, pids);
		for (size_t i = 0; i < t.n; i++) {
			if (!t.p[i].ours) { continue; }
			kib += memory_of(t.p[i].pid, "Pss:");
			count++;
		}
		free(t.p);
	}
	if (count_out) { *count_out = count; }
	return kib;
}

uint64_t proc_own_kib(const char *pids)
{
	struct table t;
	uint64_t kib = 0;
	if (!pids || !*pids) { return 0; }
	table_read(&t);
	mark_ours(&t, pids);
	for (size_t i = 0; i < t.n; i++) {
		if (!t.p[i].ours) { continue; }
		kib += memory_of(t.p[i].pid, "Pss_Anon:") + memory_of(t.p[i].pid, "Pss_Shmem:");
	}
	free(t.p);
	return kib;
}
