/* The status as it travels: packed in the server, unpacked by the command. */
#include "cmd/status_msg.h"

#include <sys/socket.h>
#include <unistd.h>

WIRE_TABLE(status_role, wire_status_role, WIRE_STR(struct status_role, name, 100),
	WIRE_U32(struct status_role, pid),
	WIRE_LIST(struct status_role, metrics, metrics_n, wire_sup_metric, SUP_METRICS_MAX + 10));
WIRE_TABLE(status, wire_status,
	WIRE_LIST(struct status, roles, roles_n, wire_status_role, STATUS_ROLES_MAX));

void status_send(const struct status *st, int fd)
{
	struct buf out = {0};
	wire_pack(&wire_status, st, &out);
	/* some kilobytes into an empty socket: who does not get them asks again */
	(void)!send(fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	buf_fini(&out);
}
