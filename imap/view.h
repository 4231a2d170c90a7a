/* What a session believes its selected mailbox holds: the UIDs in order, so that sequence numbers
   stay what the client was told (RFC 9051 2.3.1.2, RFC 2180). It moves forward only by a view_news
   that session_sync has told the client. */
#pragma once

#include "imap/lex.h"
#include "store/store.h"

struct view {
	uint32_t aid, mid;
	uint32_t uidvalidity;
	bool read_only; /* EXAMINE */
	uint32_t *uids; /* ascending; sequence number = index + 1 */
	size_t n, cap;
	uint64_t modseq; /* the client was told of every change up to here, but for expunges: */
	uint64_t expunged_modseq; /* of those up to here */
	uint32_t uidnext;         /* first UID the client has not been told of */
	struct uid_range *saved;  /* SEARCHRES: the UIDs of "$" */
	size_t saved_n;
	uint32_t keywords_told; /* how many keyword names the client was told of */
};

/* Look at a mailbox: all its UIDs. The view was all zeros or of an earlier mailbox, which is
   forgotten. `aid` and `read_only` are the caller's to set. ERR_*. */
int view_load(struct view *v, struct snap *sn, const struct mbox *mb);
void view_fini(struct view *v);

/* Index of a UID, or -1; of the first UID >= `uid` (n when none). */
ptrdiff_t view_find(const struct view *v, uint32_t uid);
size_t view_lower(const struct view *v, uint32_t uid);
/* The messages a set names, as ascending, merged ranges of indexes [lo, hi] (0-based) into the
   view. `uid` says how to read the numbers. False with sequence numbers that the view does not have
   (the caller answers BAD); UIDs that are not there are simply left out. */
bool view_resolve(const struct view *v, const struct seqset *set, bool uid, struct arena *a,
	struct uid_range **out, size_t *n_out);
/* The same as ranges of UIDs for an operation: only messages of the view. */
bool view_resolve_uids(const struct view *v, const struct seqset *set, bool uid, struct arena *a,
	struct uid_range **out, size_t *n_out);

/* What a snapshot has that the view has not. Lists on the heap, ascending. */
struct view_news {
	uint32_t *gone; /* UIDs of the view that were expunged; only when asked for */
	size_t gone_n;
	uint32_t *changed; /* UIDs of the view whose flags changed */
	size_t changed_n;
};
/* ERR_*; `out` is to be freed in every case. */
int view_news_find(const struct view *v, struct snap *sn, const struct mbox *mb, bool expunges,
	struct view_news *out);
void view_news_fini(struct view_news *news);
/* Forget what is gone. */
void view_remove(struct view *v, const struct view_news *news);
/* Take in new messages and move up to the snapshot; `expunges` as in view_news_find. ERR_*. */
int view_advance(struct view *v, struct snap *sn, const struct mbox *mb, bool expunges);
