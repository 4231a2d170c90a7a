/* The text of DATA on its way in (RFC 5321 4.5.2): where it ends, without the stuffed dots. Nothing
   but CRLF ends a line and nothing but CRLF.CRLF ends the text, so that no octet of a message is
   ever taken for a command (SMTP smuggling). Also checks the lines of BDAT chunks, which have no
   dots. Pure; may stop at any octet. */
#pragma once

#include "lib/lib.h"

enum dot_fault {
	DOT_BARE_CR = 1,
	DOT_BARE_LF = 2,
	DOT_NUL = 4,
	DOT_LINE_LONG = 8 /* beyond line_max */
};

struct dot {               /* all zeros but the limits = at the start */
	uint32_t line_max; /* octets of a line without CRLF, 0 = any */
	bool chunk;        /* BDAT: no dots, no end */
	bool binary;       /* BODY=BINARYMIME: any octet may stand anywhere */
	uint8_t faults;    /* mask of enum dot_fault; reading goes on to the end all the same */
	uint8_t state;
	uint32_t line_n;
};

/* Cut the next run of message octets off *in; it is borrowed and may be empty. 1: the final dot was
   read, *in stands behind it; 0: go on until *in is empty. */
int dot_next(struct dot *d, struct str *in, struct str *run_out);
/* The last chunk has been read: does the text end with CRLF? Sets DOT_BARE_CR when it ends in a CR
   that waits for its LF. */
bool dot_at_line_start(struct dot *d);
