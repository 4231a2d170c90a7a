/* Choosing how the roles run. */
#include "cmd/house.h"

int house_start(struct loop *l, struct plan *plan, const struct house_ops *ops, void *ctx,
	struct house **out, struct err *e)
{
	struct house *h = xnew(struct house);
	*h = (struct house){.kind = plan->processes ? &house_of_many : &house_of_one,
		.loop = l,
		.plan = plan,
		.ops = ops,
		.ctx = ctx};
	int rc = h->kind->start(h, e);
	if (rc < 0) {
		house_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

void house_stop(struct house *h)
{
	bool again = h->stopping;
	h->stopping = true;
	h->kind->stop(h, again);
}

void house_reload(struct house *h)
{
	if (!h->stopping) { h->kind->reload(h); }
}

void house_control(struct house *h, int fd)
{
	h->kind->control(h, fd);
}

void house_status(struct house *h, int fd)
{
	h->kind->status(h, fd);
}

void house_free(struct house *h)
{
	if (!h) { return; }
	h->kind->free(h);
	free(h);
}
