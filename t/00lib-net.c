/* lib: addresses, networks, listening. */
#include "t/tap.h"

#include <unistd.h>

#include "lib/net.h"

static void test_addresses(void)
{
	static const struct {
		const char *text, *ip, *literal;
		int port;
	} good[] = {
		{"192.0.2.1", "192.0.2.1", "[192.0.2.1]", 99},
		{"192.0.2.1:25", "192.0.2.1", "[192.0.2.1]", 25},
		{"2001:db8::1", "2001:db8::1", "[IPv6:2001:db8::1]", 99},
		{"[2001:DB8::1]:587", "2001:db8::1", "[IPv6:2001:db8::1]", 587},
		{"[::1]", "::1", "[IPv6:::1]", 99},
		{"::ffff:192.0.2.7", "192.0.2.7", "[192.0.2.7]", 99},
		{"[192.0.2.1]:25", "192.0.2.1", "[192.0.2.1]", 25},
		{"*:25", "::", "[IPv6:::]", 25},
		{"*", "::", "[IPv6:::]", 99},
		{"[::]:0", "::", "[IPv6:::]", 0},
		{"0.0.0.0:65535", "0.0.0.0", "[0.0.0.0]", 65535},
		{"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666",
			"[IPv6:2001:db8:1111:2222:3333:4444:5555:6666]", 99},
	};
	static const char *const bad[] = {"", ":", ":25", "192.0.2",
		"192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:2x", "192.0.2.256", "[2001:db8::1",
		"[2001:db8::1]25", "[]", "]", "[", "2001:db8::1::2", "mail.example", "localhost:25",
		" 192.0.2.1", "192.0.2.1 ", "fe80::1%eth0", "0192.0.2.1:-1",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee"};
	char out[NET_ADDR_TEXT];
	struct net_addr a;
	for (size_t i = 0; i < COUNT(good); i++) {
		CHECK_INT(net_addr_parse(str_of(good[i].text), 99, &a), 0);
		CHECK_STR(str_of(net_addr_ip(&a, out)), str_of(good[i].ip));
		CHECK_STR(str_of(net_addr_literal(&a, out)), str_of(good[i].literal));
		CHECK_INT(net_addr_port(&a), good[i].port);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (net_addr_parse(str_of(bad[i]), 1, &a) == 0) {
			tap_fail(__FILE__, __LINE__, "accepted %s", bad[i]);
		}
	}
	CHECK_INT(net_addr_parse(STR("1.2.3.4\0x"), 1, &a), ERR_SYNTAX);
}

static struct net_addr addr(const char *text)
{
	struct net_addr a = {0};
	CHECK_INT(net_addr_parse(str_of(text), 0, &a), 0);
	return a;
}

static void test_compare(void)
{
	struct net_addr a = addr("192.0.2.1:25"), b = addr("[::ffff:192.0.2.1]:26"),
			c = addr("::1"), d = addr("127.9.9.9"), none = {0};
	CHECK_INT(a.in.sin_addr.s_addr, b.in.sin_addr.s_addr);
	CHECK_INT(b.sa.sa_family, AF_INET); /* mapped ones are folded */
	CHECK_INT(c.sa.sa_family, AF_INET6);
	CHECK(net_addr_is_loopback(&c));
	CHECK(net_addr_is_loopback(&d));
	CHECK(!net_addr_is_loopback(&a));
	CHECK(!net_addr_is_loopback(&none));
}

static void test_networks(void)
{
	static const struct {
		const char *net, *addr;
		bool in;
	} cases[] = {
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.77/24", "192.0.2.1", true},
		{"192.0.2.4/31", "192.0.2.5", true},
		{"192.0.2.4/31", "192.0.2.6", false},
		{"192.0.2.4", "192.0.2.4", true},
		{"192.0.2.4", "192.0.2.5", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8::/128", "2001:db8::", true},
		{"192.0.2.0/24", "::ffff:192.0.2.9", true},
	};
	static const char *const bad[] = {"", "/", "/8", "192.0.2.0/", "192.0.2.0/33", "::/129",
		"192.0.2.0/-1", "192.0.2/24", "192.0.2.0/24/8", "*", "192.0.2.0:25/24"};
	struct net_cidr n;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct net_addr a = addr(cases[i].addr);
		CHECK_INT(net_cidr_parse(str_of(cases[i].net), &n), 0);
		if (net_cidr_has(&n, &a) != cases[i].in) {
			tap_fail(__FILE__, __LINE__, "%s in %s", cases[i].addr, cases[i].net);
		}
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (net_cidr_parse(str_of(bad[i]), &n) == 0) {
			tap_fail(__FILE__, __LINE__, "accepted %s", bad[i]);
		}
	}
}

static void test_listen(void)
{
	struct net_addr a = addr("127.0.0.1:0");
	struct err e;
	socklen_t n = sizeof a;
	int fd = net_listen(&a, &e);
	CHECK(fd >= 0);
	CHECK_INT(getsockname(fd, &a.sa, &n), 0);
	CHECK_INT(net_listen(&a, &e), ERR_INUSE);
	CHECK(str_find(str_of(e.text), STR("another program uses the port")) >= 0);
	close(fd);
	a = addr("203.0.113.77:0");
	CHECK_INT(net_listen(&a, &e), ERR_IO);
	CHECK(str_find(str_of(e.text), STR("no interface")) >= 0);
	a = addr("*:0"); /* IPv4 reaches it, too */
	fd = net_listen(&a, &e);
	CHECK(fd >= 0);
	n = sizeof a;
	CHECK_INT(getsockname(fd, &a.sa, &n), 0);
	struct net_addr to = addr("127.0.0.1:0");
	to.in.sin_port = htons(net_addr_port(&a));
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(c, &to.sa, net_addr_len(&to)), 0);
	close(c);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{"addresses from text and back", test_addresses},
		{"comparing", test_compare},
		{"networks", test_networks},
		{"listening, and what to do when it fails", test_listen},
	};
	return tap_run(cases, COUNT(cases), argc, argv);
}
