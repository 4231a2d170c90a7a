/* lib: fault hooks, and what the runtime makes of failing reads, writes and links. */
#include "t/tap.h"

#include "lib/fault.h"

#ifdef POSTHOUSE_FAULTS

#	include <signal.h>
#	include <sys/wait.h>
#	include <unistd.h>

static int passes(const char *point, int n)
{
	int bits = 0;
	for (int i = 0; i < n; i++) { bits = bits << 1 | FAULT(point); }
	return bits;
}

static void test_plan(void)
{
	CHECK_INT(fault_plan("a.b:3,c:2+"), 0);
	CHECK_INT(passes("a.b", 5), 0x04);
	CHECK_INT(passes("a.b", 5), 0);
	CHECK_INT(passes("c", 4), 0x07);
	CHECK_INT(passes("other", 4), 0);
	CHECK_INT(fault_plan("a.b:1,a.b:4"), 0);
	CHECK_INT(passes("a.b", 4), 0x09);
	CHECK_INT(fault_plan(""), 0);
	CHECK_INT(passes("a.b", 4), 0);
}

static void test_role(void)
{
	CHECK_INT(fault_plan("mx@a.b:1,auth@a.b:2"), 0);
	CHECK_INT(passes("a.b", 3), 0);
	fault_role("auth");
	CHECK_INT(passes("a.b", 3), 0x02);
	fault_role("");
	fault_plan("");
}

static void test_bad_plans(void)
{
	static const char *const bad[] = {"a", "a:", "a:0", ":1", "a:x", "a:1:die", "a:1:kill:now",
		"a:+", "@a:1", "a:1,,b:1", "0123456789012345678901234567890123456789x:1",
		"a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_INT(fault_plan(bad[i]), ERR_SYNTAX);
		CHECK(!FAULT("a"));
	}
	fault_plan("");
}

static void test_kill(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		fault_plan("here:2:kill");
		_exit(passes("here", 2) == 0 ? 1 : 2);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"a plan counts passes", test_plan},
		{"a plan for one role", test_role},
		{"plans that are not understood", test_bad_plans},
		{"death at a point", test_kill},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}

#else

static void test_off(void)
{
	CHECK(!FAULT("anything"));
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {{"without -Dfaults=true nothing fails", test_off}};
	return tap_run(cases, COUNT(cases), argc, argv);
}

#endif
