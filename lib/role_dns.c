/* The resolver of a role, made from the dns section. Roles with want_dns; never reads the zone file
   itself: a sandboxed role gets its text from the supervisor. */
#include "lib/dns_conf.h"
#include "lib/role.h"

int role_dns(struct role *r, struct err *e)
{
	const struct dns_section *s = conf_get(r->conf, &dns_conf_section);
	struct dns_conf c = {.forward = s->forward,
		.zone_text = role_secret(r, STR("dns.zone")),
		.dnssec = s->dnssec,
		.timeout_us = s->timeout_us,
		.cache_max = s->cache};
	struct dns *d = dns_new(r->loop, &c, e);
	if (!d) { return ERR_SYNTAX; }
	/* an idle `dev` has no resolver: without a sandbox the first question may start it */
	int rc = r->one_process ? 0 : dns_prepare(d, e);
	if (rc < 0) {
		dns_free(d);
		return rc;
	}
	r->dns = d;
	return 0;
}
