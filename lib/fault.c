/* Fault hooks. Every role of a test build; empty in any other. */
#include "lib/fault.h"

#ifdef POSTHOUSE_FAULTS

#	include <signal.h>
#	include <stdio.h>
#	include <unistd.h>

#	include "lib/lib.h"

enum { PLAN_MAX = 16, POINT_MAX = 40, ROLE_MAX = 15 };

struct plan {
	char role[ROLE_MAX + 1]; /* "" = any */
	char point[POINT_MAX + 1];
	uint64_t nth, passes;
	bool onward, dies;
};

static struct plan plans[PLAN_MAX];
static size_t plans_n;
static bool planned;
static const char *role = "";

/* "[role@]point:nth[+][:kill]" */
static bool read_item(struct str item, struct plan *out)
{
	struct str point, nth, who;
	*out = (struct plan){0};
	str_cut(&item, ':', &point);
	if (str_chr(point, '@') >= 0) {
		str_cut(&point, '@', &who);
		if (who.n == 0 || who.n > ROLE_MAX) { return false; }
		memcpy(out->role, who.p, who.n);
	}
	str_cut(&item, ':', &nth);
	out->onward = str_ends(nth, STR("+"));
	nth.n -= out->onward;
	out->dies = str_eq(item, STR("kill"));
	if (point.n == 0 || point.n > POINT_MAX || (item.n && !out->dies)) { return false; }
	memcpy(out->point, point.p, point.n);
	return str_u64(nth, UINT32_MAX, &out->nth) && out->nth > 0;
}

int fault_plan(const char *text)
{
	struct str left = str_of(text), item;
	planned = true;
	plans_n = 0;
	while (left.n) {
		str_cut(&left, ',', &item);
		if (plans_n == PLAN_MAX || !read_item(item, &plans[plans_n])) {
			plans_n = 0;
			return ERR_SYNTAX;
		}
		plans_n++;
	}
	return 0;
}

void fault_role(const char *name)
{
	role = name;
}

char **fault_environ(bool forget)
{
	static const char name[] = "POSTHOUSE_FAULTS=";
	static char **others;
	size_t n = 0, k = 0;
	if (!forget) { return environ; }
	while (environ[n]) { n++; }
	free(others);
	others = xcalloc(n + 1, sizeof *others);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], name, sizeof name - 1) != 0) { others[k++] = environ[i]; }
	}
	return others;
}

/* A line for tests that want to know whether it came to that. */
static void tell(const struct plan *p)
{
	char line[128];
	int n = snprintf(line, sizeof line, "# fault %s%s%s:%llu\n", role, *role ? "@" : "",
		p->point, (unsigned long long)p->passes);
	ssize_t put = write(STDERR_FILENO, line, (size_t)n);
	(void)put; /* nobody listens: as well */
}

bool fault_pass(const char *point)
{
	bool fails = false;
	if (!planned && fault_plan(getenv("POSTHOUSE_FAULTS")) < 0) { abort(); }
	for (size_t i = 0; i < plans_n; i++) {
		struct plan *p = &plans[i];
		if (strcmp(p->point, point) != 0) { continue; }
		if (*p->role && strcmp(p->role, role) != 0) { continue; }
		p->passes++;
		bool now = p->onward ? p->passes >= p->nth : p->passes == p->nth;
		if (now && p->passes == p->nth) { tell(p); }
		if (now && p->dies) { raise(SIGKILL); }
		fails |= now;
	}
	return fails;
}

#endif
