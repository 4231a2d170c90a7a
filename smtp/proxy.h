/* The header a proxy puts before the first octet of a connection: PROXY protocol, versions 1 and 2
   (HAProxy, doc/proxy-protocol.txt). Pure. */
#pragma once

#include "lib/net.h"

enum {
	PROXY_V1_MAX = 107, /* with CRLF */
	PROXY_V2_MAX = 536  /* octets behind the 16 of the fixed part; TLVs are skipped */
};

struct proxy {
	bool local; /* the proxy itself speaks (health check): keep the real addresses */
	struct net_addr source; /* AF_UNSPEC when not told (UNKNOWN) */
	struct net_addr target;
};

/* 1: a whole header stood at the front of `in`, *used_out octets long. 0: need more. ERR_SYNTAX:
   none, or a bad one. */
int proxy_parse(struct str in, struct proxy *out, size_t *used_out);
