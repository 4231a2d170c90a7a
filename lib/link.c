/* A socket pair between two roles. Every role. Frames out are collected and written once a turn;
   frames in are read in gulps and checked against the table of types before anybody sees them. A
   peer that breaks the rules loses its link. */
#include "lib/link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "lib/map.h"

enum {
	HEADER = 12, /* length 4, type 2, flags 1, descriptors 1, id 4 */
	FLAG_REPLY = 1,
	READ_SIZE = 128 * 1024,
	FULL = 1024 * 1024,
	FDS_QUEUE = 4 * LINK_FDS_MAX,
	TYPES_MAX = 512
};

struct link {
	struct loop *loop;
	int fd;
	enum role_id self, peer;
	const struct link_ops *ops;
	void *ctx;
	struct watch watch;
	struct job flush, down;
	struct buf in, out;
	size_t in_at, out_at;
	struct list calls;  /* waiting for a reply, oldest first */
	struct list served; /* requests kept by handlers */
	uint32_t next_id;
	int fds_in[FDS_QUEUE];
	unsigned fds_in_n;
	bool broken, in_handler, freed, held;
};

static const struct log_ctx LOG = {.role = "link"};
static const struct msg_type *types[TYPES_MAX];

void link_register(const struct msg_type *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert(rows[i].type < TYPES_MAX &&
			(!types[rows[i].type] || types[rows[i].type] == &rows[i]));
		types[rows[i].type] = &rows[i];
	}
}

const struct msg_type *link_type(unsigned number)
{
	return number < TYPES_MAX ? types[number] : NULL;
}

const char *role_name(enum role_id id)
{
	static const char *const names[] = {
		"supervisor", "store", "auth", "mx", "submit", "imap", "relay", "control"};
	return id < ROLE_N ? names[id] : "unknown";
}

static void on_ready(struct watch *w, int events);

static void rewatch(struct link *l)
{
	int events = (l->held ? 0 : WATCH_READ) | (l->out.n > l->out_at ? WATCH_WRITE : 0);
	watch_set(l->loop, &l->watch, l->fd, events, on_ready);
}

/* --- going down --- */

static void close_fds(int *fds, unsigned *n)
{
	for (unsigned i = 0; i < *n; i++) { close(fds[i]); }
	*n = 0;
}

static void wake_calls(struct link *l)
{
	struct list *node;
	while ((node = list_pop(&l->calls))) {
		struct call *c = list_entry(node, struct call, node);
		timer_stop(&c->timeout);
		c->link = NULL;
		c->rc = ERR_AGAIN;
		task_wake(c->task, ERR_AGAIN);
	}
}

static void orphan_served(struct link *l)
{
	struct list *node;
	while ((node = list_pop(&l->served))) {
		list_entry(node, struct link_msg, node)->link = NULL;
	}
}

static void run_down(struct job *j)
{
	struct link *l = container_of(j, struct link, down);
	if (l->ops->down) { l->ops->down(l->ctx, l); }
}

/* The owner is told by a job: it may free the link then, and whoever is on the stack now may go on
   using it. */
static void go_down(struct link *l)
{
	if (l->broken) { return; }
	l->broken = true;
	watch_stop(&l->watch);
	job_cancel(&l->flush);
	wake_calls(l);
	orphan_served(l);
	job_start(l->loop, &l->down, run_down);
}

/* --- out --- */

static void flush(struct link *l)
{
	while (l->out.n > l->out_at) {
		bool fails = FAULT("link.send");
		ssize_t put = fails ? -1
				    : send(l->fd, l->out.p + l->out_at, l->out.n - l->out_at,
					      MSG_NOSIGNAL);
		if (put < 0 && !fails && (errno == EAGAIN || errno == EINTR)) { break; }
		if (put < 0) {
			go_down(l);
			return;
		}
		l->out_at += (size_t)put;
	}
	if (l->out.n == l->out_at) {
		l->out_at = 0;
		buf_reset(&l->out);
		if (l->out.cap > READ_SIZE) { buf_fini(&l->out); }
	} else if (l->out_at > l->out.n / 2) {
		buf_drop(&l->out, l->out_at);
		l->out_at = 0;
	}
	rewatch(l);
}

static void run_flush(struct job *j)
{
	flush(container_of(j, struct link, flush));
}

/* Descriptors go with the first octet of their frame: everything before is written first, then the
 * frame alone. */
static void send_fds(struct link *l, struct str frame, const int *fds, unsigned n)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * LINK_FDS_MAX)];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)frame.p, .iov_len = frame.n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	flush(l);
	ssize_t put = l->broken || l->out.n ? -1 : sendmsg(l->fd, &m, MSG_NOSIGNAL);
	for (unsigned i = 0; i < n; i++) { close(fds[i]); }
	if (put < 0) { /* set-up messages are few: a full socket here means a peer that hangs */
		go_down(l);
	} else if ((size_t)put < frame.n) {
		buf_str(&l->out, str_skip(frame, (size_t)put));
		rewatch(l);
	}
}

static void put_frame(const struct msg_type *type, const struct wire *w, const void *msg,
	uint8_t flags, uint32_t id, int rc, struct buf *out)
{
	size_t start = out->n;
	char *p = buf_reserve(out, HEADER);
	memset(p, 0, HEADER);
	p[4] = (char)(type->type >> 8);
	p[5] = (char)type->type;
	p[6] = (char)flags;
	put_be32(p + 8, id);
	buf_grow(out, HEADER);
	if (flags & FLAG_REPLY) {
		put_be32(buf_reserve(out, 4), (uint32_t)-rc);
		buf_grow(out, 4);
	}
	if (w && msg) { wire_pack(w, msg, out); }
	size_t length = out->n - start - 4;
	assert(length <= LINK_MSG_MAX);
	put_be32(out->p + start, (uint32_t)length);
}

bool link_full(const struct link *l)
{
	return l && l->out.n - l->out_at > FULL;
}

void link_send(struct link *l, const struct msg_type *type, const void *msg, const int *fds,
	unsigned fds_n)
{
	assert(fds_n <= LINK_FDS_MAX);
	if (!l || l->broken) {
		for (unsigned i = 0; i < fds_n; i++) { close(fds[i]); }
		return;
	}
	if (fds_n) {
		struct buf frame = {0};
		put_frame(type, type->request, msg, 0, 0, 0, &frame);
		frame.p[7] = (char)fds_n;
		send_fds(l, buf_view(&frame), fds, fds_n);
		buf_fini(&frame);
		return;
	}
	put_frame(type, type->request, msg, 0, 0, 0, &l->out);
	job_start(l->loop, &l->flush, run_flush);
}

/* --- calls --- */

static void on_timeout(struct timer *t)
{
	struct call *c = container_of(t, struct call, timeout);
	list_del(&c->node);
	c->link = NULL;
	c->rc = ERR_AGAIN;
	task_wake(c->task, ERR_AGAIN);
}

void link_call(struct link *l, struct call *c, struct task *t, const struct msg_type *type,
	const void *req, int64_t timeout_us)
{
	*c = (struct call){.link = l, .task = t, .type = type, .rc = ERR_AGAIN};
	list_init(&c->node);
	arena_init(&c->arena, 4 * LINK_MSG_MAX);
	if (!l || l->broken) {
		c->link = NULL;
		task_wake(t, ERR_AGAIN);
		return;
	}
	l->next_id += l->next_id == UINT32_MAX ? 2 : 1; /* 0 marks a one-way message */
	c->id = l->next_id;
	list_add(&l->calls, &c->node);
	put_frame(type, type->request, req, 0, c->id, 0, &l->out);
	job_start(l->loop, &l->flush, run_flush);
	timer_start(l->loop, &c->timeout, timeout_us ? timeout_us : LINK_TIMEOUT_S * SECOND_US,
		on_timeout);
}

void call_fini(struct call *c)
{
	if (c->link) {
		timer_stop(&c->timeout);
		list_del(&c->node);
		c->link = NULL;
	}
	arena_fini(&c->arena);
	c->reply = NULL;
}

static struct call *find_call(struct link *l, uint32_t id)
{
	list_each(node, &l->calls) {
		struct call *c = list_entry(node, struct call, node);
		if (c->id == id) { return c; }
	}
	return NULL; /* given up meanwhile */
}

static bool take_reply(struct link *l, const struct msg_type *type, uint32_t id, struct str body)
{
	struct call *c = find_call(l, id);
	if (body.n < 4 || (c && c->type != type)) { return false; }
	uint32_t code = get_be32(body.p);
	if (!c) { return true; }
	timer_stop(&c->timeout);
	list_del(&c->node);
	c->link = NULL;
	c->rc = code > 64 ? ERR_AGAIN : -(int)code;
	if (c->rc == 0 && type->reply) {
		struct str bytes = arena_dup(&c->arena, str_skip(body, 4));
		c->reply = arena_alloc(&c->arena, type->reply->size);
		if (wire_unpack(type->reply, bytes, &c->arena, c->reply) < 0) {
			c->rc = ERR_AGAIN;
			c->reply = NULL;
			task_wake(c->task, c->rc);
			return false;
		}
	}
	task_wake(c->task, c->rc);
	return true;
}

/* --- requests --- */

static bool may_come(const struct link *l, const struct msg_type *type)
{
	return (type->from >> l->peer & 1) && (type->to == l->self || type->to == ROLE_N);
}

static bool take_request(
	struct link *l, const struct msg_type *type, uint32_t id, unsigned fds_n, struct str body)
{
	struct link_msg m = {.link = l, .type = type, .from = l->peer, .id = id};
	list_init(&m.node);
	if (!may_come(l, type) || fds_n > l->fds_in_n) { return false; }
	arena_init(&m.arena, 8 * LINK_MSG_MAX);
	memcpy(m.fds, l->fds_in, fds_n * sizeof(int));
	m.fds_n = fds_n;
	l->fds_in_n -= fds_n;
	memmove(l->fds_in, l->fds_in + fds_n, l->fds_in_n * sizeof(int));
	m.request = arena_alloc(&m.arena, type->request->size);
	bool ok = wire_unpack(type->request, body, &m.arena, m.request) == 0;
	if (ok) { l->ops->handle(l->ctx, &m); }
	if (!m.kept) {
		list_del(&m.node);
		close_fds(m.fds, &m.fds_n);
		arena_fini(&m.arena);
	}
	return ok;
}

/* The handler's message lives on the stack and borrows from the input buffer: a kept one owns
 * everything. */
struct link_msg *link_keep(struct link_msg *m)
{
	struct buf packed = {0};
	struct link_msg *k = xnew(struct link_msg);
	assert(!m->kept);
	m->kept = true;
	*k = *m;
	wire_pack(m->type->request, m->request, &packed);
	arena_fini(&m->arena);
	arena_init(&k->arena, 8 * LINK_MSG_MAX);
	struct str bytes = arena_dup(&k->arena, buf_view(&packed));
	buf_fini(&packed);
	k->request = arena_alloc(&k->arena, m->type->request->size);
	if (wire_unpack(m->type->request, bytes, &k->arena, k->request) < 0) { abort(); }
	list_init(&k->node);
	if (k->link) { list_add(&k->link->served, &k->node); }
	m->request = k->request;
	return k;
}

void link_reply(struct link_msg *m, int rc, const void *reply)
{
	struct link *l = m->link;
	if (l && !l->broken && m->id) {
		put_frame(m->type, m->type->reply, rc == 0 ? reply : NULL, FLAG_REPLY, m->id, rc,
			&l->out);
		job_start(l->loop, &l->flush, run_flush);
	}
	if (!m->kept) { return; } /* on the caller's stack */
	list_del(&m->node);
	close_fds(m->fds, &m->fds_n);
	arena_fini(&m->arena);
	free(m);
}

/* --- in --- */

/* 1 a frame was taken, 0 not complete, < 0 the peer broke the rules. */
static int take_frame(struct link *l)
{
	struct str in = str_make(l->in.p + l->in_at, l->in.n - l->in_at);
	if (in.n < HEADER) { return 0; }
	uint32_t length = get_be32(in.p);
	if (length < HEADER - 4 || length > LINK_MSG_MAX) {
		log_event(LOG_ERROR, &LOG, "refused frame", "length=%u from=%s to=%s", length,
			role_name(l->peer), role_name(l->self));
		return ERR_LIMIT;
	}
	if (in.n - 4 < length) { return 0; }
	unsigned number = (unsigned)(unsigned char)in.p[4] << 8 | (unsigned char)in.p[5];
	unsigned flags = (unsigned char)in.p[6], fds_n = (unsigned char)in.p[7];
	uint32_t id = get_be32(in.p + 8);
	struct str body = str_sub(in, HEADER, length - (HEADER - 4));
	const struct msg_type *type = link_type(number);
	l->in_at += 4 + (size_t)length;
	bool ok = type && fds_n <= LINK_FDS_MAX &&
		  (flags & FLAG_REPLY ? take_reply(l, type, id, body)
				      : take_request(l, type, id, fds_n, body));
	if (ok) { return 1; }
	log_event(LOG_ERROR, &LOG, "refused message", "type=%s from=%s to=%s",
		type ? type->name : "unknown", role_name(l->peer), role_name(l->self));
	return ERR_DENIED;
}

static void keep_fds(struct link *l, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) { continue; }
		unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
			if (l->fds_in_n < FDS_QUEUE) {
				l->fds_in[l->fds_in_n++] = fd;
			} else {
				close(fd);
			}
		}
	}
}

/* One gulp; < 0 the peer is gone. */
static int fill(struct link *l)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * LINK_FDS_MAX)];
		struct cmsghdr align;
	} control;
	buf_drop(&l->in, l->in_at);
	l->in_at = 0;
	struct iovec iov = {.iov_base = buf_reserve(&l->in, READ_SIZE), .iov_len = READ_SIZE};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space};
	ssize_t got = recvmsg(l->fd, &m, MSG_CMSG_CLOEXEC);
	if (got < 0) { return errno == EAGAIN || errno == EINTR ? 0 : ERR_CLOSED; }
	if (got == 0) { return ERR_CLOSED; }
	keep_fds(l, &m);
	buf_grow(&l->in, (size_t)got);
	return 0;
}

static void destroy(struct link *l)
{
	close_fds(l->fds_in, &l->fds_in_n);
	close(l->fd);
	buf_fini(&l->in);
	buf_fini(&l->out);
	free(l);
}

static void on_readable(struct link *l)
{
	int rc = fill(l);
	bool gone = rc < 0;
	l->in_handler = true;
	while (!l->freed && !l->broken && (rc = take_frame(l)) > 0) {}
	l->in_handler = false;
	if (l->freed) {
		destroy(l);
		return;
	}
	if (l->in.n == l->in_at) {
		l->in_at = 0;
		buf_fini(&l->in);
	}
	if (gone || rc < 0) { go_down(l); }
}

static void on_ready(struct watch *w, int events)
{
	struct link *l = container_of(w, struct link, watch);
	if (events & WATCH_WRITE) { flush(l); }
	if ((events & WATCH_READ) && !l->broken) { on_readable(l); }
}

/* --- life --- */

struct link *link_new(struct loop *loop, int fd, enum role_id self, enum role_id peer,
	const struct link_ops *ops, void *ctx)
{
	struct link *l = xnew(struct link);
	int size = 512 * 1024;
	*l = (struct link){
		.loop = loop, .fd = fd, .self = self, .peer = peer, .ops = ops, .ctx = ctx};
	list_init(&l->calls);
	list_init(&l->served);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	rewatch(l);
	return l;
}

void link_hold(struct link *l)
{
	l->held = true;
	if (!l->broken) { rewatch(l); }
}

void link_go_on(struct link *l)
{
	l->held = false;
	if (!l->broken) { rewatch(l); }
}

void link_free(struct link *l)
{
	if (!l) { return; }
	l->broken = true;
	watch_stop(&l->watch);
	job_cancel(&l->flush);
	job_cancel(&l->down);
	wake_calls(l);
	orphan_served(l);
	if (l->in_handler) {
		l->freed = true; /* on_readable is below us on the stack */
	} else {
		destroy(l);
	}
}
