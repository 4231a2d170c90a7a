/* What a hostile role writes into a link: first octet = how it is cut, the rest is the stream. What
   the table accepts packs again to the same octets. */
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "lib/log.h"
#include "lib/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item {
	struct str name;
	uint32_t n;
};
struct msg {
	uint8_t kind;
	bool flag;
	uint64_t when;
	struct str text;
	struct item one;
	struct item *items;
	uint32_t items_n;
};
WIRE_TABLE(item, item_wire, WIRE_STR(struct item, name, 8), WIRE_U32(struct item, n));
WIRE_TABLE(msg, msg_wire, WIRE_U8(struct msg, kind), WIRE_BOOL(struct msg, flag),
	WIRE_U64(struct msg, when), WIRE_STR(struct msg, text, 100),
	WIRE_SUB(struct msg, one, item_wire), WIRE_LIST(struct msg, items, items_n, item_wire, 10));

static const struct msg_type rows[] = {
	{.type = 400,
		.name = "ask",
		.request = &msg_wire,
		.reply = &item_wire,
		.from = UINT32_C(1) << ROLE_MX,
		.to = ROLE_STORE},
	{.type = 401,
		.name = "tell",
		.request = &item_wire,
		.from = UINT32_C(1) << ROLE_MX,
		.to = ROLE_N},
};

static struct link *store;

static void on_message(void *ctx, struct link_msg *m)
{
	struct buf once = {0}, twice = {0};
	struct arena a = {0};
	struct msg copy; /* the largest */
	(void)ctx;
	wire_pack(m->type->request, m->request, &once);
	int rc = wire_unpack(m->type->request, buf_view(&once), &a, &copy);
	assert(rc == 0);
	wire_pack(m->type->request, &copy, &twice);
	assert(str_eq(buf_view(&once), buf_view(&twice)));
	wire_json(m->type->request, m->request, &twice);
	if (m->id) { link_reply(link_keep(m), 0, &(struct item){STR("x"), 1}); }
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&a);
}

static void on_down(void *ctx, struct link *l)
{
	(void)ctx;
	link_free(l);
	store = NULL;
}

static void no_log(void *ctx, struct str line)
{
	(void)ctx, (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_ops ops = {on_message, on_down};
	int fd[2];
	if (size < 2 || size > 20000 || net_pair(fd) < 0) { return 0; }
	log_sink(no_log, NULL);
	link_register(rows, COUNT(rows));
	struct loop *l = loop_new_fake(0);
	store = link_new(l, fd[1], ROLE_STORE, ROLE_MX, &ops, NULL);
	struct str left = str_make(data + 1, size - 1);
	while (left.n && store) {
		struct str piece = str_sub(left, 0, data[0] ? data[0] : left.n);
		if (send(fd[0], piece.p, piece.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) { break; }
		left = str_skip(left, piece.n);
		while (loop_turn(l)) {}
	}
	link_free(store);
	store = NULL;
	close(fd[0]);
	loop_free(l);
	return 0;
}
