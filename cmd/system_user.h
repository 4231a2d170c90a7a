/* Accounts of the system, and who owns the data. */
#pragma once

#include "cmd/plan.h"

/* Started by root: fill plan->uid and its sisters by the run section; otherwise all stay 0.
   `fallback` (dev) takes "nobody" where the account does not exist; without it that is an error. */
int plan_users(struct plan *p, bool fallback, struct err *e);
/* Make the data directory, owned by plan->uid, closed to others. */
int plan_data(struct plan *p, struct err *e);
