/* The table of special uses. */
#include "imap/uses.h"

static const struct {
	uint32_t use;
	struct str name;
} uses[] = {
	{USE_ARCHIVE, {"\\Archive", 8}},
	{USE_DRAFTS, {"\\Drafts", 7}},
	{USE_FLAGGED, {"\\Flagged", 8}},
	{USE_JUNK, {"\\Junk", 5}},
	{USE_SENT, {"\\Sent", 5}},
	{USE_TRASH, {"\\Trash", 6}},
	{USE_ALL, {"\\All", 4}},
	{USE_IMPORTANT, {"\\Important", 10}},
};

uint32_t use_by_name(struct str attribute)
{
	/* \All and \Flagged are views over other mailboxes, which there are none of here. */
	for (size_t i = 0; i < COUNT(uses); i++) {
		if (str_ieq(attribute, uses[i].name)) {
			return uses[i].use & ~(uint32_t)(USE_ALL | USE_FLAGGED);
		}
	}
	return 0;
}

void uses_put(uint32_t mask, struct buf *out)
{
	for (size_t i = 0; i < COUNT(uses); i++) {
		if (!(mask & uses[i].use)) { continue; }
		buf_chr(out, ' ');
		buf_str(out, uses[i].name);
	}
}
