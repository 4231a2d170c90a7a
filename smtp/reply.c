/* The table of replies. Runs in mx and submit. */
#include "smtp/reply.h"

enum { DETAIL_MAX = 400 };

static const struct {
	uint16_t code;
	const char *text; /* with the code of RFC 3463 in front where one belongs (RFC 2034 4) */
} replies[REPLY_N] = {
	[REPLY_QUIT] = {221, "2.0.0 Bye"},
	[REPLY_OK] = {250, "2.0.0 Ok"},
	[REPLY_FLUSHED] = {250, "2.0.0 Flushed"},
	[REPLY_SENDER_OK] = {250, "2.1.0 Sender ok"},
	[REPLY_RCPT_OK] = {250, "2.1.5 Recipient ok"},
	[REPLY_QUEUED] = {250, "2.0.0 Ok: queued as"},
	[REPLY_CHUNK] = {250, "2.0.0 Octets received:"},
	[REPLY_START_DATA] = {354, "End data with <CR><LF>.<CR><LF>"},
	[REPLY_START_TLS] = {220, "2.0.0 Ready to start TLS"},
	[REPLY_VRFY] = {252, "2.5.0 Send mail and see"},
	[REPLY_HELP] = {214, "2.0.0 See RFC 5321"},
	[REPLY_AUTH_OK] = {235, "2.7.0 Authentication succeeded"},
	[REPLY_AUTH_USER] = {334, "VXNlcm5hbWU6"},     /* Username: */
	[REPLY_AUTH_PASSWORD] = {334, "UGFzc3dvcmQ6"}, /* Password: */
	[REPLY_AUTH_GO_ON] = {334, ""},

	[REPLY_STOPPING] = {421, "4.3.2 Service is stopping, come back in a moment"},
	[REPLY_TIMEOUT] = {421, "4.4.2 Timeout"},
	[REPLY_TOO_MANY_ERRORS] = {421, "4.7.0 Too many errors"},
	[REPLY_TOO_MANY_IDLE] = {421, "4.7.0 Too many commands without a message"},
	[REPLY_TOO_MANY_MESSAGES] = {421, "4.5.0 Enough messages for one session, connect again"},
	[REPLY_TOO_MANY_SESSIONS] = {421, "4.3.2 Too many sessions, come back later"},
	[REPLY_TOO_SLOW] = {421, "4.4.2 Data comes too slowly"},
	[REPLY_NOT_SMTP] = {521, "5.5.1 This is a mail server"},
	[REPLY_NO_ACCESS] = {554, "5.7.1 Not for your address"},
	[REPLY_BAD_PROXY] = {421, "4.5.1 PROXY header expected"},

	[REPLY_UNKNOWN] = {500, "5.5.1 Command not recognised"},
	[REPLY_LINE_LONG] = {500, "5.5.2 Line too long"},
	[REPLY_LINE_END] = {500, "5.5.2 Lines end with CR LF"},
	[REPLY_SYNTAX] = {501, "5.5.2 Syntax error"},
	[REPLY_ARGS] = {501, "5.5.4 Wrong arguments"},
	[REPLY_PARAM_BAD] = {501, "5.5.4 Wrong parameter"},
	[REPLY_PARAM_UNKNOWN] = {555, "5.5.4 Unknown parameter"},
	[REPLY_BAD_SENDER] = {501, "5.1.7 Malformed sender address"},
	[REPLY_BAD_RCPT] = {501, "5.1.3 Malformed recipient address"},
	[REPLY_NEEDS_UTF8] = {553, "5.6.7 The address needs SMTPUTF8"},
	[REPLY_NEEDS_HELO] = {503, "5.5.1 Say hello first"},
	[REPLY_NEEDS_MAIL] = {503, "5.5.1 MAIL first"},
	[REPLY_NEEDS_RCPT] = {503, "5.5.1 No valid recipients"},
	[REPLY_NESTED_MAIL] = {503, "5.5.1 A transaction is open already"},
	[REPLY_NOT_HERE] = {502, "5.5.1 Not offered here"},
	[REPLY_NEEDS_BDAT] = {503, "5.5.1 BINARYMIME needs BDAT"},
	[REPLY_MIXED_DATA] = {503, "5.5.1 DATA after BDAT"},
	[REPLY_RCPT_IN_DATA] = {503, "5.5.1 The message has begun"},
	[REPLY_FAILED_BDAT] = {503, "5.5.1 The message was refused, RSET"},
	[REPLY_TLS_TWICE] = {503, "5.5.1 TLS is active already"},
	[REPLY_TLS_LATE] = {503, "5.5.1 STARTTLS comes before AUTH"},
	[REPLY_TLS_AWAY] = {454, "4.7.0 TLS is not available"},

	[REPLY_NEEDS_TLS] = {530, "5.7.0 STARTTLS first"},
	[REPLY_NEEDS_AUTH] = {530, "5.7.0 Authentication required"},
	[REPLY_AUTH_CLEAR] = {538, "5.7.11 STARTTLS before AUTH"}, /* RFC 4954 6 */
	[REPLY_AUTH_LONG] = {500, "5.5.6 Authentication line too long"},
	[REPLY_AUTH_TWICE] = {503, "5.5.1 Logged in already"},
	[REPLY_AUTH_MECHANISM] = {504, "5.5.4 Unknown mechanism"},
	[REPLY_AUTH_BAD] = {535, "5.7.8 Authentication failed"},
	[REPLY_AUTH_CANCELLED] = {501, "5.7.0 Authentication cancelled"},
	[REPLY_AUTH_ENCODING] = {501, "5.5.2 Malformed authentication response"},
	[REPLY_AUTH_LATER] = {454, "4.7.0 Authentication is not available now"},

	[REPLY_SENDER_NOT_YOURS] = {553, "5.7.1 Not your sender address:"},
	[REPLY_SENDER_CLOSED] = {550, "5.7.1 The account is disabled or gone"},
	[REPLY_SENDER_LATER] = {451, "4.3.0 Cannot check the sender now"},
	[REPLY_NO_USER] = {550, "5.1.1 No such user:"},
	[REPLY_ALIAS_LOOP] = {550, "5.4.6 Its aliases lead in a circle or too far:"},
	[REPLY_NO_RELAY] = {550, "5.7.1 Relaying denied:"},
	[REPLY_MAILBOX_FULL] = {452, "4.2.2 Mailbox full:"},
	[REPLY_OVER_QUOTA] = {552, "5.2.3 The message is bigger than the quota of"},
	[REPLY_RCPT_LATER] = {451, "4.3.0 Cannot look up the recipient now:"},
	[REPLY_TOO_MANY_RCPTS] = {452, "4.5.3 Too many recipients"},
	[REPLY_TOO_BIG] = {552, "5.3.4 Message too big, limit in octets:"},

	[REPLY_LINE_ENDS] = {550, "5.6.0 Message contains bare CR or LF"},
	[REPLY_NUL] = {550, "5.6.0 Message contains NUL"},
	[REPLY_TEXT_LINE_LONG] = {552, "5.6.0 Message has a line longer than 64 KiB"},
	[REPLY_HEADER_LONG] = {552, "5.3.4 Message header too big"},
	[REPLY_LOOP] = {554, "5.4.6 Mail loop:"},
	[REPLY_FROM_NOT_ONE] = {550, "5.7.1 Message needs one From field with addresses"},
	[REPLY_FROM_NOT_YOURS] = {550, "5.7.1 Not your author address:"},
	[REPLY_AUTHOR_LATER] = {451, "4.3.0 Cannot check the author now"},
	[REPLY_STORE_LATER] = {451, "4.3.0 Cannot store the message now"},
	[REPLY_STORE_FULL] = {452, "4.3.1 Storage is full"},
	[REPLY_NO_MAILBOX] = {550, "5.1.1 The mailbox is gone:"},
	[REPLY_STORE_ERROR] = {554, "5.3.0 The message cannot be stored"},

	[REPLY_POLICY_LATER] = {451, "4.7.1 Try again later, reason:"},
	[REPLY_POLICY_NO] = {550, "5.7.1 Refused, reason:"},
	[REPLY_EARLY_LATER] = {421, "4.7.0 Wait for the greeting"},
	[REPLY_EARLY_NO] = {554, "5.5.1 Wait for the greeting"},
	[REPLY_UNSURE_AT_CONNECT] = {421, "4.4.3 Cannot be checked now:"},
	[REPLY_UNSURE] = {451, "4.4.3 Cannot be checked now:"},
	[REPLY_LISTED_LATER] = {421, "4.7.1 Your address is on a block list:"},
	[REPLY_LISTED_NO] = {554, "5.7.1 Your address is on a block list:"},
	[REPLY_SENDER_NO_MAIL_LATER] = {451, "4.1.8 Sender domain refused:"},
	[REPLY_SENDER_NO_MAIL] = {550, "5.1.8 Sender domain refused:"},
	[REPLY_SENDER_NULL_MX] = {550, "5.7.27 Sender domain refused:"}, /* RFC 7505 4.2 */
	[REPLY_GREYLIST] = {451, "4.7.1 Nobody sent you here before, please come back:"},
	/* RFC 7372 3 */
	[REPLY_IPREV_LATER] = {421, "4.7.25 No name leads back to your address:"},
	[REPLY_IPREV_NO] = {554, "5.7.25 No name leads back to your address:"},
	[REPLY_SPF_LATER] = {451, "4.7.23 SPF says no:"},
	[REPLY_SPF_NO] = {550, "5.7.23 SPF says no:"},
	[REPLY_DKIM_LATER] = {451, "4.7.20 No DKIM signature holds:"},
	[REPLY_DKIM_NO] = {550, "5.7.20 No DKIM signature holds:"},
	[REPLY_DMARC_LATER] = {451, "4.7.26 DMARC says no:"},
	[REPLY_DMARC_NO] = {550, "5.7.26 DMARC says no:"},
	[REPLY_RATE] = {421, "4.7.0 Too many connections from your network"},
};

unsigned reply_code(enum reply_id id)
{
	return replies[id].code;
}

void reply_text(enum reply_id id, struct str detail, struct buf *out)
{
	buf_fmt(out, "%u %s", (unsigned)replies[id].code, replies[id].text);
	if (detail.n == 0) { return; }
	detail = str_sub(detail, 0, DETAIL_MAX);
	buf_chr(out, ' ');
	for (size_t i = 0; i < detail.n; i++) {
		unsigned char c = (unsigned char)detail.p[i];
		buf_chr(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
}
