/* smtp: the headers of a proxy, both versions, every prefix and every length of addresses. */
#include "t/tap.h"

#include "smtp/proxy.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define IN(lit) \
	{ \
		lit, sizeof(lit) - 1 \
	}

static const struct {
	struct str in;
	int rc;
	const char *source;
	unsigned port;
	size_t rest; /* octets behind the header */
} cases[] = {
	{IN("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\nEHLO x\r\n"), 1, "192.0.2.1", 1234, 8},
	{IN("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), 1, "2001:db8::1", 1, 0},
	{IN("PROXY UNKNOWN\r\n"), 1, "", 0, 0},
	{IN("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), 1, "", 0, 0},
	{IN("PROXY TCP4 2001:db8::1 ::1 1 2\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25 9\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY TCP4 192.0.2.1 192.0.2.2 1234 65536\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY TCP4 192.0.2.1:9 192.0.2.2 1 2\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY TCP4 192.0.2.1/8 192.0.2.2 1 2\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), ERR_SYNTAX, "", 0, 0},
	{IN("EHLO x\r\n"), ERR_SYNTAX, "", 0, 0},
	{IN(SIG "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x19X"), 1, "192.0.2.1", 1234, 1},
	{IN(SIG "\x21\x11\0\x0f\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x19\4\0\0"), 1, "192.0.2.1", 1234, 0},
	{IN(SIG "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\7\0\x19"),
		1, "2001:db8::1", 7, 0},
	{IN(SIG "\x20\0\0\0EHLO"), 1, "", 0, 4},
	{IN(SIG "\x21\0\0\0"), 1, "", 0, 0},
	{IN(SIG "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\x04\xd2\0"), ERR_SYNTAX, "", 0, 0},
	{IN(SIG "\x22\x11\0\0"), ERR_SYNTAX, "", 0, 0},
	{IN(SIG "\x31\x11\0\0"), ERR_SYNTAX, "", 0, 0},
	{IN(SIG "\x21\x12\0\0"), ERR_SYNTAX, "", 0, 0},
	{IN(SIG "\x21\x11\xff\xff"), ERR_SYNTAX, "", 0, 0},
};

static void test_headers(void)
{
	char ip[NET_ADDR_TEXT];
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proxy p;
		size_t used = 0;
		CHECK_INT(proxy_parse(cases[i].in, &p, &used), cases[i].rc);
		if (cases[i].rc != 1) { continue; }
		CHECK_STR(str_of(net_addr_ip(&p.source, ip)), str_of(cases[i].source));
		CHECK_INT(net_addr_port(&p.source), cases[i].port);
		CHECK_INT(used, cases[i].in.n - cases[i].rest);
	}
}

static void test_prefixes(void)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proxy p;
		size_t used;
		if (cases[i].rc != 1) { continue; }
		for (size_t n = 0; n < cases[i].in.n - cases[i].rest; n++) {
			CHECK_INT(proxy_parse(str_sub(cases[i].in, 0, n), &p, &used), 0);
		}
	}
}

static void test_endless(void)
{
	char text[PROXY_V1_MAX];
	struct proxy p;
	size_t used;
	memset(text, 'x', sizeof text);
	memcpy(text, "PROXY ", 6);
	CHECK_INT(proxy_parse(str_make(text, sizeof text), &p, &used), ERR_SYNTAX);
	CHECK_INT(proxy_parse(str_make(text, sizeof text - 1), &p, &used), 0);
}

int main(int argc, char **argv)
{
	static const struct tap_case table[] = {
		{"headers, good and bad", test_headers},
		{"every prefix wants more", test_prefixes},
		{"a line without end", test_endless},
	};
	return tap_run(table, COUNT(table), argc, argv);
}
