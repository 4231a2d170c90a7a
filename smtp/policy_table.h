/* The checks, in the order in which they are looked at within their stage. One row is all there is
   to say about a check: its name, which is also its key in the configuration; its stage; the
   sessions it is for; the actions it may have and the one it has unless told otherwise; how it
   looks; the replies when it defers or refuses; when it hits. */

/* clang-format off */
#define POLICY_TABLE(ROW) \
	ROW(CONNECTIONS, "connections", STAGE_CONNECT, AT_SMTP, policy_all, "defer", \
		look_connections, REPLY_RATE, REPLY_RATE, \
		"When a network has too many sessions at once (connections_max).") \
	ROW(RATE, "rate", STAGE_CONNECT, AT_SMTP, policy_all, "defer", \
		look_rate, REPLY_RATE, REPLY_RATE, \
		"When a network connects too often (rate_max); it is then paused for five minutes.") \
	ROW(EARLY, "early", STAGE_CONNECT, AT_MX, policy_all, "note", \
		look_early, REPLY_EARLY_LATER, REPLY_EARLY_NO, \
		"When a client talks before it was greeted (early_wait).") \
	ROW(DNSWL, "dnswl", STAGE_CONNECT, AT_MX, policy_look_only, "off", \
		look_dnswl, REPLY_N, REPLY_N, \
		"When a list in dnswl_lists has the client; then dnsbl and greylist are left out.") \
	ROW(DNSBL, "dnsbl", STAGE_CONNECT, AT_MX, policy_all, "off", \
		look_dnsbl, REPLY_LISTED_LATER, REPLY_LISTED_NO, \
		"When a list in dnsbl_lists has the client.") \
	ROW(IPREV, "iprev", STAGE_CONNECT, AT_MX, policy_all, "note", \
		look_iprev, REPLY_IPREV_LATER, REPLY_IPREV_NO, \
		"When the client's address has no name, or no name of it leads back (RFC 8601 2.7.3).") \
	ROW(HELO, "helo", STAGE_HELO, AT_MX, policy_all, "note", \
		look_helo, REPLY_POLICY_LATER, REPLY_POLICY_NO, \
		"When a client's HELO is no full name or literal, or is our own.") \
	ROW(SIZE, "size", STAGE_MAIL, AT_ALL, policy_all, "refuse", \
		look_size, REPLY_TOO_BIG, REPLY_TOO_BIG, \
		"When SIZE announces more than message_max (a bigger message never gets in).") \
	ROW(SENDER, "sender", STAGE_MAIL, AT_MX, policy_all, "refuse", \
		look_sender, REPLY_SENDER_NO_MAIL_LATER, REPLY_SENDER_NO_MAIL, \
		"When the sender's domain does not exist or accepts no mail: nobody could answer.") \
	ROW(ROUTED, "routed", STAGE_RCPT, AT_MX, policy_all, "refuse", \
		look_routed, REPLY_POLICY_LATER, REPLY_NO_RELAY, \
		"When the local part of a recipient holds %, ! or @, as tries at relaying do.") \
	ROW(FROM, "from", STAGE_HEADER, AT_MX, policy_all, "refuse", \
		look_from, REPLY_POLICY_LATER, REPLY_FROM_NOT_ONE, \
		"When a message has no From field, several, or one that names nobody.") \
	ROW(HOPS, "hops", STAGE_HEADER, AT_ALL, policy_all, "refuse", \
		look_hops, REPLY_LOOP, REPLY_LOOP, \
		"When a message has more Received fields than hops_max.") \
	ROW(LOOP, "loop", STAGE_HEADER, AT_ALL, policy_all, "refuse", \
		look_loop, REPLY_LOOP, REPLY_LOOP, \
		"When a message was already delivered to the same recipient.") \
	ROW(SPF, "spf", STAGE_END, AT_MX, policy_all, "note", \
		look_spf, REPLY_SPF_LATER, REPLY_SPF_NO, \
		"When SPF fails; what that means for a message is better left to dmarc.") \
	ROW(DKIM, "dkim", STAGE_END, AT_MX, policy_all, "note", \
		look_dkim, REPLY_DKIM_LATER, REPLY_DKIM_NO, \
		"When a message has signatures and none of them holds.") \
	ROW(DMARC, "dmarc", STAGE_END, AT_MX, policy_dmarc, "policy", \
		look_dmarc, REPLY_DMARC_LATER, REPLY_DMARC_NO, \
		"When DMARC fails; policy = as the author's domain asks: note, junk or refuse, and " \
		"defer while it cannot be known that it does not ask for refuse. What would be junk " \
		"is junk while nothing can be known, too.") \
	ROW(GREYLIST, "greylist", STAGE_END, AT_MX, policy_delay, "off", \
		look_greylist, REPLY_GREYLIST, REPLY_GREYLIST, \
		"When neither SPF nor DKIM passes, and the network, the sender's domain and the " \
		"recipient have not met before (greylist_delay); after a restart all are new.")
/* clang-format on */
