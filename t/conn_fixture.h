/* Connections over a socket pair on a loop whose clock stands still: tasks at one end or at both.
 */
#pragma once

#include "lib/conn.h"
#include "t/tap.h"

enum { BIG = 3 * 1024 * 1024 };

/* A task that logs what happens into `log`; the test holds the other end. */
struct side {
	struct task task;
	struct buf log;
	struct buf got; /* octets read */
	size_t sent;
	int ended;
	size_t line_max;
	enum step then;
	struct tls_ctx *tls;
	struct str sni;
};

extern struct loop *l;
extern char big[BIG]; /* octets to send; filled by big_fill */

void big_fill(void);
/* Let everything happen that can. */
void settle(void);
void side_start(struct side *s, int fd, bool server, enum step (*step)(struct task *));
/* Ends the task if it has not ended; it must end once. */
void side_fini(struct side *s);
/* For tasks of a struct side that are started otherwise. */
void side_ended(struct task *t);
/* One end is a task's, the other a plain descriptor: the answer. Makes the loop. */
int setup(struct side *s, enum step (*step)(struct task *));
void teardown(struct side *s, int fd);
void say(int fd, const char *text);
/* All that can be read now; "<end>" at the end of file. */
struct str hear(int fd);

/* Steps: note lines and answer each with its length; send `big` without a copy. */
enum step log_lines(struct task *t);
enum step send_until_full(struct task *t);
