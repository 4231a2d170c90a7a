/* Trying a check from the command line. Never touches a store or a running server. */
#include "cmd/try.h"

#include <sysexits.h>

#include "cmd/plan.h"

static int read_zone(const struct try_options *o, struct buf *out, struct err *e)
{
	if (!o->dns_zone) { return 0; }
	int rc = file_read(o->dns_zone, out, e);
	if (rc == 0 && out->n == 0) { buf_chr(out, '\n'); } /* an empty zone is a zone, too */
	return rc;
}

int try_open(struct try *t, const struct command *c, const struct try_options *o)
{
	struct err e = {{0}};
	struct buf zone = {0};
	*t = (struct try){.loop = loop_new()};
	int rc = read_zone(o, &zone, &e);
	/* as in `dev`: the zone of a test's own resolver is not signed */
	struct dns_conf conf = {.forward = str_of(o->dns ? o->dns : ""), .dnssec = !o->dns};
	conf.zone_text = buf_view(&zone);
	if (rc == 0) {
		t->dns = dns_new(t->loop, &conf, &e);
		rc = t->dns ? dns_prepare(t->dns, &e) : ERR_SYNTAX;
	}
	buf_fini(&zone);
	dns_budget_start(&t->budget, t->loop, DNS_BUDGET_QUESTIONS, DNS_BUDGET_S * SECOND_US);
	return rc == 0 ? 0 : command_fail(c, EX_CONFIG, "%s", e.text);
}

static enum step run_step(struct task *task)
{
	struct try *t = task_of(task, struct try, task);
	return t->step(t);
}

static void on_ended(struct task *task)
{
	loop_stop(task->loop);
}

void try_run(struct try *t, enum step (*step)(struct try *t))
{
	t->step = step;
	task_start(t->loop, &t->task, NULL, run_step, on_ended);
	loop_run(t->loop);
}

void try_close(struct try *t)
{
	dns_free(t->dns);
	arena_fini(&t->arena);
	loop_free(t->loop);
}
