/* One question to each role's process; the supervisor. Owns the connection of the one who asks. */
#include "cmd/inquiry.h"

enum { PATIENCE_S = 2, OWN_METRICS = 3 };

struct question {
	struct task task;
	struct call call;
	struct inquiry *of;
	struct inquiry_role role;
};

struct inquiry {
	struct question questions[STATUS_ROLES_MAX];
	size_t n, open;
	int fd;
	struct arena arena;
};

/* What goes to a terminal and into the text format: a role that was taken over writes nothing else.
 */
static bool is_printable(const struct sup_metric *m)
{
	for (size_t i = 0; i < m->name.n; i++) {
		char c = m->name.p[i];
		if (!ascii_alpha(c) && !ascii_digit(c) && c != '_') { return false; }
	}
	for (size_t i = 0; i < m->help.n; i++) {
		if (m->help.p[i] < ' ' || m->help.p[i] > '~') { return false; }
	}
	return m->name.n > 0;
}

/* What the supervisor knows of a role, and what the role has said of itself. */
static struct status_role role_status(struct inquiry *q, const struct question *one)
{
	static const struct sup_metrics none;
	bool up = one->call.rc == 0 && one->call.reply;
	const struct sup_metrics *said = up ? one->call.reply : &none;
	uint32_t n = OWN_METRICS + said->metrics_n;
	struct sup_metric *v = arena_array(&q->arena, n, sizeof *v);
	v[0] = (struct sup_metric){STR("role_up"), STR("Whether the role serves."), true, up};
	v[1] = (struct sup_metric){STR("role_deaths_total"),
		STR("How often its process had to be started again."), false, one->role.deaths};
	v[2] = (struct sup_metric){
		STR("role_uptime_seconds"), STR("Age of its process."), true, one->role.up_s};
	n = OWN_METRICS;
	for (uint32_t i = 0; i < said->metrics_n; i++) {
		if (is_printable(&said->metrics[i])) { v[n++] = said->metrics[i]; }
	}
	return (struct status_role){str_of(one->role.name), one->role.pid, v, n};
}

static void answer(struct inquiry *q)
{
	struct status_role roles[STATUS_ROLES_MAX];
	struct status st = {roles, (uint32_t)q->n};
	for (size_t i = 0; i < q->n; i++) { roles[i] = role_status(q, &q->questions[i]); }
	status_send(&st, q->fd);
	for (size_t i = 0; i < q->n; i++) { call_fini(&q->questions[i].call); }
	arena_fini(&q->arena);
	free(q);
}

static enum step answered(struct task *t)
{
	(void)t;
	return STEP_DONE;
}

static void question_ended(struct task *t)
{
	struct inquiry *q = task_of(t, struct question, task)->of;
	if (--q->open == 0) { answer(q); }
}

/* What has been answered before this first step, or could not be asked, wakes nobody. */
static enum step asked(struct task *t)
{
	t->step = answered;
	return task_of(t, struct question, task)->call.link ? STEP_WAIT : STEP_DONE;
}

void inquiry_start(struct loop *l, const struct inquiry_role *roles, size_t n, int fd)
{
	struct inquiry *q = xnew(struct inquiry);
	struct sup_nothing nothing = {0};
	assert(n && n <= STATUS_ROLES_MAX);
	q->fd = fd;
	q->n = q->open = n;
	for (size_t i = 0; i < n; i++) {
		struct question *one = &q->questions[i];
		one->of = q;
		one->role = roles[i];
		task_start(l, &one->task, NULL, asked, question_ended);
		link_call(one->role.link, &one->call, &one->task, &SUP_METRICS, &nothing,
			PATIENCE_S * SECOND_US);
	}
}
