/* Accepting connections. */
#include <errno.h>
#include <unistd.h>

#include "lib/conn.h"
#include "lib/fault.h"

static const int64_t ACCEPT_PAUSE_US = SECOND_US / 10;

static void on_pause_over(struct timer *t);

static void on_acceptable(struct watch *w, int events)
{
	struct listener *ln = container_of(w, struct listener, watch);
	(void)events; /* reading is all there is */
	for (int i = 0; i < 64 && ln->fd >= 0; i++) {
		int fd = -1;
		errno = EMFILE;
		if (!FAULT("conn.accept")) {
			fd = accept4(ln->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		}
		if (fd >= 0) {
			ln->fresh(ln, conn_new(ln->loop, fd, true));
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			watch_set(ln->loop, &ln->watch, ln->fd, 0, on_acceptable);
			timer_start(ln->loop, &ln->pause, ACCEPT_PAUSE_US, on_pause_over);
		}
		return;
	}
}

static void on_pause_over(struct timer *t)
{
	struct listener *ln = container_of(t, struct listener, pause);
	watch_set(ln->loop, &ln->watch, ln->fd, WATCH_READ, on_acceptable);
}

void listener_start(struct loop *l, struct listener *ln, int fd,
	void (*fresh)(struct listener *, struct conn *))
{
	*ln = (struct listener){.loop = l, .fd = fd, .fresh = fresh};
	watch_set(l, &ln->watch, fd, WATCH_READ, on_acceptable);
}

void listener_stop(struct listener *ln)
{
	if (!ln->loop || ln->fd < 0) { return; }
	watch_stop(&ln->watch);
	timer_stop(&ln->pause);
	close(ln->fd);
	ln->fd = -1;
}
