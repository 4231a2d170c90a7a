/* What the files of a verdict share. */
#pragma once

#include "auth/authors.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/spf.h"
#include "smtp/verdict.h"

struct verdict {
	struct task task;
	struct session *session; /* NULL: given up, the task ends */
	struct arena arena;
	struct dns *dns;
	struct dns_budget *budget; /* the envelope's */
	struct spf_check helo, from;
	bool helo_asked; /* the reverse-path is not null: both identities are looked at */
	bool helo_done, from_done;
	struct dkim_verify *dkim; /* NULL before the header */
	struct authors authors;
	enum authors_fault fault;
	struct dmarc_check dmarc;
	bool ended, dkim_done, dmarc_begun, done;
	struct task *waiter;
};
