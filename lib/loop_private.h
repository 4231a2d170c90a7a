/* What loop.c and task.c share. */
#pragma once

#include "lib/task.h"

/* Put a task's node into the queue of those that run in this turn. */
void loop_ready(struct loop *l, struct list *node);
/* Connections that end by themselves: nobody else will free them. */
struct list *loop_closing(struct loop *l);
void conn_free_closing(struct loop *l);
/* Run a task until it waits. */
void task_run(struct task *t);

/* Its connection has what it waits for. */
void task_io(struct task *t);

/* conn.c: what a task needs of its connection. */
void conn_attach(struct conn *c, struct task *t);
/* Wait for input or for drained output; wakes the task. False: it is there already. */
bool conn_wait(struct conn *c, enum step what);
/* The task does something else now. */
void conn_unwait(struct conn *c);
/* Write what has collected. */
void conn_flush(struct conn *c);
/* Flush, close gracefully and free, in the loop's own time. */
void conn_close(struct conn *c);
